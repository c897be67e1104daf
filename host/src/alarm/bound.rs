//! What is too much, as people write it.
//!
//! | written                          | crossed when                                                       |
//! |----------------------------------|--------------------------------------------------------------------|
//! | `> 2s`, `>= 2 GiB`, `< 3`, `outside 10..20` | the value is; of a counter what it rises in a second     |
//! | `> 10/min`, `< 1/h in 6h`        | it rises so fast since the value before, or on average in 6 hours   |
//! | `change > 5 in 10m`              | it is so much more than 10 minutes ago                              |
//! | `change outside -50%..50% in 1h` | the same, as a share of what it was                                |
//! | `reaches >= 90% in 4h`           | its trend leads there within 4 hours                                |
//! | `outside 3 deviations`           | it is so far from what is usual at this hour of the week            |
//! | `absent 10m`                     | there was none for so long                                          |
//! | `> 10 in 5m`                     | so many events came: for rules over events alone                    |

use std::{fmt, time::Duration};

use watchpost_plugin_api::Unit;

pub use super::limit::Way;
use super::limit::{Cut, Limit, Of};
use crate::{
    schedule::parse_span,
    series::quantity::{self, QuantityError},
};

/// The sides of one quantity as they are written; the longer first, for one begins like another.
const SIGNS: [(&str, Sign); 4] = [("<=", Sign::AtMost), (">=", Sign::AtLeast), ("<", Sign::Below), (">", Sign::Above)];
/// What stands before two quantities.
const OUTSIDE: &str = "outside";
/// What stands before how long nothing was measured.
const ABSENT: &str = "absent";
/// What stands behind how far a value may be from what is usual.
const DEVIATIONS: &str = "deviations";
/// What stands before how much a value may change.
const CHANGE: &str = "change";
/// What stands before what a trend may lead to.
const REACHES: &str = "reaches";
/// What stands before a window.
const IN: &str = " in ";
/// What stands before the window of a trend.
const OVER: &str = " over ";
/// What a rate is counted for.
pub const PER: [(&str, u64); 5] = [("s", 1), ("min", 60), ("m", 60), ("h", 3_600), ("d", 86_400)];
/// A trend is looked at over so many times as long as it is followed, unless it is said.
const TREND_TIMES: u32 = 3;
/// A unit of each family of suffixes.
pub const FAMILIES: [Unit; 5] = [Unit::Number, Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Days];

/// How a figure is held against a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Below,
    AtMost,
    Above,
    AtLeast,
    Outside,
}

/// A bound as it was written: the unit is the metric's, which comes with its agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    of: Of,
    sign: Sign,
    first: String,
    second: String,
    /// What follows the quantities, as it was written.
    rest: String,
}

