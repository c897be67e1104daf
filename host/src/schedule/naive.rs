//! Where a cron expression's times lie on a calendar without zones.
//!
//! Naive time is counted in seconds, as Unix time would be if the wall clock showed UTC.

use chrono::{Datelike, NaiveDate};

use super::cron::Cron;
use super::field::next_value;
use super::runs::Runs;
use super::unix_time::{DAY, UnixTime};

/// A second of naive time.
pub(super) type Naive = i64;

impl Cron {
    /// Finds the first matching second at or after `from`; `None` past the year 9999.
    pub(super) fn at_or_after(&self, from: Naive) -> Option<Naive> {
        let today = from.div_euclid(DAY);
        let rest_of_today = date(today).filter(|date| self.has_date(*date)).and_then(|_| self.time_at_or_after(from.rem_euclid(DAY)));
        if let Some(time) = rest_of_today {
            return Some(today * DAY + time);
        }
        Some(self.day_at_or_after(today + 1)? * DAY + self.time_at_or_after(0)?)
    }

    /// Tells whether the expression runs on a day, counted from 1970-01-01.
    pub(super) fn has_day(&self, day: i64) -> bool {
        date(day).is_some_and(|date| self.has_date(date))
    }

    /// Gives the runs of one day's seconds from `from` up to, not including, `until`.
    pub(super) fn runs_in_day(&self, from: i64, until: i64) -> Runs {
        let mut runs = Runs::NONE;
        let whole_minute = Runs::of(self.second.values, 0, 60);
        let mut minute = from.div_euclid(60);
        while let Some(start) = self.minute_at_or_after(minute).filter(|start| start * 60 < until) {
            let (low, high) = (from - start * 60, until - start * 60);
            let whole = low <= 0 && high >= 60;
            let seconds = if whole { whole_minute } else { Runs::of(self.second.values, low, high) };
            runs = runs.then(seconds.shifted(start * 60));
            minute = start + 1;
        }
        runs
    }

    fn day_at_or_after(&self, day: i64) -> Option<i64> {
        let mut date = date(day)?;
        let last = UnixTime::LAST.to_utc().date_naive();
        while date <= last {
            if self.has_date(date) {
                return Some(i64::from(date.to_epoch_days()));
            }
            date = if self.has_month(date) { date.succ_opt()? } else { next_month(date)? };
        }
        None
    }

    fn has_date(&self, date: NaiveDate) -> bool {
        let day = self.day.values & (1 << date.day()) != 0;
        let weekday = self.weekday.values & (1 << date.weekday().num_days_from_sunday()) != 0;
        let fits = if self.either_day() { day || weekday } else { day && weekday };
        fits && self.has_month(date)
    }

    fn has_month(&self, date: NaiveDate) -> bool {
        self.month.values & (1 << date.month()) != 0
    }

    /// Finds the first matching second of a day, from `from` on.
    fn time_at_or_after(&self, from: i64) -> Option<i64> {
        let minute = self.minute_at_or_after(from / 60)?;
        let earliest = if minute == from / 60 { from % 60 } else { 0 };
        if let Some(second) = next_value(self.second.values, earliest as u32) {
            return Some(minute * 60 + i64::from(second));
        }
        let minute = self.minute_at_or_after(minute + 1)?;
        Some(minute * 60 + i64::from(next_value(self.second.values, 0)?))
    }

    /// Finds the first matching minute of a day, from minute `from` on.
    fn minute_at_or_after(&self, from: i64) -> Option<i64> {
        let (hour, minute) = (from.div_euclid(60) as u32, from.rem_euclid(60) as u32);
        if self.hour.values & (1 << hour.min(63)) != 0
            && let Some(minute) = next_value(self.minute.values, minute)
        {
            return Some(i64::from(hour * 60 + minute));
        }
        let hour = next_value(self.hour.values, hour + 1)?;
        Some(i64::from(hour * 60 + next_value(self.minute.values, 0)?))
    }
}

fn date(day: i64) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(i32::try_from(day).ok()?)
}

fn next_month(date: NaiveDate) -> Option<NaiveDate> {
    let (year, month) = (date.year(), date.month());
    if month == 12 { NaiveDate::from_ymd_opt(year + 1, 1, 1) } else { NaiveDate::from_ymd_opt(year, month + 1, 1) }
}
