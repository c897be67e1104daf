//! Servers that misbehave, libraries that are none, folders that cannot be used: what a daemon tells of each, and whom it costs nothing.
//!
//! Reading order: [`row`] (one fault, as data) · `lines` (the faults that protocols of lines share), `smtp`, `pop3`, `imap`, `dns` (the table: a new fault
//! is a new row) · [`ward`] (all rows in one daemon, with healthy neighbours) · `story` (well, ill, well again) · `told` (what has to be
//! said of each row) · `logged` (the log, line by line) · `libraries`, `folders` (what a start is refused for).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod dns;
mod folders;
#[path = "../harness/mod.rs"]
mod harness;
mod imap;
mod libraries;
mod lines;
mod logged;
mod pop3;
mod row;
mod smtp;
mod story;
mod told;
mod ward;
