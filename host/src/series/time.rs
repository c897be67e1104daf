//! Instants as people write them: `now-1h`, `-2d`, `2026-03-29 02:00`, RFC 3339, seconds since 1970.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

const UNITS: [(&str, i64); 12] = [
    ("s", 1),
    ("sec", 1),
    ("m", 60),
    ("min", 60),
    ("h", 3_600),
    ("hour", 3_600),
    ("d", 86_400),
    ("day", 86_400),
    ("w", 604_800),
    ("week", 604_800),
    ("y", 31_536_000),
    ("year", 31_536_000),
];

/// Why an instant cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no time; right would be now-1h, -2d, 2026-03-29, \"2026-03-29 02:00\" (UTC), 2026-03-29T02:00:00+02:00 or seconds since 1970"
)]
pub struct TimeError {
    /// What was written.
    pub text: String,
}

/// Reads an instant, seconds since 1970. Dates without a zone are UTC; a year has 365 days.
pub fn parse(text: &str, now: i64) -> Result<i64, TimeError> {
    let trimmed = text.trim();
    let read = seconds(trimmed).or_else(|| relative(trimmed, now)).or_else(|| rfc3339(trimmed)).or_else(|| date(trimmed));
    read.ok_or_else(|| TimeError { text: text.into() })
}

/// Reads a length of time in seconds: `300`, `5m`, `1h30m`.
pub fn parse_duration(text: &str) -> Option<u32> {
    let seconds = text.parse().ok().or_else(|| offset(text.trim()))?;
    u32::try_from(seconds).ok().filter(|seconds| *seconds > 0)
}

fn seconds(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn relative(text: &str, now: i64) -> Option<i64> {
    let rest = text.strip_prefix("now").unwrap_or(text).trim_start();
    if rest.is_empty() {
        return text.starts_with("now").then_some(now);
    }
    let sign = if rest.starts_with('-') { -1 } else { 1 };
    now.checked_add(sign * offset(rest.strip_prefix(['-', '+'])?.trim_start())?)
}

/// One or more numbers with units, added up.
fn offset(text: &str) -> Option<i64> {
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

fn date(text: &str) -> Option<i64> {
    let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let formats = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let instant = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).or_else(midnight)?;
    Some(instant.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_people_write_them() {
        let now = 1_800_000_000;
        let table = [
            ("now", now),
            ("now-1h", now - 3_600),
            ("-1h", now - 3_600),
            (" now - 2d ", now - 2 * 86_400),
            ("now+10min", now + 600),
            ("-1d12h", now - 129_600),
            ("-2weeks", now - 14 * 86_400),
            ("1774749600", 1_774_749_600),
            ("2026-03-29", 1_774_742_400),
            ("2026-03-29 02:00", 1_774_749_600),
            ("2026-03-29 02:00:01", 1_774_749_601),
            ("2026-03-29T02:00:00Z", 1_774_749_600),
            ("2026-03-29T04:00:00+02:00", 1_774_749_600),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text, now), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_would_be() {
        for text in
            ["", "yesterday", "1h", "now-", "now-1parsec", "-h", "2026-13-01", "now1h", "99999999999999999999", "-99999999999999999w"]
        {
            let error = parse(text, 0).unwrap_err();
            assert!(error.to_string().contains("now-1h"), "{error}");
        }
    }

    #[test]
    fn lengths_are_seconds_or_units() {
        assert_eq!([parse_duration("300"), parse_duration("5m"), parse_duration("1h30m")], [Some(300), Some(300), Some(5_400)]);
        assert_eq!([parse_duration("0"), parse_duration("-5m"), parse_duration("")], [None; 3]);
    }
}
