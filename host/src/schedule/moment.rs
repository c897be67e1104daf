//! A time of day that comes again, `08:00` or `MON-FRI 08:00`; and days of a calendar, `2026-12-24..2026-12-26` or `holidays`.

use std::sync::Arc;

use super::holidays::Holidays;
use super::unix_time::DAY;
use super::window::{DAILY, read_date, read_time, read_weekdays};
use super::zone::Zone;

/// A local time of day, each day or on some days of a week.
///
/// One that a spring gap skips comes right after it; one that comes twice comes at the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// A bit for each day of a week from Sunday.
    days: u8,
    /// Seconds from midnight.
    second: i64,
}

impl Moment {
    /// Reads `08:00`, `MON 09:00`, `MON-FRI 16:30`.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, time) = match words[..] {
            [time] => (DAILY, time),
            [days, time] if days.eq_ignore_ascii_case("daily") => (DAILY, time),
            [days, time] => (read_weekdays(days).ok()?, time),
            _ => return None,
        };
        let second = read_time(time).filter(|second| *second < DAY)?;
        Some(Self { days, second })
    }

    /// One of every day, so many seconds after midnight.
    pub fn daily(second: i64) -> Self {
        Self { days: DAILY, second: second.rem_euclid(DAY) }
    }

    /// Seconds from midnight.
    pub fn second(self) -> i64 {
        self.second
    }

    /// Whether it comes every day.
    pub fn is_daily(self) -> bool {
        self.days == DAILY
    }

    /// The one day of a week on which it comes, counted from Sunday; nothing if there are several.
    pub fn weekday(self) -> Option<i64> {
        (self.days.count_ones() == 1).then(|| i64::from(self.days.trailing_zeros()))
    }

    /// The first instant from `instant` on at which it comes.
    pub fn next_from(self, instant: i64, zone: Zone) -> i64 {
        let today = zone.day_at(instant);
        let comes = |day: i64| (self.days & 1 << weekday_of(day) != 0).then(|| zone.first_at(day * DAY + self.second));
        // A week and a day hold one for certain, and one more for a day that a zone leaves out.
        (today - 1..=today + 9).filter_map(comes).find(|at| *at >= instant).unwrap_or(instant)
    }
}

/// The day of the week of a day since 1970, counted from Sunday.
pub(crate) fn weekday_of(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// Some days of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Days {
    /// From one to another, days since 1970.
    Dated(i64, i64),
    /// Those of a list.
    Holidays(Arc<Holidays>),
}

impl Days {
    /// Reads a date, or two with `..` between.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (read_date(first.trim()).ok()?, read_date(last.trim()).ok()?);
        (first <= last).then_some(Self::Dated(first, last))
    }

    /// Whether a day, counted from 1970, is one of them.
    pub fn has(&self, day: i64) -> bool {
        match self {
            Self::Dated(first, last) => (*first..=*last).contains(&day),
            Self::Holidays(holidays) => holidays.has(day),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    #[test]
    fn a_moment_comes_once_a_day_over_changes_of_the_clock() {
        for (moment, zone, from, expected) in [
            ("08:00", "UTC", "2026-11-30T08:00:00Z", "2026-11-30T08:00:00Z"),
            ("08:00", "UTC", "2026-11-30T08:00:01Z", "2026-12-01T08:00:00Z"),
            ("MON-FRI 16:30", "Europe/Berlin", "2026-11-27T15:30:01Z", "2026-11-30T15:30:00Z"),
            ("SUN 09:00", "Europe/Berlin", "2026-11-30T00:00:00Z", "2026-12-06T08:00:00Z"),
            // It is skipped: right after the gap.
            ("02:30", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
            // It comes twice: at the first, and not again.
            ("02:30", "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
            ("02:30", "Europe/Berlin", "2026-10-25T00:30:01Z", "2026-10-26T01:30:00Z"),
            // Half an hour that comes twice.
            ("01:45", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", "2026-04-04T14:45:00Z"),
            // A day that was left out.
            ("09:00", "Pacific/Apia", "2011-12-30T00:00:00Z", "2011-12-30T10:00:00Z"),
        ] {
            let next = Moment::parse(moment).unwrap().next_from(at(from), Zone::parse(zone).unwrap());
            assert_eq!(next, at(expected), "{moment} {zone} from {from}: {}", DateTime::from_timestamp(next, 0).unwrap());
        }
    }

    #[test]
    fn what_is_no_moment_and_no_day_is_refused() {
        for text in ["", "25:00", "24:00", "MON", "MON 8-18", "MOO 08:00", "MON 08:00 x", "8:5"] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
        for text in ["", "2026-02-30", "2026-12-26..2026-12-24", "holidays", "MON"] {
            assert_eq!(Days::parse(text), None, "{text}");
        }
        let (first, last) = (Days::parse("2026-12-24..2026-12-26").unwrap(), Days::parse("2026-12-24").unwrap());
        let day = at("2026-12-26T00:00:00Z") / DAY;
        assert!(first.has(day) && !first.has(day + 1) && !last.has(day));
    }
}
