//! What systemd is told, when it started us: readiness, reloads, the end, and that the scheduler is alive.
//!
//! Without a service manager nothing is told. Source: sd_notify(3).

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

use crate::log::trouble::Trouble;

/// The service manager does not listen.
static UNTOLD: Mutex<Trouble> = Mutex::new(Trouble::new());

/// The daemon measures.
pub(super) fn ready(jobs: usize, listen: std::net::SocketAddr) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("{jobs} jobs, http://{listen}/"))]);
}

/// Tells how the jobs stand when that has changed: `systemctl status` shows it.
#[derive(Default)]
pub(super) struct Standing {
    told: String,
}

impl Standing {
    pub(super) fn tell(&mut self, now: impl FnOnce() -> String) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return;
        }
        let now = now();
        if now != self.told {
            tell(&[NotifyState::Status(&now)]);
            self.told = now;
        }
    }
}

/// A reload begins; `ready` ends it.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// The end begins.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    let told = sd_notify::notify(state).map_err(|error| crate::chain(&error));
    let mut untold = UNTOLD.lock().unwrap_or_else(PoisonError::into_inner);
    match told {
        Ok(()) => drop(untold.is_over(Instant::now())),
        Err(why) => {
            if let Some(told) = untold.met(&why, Instant::now()) {
                tracing::warn!(times = told.times, "the service manager cannot be told: {why}");
            }
        }
    }
}

/// Feeds the service manager's watchdog. It hangs on the scheduler's own loop: a daemon that schedules nothing is dead, whatever else lives.
pub(super) struct Watchdog {
    every: Option<Duration>,
    fed: Instant,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        // A third of what it allows, so that one late look does no harm.
        let limit = sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero());
        Self { every: limit.map(|limit| limit / 3), fed: Instant::now() }
    }

    /// The longest the loop may sleep.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.every
    }

    /// Feeds it if it is time.
    pub(super) fn feed(&mut self) {
        if self.every.is_some_and(|every| self.fed.elapsed() >= every) {
            tell(&[NotifyState::Watchdog]);
            self.fed = Instant::now();
        }
    }
}
