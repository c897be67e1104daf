//! Dates as servers write them into cookies. Source: RFC 6265 5.1.1, which takes more than it should.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAY_SECONDS: u64 = 86_400;

/// Reads a date; `None` if it is none. One before 1970 is 1970: over all the same.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(|c: char| !(c.is_alphanumeric() || c == ':')).filter(|token| !token.is_empty()) {
        if time.is_none() && token.contains(':') {
            time = Some(seconds(token)?);
        } else if let (None, Some(number)) = (day, number(token, 1, 2)) {
            day = Some(number);
        } else if let (None, Some(named)) = (month, named_month(token)) {
            month = Some(named);
        } else if let (None, Some(number)) = (year, number(token, 2, 4)) {
            year = Some(match number {
                0..=69 => number + 2000,
                70..=99 => number + 1900,
                whole => whole,
            });
        }
    }
    let (time, day, month, year) = (time?, day.filter(|day| (1..=31).contains(day))?, month?, year.filter(|year| *year > 1600)?);
    let days = days_from_1970(year, month, day);
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(days).map_or(0, |days| days * DAY_SECONDS + time)))
}

fn number(token: &str, digits_min: usize, digits_max: usize) -> Option<u32> {
    let fits = (digits_min..=digits_max).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| token.parse().ok()).flatten()
}

fn named_month(token: &str) -> Option<u32> {
    let begins = token.get(..3)?.to_ascii_lowercase();
    MONTHS.iter().position(|month| *month == begins).and_then(|at| u32::try_from(at + 1).ok())
}

/// Seconds of the day.
fn seconds(token: &str) -> Option<u64> {
    let mut parts = token.split(':').map(|part| number(part, 1, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (hour < 24 && minute < 60 && second < 60 && parts.next().is_none()).then(|| u64::from(hour * 3600 + minute * 60 + second))
}

/// Days of the Gregorian calendar, March being a year's first month.
fn days_from_1970(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month > 2 { (i64::from(year), i64::from(month) - 3) } else { (i64::from(year) - 1, i64::from(month) + 9) };
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    century * 146_097 / 4 + of_century * 1461 / 4 + (153 * month + 2) / 5 + i64::from(day) - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_however_servers_write_them() {
        let check = |text: &str, expected: Option<u64>| {
            let found = parse(text).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
            assert_eq!(found, expected, "{text}");
        };
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777));
        check("Sun Nov  6 08:49:37 1994", Some(784_111_777));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199));
        check("Wed, 01-Jan-38 00:00:00 GMT", Some(2_145_916_800));
        check("Fri, 31 Dec 1601 0:0:0", Some(0));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799));
        for none in
            ["", "0", "tomorrow", "32 Nov 1994 08:49:37", "06 Nov 1994", "06 Nov 1994 24:00:00", "06 Nov 1994 8:49", "06 Now 1994 8:49:37"]
        {
            check(none, None);
        }
    }
}
