//! Alarms that are told: by scripted receivers that fail as they may, and by real ones from Debian's packages.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod alertmanager;
#[path = "../harness/mod.rs"]
mod harness;
mod icinga2;
#[expect(dead_code, reason = "some of it is for the stories of the lab")]
#[path = "../lab/programs.rs"]
mod programs;
mod scripted;
mod server;
mod snmp;
mod stories;
mod syslog;
