//! What a running agent may ask for, and what its run gave. Used by the worker and by the test kit.
//!
//! Reading order: [`outcome`] (what a run gave).

pub mod outcome;
