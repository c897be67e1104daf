//! The daemon and its command line.
//!
//! Reading order, along the one flow: [`reading`] (what is journaled) · [`latest`] (what is known now) · [`expose`] (who may ask) ·
//! [`console`] (what a person sees).

pub mod console;
pub mod expose;
pub mod latest;
pub mod reading;
