//! A daemon as its users have it: the built programs, a configuration, a data folder, and nothing of the host's insides.
//!
//! Reading order: [`House`] (configuration and data folder; runs commands) · [`Daemon`] (one life of a daemon in it) ·
//! [`greeter`] (what it measures) · [`http`] (asks it) · [`scrape`] (its answers, line by line) · [`journal`], [`rrdtool`] (what it stored) · [`process`] (looks at
//! processes) · `programs` (which binaries) · [`until`] (waits, never for ever).
//!
//! Everything that is started here ends when its handle is dropped, and nothing else does.

#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

mod daemon;
pub(crate) mod greeter;
mod house;
pub(crate) mod http;
pub(crate) mod journal;
pub(crate) mod process;
mod programs;
pub(crate) mod rrdtool;
pub(crate) mod scrape;

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

pub(crate) use daemon::{Daemon, Ended, READY_TIMEOUT, STOP_TIMEOUT};
pub(crate) use house::{House, Said};
pub(crate) use programs::{DEBUG_RUN, agents, install, plugin_library};

/// Looks every few milliseconds until there is something to give; [`None`] after `timeout`.
pub(crate) fn until<T>(timeout: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let found = look();
        if found.is_some() || begun.elapsed() > timeout {
            return found;
        }
        sleep(Duration::from_millis(5));
    }
}
