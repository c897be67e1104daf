//! How often a job brought its worker down, and how long it is held back for it.

use std::time::{Duration, Instant};

/// A job is held back for at most so many of its intervals.
const INTERVALS_MAX: u32 = 5;
/// A job that ran so many times without a crash is trusted again.
const RUNS_TO_FORGIVE: u32 = 10;

/// How often a job brought its worker down.
#[derive(Debug, Default)]
pub(super) struct Record {
    crashes: u32,
    good_runs: u32,
    held_until: Option<Instant>,
}

impl Record {
    /// Notes a crash; the job is held back, longer each time.
    pub(super) fn crashed(&mut self, now: Instant, interval: Duration) {
        self.crashes = self.crashes.saturating_add(1);
        self.good_runs = 0;
        let intervals = 1_u32.checked_shl(self.crashes - 1).unwrap_or(u32::MAX).min(INTERVALS_MAX);
        // The first crash costs no run but its own: the next one is due after an interval anyway.
        self.held_until = (self.crashes > 1).then(|| now + interval * (intervals - 1) + interval / 2);
    }

    /// Notes a run that did not bring the worker down.
    pub(super) fn survived(&mut self) {
        self.good_runs = self.good_runs.saturating_add(1);
        if self.good_runs >= RUNS_TO_FORGIVE {
            *self = Self::default();
        }
    }

    /// How long the job is still held back.
    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        self.held_until.and_then(|until| until.checked_duration_since(now)).filter(|held| !held.is_zero())
    }

    /// Crashes in a row if the job is still held back.
    pub(super) fn held(&self, now: Instant) -> Option<u32> {
        self.held_until.filter(|&until| now < until).map(|_| self.crashes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn a_job_that_crashes_again_and_again_misses_at_most_five_intervals_at_a_time() {
        let (start, mut record) = (Instant::now(), Record::default());
        let mut held = Vec::new();
        for _ in 0..8 {
            record.crashed(start, INTERVAL);
            held.push((0..20).filter(|&due| record.held(start + INTERVAL * due).is_some()).count());
        }
        assert_eq!(held, [0, 2, 4, 5, 5, 5, 5, 5]);
    }

    #[test]
    fn good_runs_are_forgiveness() {
        let mut record = Record::default();
        record.crashed(Instant::now(), INTERVAL);
        record.crashed(Instant::now(), INTERVAL);
        for _ in 0..RUNS_TO_FORGIVE {
            record.survived();
        }
        assert_eq!(record.held(Instant::now()), None);
    }
}