impl Bound {
    /// Reads a bound; `None` if that is none of any unit.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let span = |text: &str| parse_span(text.trim()).ok();
        if let Some(longest) = after(text, ABSENT) {
            span(longest)?;
            return Some(Self {
                of: Of::Absence,
                sign: Sign::AtLeast,
                first: longest.to_owned(),
                second: String::new(),
                rest: String::new(),
            });
        }
        if let Some(rest) = text.strip_suffix(DEVIATIONS) {
            let ways = [(OUTSIDE, Sign::Outside), (">", Sign::Above), ("<", Sign::Below)];
            let (written, sign) = ways.into_iter().find(|(written, _)| rest.starts_with(written))?;
            let times = rest.strip_prefix(written)?.trim();
            times.parse::<f64>().ok().filter(|times| times.is_finite() && *times > 0.0)?;
            return Some(Self { of: Of::Deviation, sign, first: times.to_owned(), second: String::new(), rest: format!(" {DEVIATIONS}") });
        }
        let bound = if let Some(rest) = after(text, REACHES) {
            let (cut, spans) = rest.split_once(IN)?;
            let (ahead, over) = spans.split_once(OVER).map_or((spans, None), |(ahead, over)| (ahead, Some(over)));
            let ahead = span(ahead)?;
            let over = over.map_or(Some(ahead * TREND_TIMES), span)?;
            Self { of: Of::Forecast(ahead, over), rest: format!("{IN}{}", spans.trim()), ..Self::cut(cut)? }
        } else if let Some(rest) = after(text, CHANGE) {
            let (cut, window) = rest.split_once(IN)?;
            let (of, cut) = (span(window)?, Self::cut(cut)?);
            let is_share = [&cut.first, &cut.second].iter().filter(|quantity| !quantity.is_empty()).all(|quantity| quantity.ends_with('%'));
            Self { of: if is_share { Of::RelativeChange(of) } else { Of::Change(of) }, rest: format!("{IN}{}", window.trim()), ..cut }
        } else {
            let (cut, window) = text.split_once(IN).map_or((text, None), |(cut, window)| (cut, Some(window.trim())));
            let span = window.map(|window| span(window).ok_or(())).transpose().ok()?;
            let (cut, per) = cut.rsplit_once('/').map_or((cut, None), |(cut, per)| (cut, Some(per.trim())));
            let of = match (per, span) {
                (Some(per), _) => {
                    let (_, seconds) = PER.iter().find(|(known, _)| *known == per)?;
                    Of::Rate(Duration::from_secs(*seconds), span)
                }
                (None, Some(span)) => Of::Events(span),
                (None, None) => Of::Value,
            };
            let [per, window] = [("/", per), (IN, window)].map(|(sign, said)| said.map(|said| format!("{sign}{said}")).unwrap_or_default());
            Self { of, rest: format!("{per}{window}"), ..Self::cut(cut)? }
        };
        FAMILIES.iter().any(|unit| bound.limit(*unit).is_ok_and(|limit| limit.cut.is_sound())).then_some(bound)
    }

    /// Why a text is none that is nearly one, and what would be right.
    pub fn nearly(text: &str) -> Option<(&'static str, String)> {
        if let Some((first, rest)) = text.split_once("..") {
            let (word, first) = first.rsplit_once(char::is_whitespace)?;
            let (second, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            let right = format!("{word} {second}..{first}{rest}");
            return Self::parse(&right).map(|_| ("its lower end is above its upper one", right));
        }
        let times: f64 = text.trim().strip_suffix(DEVIATIONS)?.trim_start_matches(|c: char| !c.is_ascii_digit()).trim().parse().ok()?;
        (times == 0.0).then(|| ("every value is so far from what is usual", format!("{OUTSIDE} 3 {DEVIATIONS}")))
    }

    /// Reads what figures cross, of any unit: `> 2s`, `outside 1..2`.
    fn cut(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, first, second) = if let Some(range) = after(text, OUTSIDE) {
            let (first, second) = range.split_once("..")?;
            (Sign::Outside, first, second)
        } else {
            let (written, sign) = SIGNS.iter().find(|(written, _)| text.starts_with(written))?;
            (*sign, text.strip_prefix(written)?, "")
        };
        Some(Self { of: Of::Value, sign, first: first.trim().to_owned(), second: second.trim().to_owned(), rest: String::new() })
    }

    /// What it is for values of this unit.
    ///
    /// Errors: it is of another unit.
    pub fn limit(&self, unit: Unit) -> Result<Limit, QuantityError> {
        let read = |text: &str| match self.of {
            // It was read when the bound was.
            Of::Absence => Ok(parse_span(text).unwrap_or_default().as_secs_f64()),
            Of::Deviation | Of::Events(_) => quantity::parse(text, Unit::Number),
            Of::RelativeChange(_) => quantity::parse(text, Unit::Ratio),
            Of::Rate(per, _) => quantity::parse(text, unit).map(|quantity| quantity / per.as_secs_f64()),
            Of::Value | Of::Change(_) | Of::Forecast(..) => quantity::parse(text, unit),
        };
        let first = read(&self.first)?;
        let is_distance = self.of == Of::Deviation;
        let cut = match self.sign {
            Sign::Below if is_distance => Cut::Below(-first),
            Sign::Outside if is_distance => Cut::Outside(-first, first),
            Sign::Below => Cut::Below(first),
            Sign::AtMost => Cut::AtMost(first),
            Sign::Above => Cut::Above(first),
            Sign::AtLeast => Cut::AtLeast(first),
            Sign::Outside => Cut::Outside(first, read(&self.second)?),
        };
        Ok(Limit { of: self.of, cut })
    }

    /// What a value has to come back to, beside a bound in the same unit: of what is usual so near to it, on the side of the bound.
    ///
    /// Errors: it is of another unit.
    pub fn limit_beside(&self, bound: &Self, unit: Unit) -> Result<Limit, QuantityError> {
        let limit = self.limit(unit)?;
        let Of::Deviation = self.of else { return Ok(limit) };
        let near = quantity::parse(&self.first, Unit::Number)?;
        let cut = match bound.way() {
            Way::Up => Cut::Below(near),
            Way::Down => Cut::Above(-near),
            Way::Out => Cut::Inside(-near, near),
        };
        Ok(Limit { cut, ..limit })
    }

    /// What is right where a value is to come back from this one; nothing where `rearm` is: it looks the other way, and no value that is good
    /// by it is bad by this one. Of two windows and two units only the way is compared.
    pub fn rearm_instead_of(&self, rearm: &Self) -> Option<String> {
        let less = |text: &str| format!("< {text}{}", self.rest);
        let more = |text: &str| format!("> {text}{}", self.rest);
        let (right, is_right_way) = match self.way() {
            // However far a value may be to either side, it comes back to being near.
            _ if self.of == Of::Deviation => (less(&self.first), rearm.way() == Way::Down),
            Way::Up => (less(&self.first), rearm.way() == Way::Down),
            Way::Down => (more(&self.first), rearm.way() == Way::Up),
            Way::Out if rearm.way() == Way::Down => (less(&self.second), true),
            Way::Out => (more(&self.first), rearm.way() == Way::Up),
        };
        let in_unit = |unit: &Unit| Some((self.limit(*unit).ok()?, rearm.limit_beside(self, *unit).ok()?));
        let is_within = match FAMILIES.iter().find_map(in_unit) {
            Some((bound, back)) if bound.of == back.of => bound.cut.is_left_by(back.cut),
            _ => true,
        };
        let prefix = if matches!(self.of, Of::Change(_) | Of::RelativeChange(_)) { "change " } else { "" };
        (!is_right_way || !is_within).then(|| format!("{prefix}{right}"))
    }

    /// What it looks at.
    pub fn of(&self) -> Of {
        self.of
    }

    /// How long a series may give nothing, where that is what it says.
    pub fn longest_absence(&self) -> Option<Duration> {
        // It was read when the bound was.
        (self.of == Of::Absence).then(|| parse_span(&self.first).unwrap_or_default())
    }

    /// How it looks at a figure.
    pub fn way(&self) -> Way {
        match self.sign {
            Sign::Below | Sign::AtMost => Way::Down,
            Sign::Above | Sign::AtLeast => Way::Up,
            Sign::Outside => Way::Out,
        }
    }

    /// Whether it is held against what is usual.
    pub fn asks_what_is_usual(&self) -> bool {
        self.of == Of::Deviation
    }

    /// Whether less crosses this one than the other: it may stand for what is worse. Of two units nothing is said.
    pub fn is_worse_than(&self, milder: &Self) -> bool {
        let limits = |unit: &Unit| Some((self.limit(*unit).ok()?, milder.limit(*unit).ok()?));
        FAMILIES.iter().filter_map(limits).take(1).all(|(worse, mild)| match (worse.of, worse.cut, mild.cut) {
            // Of what is less than usual the farther is worse, too.
            (Of::Deviation, Cut::Below(far), Cut::Below(near)) => far < near,
            _ => worse.is_worse_than(&mild),
        })
    }
}

