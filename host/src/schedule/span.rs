//! Time spans as people write them in a configuration: "30s", "5m", "1h30m".

use std::time::Duration;

use super::error::{ScheduleError, SpanFault};

/// The longest span a schedule takes: a leap year.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Units from large to small: name, seconds. The first name of two is the one we write.
const UNITS: [(&str, u64); 5] = [("d", 86_400), ("h", 3_600), ("m", 60), ("min", 60), ("s", 1)];

/// Reads a span of whole seconds, from 1 second to 366 days.
///
/// Shape: whole numbers with the units `d`, `h`, `m` (or `min`), `s`, from large to small, each at most once;
/// spaces between them are free.
/// Errors: [`ScheduleError::Span`] with what would be right.
///
/// ```
/// # use std::time::Duration;
/// # use watchpost::schedule::parse_span;
/// assert_eq!(parse_span("1h30m"), Ok(Duration::from_secs(5_400)));
/// assert!(parse_span("1.5h").is_err());
/// ```
pub fn parse_span(text: &str) -> Result<Duration, ScheduleError> {
    read(text).and_then(in_bounds).map_err(|fault| ScheduleError::Span { text: text.to_owned(), fault })
}

/// Reads a span as [`parse_span`] does, however long: what is kept is kept for years.
pub fn parse_long_span(text: &str) -> Result<Duration, ScheduleError> {
    let known = |span: Duration| if span.is_zero() { Err(SpanFault::Zero) } else { Ok(span) };
    read(text).and_then(known).map_err(|fault| ScheduleError::Span { text: text.to_owned(), fault })
}

/// Writes seconds as [`parse_span`] reads them: "1h30m".
pub(super) fn written(seconds: u64) -> String {
    parts(seconds).map(|(count, unit)| format!("{count}{unit}")).collect()
}

/// Writes seconds for people: "1 h 30 min".
pub(super) fn spoken(seconds: u64) -> String {
    let spoken = |unit| if unit == "m" { "min" } else { unit };
    let parts: Vec<_> = parts(seconds).map(|(count, unit)| format!("{count} {}", spoken(unit))).collect();
    parts.join(" ")
}

/// Splits seconds into the units they are written with; nothing at all is "0s".
fn parts(seconds: u64) -> impl Iterator<Item = (u64, &'static str)> {
    let mut rest = seconds;
    UNITS.into_iter().filter_map(move |(unit, size)| {
        let count = rest / size;
        rest %= size;
        (count > 0 || (seconds == 0 && unit == "s")).then_some((count, unit))
    })
}

fn read(text: &str) -> Result<Duration, SpanFault> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(SpanFault::Shape);
    }
    let mut total: u64 = 0;
    let mut larger = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_at_end_of(rest, |c| c.is_ascii_digit() || c == '.' || c == ',');
        let (unit, after) = split_at_end_of(after.trim_start(), |c| c.is_alphabetic());
        let size = unit_size(number, unit)?;
        if size >= larger {
            return Err(SpanFault::Order);
        }
        total = total.saturating_add(whole(number, size)?.saturating_mul(size));
        larger = size;
        rest = after.trim_start();
    }
    Ok(Duration::from_secs(total))
}

fn split_at_end_of(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn unit_size(number: &str, unit: &str) -> Result<u64, SpanFault> {
    if number.is_empty() {
        return Err(SpanFault::Shape);
    }
    if unit.is_empty() && number.contains(['.', ',']) {
        return Err(SpanFault::Fraction { seconds: None });
    }
    if unit.is_empty() {
        return Err(SpanFault::NoUnit { number: number.to_owned() });
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known.map(|(_, size)| *size).ok_or_else(|| SpanFault::UnknownUnit { unit: unit.to_owned() })
}

/// Reads the number before a unit; one too large to hold is as good as infinite.
fn whole(number: &str, size: u64) -> Result<u64, SpanFault> {
    if number.contains(['.', ',']) {
        return Err(SpanFault::Fraction { seconds: nearest_seconds(number, size) });
    }
    Ok(number.parse().unwrap_or(u64::MAX))
}

/// Rounds a fraction of a unit to whole seconds, for the hint only; `None` where none of them is a span.
fn nearest_seconds(number: &str, size: u64) -> Option<u64> {
    let units: f64 = number.replace(',', ".").parse().ok()?;
    let span = Duration::try_from_secs_f64((units * size as f64).round().max(1.0)).ok()?;
    (span <= SPAN_MAX).then_some(span.as_secs())
}

fn in_bounds(span: Duration) -> Result<Duration, SpanFault> {
    match span {
        Duration::ZERO => Err(SpanFault::Zero),
        span if span > SPAN_MAX => Err(SpanFault::TooLong),
        span => Ok(span),
    }
}
