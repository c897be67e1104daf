//! watchpost-services
