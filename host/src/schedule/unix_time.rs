//! Whole seconds since 1970-01-01 00:00 UTC, within the years that RFC 3339 can write.

use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

/// Seconds in a day of 24 hours.
pub(super) const DAY: i64 = 86_400;

/// 0001-01-01T00:00:00Z.
const FIRST: i64 = -62_135_596_800;

/// 9999-12-31T23:59:59Z: RFC 3339 writes years with four digits.
const LAST: i64 = 253_402_300_799;

/// A whole second of Unix time between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The earliest second a schedule knows.
    pub const FIRST: Self = Self(FIRST);

    /// The latest second a schedule knows.
    pub const LAST: Self = Self(LAST);

    /// Takes seconds since the epoch; what lies outside the years 1 to 9999 becomes the nearest end.
    pub const fn from_secs(seconds: i64) -> Self {
        if seconds < FIRST {
            Self(FIRST)
        } else if seconds > LAST {
            Self(LAST)
        } else {
            Self(seconds)
        }
    }

    /// Takes the whole seconds of a time since the epoch, rounded down.
    pub fn from_duration(since_epoch: Duration) -> Self {
        Self::from_secs(i64::try_from(since_epoch.as_secs()).unwrap_or(LAST))
    }

    /// Gives the seconds since the epoch.
    pub const fn as_secs(self) -> i64 {
        self.0
    }

    /// Gives the same instant as chrono knows it, in UTC.
    pub(super) fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap_or_default()
    }

    /// Gives the first second of the UTC year this instant lies in.
    pub(super) fn start_of_year(self) -> Self {
        start_of_year(self.to_utc().year())
    }

    /// Gives the first second of the UTC year `years` after the one this instant lies in.
    pub(super) fn start_of_year_after(self, years: i32) -> Self {
        start_of_year(self.to_utc().year().saturating_add(years))
    }
}

fn start_of_year(year: i32) -> UnixTime {
    NaiveDate::from_ymd_opt(year, 1, 1).map_or(UnixTime::LAST, |date| UnixTime::from_secs(i64::from(date.to_epoch_days()) * DAY))
}
