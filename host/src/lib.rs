//! The daemon and its command line.
//!
//! Reading order, along the one flow: [`reading`] (what is journaled), [`series`] (what of it becomes RRD files).

pub mod reading;
pub mod series;
