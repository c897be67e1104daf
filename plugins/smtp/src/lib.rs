//! watchpost-smtp
