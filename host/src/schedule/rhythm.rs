//! How close a job's runs come, and what follows: the step of its series, the slot of a run, the deadline.

use std::time::Duration;

use super::error::ScheduleError;
use super::unix_time::{DAY, UnixTime};

/// Steps a cron job's series may have, in seconds, from large to small.
const CRON_STEPS: [i64; 12] = [DAY, 12 * 3_600, 6 * 3_600, 3_600, 1_800, 600, 300, 60, 30, 10, 5, 1];

/// The deadline of a run whose job sets no `timeout`, unless the interval is shorter.
const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

/// How close the runs of a timetable come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    interval: i64,
    step: Step,
}

/// The spacing of the slots of a job, hence of the rows of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(i64);

/// The aligned instant a run stands for: its due time rounded down to a multiple of the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(UnixTime);

impl Rhythm {
    /// Runs every `step` seconds.
    pub(super) const fn of_every(step: i64) -> Self {
        Self { interval: step, step: Step(step) }
    }

    /// Runs at least `interval` seconds apart: the step is the largest on the ladder not above it.
    ///
    /// Two runs at least a step apart never share a slot.
    pub(super) fn of_cron(interval: i64) -> Self {
        let step = CRON_STEPS.into_iter().find(|step| *step <= interval);
        Self { interval, step: Step(step.unwrap_or(1)) }
    }

    /// Gives the shortest time between two runs; the whole two years looked at where they hold at most one.
    pub fn interval(self) -> Duration {
        Duration::from_secs(self.interval.unsigned_abs())
    }

    /// Gives the step of the job's series.
    pub fn step(self) -> Step {
        self.step
    }

    /// Settles how long a run may take: `timeout` if set, else 10 s or the interval, whichever is less.
    ///
    /// Errors: [`ScheduleError::TimeoutOverInterval`].
    pub fn deadline(self, timeout: Option<Duration>) -> Result<Duration, ScheduleError> {
        let interval = self.interval();
        match timeout {
            None => Ok(DEADLINE_DEFAULT.min(interval)),
            Some(timeout) if timeout > interval => Err(ScheduleError::TimeoutOverInterval { timeout, interval }),
            Some(timeout) => Ok(timeout),
        }
    }
}

impl Step {
    /// Gives the step in seconds.
    pub const fn as_secs(self) -> i64 {
        self.0
    }

    /// Gives the step as a span of time.
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0.unsigned_abs())
    }

    /// Rounds a due time down to its slot.
    pub const fn slot(self, due: UnixTime) -> Slot {
        Slot(UnixTime::from_secs(due.as_secs().div_euclid(self.0) * self.0))
    }
}

impl Slot {
    /// Takes a slot back from where it was stored.
    pub const fn at(time: UnixTime) -> Self {
        Self(time)
    }

    /// Gives the instant; in seconds it is the RRD time of the run's samples.
    pub const fn time(self) -> UnixTime {
        self.0
    }
}
