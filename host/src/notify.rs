//! Who is told of alarms, and by what.
//!
//! A step of an alarm's life is written into the outbox in the transaction that makes it; from there each channel takes what is its own,
//! in order for each alarm, and again until it is delivered: at least once, with the same id each time.
//!
//! Reading order: [`route`] (who is told of what) · [`outbox`] (what waits to be told).

pub mod outbox;
pub mod route;
#[cfg(test)]
mod tests;
