//! What is too much: `> 2s`, `>= 2 GiB`, `< 3`, `outside 10..20`; beside what is usual, `outside 3 deviations`; and for what nobody measures,
//! `absent 10m`.

use std::{fmt, time::Duration};

use watchpost_plugin_api::Unit;

use crate::{
    schedule::parse_span,
    series::quantity::{self, QuantityError},
};

/// How a bound looks at a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Too little: `<`, `<=`.
    Down,
    /// Too much: `>`, `>=`.
    Up,
    /// Either: `outside`.
    Out,
    /// None at all: `absent`.
    Absent,
}

/// How a value is held against a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Below,
    AtMost,
    Above,
    AtLeast,
    Outside,
    Absent,
    /// Farther from what is usual, in any direction or in one.
    Unusual(Way),
}

/// The sides of one quantity as they are written; the longer first, for one begins like another.
const SIGNS: [(&str, Side); 4] = [("<=", Side::AtMost), (">=", Side::AtLeast), ("<", Side::Below), (">", Side::Above)];
/// What stands before two quantities.
const OUTSIDE: &str = "outside";
/// What stands before how long nothing was measured.
const ABSENT: &str = "absent";
/// What stands behind how far a value may be from what is usual.
const DEVIATIONS: &str = "deviations";
/// A unit of each family of suffixes.
const FAMILIES: [Unit; 5] = [Unit::Number, Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Days];

/// A bound as it was written: the unit is the metric's, which comes with its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    side: Side,
    first: String,
    second: String,
}

/// A bound of a known unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Less than it is crossing.
    Below(f64),
    /// So much or less is crossing.
    AtMost(f64),
    /// More than it is crossing.
    Above(f64),
    /// So much or more is crossing.
    AtLeast(f64),
    /// Less than the first or more than the second is crossing.
    Outside(f64, f64),
    /// No value for so long is crossing.
    Absent(Duration),
    /// More deviations away from what is usual is crossing.
    Unusual(Way, f64),
}

impl Bound {
    /// Reads a bound; `None` if that is none of any unit.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(span) = text.strip_prefix(ABSENT) {
            let span = span.strip_prefix(char::is_whitespace)?.trim();
            parse_span(span).ok()?;
            return Some(Self { side: Side::Absent, first: span.to_owned(), second: String::new() });
        }
        if let Some(rest) = text.strip_suffix(DEVIATIONS) {
            let ways = [(OUTSIDE, Way::Out), (">", Way::Up), ("<", Way::Down)];
            let (sign, way) = ways.into_iter().find(|(sign, _)| rest.starts_with(sign))?;
            let times = rest.strip_prefix(sign)?.trim();
            times.parse::<f64>().ok().filter(|times| times.is_finite() && *times > 0.0)?;
            return Some(Self { side: Side::Unusual(way), first: times.to_owned(), second: String::new() });
        }
        let bound = if let Some(range) = text.strip_prefix(OUTSIDE) {
            let (first, second) = range.strip_prefix(char::is_whitespace)?.split_once("..")?;
            Self { side: Side::Outside, first: first.trim().to_owned(), second: second.trim().to_owned() }
        } else {
            let (sign, side) = SIGNS.iter().find(|(sign, _)| text.starts_with(sign))?;
            Self { side: *side, first: text.strip_prefix(sign)?.trim().to_owned(), second: String::new() }
        };
        FAMILIES.iter().any(|unit| bound.limit(*unit).is_ok_and(|limit| limit.is_sound())).then_some(bound)
    }

    /// What it is for values of this unit.
    ///
    /// Errors: it is of another unit.
    pub fn limit(&self, unit: Unit) -> Result<Limit, QuantityError> {
        let read = |text: &str| quantity::parse(text, unit);
        Ok(match self.side {
            Side::Below => Limit::Below(read(&self.first)?),
            Side::AtMost => Limit::AtMost(read(&self.first)?),
            Side::Above => Limit::Above(read(&self.first)?),
            Side::AtLeast => Limit::AtLeast(read(&self.first)?),
            Side::Outside => Limit::Outside(read(&self.first)?, read(&self.second)?),
            // They were read when the bound was.
            Side::Unusual(way) => Limit::Unusual(way, self.first.parse().unwrap_or(f64::INFINITY)),
            Side::Absent => Limit::Absent(parse_span(&self.first).unwrap_or_default()),
        })
    }

    /// How it looks at a value.
    pub fn way(&self) -> Way {
        match self.side {
            Side::Below | Side::AtMost => Way::Down,
            Side::Above | Side::AtLeast => Way::Up,
            Side::Outside => Way::Out,
            Side::Absent => Way::Absent,
            Side::Unusual(way) => way,
        }
    }

    /// Whether it is held against what is usual.
    pub fn asks_what_is_usual(&self) -> bool {
        matches!(self.side, Side::Unusual(_))
    }

    /// Whether less crosses this one than the other: it may stand for what is worse. Of two units nothing is said.
    pub fn is_worse_than(&self, milder: &Self) -> bool {
        let units = FAMILIES.iter().filter_map(|unit| Some((self.limit(*unit).ok()?, milder.limit(*unit).ok()?)));
        units.take(1).all(|pair| match pair {
            (Limit::Outside(low, high), Limit::Outside(mild_low, mild_high)) => low < mild_low && high > mild_high,
            (Limit::Absent(long), Limit::Absent(mild)) => long > mild,
            (Limit::Unusual(_, far), Limit::Unusual(_, mild)) => far > mild,
            (worse, mild) => match self.way() {
                Way::Down => worse.value() < mild.value(),
                _ => worse.value() > mild.value(),
            },
        })
    }
}

