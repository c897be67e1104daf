//! The whole product against real servers: Postfix and Dovecot measure up, rrdtool and Prometheus read what comes of it.
//!
//! Reading order: `servers` (the lab) · `demo` (the shipped demo, running; most stories share one) · `scrape` (what `/metrics` says) ·
//! then one file for each onlooker: `phases`, `outage`, `mailbox`, `rrdtool`, `prometheus`, `session`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

#[path = "../harness/mod.rs"]
mod harness;

mod demo;
mod mailbox;
mod outage;
mod phases;
mod programs;
mod prometheus;
mod rrdtool;
mod servers;
mod session;

use harness::scrape;
