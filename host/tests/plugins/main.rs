//! Agents that misbehave and files that are no libraries: what they cost, and whom.
//!
//! Reading order: [`zoo`] (the libraries, and a plugin with one job for each beast) · `runs` (what stays within one run) ·
//! `deaths` (what brings a worker down) · `blame` (who did) · `apart` (how it is found out when nobody is known to have) · `cancelled` (what gives way) · `unanswered` (who is held up) · `files` (what is refused) ·
//! `table` (every beast, and what is told of it) · `whole` (the same, seen from outside, in a [`house`]) · `log` (what its log tells) · `since`
//! and `reloads` (what outlives workers, daemons and changes) · `quarantine` (what crashes come to) · `replace` and `commands` (libraries that
//! come, change and go) · `renewal` and `retired` (workers that take over) · `heirloom` (the first library of all) · `grown` (an interface with more in it, which `tomorrow` builds) · `escapes`
//! (what libraries that mean harm get at: nothing).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "../harness/mod.rs"]
mod harness;

mod apart;
mod blame;
mod cancelled;
mod commands;
mod deaths;
mod escapes;
mod files;
mod grown;
mod heirloom;
mod house;
mod log;
mod quarantine;
mod reloads;
mod renewal;
mod replace;
mod retired;
mod runs;
mod since;
mod table;
mod tomorrow;
mod unanswered;
mod whole;
mod zoo;
