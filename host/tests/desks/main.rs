//! Alarms that have tickets in real systems: Request Tracker and roundup, started by the lab.
//!
//! Reading order: `desk` (what a test asks of any system) · `request_tracker`, `roundup` (how each is asked, by its own people) · `watched`
//! (a daemon, a name server that dies, a channel of tickets) · then the stories: `life`, `people`, `doubled`, `delays`, `situations`,
//! `merged`, `several`, `hostile`, `trouble`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod delays;
mod desk;
mod doubled;
#[path = "../harness/mod.rs"]
mod harness;
mod hostile;
mod life;
mod merged;
mod people;
#[expect(dead_code, reason = "some of it is for the stories of the lab")]
#[path = "../lab/programs.rs"]
mod programs;
mod request_tracker;
mod roundup;
#[expect(dead_code, reason = "some of it is for the stories of the lab")]
#[path = "../lab/servers.rs"]
mod servers;
mod several;
mod situations;
mod trouble;
mod watched;
