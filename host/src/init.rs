//! Looks at the servers of a domain from outside, and writes a schedule that measures them.
//!
//! Reading order: [`book`] (what is known of services, from `init/doors.toml`: the program itself knows no agent) · [`names`] (from a
//! domain to its servers) · [`look`] (what stands behind one port) · [`found`] (all ports at once, within a time) · [`schedule`] (what is
//! written). Nothing is logged in to; what is sent is greetings. What servers say is hostile: bounded, and shown escaped.

pub mod book;
pub mod found;
pub mod look;
pub mod names;
pub mod schedule;
