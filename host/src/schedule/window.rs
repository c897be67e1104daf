//! A window of local time as people write it: `MON-FRI 08:00-18:00`, `2026-12-24 18:00-24:00`, `holidays`.

use chrono::NaiveDate;

use super::error::{ScheduleError, WindowFault};
use super::field::WEEKDAYS;
use super::holidays::Holidays;
use super::naive::Naive;
use super::unix_time::DAY;
use super::zone::Zone;

/// Every day of the week.
pub(super) const DAILY: u8 = 0b111_1111;

/// Some stretches of local time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// As it was written.
    text: String,
    days: Days,
    /// Parts of such a day, seconds from its midnight; one that ends on the next day ends after 86,400.
    times: Vec<(i64, i64)>,
    but_holidays: bool,
}

/// On which days a window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Days {
    /// Those of a week, a bit for each from Sunday.
    Weekly(u8),
    /// Those of the file of holidays.
    Holidays,
    /// From one day to another, days since 1970.
    Dated(i64, i64),
}

impl Window {
    /// Reads a window.
    ///
    /// Shape: days (`MON-FRI`, `SAT,SUN`, `daily`, `holidays`, a date, or two with `..` between), times
    /// (`08:00-18:00,20:00-22:00`; one that ends before it begins ends on the next day), or both; then maybe `except holidays`.
    /// Errors: [`ScheduleError::Window`] with what would be right.
    pub(super) fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        read(text).map_err(|fault| ScheduleError::Window { text: text.to_owned(), fault })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Says whether it can only be read beside a list of holidays.
    pub(super) fn needs_holidays(&self) -> bool {
        self.but_holidays || self.days == Days::Holidays
    }

    /// The last day on which it begins; `None` if there is no last one.
    pub(super) fn last_day(&self) -> Option<i64> {
        if let Days::Dated(_, last) = self.days { Some(last) } else { None }
    }

    /// The first day on which it begins; `None` if there is no first one.
    pub(super) fn first_day(&self) -> Option<i64> {
        if let Days::Dated(first, _) = self.days { Some(first) } else { None }
    }

    /// Finds the gap that leaves nothing of one of its stretches on any of its dates: from which local time to which clocks leap.
    pub(super) fn gap(&self, zone: Zone) -> Option<(Naive, Naive)> {
        let Days::Dated(first, last) = self.days else { return None };
        let is_skipped = |day: i64, (from, until): (i64, i64)| zone.first_at(day * DAY + from) >= zone.last_at(day * DAY + until);
        let skipped = self.times.iter().find(|times| (first..=last).all(|day| is_skipped(day, **times)));
        skipped.and_then(|(from, _)| zone.gap_over(first * DAY + from))
    }

    /// Its stretches that begin on a day, in local time.
    pub(super) fn on_day(&self, day: i64, holidays: &Holidays) -> impl Iterator<Item = (Naive, Naive)> {
        let open = match self.days {
            Days::Weekly(set) => set & 1 << (day + 4).rem_euclid(7) != 0,
            Days::Holidays => holidays.has(day),
            Days::Dated(first, last) => (first..=last).contains(&day),
        };
        let open = open && !(self.but_holidays && holidays.has(day));
        let times = if open { self.times.as_slice() } else { &[] };
        times.iter().map(move |(from, until)| (day * DAY + from, day * DAY + until))
    }
}

fn read(text: &str) -> Result<Window, WindowFault> {
    let (rest, but_holidays) = match text.to_ascii_lowercase().strip_suffix("except holidays") {
        Some(rest) => (&text[..rest.len()], true),
        None => (text, false),
    };
    let (mut days, mut times) = (None, None);
    for word in rest.split_whitespace() {
        if word.starts_with(|first: char| first.is_ascii_digit()) && !is_dated(word) {
            let twice = times.replace(read_times(word)?).is_some();
            if twice {
                return Err(WindowFault::Twice { word: word.to_owned() });
            }
        } else if days.replace(read_days(word)?).is_some() {
            return Err(WindowFault::Twice { word: word.to_owned() });
        }
    }
    if days.is_none() && times.is_none() {
        return Err(WindowFault::Empty);
    }
    let (days, times) = (days.unwrap_or(Days::Weekly(DAILY)), times.unwrap_or_else(|| vec![(0, DAY)]));
    if but_holidays && days == Days::Holidays {
        return Err(WindowFault::HolidaysButHolidays);
    }
    Ok(Window { text: text.to_owned(), days, times, but_holidays })
}

/// Tells `2026-12-24` from `8-18`.
fn is_dated(word: &str) -> bool {
    let year = word.split('-').next().unwrap_or_default();
    year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_days(word: &str) -> Result<Days, WindowFault> {
    if word.eq_ignore_ascii_case("daily") {
        return Ok(Days::Weekly(DAILY));
    }
    if word.eq_ignore_ascii_case("holidays") {
        return Ok(Days::Holidays);
    }
    if is_dated(word) {
        let (first, last) = word.split_once("..").unwrap_or((word, word));
        let (first, last) = (read_date(first)?, read_date(last)?);
        return if first <= last { Ok(Days::Dated(first, last)) } else { Err(WindowFault::Backwards { word: word.to_owned() }) };
    }
    read_weekdays(word).map(Days::Weekly)
}

/// Reads `MON-FRI` or `SAT,SUN` into a bit for each day from Sunday.
pub(super) fn read_weekdays(word: &str) -> Result<u8, WindowFault> {
    let mut set = 0;
    for item in word.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = (read_weekday(first)?, read_weekday(last)?);
        let length = (last + 7 - first) % 7;
        set |= (0..=length).fold(0, |set, n| set | 1 << ((first + n) % 7));
    }
    Ok(set)
}

fn read_weekday(name: &str) -> Result<u8, WindowFault> {
    let place = WEEKDAYS.iter().position(|known| known.eq_ignore_ascii_case(name));
    place.and_then(|place| u8::try_from(place).ok()).ok_or_else(|| WindowFault::Day { word: name.to_owned() })
}

/// Reads a date into days since 1970.
pub(super) fn read_date(text: &str) -> Result<i64, WindowFault> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    date.map(|date| i64::from(date.to_epoch_days())).ok_or_else(|| WindowFault::Date { word: text.to_owned() })
}

fn read_times(word: &str) -> Result<Vec<(i64, i64)>, WindowFault> {
    word.split(',').map(read_stretch).collect()
}

fn read_stretch(text: &str) -> Result<(i64, i64), WindowFault> {
    let fault = || WindowFault::Time { word: text.to_owned() };
    let (from, until) = text.split_once('-').ok_or_else(fault)?;
    let (from, until) = (read_time(from).ok_or_else(fault)?, read_time(until).ok_or_else(fault)?);
    match until {
        _ if from == DAY => Err(fault()),
        _ if until > from => Ok((from, until)),
        _ if until < from => Ok((from, until + DAY)),
        _ => Err(WindowFault::NoTime { word: text.to_owned() }),
    }
}

/// Reads `8`, `08:00` or `24:00` into seconds from midnight.
pub(super) fn read_time(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':').unwrap_or((text, "00"));
    let digits = |part: &str, most: usize| part.len() <= most && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour, 2) || !digits(minute, 2) || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let seconds = hour * 3_600 + minute * 60;
    (minute < 60 && seconds <= DAY).then_some(seconds)
}
