//! Alarms: what a rule says of a series, with a life of its own.
//!
//! Reading order: [`x733`] (what kind of trouble) · [`life`] (what happens to an alarm) · [`notice`] (a step of its life, as
//! everybody outside is told of it).

pub mod life;
pub mod notice;
pub mod x733;
