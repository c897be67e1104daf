//! watchpost-testkit
