//! The daemon as its operators have it: how it starts, ends, and shares its folder.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod ends;
#[path = "../harness/mod.rs"]
mod harness;
mod servers;