/// What follows a word.
fn after<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.strip_prefix(word)?.strip_prefix(char::is_whitespace).map(str::trim)
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Of::Absence => return write!(f, "{ABSENT} {}", self.first),
            Of::Change(_) | Of::RelativeChange(_) => write!(f, "{CHANGE} ")?,
            Of::Forecast(..) => write!(f, "{REACHES} ")?,
            Of::Value | Of::Deviation | Of::Rate(..) | Of::Events(_) => {}
        }
        match self.sign {
            Sign::Outside if self.of == Of::Deviation => write!(f, "{OUTSIDE} {}", self.first)?,
            Sign::Outside => write!(f, "{OUTSIDE} {}..{}", self.first, self.second)?,
            sign => {
                let written = SIGNS.iter().find(|(_, known)| *known == sign).map_or("", |(written, _)| written);
                write!(f, "{written} {}", self.first)?;
            }
        }
        f.write_str(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_bound_is_told_what_would_be_right() {
        let right = |text: &str| Bound::nearly(text).map(|(_, right)| right);
        assert_eq!(right("outside 20..10").as_deref(), Some("outside 10..20"));
        assert_eq!(right("change outside 50%..-50% in 1h").as_deref(), Some("change outside -50%..50% in 1h"));
        assert_eq!(right("outside 0 deviations").as_deref(), Some("outside 3 deviations"));
        for other in ["outside 1ms..2GiB", "outside 1..", "much", "> 2 parsecs", "outside many deviations", ".."] {
            assert_eq!(right(other), None, "{other}");
        }
    }

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
        let absent = Bound::parse("absent 10m").unwrap();
        assert_eq!(absent.limit(Unit::Bytes), Ok(Limit { of: Of::Absence, cut: Cut::AtLeast(600.0) }));
        assert_eq!(absent.to_string(), "absent 10m");
        assert!(Bound::parse("> 2s").unwrap().limit(Unit::Bytes).is_err());
        for (text, crossing, not) in [("outside 3 deviations", -3.1, 3.0), ("> 2.5 deviations", 2.6, -9.0), ("< 1 deviations", -1.1, 5.0)] {
            let bound = Bound::parse(text).unwrap();
            let limit = bound.limit(Unit::Bytes).unwrap();
            assert_eq!((limit.is_crossed(crossing), limit.is_crossed(not), bound.to_string()), (true, false, text.to_owned()));
        }
    }

    #[test]
    fn a_bound_may_look_at_more_than_the_value() {
        let span = |seconds| Duration::from_secs(seconds);
        let (minute, hour) = (span(60), span(3_600));
        let table = [
            ("change > 5 in 10m", Unit::Messages, Of::Change(10 * minute), Cut::Above(5.0)),
            ("change <= -2 MiB in 1h", Unit::Bytes, Of::Change(hour), Cut::AtMost(-2_097_152.0)),
            ("change > 0.1 in 1h", Unit::Ratio, Of::Change(hour), Cut::Above(0.1)),
            ("change > 50% in 1h", Unit::Bytes, Of::RelativeChange(hour), Cut::Above(0.5)),
            ("change outside -50%..100% in 1h", Unit::Seconds, Of::RelativeChange(hour), Cut::Outside(-0.5, 1.0)),
            ("> 12/min", Unit::Number, Of::Rate(minute, None), Cut::Above(0.2)),
            (">= 3 kB/s", Unit::Bytes, Of::Rate(span(1), None), Cut::AtLeast(3_000.0)),
            ("< 36/h in 6h", Unit::Messages, Of::Rate(hour, Some(6 * hour)), Cut::Below(0.01)),
            ("reaches >= 90% in 4h", Unit::Ratio, Of::Forecast(4 * hour, 12 * hour), Cut::AtLeast(0.9)),
            ("reaches < 2 GiB in 1d over 7d", Unit::Bytes, Of::Forecast(24 * hour, 168 * hour), Cut::Below(2_147_483_648.0)),
            ("> 10 in 5m", Unit::Number, Of::Events(5 * minute), Cut::Above(10.0)),
        ];
        for (text, unit, of, cut) in table {
            let bound = Bound::parse(text).unwrap_or_else(|| panic!("{text}"));
            let limit = bound.limit(unit).unwrap();
            let near = |one: Cut, other: Cut| format!("{one:.9?}") == format!("{other:.9?}");
            assert!(limit.of == of && near(limit.cut, cut), "{text}: {limit:?}");
            assert_eq!(bound.to_string(), text);
            assert_eq!(Bound::parse(&bound.to_string()), Some(bound), "{text}");
        }
        assert!(Bound::parse("> 10 kB/s").unwrap().limit(Unit::Seconds).is_err());
        assert!(Bound::parse("change > 5s in 1h").unwrap().limit(Unit::Bytes).is_err());
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
            "change > 5",
            "change 5 in 10m",
            "change > 5 in soon",
            "change outside 5..-5 in 1h",
            "> 10/fortnight",
            "> 10/min in",
            "> 10 in 5",
            "/min",
            "reaches 90% in 4h",
            "reaches >= 90%",
            "reaches >= 90% in 4h over",
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
        assert!(worse("< 4 deviations", "< 3 deviations") && !worse("< 3 deviations", "< 4 deviations"));
        assert!(worse("reaches >= 90% in 4h", "reaches >= 90% in 1d") && !worse("reaches >= 90% in 1d", "reaches >= 90% in 4h"));
        assert!(worse("change > 9 in 1h", "change > 5 in 1h") && !worse("change > 5 in 1h", "change > 9 in 1h"));
        assert!(worse("> 1/s", "> 30/min") && !worse("> 30/min", "> 1/s"), "in a second, whatever they are counted for");
        assert!(worse("absent 1h", "absent 10m") && !worse("absent 10m", "absent 1h"));
    }
}
