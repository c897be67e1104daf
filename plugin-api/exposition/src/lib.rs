//! The text in which Prometheus and OpenMetrics write samples, read strictly: what agents that are told samples in it share.
//!
//! Reading order: [`read`] (a whole page) · [`line`] (one line of it, for whoever is told line by line) · [`Sample`] · [`Cursor`] (a place
//! in a line, also for whoever writes names and labels in the same way).

mod sample;
mod text;

pub use sample::Sample;
pub use text::{Cursor, Line, line, read};
