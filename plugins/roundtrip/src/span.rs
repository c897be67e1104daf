//! Times in a configuration: "100ms", "5s", "1d".

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error};

/// Units, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// Longest time that makes sense for a message: RFC 5321 4.5.4.1 has servers give up after 4 to 5 days.
const DAYS_MAX: u64 = 30;

/// A time, written as a whole number and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub(crate) Duration);

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(digits);
        let (_, factor) = UNITS.iter().find(|(known, _)| *known == unit)?;
        let millis = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        (millis <= DAYS_MAX * 86_400_000).then_some(Self(Duration::from_millis(millis)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wrong = || D::Error::custom("is no time; a whole number and ms, s, m, h or d are wanted, at most 30d, e.g. \"5s\"");
        Self::parse(&text).ok_or_else(wrong)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(Span::parse(text), millis.map(|millis| Span(Duration::from_millis(millis))), "{text}");
        };
        check("100ms", Some(100));
        check("5s", Some(5000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        check("30d", Some(2_592_000_000));
        for text in ["", "5", "s", "-5s", "5 s", "1.5s", "5S", "1h30m", "31d", "99999999999999999999s", "18446744073709551615d", "٣s"] {
            check(text, None);
        }
    }
}
