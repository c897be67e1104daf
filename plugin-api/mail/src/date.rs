//! Times as mail writes them.

use std::time::Duration;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Days from the first of March of the year 0 to 1970.
const FROM_MARCH_OF_YEAR_0: u64 = 719_468;
const OF_400_YEARS: u64 = 146_097;

/// Writes date and time (RFC 5322 3.3), in UTC, of so long after 1970.
pub fn written(since: Duration) -> String {
    let (days, of_day) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let (weekday, month) = (WEEKDAYS[(days % 7) as usize], MONTHS[month as usize - 1]);
    format!("{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

/// Reads date and time as headers have them (RFC 5322 3.3, with the zones by name of 4.3) or as INTERNALDATE (RFC 9051 9); gives whole
/// seconds since 1970.
///
/// Shape: `None` for what is no time from 1970 to 9999, and for a zone whose distance from UTC nobody knows.
pub fn read(text: &str) -> Option<u64> {
    let text = text.rsplit_once(',').map_or(text, |(_, date)| date);
    let mut words = text.split([' ', '\t', '-']).filter(|word| !word.is_empty());
    let day = number(words.next()?, 1..=2)?;
    let month = words.next()?;
    let month = 1 + MONTHS.iter().position(|known| known.eq_ignore_ascii_case(month))? as u64;
    let year = number(words.next()?, 4..=4)?;
    let time = words.next()?;
    // A zone west of Greenwich has the sign that parts the words of INTERNALDATE.
    let zone = &text[text.find(time)? + time.len()..];
    let mut parts = time.split(':');
    let (hour, minute) = (number(parts.next()?, 1..=2)?, number(parts.next()?, 2..=2)?);
    let second = parts.next().map_or(Some(0), |second| number(second, 2..=2))?;
    let fits = parts.next().is_none() && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let days = days(year, month, day).filter(|_| fits)?;
    let local = i64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second).ok()?;
    u64::try_from(local - east_of_utc(zone.split_whitespace().next()?)?).ok()
}

/// Seconds that a zone is ahead of UTC.
fn east_of_utc(zone: &str) -> Option<i64> {
    let signed = zone.strip_prefix('+').map(|digits| (1, digits)).or_else(|| zone.strip_prefix('-').map(|digits| (-1, digits)));
    if let Some((sign, digits)) = signed {
        let digits = number(digits, 4..=4).filter(|digits| digits % 100 < 60 && *digits < 2400)?;
        return Some(sign * i64::try_from(digits / 100 * 3600 + digits % 100 * 60).ok()?);
    }
    // RFC 5322 4.3: those of North America; every other name says nothing.
    let hours = match zone.to_ascii_uppercase().as_str() {
        "UT" | "UTC" | "GMT" | "Z" => 0,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => return None,
    };
    Some(hours * 3600)
}

fn number(digits: &str, length: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let is_number = length.contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Year, month and day of a day since 1970. Years begin in March here, so that the odd day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + FROM_MARCH_OF_YEAR_0;
    let (era, day) = (days / OF_400_YEARS, days % OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

/// Days since 1970 of a date from then on; `None` if there is no such date.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (shifted, from_march) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, of_era) = (shifted / 400, shifted % 400);
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let days = (era * OF_400_YEARS + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(FROM_MARCH_OF_YEAR_0)?;
    (civil(days) == (year, month, day)).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_at_the_edges_of_the_calendar() {
        let check = |secs, expected: &str| {
            assert_eq!(written(Duration::from_secs(secs)), expected);
            assert_eq!(read(expected), Some(secs));
        };
        check(0, "Thu, 1 Jan 1970 00:00:00 +0000");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000");
        check(1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000");
        check(1_709_251_200, "Fri, 1 Mar 2024 00:00:00 +0000");
        check(1_798_761_599, "Thu, 31 Dec 2026 23:59:59 +0000");
        check(4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000");
    }

    #[test]
    fn a_time_is_read_as_servers_write_it() {
        let check = |text: &str, expected| assert_eq!(read(text), expected, "{text}");
        check(" Sun, 29 Nov 2026 22:14:14 +0000 (UTC)", Some(1_795_990_454));
        check("29 Nov 2026 23:14:14 +0100", Some(1_795_990_454));
        check("Sun, 29 Nov 2026 12:44:14 -0930", Some(1_795_990_454));
        check("Sun, 29 Nov 2026 17:14:14 EST", Some(1_795_990_454));
        check("29-Nov-2026 22:14:14 +0000", Some(1_795_990_454));
        check("29-Nov-2026 12:44:14 -0930", Some(1_795_990_454));
        check(" 9-Nov-2026 22:14:14 +0000", Some(1_794_262_454));
        check("29 Nov 2026 22:14 GMT", Some(1_795_990_440));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "yesterday",
            "29 Nov 2026",
            "29 Nov 2026 22:14:14",
            "29 Nov 2026 22:14:14 CEST",
            "31 Nov 2026 22:14:14 +0000",
            "0 Nov 2026 22:14:14 +0000",
            "29 Nov 26 22:14:14 +0000",
            "29 Nov 2026 24:14:14 +0000",
            "29 Nov 2026 22:60:14 +0000",
            "29 Nov 2026 22:14:14 +0060",
            "29 Nov 2026 22:14:14 +9900",
            "29 Nov 2026 22:14:14 +00000",
            "1 Jan 1970 00:00:00 +0100",
            "29 Nov 1969 22:14:14 +0000",
            "+29 Nov 2026 22:14:14 +0000",
            "29 Nov 2026 22:14:14:15 +0000",
            "é Nov 2026 22:14:14 +0000",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
