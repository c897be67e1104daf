//! What leaves the daemon by HTTP: exact, and understood by those who read it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod fixture;
mod formats;
mod hostile;
mod listener;
mod parser;
mod readers;
