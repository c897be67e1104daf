//! Service levels: how much of its time a service was as it was promised to be.
//!
//! Each reading of a scheduled run counts for its slot: good, bad, or unknown where the run says nothing of the target. What was due while
//! nobody measured is unknown, what was due while the job's windows were shut, or its series was maintained, is planned; neither is part of the level. Only service hours
//! count. Sums are kept by day of the objective's zone, so that years are read as fast as days.
//!
//! Reading order: [`good`] (what is good) · [`period`] (over which days) · [`count`] (what a reading counts as) · [`tally`] (the sums) ·
//! [`level`] (what comes of them).

pub mod count;
pub mod good;
pub mod level;
pub mod period;
pub mod tally;

/// Seconds of service time, by what they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seconds {
    /// As promised.
    pub good: u64,
    /// Not as promised.
    pub bad: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// Nobody was to measure.
    pub planned: u64,
}

impl Seconds {
    /// The sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            good: self.good + other.good,
            bad: self.bad + other.bad,
            unknown: self.unknown + other.unknown,
            planned: self.planned + other.planned,
        }
    }
}

/// What some time was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As promised.
    Good,
    /// Not as promised.
    Bad,
    /// Nobody knows.
    Unknown,
    /// Nobody was to measure.
    Planned,
}

impl Verdict {
    /// So many seconds of it.
    pub fn seconds(self, seconds: u64) -> Seconds {
        let none = Seconds::default();
        match self {
            Self::Good => Seconds { good: seconds, ..none },
            Self::Bad => Seconds { bad: seconds, ..none },
            Self::Unknown => Seconds { unknown: seconds, ..none },
            Self::Planned => Seconds { planned: seconds, ..none },
        }
    }
}
