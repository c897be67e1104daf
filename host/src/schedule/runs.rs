//! What a stretch of time holds in runs, and how two such stretches join.

use super::field::values;

/// The runs of a stretch of time: how many, the first, the last, the closest two.
///
/// Stretches join end to end ([`Runs::then`]), so that two years are folded from days and days from minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Runs {
    pub(super) count: u64,
    /// First and last run; meaningless while `count` is 0, hence private.
    ends: (i64, i64),
    /// Seconds between the two closest runs; `None` with fewer than two.
    pub(super) gap_min: Option<i64>,
}

impl Runs {
    /// A stretch without a run.
    pub(super) const NONE: Self = Self { count: 0, ends: (0, 0), gap_min: None };

    /// A single run.
    pub(super) const fn one(at: i64) -> Self {
        Self { count: 1, ends: (at, at), gap_min: None }
    }

    /// `count` runs, `step` apart.
    pub(super) fn evenly(first: i64, step: i64, count: u64) -> Self {
        match count {
            0 => Self::NONE,
            1 => Self::one(first),
            _ => Self { count, ends: (first, first + (count as i64 - 1) * step), gap_min: Some(step) },
        }
    }

    /// The values of a set from `low` up to, not including, `high`.
    pub(super) fn of(set: u64, low: i64, high: i64) -> Self {
        values(set).map(i64::from).filter(|value| (low..high).contains(value)).fold(Self::NONE, |runs, value| runs.then(Self::one(value)))
    }

    /// Joins the stretch that follows; a run both hold (the last and the first) is one run.
    pub(super) fn then(self, next: Self) -> Self {
        let (Some(last), Some(first)) = (self.last(), next.first()) else {
            return if self.count == 0 { next } else { self };
        };
        let between = (first > last).then_some(first - last);
        Self {
            count: self.count + next.count - u64::from(between.is_none()),
            ends: (self.ends.0, next.ends.1),
            gap_min: [self.gap_min, between, next.gap_min].into_iter().flatten().min(),
        }
    }

    /// Moves the stretch in time.
    pub(super) fn shifted(self, by: i64) -> Self {
        Self { ends: (self.ends.0 + by, self.ends.1 + by), ..self }
    }

    /// Gives the first run.
    pub(super) fn first(&self) -> Option<i64> {
        (self.count > 0).then_some(self.ends.0)
    }

    /// Gives the last run.
    pub(super) fn last(&self) -> Option<i64> {
        (self.count > 0).then_some(self.ends.1)
    }
}
