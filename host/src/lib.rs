//! The daemon and its command line.
//!
//! Reading order, along the one flow: [`reading`] (what is journaled).

pub mod config;
pub mod reading;
pub mod schedule;
