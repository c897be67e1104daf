//! Alarms: what a rule says of a series, with a life of its own.
//!
//! Reading order: [`x733`] (what kind of trouble) · [`notice`] (a step of an alarm's life, as everybody outside is told of it).

pub mod notice;
pub mod x733;
