//! A time zone of the IANA list, and the changes of its offset.

use chrono::{Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::error::ScheduleError;
use super::unix_time::{DAY, UnixTime};

/// How alike (0 to 1, Jaro-Winkler) a name must be to be offered instead of an unknown one.
const ALIKE_MIN: f64 = 0.8;

/// A time zone, known by its IANA name; UTC unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zone(Tz);

impl Zone {
    /// Finds a zone by its IANA name, in any case.
    ///
    /// Errors: [`ScheduleError::UnknownZone`] with the nearest name.
    pub fn parse(name: &str) -> Result<Self, ScheduleError> {
        let name = name.trim();
        let known = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        known.map(|zone| Self(*zone)).ok_or_else(|| ScheduleError::UnknownZone { name: name.to_owned(), nearest: nearest(name) })
    }

    /// Gives the IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Writes an instant as RFC 3339 in this zone, with the zone's abbreviation where it has one:
    /// "2026-10-25T02:30:00+02:00 CEST", "2026-10-25T02:30:00+05:45".
    pub fn format(self, time: UnixTime) -> String {
        let local = self.0.from_utc_datetime(&time.to_utc().naive_utc());
        let stamp = local.format("%Y-%m-%dT%H:%M:%S%:z");
        let abbreviation = local.format("%Z").to_string();
        // Zones without an abbreviation carry their offset there: said already.
        if abbreviation.starts_with(['+', '-']) { stamp.to_string() } else { format!("{stamp} {abbreviation}") }
    }

    /// Writes an instant as a clock there has it: "2026-10-25 02:30:00".
    pub fn clock(self, time: UnixTime) -> String {
        self.0.from_utc_datetime(&time.to_utc().naive_utc()).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Gives the day on which an instant lies there.
    pub fn day(self, time: UnixTime) -> chrono::NaiveDate {
        self.0.from_utc_datetime(&time.to_utc().naive_utc()).date_naive()
    }

    /// Gives the day on which an instant lies there, counted from 1970.
    pub(crate) fn day_at(self, instant: i64) -> i64 {
        (instant + self.offset_at(instant)).div_euclid(DAY)
    }

    /// Gives local time minus UTC, in seconds.
    pub(crate) fn offset_at(self, instant: i64) -> i64 {
        let utc = UnixTime::from_secs(instant).to_utc().naive_utc();
        i64::from(self.0.offset_from_utc_datetime(&utc).fix().local_minus_utc())
    }

    /// Finds the first instant that shows a local time, or, where that is skipped, the first one after the gap.
    pub(crate) fn first_at(self, local: i64) -> i64 {
        self.shows(local).0
    }

    /// Finds the last instant that shows a local time, or, where that is skipped, the first one after the gap.
    pub(crate) fn last_at(self, local: i64) -> i64 {
        self.shows(local).1
    }

    fn shows(self, local: i64) -> (i64, i64) {
        let (before, after) = (self.offset_at(local - 2 * DAY), self.offset_at(local + 2 * DAY));
        let is_shown = |offset: &i64| self.offset_at(local - offset) == *offset;
        let change = self.first_change(local - 2 * DAY, local + 2 * DAY);
        match [before, after].into_iter().filter(is_shown).map(|offset| local - offset).collect::<Vec<_>>()[..] {
            [first, second] => (first.min(second), first.max(second)),
            [only] => (only, only),
            _ => change.map_or((local - before, local - before), |change| (change, change)),
        }
    }

    /// Finds the gap that skips a local time: from which local time to which clocks leap; `None` where that time is shown.
    pub(super) fn gap_over(self, local: i64) -> Option<(i64, i64)> {
        let change = self.first_change(local - 2 * DAY, local + 2 * DAY)?;
        let (from, until) = (change + self.offset_at(change - 1), change + self.offset_at(change));
        (from..until).contains(&local).then_some((from, until))
    }

    /// Finds the first instant after `after`, up to `until`, whose offset differs from the one at `after`.
    ///
    /// Looks once a day: two changes within a day that undo each other are not seen (the list has none of today's rules).
    pub(super) fn first_change(self, after: i64, until: i64) -> Option<i64> {
        let offset = self.offset_at(after);
        let mut same = after;
        while same < until {
            let probe = until.min(same + DAY);
            if self.offset_at(probe) != offset {
                return Some(self.bisect(offset, same, probe));
            }
            same = probe;
        }
        None
    }

    /// Narrows a change between `same` (which has `offset`) and `changed` (which has not) to its second.
    fn bisect(self, offset: i64, mut same: i64, mut changed: i64) -> i64 {
        while changed - same > 1 {
            let middle = same + (changed - same) / 2;
            if self.offset_at(middle) == offset {
                same = middle;
            } else {
                changed = middle;
            }
        }
        changed
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let last = |zone: &str| zone.rsplit('/').next().unwrap_or_default().replace('_', " ");
    TZ_VARIANTS
        .iter()
        .map(|zone| {
            let full = zone.name().to_ascii_lowercase();
            // Who writes "paris" or "new york" means the city alone.
            let alike = strsim::jaro_winkler(&full, &name).max(strsim::jaro_winkler(&last(&full), &name));
            (alike, zone.name())
        })
        .filter(|(alike, _)| *alike >= ALIKE_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
