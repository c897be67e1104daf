//! The whole product against real servers: Postfix, Dovecot and BIND measure up, rrdtool and Prometheus read what comes of it.
//!
//! Reading order: `servers` (the lab) · `watch` (a daemon on it) · `demo` (the shipped demo, running; most stories share one), `jobs` (what
//! it promises) · `scrape` (what `/metrics` says) · then one file for each onlooker: `phases`, `mailbox`, `told`, `people`, `imap`, `webmail`, `rrdtool`, `prometheus`, `session`, `shipped`, `init`;
//! `timing` (others' clocks, over a `wire`); `examples` (agents to copy); `nagios` (what other people's plugins find); `counts` (what servers publish, and what the kernel knows of them);
//! `conformance` (how our own agents behave);
//! `esm` (each figure of the ESM table, beside what others say);
//! and one for each kind of trouble: `outage` (the demo's), `stops` (a server is held, then gone), `standing` (what is wrong all the time),
//! `disk` (the mail disk is full, AUTH is gone).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

#[path = "../harness/mod.rs"]
mod harness;
#[expect(dead_code, reason = "some of it is for the stories of receivers")]
#[path = "../receivers/server.rs"]
mod server;

mod conformance;
mod counts;
mod demo;
mod disk;
mod esm;
mod examples;
mod imap;
mod init;
mod jobs;
mod mailbox;
mod nagios;
mod outage;
mod people;
mod phases;
mod programs;
mod prometheus;
mod roundtrip;
mod rrdtool;
mod servers;
mod session;
mod shipped;
mod standing;
mod stops;
mod timing;
mod told;
mod watch;
mod webmail;
mod wire;

use harness::scrape;
