//! Runs at a fixed interval, spread by phase.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::runs::Runs;
use super::unix_time::DAY;

/// A run every `step` seconds, `phase` seconds after each multiple of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Every {
    step: i64,
    phase: i64,
}

impl Every {
    /// Spreads jobs evenly within the step by the hash of their names: stable over restarts and machines.
    pub(super) fn new(step: Duration, job: &str) -> Self {
        let step = i64::try_from(step.as_secs()).unwrap_or(366 * DAY).max(1);
        let hash = Sha256::digest(job.as_bytes());
        let number = hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self { step, phase: (number % step as u64) as i64 }
    }

    pub(super) fn step(&self) -> i64 {
        self.step
    }

    pub(super) fn phase(&self) -> i64 {
        self.phase
    }

    /// Finds the first run at or after an instant.
    pub(super) fn first_from(&self, instant: i64) -> i64 {
        let since_phase = instant - self.phase;
        self.phase + (since_phase + self.step - 1).div_euclid(self.step) * self.step
    }

    /// Folds the runs from one instant up to, not including, another.
    pub(super) fn runs_between(&self, from: i64, until: i64) -> Runs {
        let (first, end) = (self.first_from(from), self.first_from(until));
        Runs::evenly(first, self.step, ((end - first) / self.step).max(0) as u64)
    }
}
