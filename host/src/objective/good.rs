//! What is good: `< 2s`, `>= 10GiB`; of `up` it is 1.

use std::fmt;

use watchpost_plugin_api::Unit;

use crate::series::quantity::{self, QuantityError};

/// How a value is held against its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Below,
    AtMost,
    Above,
    AtLeast,
}

/// The sides as they are written; the longer first, for one begins like another.
const SIDES: [(&str, Side); 4] = [("<=", Side::AtMost), (">=", Side::AtLeast), ("<", Side::Below), (">", Side::Above)];
/// A unit of each family of suffixes.
const FAMILIES: [Unit; 5] = [Unit::Number, Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Days];

/// Which values are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    side: Side,
    /// As it was written: the unit is the metric's, which comes with its agent.
    bound: String,
}

impl Good {
    /// Reads which values are good; `None` if that is no side with a quantity of any unit.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, side) = SIDES.iter().find(|(sign, _)| text.starts_with(sign))?;
        let bound = text.strip_prefix(sign)?.trim().to_owned();
        FAMILIES.iter().any(|unit| quantity::parse(&bound, *unit).is_ok()).then_some(Self { side: *side, bound })
    }

    /// Says whether a value of this unit is good.
    ///
    /// Errors: the bound is of another unit.
    pub fn holds(&self, value: f64, unit: Unit) -> Result<bool, QuantityError> {
        let bound = quantity::parse(&self.bound, unit)?;
        Ok(match self.side {
            Side::Below => value < bound,
            Side::AtMost => value <= bound,
            Side::Above => value > bound,
            Side::AtLeast => value >= bound,
        })
    }
}

impl fmt::Display for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = SIDES.iter().find(|(_, side)| *side == self.side).map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_and_a_quantity_say_what_is_good() {
        for (text, unit, good, bad) in [
            ("< 2s", Unit::Seconds, 1.999, 2.0),
            ("<=500 ms", Unit::Seconds, 0.5, 0.501),
            ("> 10GiB", Unit::Bytes, 2e10, 1e9),
            (">= 99%", Unit::Ratio, 0.99, 0.98),
            ("<1000", Unit::Messages, 999.0, 1000.0),
        ] {
            let rule = Good::parse(text).unwrap();
            assert_eq!((rule.holds(good, unit), rule.holds(bad, unit)), (Ok(true), Ok(false)), "{text}");
        }
        assert_eq!(Good::parse("<=500ms").unwrap().to_string(), "<= 500ms");
        assert!(Good::parse("< 2s").unwrap().holds(1.0, Unit::Bytes).is_err());
    }

    #[test]
    fn what_is_neither_is_none() {
        for text in ["", "2s", "= 2", "<", "< fast", "< 2 parsec", "=> 2", "<> 2"] {
            assert_eq!(Good::parse(text), None, "{text}");
        }
    }
}
