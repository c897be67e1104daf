//! The daemon as its operators have it: how it starts, ends, and keeps its folder.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod alarms;
mod backup;
mod behind;
mod busy_file;
mod changes;
mod ends;
mod events;
mod folder;
mod front_ends;
mod full_disk;
mod gaps;
mod hanging;
#[path = "../harness/mod.rs"]
mod harness;
mod label_sets;
mod overlap;
#[expect(dead_code, reason = "some of it is for the stories of the lab")]
#[path = "../lab/programs.rs"]
mod programs;
mod remembers;
mod replay;
mod rules;
mod samples;
mod servers;
mod service_manager;
mod situations;
mod started;
mod unit_file;
mod windows;
