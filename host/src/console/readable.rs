//! Numbers as a person reads them.

use watchpost_plugin_api::Unit;

/// A value with its unit, to three digits: `2.1 ms`, `12 KiB`, `99.5 %`, `1,204 messages`.
pub(crate) fn value(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => duration(value),
        Unit::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"]),
        Unit::Ratio => format!("{} %", digits(value * 100.0)),
        Unit::Number => digits(value),
        other => format!("{} {}", digits(value), if value == 1.0 { singular(other) } else { other.name() }),
    }
}

/// A time, in the unit that suits it.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    if size == 0.0 {
        return "0 s".into();
    }
    // The bounds lie where three digits would round up to the next unit.
    for (bound, times, unit) in [(0.000_999_5, 1e6, "µs"), (0.9995, 1e3, "ms"), (59.95, 1.0, "s")] {
        if size < bound {
            return format!("{} {unit}", digits(seconds * times));
        }
    }
    for (bound, one, unit) in [(5400.0, 60.0, "min"), (129_600.0, 3600.0, "h")] {
        if size < bound {
            return format!("{:.0} {unit}", seconds / one);
        }
    }
    format!("{} d", grouped(format!("{:.0}", seconds / 86_400.0)))
}

/// How long ago an instant was, or how far ahead it lies; whole seconds at the finest, so that a page does not flicker.
pub(crate) fn distance(from_ns: i64, to_ns: i64) -> String {
    let seconds = to_ns.saturating_sub(from_ns).abs() / 1_000_000_000;
    if seconds == 0 { "less than 1 s".into() } else { duration(seconds as f64) }
}

/// A number of things, in groups.
pub(super) fn grouped_count(count: usize) -> String {
    grouped(count.to_string())
}

/// Memory in use, in whole MiB.
pub(super) fn memory(bytes: Option<u64>) -> String {
    bytes.map_or("memory unknown".into(), |bytes| format!("{} MiB", grouped(bytes.div_ceil(1 << 20).to_string())))
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut shown = value;
    let mut units = units.iter().peekable();
    while let Some(unit) = units.next() {
        if shown.abs() < step - 0.5 || units.peek().is_none() {
            return format!("{} {unit}", digits(shown));
        }
        shown /= step;
    }
    digits(value)
}

/// Three digits after which none matters; whole numbers whole, in groups. Very small and very large ones with an exponent.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 0.001) {
        return format!("{value:.2e}");
    }
    if size >= 99.95 || value.fract() == 0.0 {
        return grouped(format!("{value:.0}"));
    }
    let places = if size >= 9.995 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    let text = format!("{value:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn grouped(whole: String) -> String {
    let (sign, figures) = whole.strip_prefix('-').map_or(("", whole.as_str()), |figures| ("-", figures));
    let mut out = String::from(sign);
    for (at, figure) in figures.chars().enumerate() {
        if at > 0 && (figures.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(figure);
    }
    out
}

fn singular(unit: Unit) -> &'static str {
    match unit {
        Unit::Queries => "query",
        other => other.name().strip_suffix('s').unwrap_or(other.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_in_the_unit_that_suits_it() {
        let cases = [
            (0.0021, Unit::Seconds, "2.1 ms"),
            (0.000_21, Unit::Seconds, "210 µs"),
            (0.999_9, Unit::Seconds, "1 s"),
            (0.0, Unit::Seconds, "0 s"),
            (3.256, Unit::Seconds, "3.26 s"),
            (59.99, Unit::Seconds, "1 min"),
            (7200.0, Unit::Seconds, "2 h"),
            (86_400.0 * 1500.0, Unit::Seconds, "1,500 d"),
            (12_288.0, Unit::Bytes, "12 KiB"),
            (1023.0, Unit::Bytes, "1,023 B"),
            (1_048_575.9, Unit::Bytes, "1 MiB"),
            (0.995, Unit::Ratio, "99.5 %"),
            (1204.0, Unit::Messages, "1,204 messages"),
            (1.0, Unit::Queries, "1 query"),
            (-1234.5, Unit::Number, "-1,234"),
            (0.25, Unit::Number, "0.25"),
            (1e300, Unit::Number, "1.00e300"),
        ];
        for (number, unit, expected) in cases {
            assert_eq!(value(number, unit), expected, "{number} {unit:?}");
        }
    }

    #[test]
    fn a_distance_is_told_in_whole_seconds() {
        assert_eq!(distance(0, 12_900_000_000), "12 s");
        assert_eq!(distance(500_000_000, 0), "less than 1 s");
        assert_eq!(distance(i64::MIN, i64::MAX), "106,752 d");
    }
}
