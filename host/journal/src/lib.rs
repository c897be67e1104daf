//! watchpost-journal
