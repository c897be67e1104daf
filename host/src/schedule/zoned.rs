//! When a cron expression is due in a zone, over both changes of local time.
//!
//! Two ways, chosen by the hour field. Follows elapsed time (`*`, `*/n`): due at every instant whose local time
//! matches, so not at times that a gap skips, and twice at times that come twice. Appointment (any other hour): every
//! matching local time is kept once, one in a gap right after it, one that comes twice at the first.
//! Both rise strictly, for they are read from stretches of constant offset, one after the other.

use super::cron::Cron;
use super::naive::Naive;
use super::runs::Runs;
use super::unix_time::DAY;
use super::zone::Zone;

/// More than local time can differ from UTC or jump at once (Samoa skipped a day), so that a change of offset this far
/// from a run cannot bring another run between them.
const REACH: i64 = 2 * DAY;

/// A cron expression in a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ZonedCron {
    pub(super) cron: Cron,
    pub(super) zone: Zone,
    /// The runs of a day of 24 hours, as they are on nearly every day it runs.
    whole_day: Runs,
}

impl ZonedCron {
    pub(super) fn new(cron: Cron, zone: Zone) -> Self {
        let whole_day = cron.runs_in_day(0, DAY);
        Self { cron, zone, whole_day }
    }

    /// Finds the first run at or after an instant.
    pub(super) fn first_from(&self, instant: i64) -> Option<i64> {
        let mut at = instant;
        loop {
            let offset = self.zone.offset_at(at);
            if self.keeps_appointment_at(at, offset) {
                return Some(at);
            }
            let candidate = self.cron.at_or_after(self.unkept_from(at, offset))? - offset;
            let far = candidate - at > 2 * REACH;
            let look_until = if far { at + REACH } else { candidate };
            at = match self.zone.first_change(at, look_until) {
                Some(change) => change,
                None if far => candidate - REACH,
                None => return Some(candidate),
            };
        }
    }

    /// Folds the runs from one instant up to, not including, another.
    ///
    /// Costs a look at each day whatever the number of runs: a day of constant offset was folded once.
    pub(super) fn runs_between(&self, from: i64, until: i64) -> Runs {
        let mut runs = Runs::NONE;
        let mut at = from;
        while at < until {
            let offset = self.zone.offset_at(at);
            let end = self.zone.first_change(at, until - 1).unwrap_or(until);
            if self.keeps_appointment_at(at, offset) {
                runs = runs.then(Runs::one(at));
            }
            let stretch = self.naive_runs(self.unkept_from(at, offset), end + offset);
            runs = runs.then(stretch.shifted(-offset));
            at = end;
        }
        runs
    }

    /// Folds the runs from one second of naive time up to, not including, another.
    fn naive_runs(&self, from: Naive, until: Naive) -> Runs {
        let mut runs = Runs::NONE;
        let mut at = from;
        while at < until {
            let (midnight, low) = (at - at.rem_euclid(DAY), at.rem_euclid(DAY));
            let high = DAY.min(until - midnight);
            if self.cron.has_day(at.div_euclid(DAY)) {
                let whole = low == 0 && high == DAY;
                let today = if whole { self.whole_day } else { self.cron.runs_in_day(low, high) };
                runs = runs.then(today.shifted(midnight));
            }
            at = midnight + high;
        }
        runs
    }

    /// Tells whether a gap ends at `at` in which an appointment fell, to be kept now.
    fn keeps_appointment_at(&self, at: i64, offset: i64) -> bool {
        if self.cron.follows_elapsed_time() {
            return false;
        }
        let before = self.zone.offset_at(at - 1);
        let skipped = || self.cron.at_or_after(at + before).is_some_and(|due| due < at + offset);
        offset > before && skipped()
    }

    /// Gives the local time at `at`, or, where that comes for the second time, the end of what has been kept.
    fn unkept_from(&self, at: i64, offset: i64) -> Naive {
        if self.cron.follows_elapsed_time() {
            return at + offset;
        }
        let before = self.zone.offset_at(at - DAY);
        let turned_back = || self.zone.first_change(at - DAY, at).map(|change| change + before);
        let kept_until = if before > offset { turned_back() } else { None };
        kept_until.map_or(at + offset, |kept| kept.max(at + offset))
    }
}
