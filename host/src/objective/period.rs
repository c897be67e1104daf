//! The days over which a level is told: those of the calendar, in the objective's zone.

use chrono::{Datelike, Days, Months, NaiveDate};

/// Over how long an objective holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday on.
    Week,
    /// From the first of a month on.
    Month,
    /// From the first of January, April, July or October on.
    Quarter,
    /// From the first of January on.
    Year,
}

impl Period {
    /// All of them, by their words.
    pub const ALL: [(&str, Self); 5] =
        [("day", Self::Day), ("week", Self::Week), ("month", Self::Month), ("quarter", Self::Quarter), ("year", Self::Year)];

    /// Its word.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, period)| *period == self).map_or("", |(name, _)| name)
    }

    /// The days that hold this one: the first, and the first after them.
    pub fn around(self, day: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
        let first = match self {
            Self::Day => day,
            Self::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()))?,
            Self::Month => day.with_day(1)?,
            Self::Quarter => NaiveDate::from_ymd_opt(day.year(), day.month0() / 3 * 3 + 1, 1)?,
            Self::Year => NaiveDate::from_ymd_opt(day.year(), 1, 1)?,
        };
        let after = match self {
            Self::Day => first.checked_add_days(Days::new(1)),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Quarter => first.checked_add_months(Months::new(3)),
            Self::Year => first.checked_add_months(Months::new(12)),
        };
        Some((first, after?))
    }
}

/// Reads a month as `2026-10`: its first day, and the first day after it.
pub fn month(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let (year, month) = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2)?;
    Period::Month.around(NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_lies_in_the_periods_of_the_calendar() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (period, of, first, after) in [
            (Period::Day, "2026-02-28", "2026-02-28", "2026-03-01"),
            (Period::Week, "2026-11-29", "2026-11-23", "2026-11-30"),
            (Period::Week, "2026-11-30", "2026-11-30", "2026-12-07"),
            (Period::Month, "2028-02-29", "2028-02-01", "2028-03-01"),
            (Period::Quarter, "2026-12-31", "2026-10-01", "2027-01-01"),
            (Period::Year, "2026-06-01", "2026-01-01", "2027-01-01"),
        ] {
            assert_eq!(period.around(day(of)), Some((day(first), day(after))), "{period:?} {of}");
        }
    }

    #[test]
    fn a_month_is_a_year_and_two_figures() {
        assert_eq!(month("2026-12").unwrap().1.to_string(), "2027-01-01");
        for text in ["", "2026", "2026-13", "2026-1", "26-01", "2026-10-01", "now"] {
            assert_eq!(month(text), None, "{text}");
        }
    }
}
