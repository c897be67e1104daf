//! watchpost

pub mod schedule;
