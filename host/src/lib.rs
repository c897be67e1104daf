//! The daemon and its command line.
//!
//! Reading order, along the one flow: [`reading`] (what is journaled).

pub mod reading;
pub mod series;