impl Limit {
    /// Whether a value crosses it; no value crosses what asks whether there is one.
    pub fn is_crossed(&self, value: f64) -> bool {
        match *self {
            Self::Below(bound) => value < bound,
            Self::AtMost(bound) => value <= bound,
            Self::Above(bound) => value > bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Outside(low, high) => value < low || value > high,
            Self::Absent(_) | Self::Unusual(..) => false,
        }
    }

    /// Whether a value crosses it that is so many deviations away from what is usual; below 0 where it is less.
    pub fn is_crossed_by(&self, deviations: f64) -> bool {
        match *self {
            Self::Unusual(Way::Up, times) => deviations > times,
            Self::Unusual(Way::Down, times) => deviations < -times,
            Self::Unusual(_, times) => deviations.abs() > times,
            _ => false,
        }
    }

    fn is_sound(&self) -> bool {
        !matches!(self, Self::Outside(low, high) if low >= high)
    }

    fn value(&self) -> f64 {
        match *self {
            Self::Below(bound) | Self::AtMost(bound) | Self::Above(bound) | Self::AtLeast(bound) | Self::Outside(bound, _) => bound,
            Self::Absent(span) => span.as_secs_f64(),
            Self::Unusual(_, times) => times,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Side::Outside => write!(f, "{OUTSIDE} {}..{}", self.first, self.second),
            Side::Absent => write!(f, "{ABSENT} {}", self.first),
            Side::Unusual(Way::Up) => write!(f, "> {} {DEVIATIONS}", self.first),
            Side::Unusual(Way::Down) => write!(f, "< {} {DEVIATIONS}", self.first),
            Side::Unusual(_) => write!(f, "{OUTSIDE} {} {DEVIATIONS}", self.first),
            side => {
                let sign = SIGNS.iter().find(|(_, known)| *known == side).map_or("", |(sign, _)| sign);
                write!(f, "{sign} {}", self.first)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_what_crosses_it_in_the_unit_of_its_metric() {
        let table = [
            ("> 2s", Unit::Seconds, 2.1, 2.0, Way::Up),
            (">= 2 GiB", Unit::Bytes, 2_147_483_648.0, 2e9, Way::Up),
            ("< 3", Unit::Messages, 2.9, 3.0, Way::Down),
            ("<=90%", Unit::Ratio, 0.9, 0.91, Way::Down),
            ("outside 10..20", Unit::Number, 9.0, 10.0, Way::Out),
            ("outside 10ms .. 2s", Unit::Seconds, 2.1, 0.01, Way::Out),
        ];
        for (text, unit, crossing, not, way) in table {
            let bound = Bound::parse(text).unwrap();
            let limit = bound.limit(unit).unwrap();
            assert_eq!((limit.is_crossed(crossing), limit.is_crossed(not), bound.way()), (true, false, way), "{text}");
            assert_eq!(Bound::parse(&bound.to_string()), Some(bound), "{text}");
        }
        assert_eq!(Bound::parse("absent 10m").unwrap().limit(Unit::Bytes), Ok(Limit::Absent(Duration::from_secs(600))));
        assert!(Bound::parse("> 2s").unwrap().limit(Unit::Bytes).is_err());
        for (text, crossing, not) in [("outside 3 deviations", -3.1, 3.0), ("> 2.5 deviations", 2.6, -9.0), ("< 1 deviations", -1.1, 5.0)] {
            let bound = Bound::parse(text).unwrap();
            let limit = bound.limit(Unit::Bytes).unwrap();
            assert_eq!((limit.is_crossed_by(crossing), limit.is_crossed_by(not), bound.to_string()), (true, false, text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_bound_is_none() {
        for text in [
            "",
            "2s",
            "= 2",
            "> fast",
            "> 2 parsec",
            "outside 20..10",
            "outside 1..",
            "outside1..2",
            "outside 1ms..2GiB",
            "absent",
            "absent 5",
            "outside -3 deviations",
            "outside many deviations",
            "3 deviations",
        ] {
            assert_eq!(Bound::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_worse_bound_is_crossed_by_less() {
        let worse = |worse: &str, milder: &str| Bound::parse(worse).unwrap().is_worse_than(&Bound::parse(milder).unwrap());
        assert!(worse("> 2s", "> 500ms") && !worse("> 500ms", "> 2s") && !worse("> 1", "> 1"));
        assert!(worse("< 1", "<= 5") && !worse("< 5", "< 1"));
        assert!(worse("outside 5..30", "outside 10..20") && !worse("outside 10..20", "outside 5..30"));
        assert!(worse("outside 5 deviations", "outside 3 deviations") && !worse("> 3 deviations", "> 3 deviations"));
        assert!(worse("absent 1h", "absent 10m") && !worse("absent 10m", "absent 1h"));
    }
}
