//! Times as rrdtool has them: a reference (`now`, `end`, `midnight`, `8:00 yesterday`, `31.12.1999`) and an offset (`-1d12h`).
//!
//! Source: rrdfetch(1), "AT-STYLE TIME SPECIFICATION". Two things differ, for they are traps: `m` is minutes wherever it stands (rrdtool
//! takes `-5m` for months), and what follows a number is a unit or a fault.

use chrono::{Datelike, NaiveDate};

/// Units of an offset that are a fixed time, in seconds.
const FIXED: [(&str, i64); 3] = [("s sec secs second seconds", 1), ("m min mins minute minutes", 60), ("h hr hrs hour hours", 3_600)];
/// Units of an offset that the calendar decides: names, months, days.
const OF_CALENDAR: [(&str, i64, i64); 4] =
    [("d day days", 0, 1), ("w wk wks week weeks", 0, 7), ("mon mons month months", 1, 0), ("y yr yrs year years", 12, 0)];
const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
/// Years with two digits from this one on are of the twentieth century. Source: rrd_parsetime, as it behaves.
const CENTURY_FROM: i32 = 70;

/// What an offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Now,
    /// The other end of the range, where that is its begin.
    Start,
    /// The other end of the range, where that is its end.
    End,
    Epoch,
    /// A day of the zone's calendar, and a time of it in minutes; the time of day it is now where none is said.
    Local(Day, Option<i64>),
}

/// A day, seen from today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Day {
    /// So many days from today.
    Near(i64),
    /// Of this week, which begins on Sunday.
    OfWeek(i64),
    /// Month and day of this year.
    OfYear(u32, u32),
    Date(NaiveDate),
}

/// A time, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) reference: Reference,
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) seconds: i64,
}

/// Takes a time apart; nothing if it is none.
pub(super) fn parse(text: &str) -> Option<Parsed> {
    let text = text.to_ascii_lowercase().replace(['_', ','], " ");
    let text = text.trim();
    let (reference, offset) = text.split_at(text.find(['+', '-']).unwrap_or(text.len()));
    let reference = if reference.trim().is_empty() && !offset.is_empty() { Reference::Now } else { self::reference(reference.trim())? };
    let (months, days, seconds) = offset_of(offset)?;
    Some(Parsed { reference, months, days, seconds })
}

