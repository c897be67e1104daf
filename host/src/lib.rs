//! watchpost
