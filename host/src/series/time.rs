//! Instants as people write them: `now-1h`, `-2d`, `midnight`, `end-1d`, `2026-03-29 02:00`, RFC 3339, seconds since 1970.

mod at;

use at::{Day, Parsed, Reference};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

use crate::schedule::Zone;

const DAY: i64 = 86_400;
/// Figures of an instant in seconds since 1970, at least: fewer are hours of a day, or a mistake.
const SECONDS_FIGURES_MIN: usize = 8;
const UNITS: [(&str, i64); 12] = [
    ("s", 1),
    ("sec", 1),
    ("m", 60),
    ("min", 60),
    ("h", 3_600),
    ("hour", 3_600),
    ("d", DAY),
    ("day", DAY),
    ("w", 604_800),
    ("week", 604_800),
    ("y", 31_536_000),
    ("year", 31_536_000),
];

/// Why an instant cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// It is none.
    #[error(
        "{0:?} is no time; right would be now-1h, -2d, midnight, \"noon yesterday\", end-1d, 2026-03-29, \"2026-03-29 02:00\", 2026-03-29T02:00:00+02:00 or seconds since 1970"
    )]
    None(String),
    /// It hangs on itself.
    #[error("{0:?} hangs on itself: a begin may count from the end, or an end from the start, as in end-1d")]
    Circle(String),
}

/// What instants are seen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Seconds since 1970.
    pub now: i64,
    /// Whose clocks and calendar are meant where no zone is said.
    pub zone: Zone,
}

/// Reads an instant, seconds since 1970.
pub fn parse(text: &str, clock: Clock) -> Result<i64, TimeError> {
    let parsed = Instant::read(text, clock)?;
    parsed.seconds(text, clock, None, None)
}

/// Reads begin and end of a range; each may count from the other.
pub fn parse_range(from: &str, to: &str, clock: Clock) -> Result<(i64, i64), TimeError> {
    let (begin, end) = (Instant::read(from, clock)?, Instant::read(to, clock)?);
    if end.counts_from(Reference::Start) {
        let begin = begin.seconds(from, clock, None, None)?;
        return Ok((begin, end.seconds(to, clock, Some(begin), None)?));
    }
    let end = end.seconds(to, clock, None, None)?;
    Ok((begin.seconds(from, clock, None, Some(end))?, end))
}

/// Reads a length of time in seconds: `300`, `5m`, `1h30m`.
pub fn parse_duration(text: &str) -> Option<u32> {
    let seconds = text.parse().ok().or_else(|| length(text.trim()))?;
    u32::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

/// An instant, taken apart.
enum Instant {
    At(i64),
    Told(Parsed),
}

impl Instant {
    fn read(text: &str, clock: Clock) -> Result<Self, TimeError> {
        let trimmed = text.trim();
        let told = |text| at::parse(text).map(Self::Told);
        if trimmed == "0" {
            return Ok(Self::At(0)); // all there is; an hour of the day has other ways to be told
        }
        let plain = rfc3339(trimmed).or_else(|| date(trimmed, clock.zone)).map(Self::At);
        let read = plain.or_else(|| told(trimmed)).or_else(|| seconds(trimmed).map(Self::At));
        read.ok_or_else(|| TimeError::None(text.into()))
    }

    fn counts_from(&self, reference: Reference) -> bool {
        matches!(self, Self::Told(parsed) if parsed.reference == reference)
    }

    fn seconds(&self, text: &str, clock: Clock, start: Option<i64>, end: Option<i64>) -> Result<i64, TimeError> {
        let parsed = match self {
            Self::At(instant) => return Ok(*instant),
            Self::Told(parsed) => parsed,
        };
        let circle = || TimeError::Circle(text.into());
        let instant = match parsed.reference {
            Reference::Now => moved(clock.now, parsed, clock.zone),
            Reference::Start => moved(start.ok_or_else(circle)?, parsed, clock.zone),
            Reference::End => moved(end.ok_or_else(circle)?, parsed, clock.zone),
            Reference::Epoch => moved(0, parsed, Zone::default()),
            Reference::Local(day, minutes) => local(day, minutes, parsed, clock),
        };
        instant.ok_or_else(|| TimeError::None(text.into()))
    }
}

/// An instant moved by an offset. Days and more keep the time of day, whatever clocks did meanwhile.
fn moved(instant: i64, by: &Parsed, zone: Zone) -> Option<i64> {
    if (by.months, by.days) == (0, 0) {
        return instant.checked_add(by.seconds);
    }
    let shown = shown(instant, zone)?;
    instant_of(at::moved(shown.date(), by.months, by.days)?.and_time(shown.time()), zone)?.checked_add(by.seconds)
}

fn local(day: Day, minutes: Option<i64>, by: &Parsed, clock: Clock) -> Option<i64> {
    let now = shown(clock.now, clock.zone)?;
    let today = now.date();
    let date = match day {
        Day::Near(days) => today.checked_add_signed(TimeDelta::try_days(days)?)?,
        Day::OfWeek(day) => today.checked_add_signed(TimeDelta::try_days(day - i64::from(today.weekday().num_days_from_sunday()))?)?,
        Day::OfYear(month, day) => NaiveDate::from_ymd_opt(today.year(), month, day)?,
        Day::Date(date) => date,
    };
    let seconds = minutes.map_or_else(|| i64::from(now.num_seconds_from_midnight()), |minutes| minutes * 60);
    let midnight = at::moved(date, by.months, by.days)?.and_hms_opt(0, 0, 0)?;
    instant_of(midnight.checked_add_signed(TimeDelta::try_seconds(seconds)?)?, clock.zone)?.checked_add(by.seconds)
}

/// What clocks of the zone show.
fn shown(instant: i64, zone: Zone) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(instant.checked_add(zone.offset_at(instant))?, 0).map(|time| time.naive_utc())
}

/// When clocks of the zone show that: the later time where they do twice, and where they never do, as much later as they were put
/// forward. Source: mktime(3) of glibc, as it behaves where it is not told which.
fn instant_of(local: NaiveDateTime, zone: Zone) -> Option<i64> {
    let local = local.and_utc().timestamp();
    let last = zone.last_at(local);
    if last + zone.offset_at(last) == local { Some(last) } else { local.checked_sub(zone.offset_at(last - 1)) }
}

/// Seconds since 1970, unless they are few: who writes 815 means an hour, and so does not mean that.
fn seconds(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() >= SECONDS_FIGURES_MIN;
    is_number.then(|| text.parse().ok())?
}

/// One or more numbers with units, added up.
fn length(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut sum = 0_i64;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let singular = unit.strip_suffix('s').filter(|unit| !unit.is_empty()).unwrap_or(unit);
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit || *name == singular)?;
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(*seconds)?)?;
        rest = after.trim_start();
    }
    (!text.is_empty()).then_some(sum)
}

fn rfc3339(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.timestamp())
}

fn date(text: &str, zone: Zone) -> Option<i64> {
    let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).or_else(midnight)?;
    instant_of(local, zone)
}

#[cfg(test)]
mod tests;
