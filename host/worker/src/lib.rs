//! watchpost-worker
