//! Values as people write them: `50GiB`, `90%`, `500ms`, `12000`.

use watchpost_plugin_api::Unit;

/// Suffixes of a unit, the greatest first, and how many of the unit each is.
type Suffixes = &'static [(&'static str, f64)];

const BYTES: Suffixes = &[
    ("TiB", 1_099_511_627_776.0),
    ("TB", 1e12),
    ("GiB", 1_073_741_824.0),
    ("GB", 1e9),
    ("MiB", 1_048_576.0),
    ("MB", 1e6),
    ("KiB", 1_024.0),
    ("kB", 1e3),
    ("B", 1.0),
];
const SECONDS: Suffixes =
    &[("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("m", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("us", 1e-6)];
const DAYS: Suffixes = &[("d", 1.0), ("h", 1.0 / 24.0)];
const RATIO: Suffixes = &[("%", 0.01)];
/// Of what is counted: thousands and millions.
const COUNTS: Suffixes = &[("M", 1e6), ("k", 1e3)];

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not begin with a number.
    #[error("`{0}` begins with no number; {1}")]
    Number(String, String),
    /// What follows the number is no suffix of the unit.
    #[error("`{suffix}` is no suffix of {unit}; {hint}")]
    Suffix {
        /// What was written.
        suffix: String,
        /// The unit's name.
        unit: &'static str,
        /// What would be right.
        hint: String,
    },
}

/// Reads a quantity of a unit: a number, and a suffix of the unit or none.
///
/// Unit: that of the metric, without a suffix too.
pub fn parse(text: &str, unit: Unit) -> Result<f64, QuantityError> {
    let text = text.trim();
    let hint = || format!("write {}", example(unit));
    let begin = text.find(|c: char| c.is_alphabetic() || c == '%').filter(|at| !text[..*at].is_empty()).unwrap_or(text.len());
    // An exponent is part of its number.
    let begin = if text.parse::<f64>().is_ok() { text.len() } else { begin };
    let (number, suffix) = text.split_at(begin);
    let number: f64 =
        number.trim().parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| QuantityError::Number(text.into(), hint()))?;
    match suffix {
        "" => Ok(number),
        _ => match suffixes(unit).iter().find(|(known, _)| *known == suffix) {
            Some((_, times)) => Ok(number * times),
            None => Err(QuantityError::Suffix { suffix: suffix.into(), unit: name(unit), hint: hint() }),
        },
    }
}

fn suffixes(unit: Unit) -> Suffixes {
    match unit {
        Unit::Bytes => BYTES,
        Unit::Seconds => SECONDS,
        Unit::Days => DAYS,
        Unit::Ratio => RATIO,
        _ => COUNTS,
    }
}

fn example(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "a size as 50GiB, 200MB or bytes",
        Unit::Seconds => "a time as 500ms, 2s, 5m or seconds",
        Unit::Days => "days as 14d, or a number",
        Unit::Ratio => "a share as 90% or 0.9",
        _ => "a number as 12000, 12k or 2M",
    }
}

fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        Unit::Seconds => "seconds",
        Unit::Days => "days",
        Unit::Ratio => "a ratio",
        _ => "what is counted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_a_number_with_a_suffix_of_its_unit_or_none() {
        for (text, unit, expected) in [
            ("50GiB", Unit::Bytes, 53_687_091_200.0),
            ("200 MB", Unit::Bytes, 2e8),
            ("1e9", Unit::Bytes, 1e9),
            ("90%", Unit::Ratio, 0.9),
            ("0.9", Unit::Ratio, 0.9),
            ("500ms", Unit::Seconds, 0.5),
            ("5m", Unit::Seconds, 300.0),
            ("-3", Unit::Number, -3.0),
            ("12k", Unit::Messages, 12_000.0),
            (" 14d ", Unit::Days, 14.0),
        ] {
            assert!((parse(text, unit).unwrap() - expected).abs() < 1e-9 * expected.abs().max(1.0), "{text}");
        }
    }

    #[test]
    fn what_is_none_says_what_would_be_right() {
        for (text, unit, expected) in [
            ("", Unit::Bytes, "`` begins with no number; write a size as 50GiB, 200MB or bytes"),
            ("GiB", Unit::Bytes, "`GiB` begins with no number; write a size as 50GiB, 200MB or bytes"),
            ("inf", Unit::Number, "`inf` begins with no number; write a number as 12000, 12k or 2M"),
            ("NaN", Unit::Ratio, "`NaN` begins with no number; write a share as 90% or 0.9"),
            ("5s", Unit::Bytes, "`s` is no suffix of bytes; write a size as 50GiB, 200MB or bytes"),
            ("2GiB", Unit::Messages, "`GiB` is no suffix of what is counted; write a number as 12000, 12k or 2M"),
            ("1..2", Unit::Number, "`1..2` begins with no number; write a number as 12000, 12k or 2M"),
        ] {
            assert_eq!(parse(text, unit).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