fn reference(text: &str) -> Option<Reference> {
    match text {
        "now" | "n" => return Some(Reference::Now),
        "start" | "s" => return Some(Reference::Start),
        "end" | "e" => return Some(Reference::End),
        "epoch" => return Some(Reference::Epoch),
        _ => {}
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let whole = (date(&words).map(|day| (day, None)), time_of_day(&words).map(|time| (Day::Near(0), Some(time))));
    if let (Some((day, time)), _) | (None, Some((day, time))) = whole {
        // A date in figures is a day from its begin on.
        let is_date = matches!(day, Day::Date(_)) && words.len() == 1;
        return Some(Reference::Local(day, time.or(is_date.then_some(0))));
    }
    // The time of day comes first, or after a date in figures.
    (1..words.len()).find_map(|at| {
        let (first, second) = words.split_at(at);
        let time_first = || Some((time_of_day(first)?, date(second).or_else(|| near(second))?));
        let date_first = || Some((time_of_day(second)?, date(first).filter(|_| first.len() == 1)?));
        let (time, day) = time_first().or_else(date_first)?;
        Some(Reference::Local(day, Some(time)))
    })
}

/// Minutes of a day: `8:15`, `8pm`, `8:15 pm`, `20`, `noon`.
fn time_of_day(words: &[&str]) -> Option<i64> {
    let text = match words {
        ["midnight"] => return Some(0),
        ["noon"] => return Some(12 * 60),
        ["teatime"] => return Some(16 * 60),
        [one] => (*one).to_owned(),
        [one, half @ ("am" | "pm")] => format!("{one}{half}"),
        _ => return None,
    };
    let (clock, half) = match text.split_at_checked(text.len().saturating_sub(2)) {
        Some((clock, half @ ("am" | "pm"))) => (clock, Some(half)),
        _ => (text.as_str(), None),
    };
    let (hours, minutes) = clock.split_once(':').unwrap_or((clock, "0"));
    let [hours, minutes] = [figures(hours, 2)?, figures(minutes, 2)?];
    let hours = match half {
        None => hours,
        Some(_) if hours > 12 => return None,
        Some("am") => hours % 12,
        Some(_) => hours % 12 + 12,
    };
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// Days that are told from today; they want a time of day.
fn near(words: &[&str]) -> Option<Day> {
    let [word] = words else { return None };
    match *word {
        "yesterday" => Some(Day::Near(-1)),
        "today" => Some(Day::Near(0)),
        "tomorrow" => Some(Day::Near(1)),
        _ => named(&DAYS, word).map(|day| Day::OfWeek(i64::from(day) - 1)),
    }
}

/// `oct 12`, `oct 12 2020`, `31.12.1999`, `12/31/99`, `19991231`.
fn date(words: &[&str]) -> Option<Day> {
    let number = |text: &str, most: usize| u32::try_from(figures(text, most)?).ok();
    if let [month, day, rest @ ..] = words {
        let (month, day) = (named(&MONTHS, month)?, number(day, 2)?);
        return match rest {
            // Whether this year has that day is seen when the year is known.
            [] => (1..=31).contains(&day).then_some(Day::OfYear(month, day)),
            [year] => NaiveDate::from_ymd_opt(self::year(year)?, month, day).map(Day::Date),
            _ => None,
        };
    }
    let [word] = words else { return None };
    let parts = |sign: char| word.split(sign).collect::<Vec<_>>();
    let (year, month, day) = match (parts('.').as_slice(), parts('/').as_slice()) {
        ([day, month, year], _) | (_, [month, day, year]) => (self::year(year)?, number(month, 2)?, number(day, 2)?),
        _ if word.len() == 8 => (self::year(word.get(..4)?)?, number(word.get(4..6)?, 2)?, number(word.get(6..)?, 2)?),
        _ => return None,
    };
    NaiveDate::from_ymd_opt(year, month, day).map(Day::Date)
}

fn year(text: &str) -> Option<i32> {
    let year = i32::try_from(figures(text, 4)?).ok()?;
    match text.len() {
        2 if year >= CENTURY_FROM => Some(1900 + year),
        2 => Some(2000 + year),
        4 => Some(year),
        _ => None,
    }
}

/// A number of so many figures at most.
fn figures(text: &str, most: usize) -> Option<i64> {
    let is_number = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The place of a name, from 1 on: whole, or its first three letters.
fn named(names: &[&str], word: &str) -> Option<u32> {
    (1..).zip(names).find(|(_, name)| **name == word || name.get(..3) == Some(word)).map(|(place, _)| place)
}

/// Months, days and seconds of `-1d12h+5`; a sign stands for what follows until the next one.
fn offset_of(text: &str) -> Option<(i64, i64, i64)> {
    let (mut months, mut days, mut seconds) = (0_i64, 0_i64, 0_i64);
    let mut sign = 0;
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let '+' | '-' = first {
            sign = if first == '-' { -1 } else { 1 };
            rest = rest.get(1..)?.trim_start();
        }
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let after = after.trim_start();
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let count = number.parse::<i64>().ok()?.checked_mul(sign)?;
        let is = |names: &str| names.split(' ').any(|name| name == unit);
        if unit.is_empty() {
            seconds = seconds.checked_add(count)?;
        } else if let Some((_, length)) = FIXED.iter().find(|(names, _)| is(names)) {
            seconds = seconds.checked_add(count.checked_mul(*length)?)?;
        } else {
            let (_, of_months, of_days) = OF_CALENDAR.iter().find(|(names, _, _)| is(names))?;
            months = months.checked_add(count.checked_mul(*of_months)?)?;
            days = days.checked_add(count.checked_mul(*of_days)?)?;
        }
        rest = after.trim_start();
    }
    Some((months, days, seconds))
}

/// The date that is so many months and days from one; what a month does not have runs over into the next, as with mktime(3).
pub(super) fn moved(date: NaiveDate, months: i64, days: i64) -> Option<NaiveDate> {
    let month = i64::from(date.year()) * 12 + i64::from(date.month0()) + months;
    let year = i32::try_from(month.div_euclid(12)).ok()?;
    let first = NaiveDate::from_ymd_opt(year, u32::try_from(month.rem_euclid(12)).ok()? + 1, 1)?;
    first.checked_add_signed(chrono::TimeDelta::try_days(i64::from(date.day0()).checked_add(days)?)?)
}
