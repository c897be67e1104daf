//! Days that are like no other: a list of dates, some of every year.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};

use super::error::HolidayFault;
use super::window::read_date;

/// A leap year, in which every day of a year can be looked up.
const LEAP_YEAR: i32 = 2000;

/// The days of a file of holidays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holidays {
    /// Days since 1970.
    once: BTreeSet<i64>,
    /// Month and day.
    yearly: BTreeSet<(u32, u32)>,
}

impl Holidays {
    /// Reads a list of holidays: a line each, `2026-04-06 Easter Monday`, or `12-25 Christmas` for every year; `#` begins a remark.
    ///
    /// Errors: every line that is neither, by its number from 1.
    pub fn parse(text: &str) -> Result<Self, Vec<HolidayFault>> {
        let (mut holidays, mut faults) = (Self::default(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let said = line.split('#').next().unwrap_or_default();
            let Some(date) = said.split_whitespace().next() else { continue };
            if let Ok(day) = read_date(date) {
                holidays.once.insert(day);
            } else if let Some(day) = yearly(date) {
                holidays.yearly.insert(day);
            } else {
                let before = line.chars().take_while(|sign| sign.is_whitespace()).count();
                let column = u32::try_from(before + 1).unwrap_or(u32::MAX);
                faults.push(HolidayFault { line: number, column, word: date.to_owned() });
            }
        }
        if faults.is_empty() { Ok(holidays) } else { Err(faults) }
    }

    /// Says whether a day, counted from 1970, is one of them.
    pub(crate) fn has(&self, day: i64) -> bool {
        if self.once.contains(&day) {
            return true;
        }
        let date = i32::try_from(day).ok().and_then(NaiveDate::from_epoch_days);
        date.is_some_and(|date| self.yearly.contains(&(date.month(), date.day())))
    }
}

fn yearly(text: &str) -> Option<(u32, u32)> {
    let (month, day) = text.split_once('-').filter(|(month, day)| month.len() == 2 && day.len() == 2)?;
    let date = NaiveDate::from_ymd_opt(LEAP_YEAR, month.parse().ok()?, day.parse().ok()?)?;
    Some((date.month(), date.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i64 {
        read_date(text).unwrap()
    }

    #[test]
    fn a_list_holds_days_of_one_year_and_of_every_year() {
        let holidays = Holidays::parse("# Hesse\n2026-04-06 Easter Monday\n\n12-25 Christmas # both\n02-29\n").unwrap();
        let held = ["2026-04-06", "2026-12-25", "2031-12-25", "2028-02-29"].map(|text| holidays.has(day(text)));
        let free = ["2027-04-06", "2026-12-24", "2027-03-01"].map(|text| holidays.has(day(text)));
        assert_eq!((held, free), ([true; 4], [false; 3]));
    }

    #[test]
    fn every_line_that_is_no_date_is_told() {
        let faults = Holidays::parse("2026-02-30\n12-25\nChristmas\n13-01 x\n1-1\n").unwrap_err();
        let said: Vec<_> = faults.iter().map(|fault| (fault.line, fault.word.as_str())).collect();
        assert_eq!(said, [(1, "2026-02-30"), (3, "Christmas"), (4, "13-01"), (5, "1-1")]);
    }
}
