//! Expressions over several series: `deferred / (active + deferred)`, `sum(queued) > 100 and up < 1`.
//!
//! | binds  | written                    | gives                                                    |
//! |--------|----------------------------|----------------------------------------------------------|
//! | least  | `or`                       | 1 or 0                                                   |
//! |        | `and`                      | 1 or 0                                                   |
//! |        | `not`                      | 1 or 0                                                   |
//! |        | `< <= > >= == !=`          | 1 or 0; both sides are of one unit                       |
//! |        | `+ -`                      | the unit of both sides                                   |
//! |        | `* /`                      | their units multiplied or divided                        |
//! | most   | `-`, a name, a number with its unit (`500ms`, `2GiB`, `5%`), `( … )`, `abs(…)`, `sum avg min max count` of a name | |
//!
//! A name stands for one series; several are added up and so on by functions. Unknown is whatever something unknown is part of, and what
//! has no value, as a division by nothing.

use std::fmt;

use watchpost_plugin_api::Unit;

use crate::series::quantity;

/// Names of an expression, at most.
const NAMES_MAX: usize = 16;
/// Brackets within brackets, at most.
const DEPTH_MAX: usize = 32;
/// Characters, at most.
const CHARS_MAX: usize = 500;
/// Signs that compare; the longer first, for one begins like another.
const COMPARISONS: [(&str, Op); 6] =
    [("<=", Op::AtMost), (">=", Op::AtLeast), ("==", Op::Equal), ("!=", Op::Unequal), ("<", Op::Below), (">", Op::Above)];
/// Functions of all series that a name stands for.
const FUNCTIONS: [(&str, Fold); 5] =
    [("sum", Fold::Sum), ("avg", Fold::Average), ("min", Fold::Least), ("max", Fold::Most), ("count", Fold::Count)];
/// Units whose suffixes numbers may have.
const UNITS: [Unit; 4] = [Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Number];

/// Where and why an expression cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct FormulaError {
    /// The character, counted from 1.
    pub column: usize,
    /// What is there, and what would be right.
    pub message: String,
}

/// An expression; two are equal when they are written alike.
#[derive(Clone, Debug)]
pub struct Formula {
    text: String,
    names: Vec<String>,
    steps: Vec<Step>,
}

/// What is done one after the other, on a stack.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Number(f64, Option<Unit>),
    /// The one series of a name.
    One(usize),
    /// All series of a name.
    All(usize, Fold),
    Minus,
    Absolute,
    Not,
    Both(Op),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Plus,
    Minus,
    Times,
    By,
    Below,
    AtMost,
    Above,
    AtLeast,
    Equal,
    Unequal,
    And,
    Or,
}

/// What becomes of several series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    Sum,
    Average,
    Least,
    Most,
    Count,
}

/// A unit with its powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    seconds: i8,
    bytes: i8,
    days: i8,
    /// What is counted; a plain number, where it is none of the metrics'.
    counted: Unit,
    /// Whether it was written as a number without a unit, which fits all.
    is_bare: bool,
}

impl Measure {
    /// One that fits all: of a number without a unit, and of series that nobody knows yet.
    pub const ANY: Self = Self { seconds: 0, bytes: 0, days: 0, counted: Unit::Number, is_bare: true };

    /// That of a metric; of a counter what it rises in a second.
    pub fn of(unit: Unit, is_counter: bool) -> Self {
        let is = |known: Unit| i8::from(unit == known);
        let counted = if matches!(unit, Unit::Seconds | Unit::Bytes | Unit::Days) { Unit::Number } else { unit };
        let seconds = is(Unit::Seconds) - i8::from(is_counter);
        Self { seconds, bytes: is(Unit::Bytes), days: is(Unit::Days), counted, is_bare: false }
    }

    /// The unit that values are shown in and bounds are written in, and whether it is for each second; a plain number where there is none.
    pub fn unit(self) -> (Unit, bool) {
        match (self.seconds, self.bytes, self.days) {
            (0, 0, 0) => (self.counted, false),
            (-1, 0, 0) => (self.counted, true),
            (1, 0, 0) => (Unit::Seconds, false),
            (0, 1, 0) => (Unit::Bytes, false),
            (-1, 1, 0) => (Unit::Bytes, true),
            (0, 0, 1) => (Unit::Days, false),
            _ => (Unit::Number, false),
        }
    }

    fn powers(self) -> [i8; 3] {
        [self.seconds, self.bytes, self.days]
    }

    const fn plain(counted: Unit) -> Self {
        Self { seconds: 0, bytes: 0, days: 0, counted, is_bare: false }
    }

    /// What is added, or compared: of one unit.
    fn alike(self, other: Self) -> Result<Self, String> {
        match (self.is_bare, other.is_bare) {
            (true, _) => Ok(other),
            (_, true) => Ok(self),
            _ if self.powers() != other.powers() => Err(format!("{self} and {other} are no one unit")),
            _ if self.counted == other.counted => Ok(self),
            _ => Ok(Self { counted: Unit::Number, ..self }),
        }
    }

    fn times(self, other: Self, sign: i8) -> Self {
        let power = |one: i8, other: i8| one.saturating_add(other.saturating_mul(sign));
        let counted = match (self.counted, other.counted, sign) {
            (one, Unit::Number, _) if other.is_bare || other.powers() != [0; 3] => one,
            (Unit::Number, one, 1) if self.is_bare || self.powers() != [0; 3] => one,
            (Unit::Ratio, counted, 1) | (counted, Unit::Ratio, _) => counted,
            // Some of the others: a share.
            (_, _, -1) if !self.is_bare => Unit::Ratio,
            _ => Unit::Number,
        };
        let (seconds, bytes, days) = (power(self.seconds, other.seconds), power(self.bytes, other.bytes), power(self.days, other.days));
        // Bytes by bytes are a share, too.
        let is_share = self.powers() == other.powers() && self.powers() != [0; 3] && sign < 0;
        Self { seconds, bytes, days, counted: if is_share { Unit::Ratio } else { counted }, is_bare: self.is_bare && other.is_bare }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit() {
            (unit, true) => write!(f, "{} in a second", unit.name()),
            (unit, false) => f.write_str(unit.name()),
        }
    }
}

impl Formula {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        if text.chars().count() > CHARS_MAX {
            return Err(FormulaError { column: CHARS_MAX + 1, message: format!("it has more than {CHARS_MAX} characters") });
        }
        let mut parser = Parser { text, rest: text.trim_start(), names: Vec::new(), steps: Vec::new(), depth: 0 };
        parser.either()?;
        if !parser.rest.is_empty() {
            return Err(parser.unexpected("an operator or the end"));
        }
        if parser.names.is_empty() {
            return Err(FormulaError { column: 1, message: "it names no series".into() });
        }
        Ok(Self { text: text.trim().to_owned(), names: parser.names, steps: parser.steps })
    }

    /// The names that it is made of.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The unit of what it gives.
    ///
    /// Errors: what cannot be added or compared.
    pub fn measure(&self, of: impl Fn(usize) -> Measure) -> Result<Measure, String> {
        let (mut stack, flag) = (Vec::new(), Measure::plain(Unit::Number));
        for step in &self.steps {
            let measure = match step {
                Step::Number(_, None) => Measure::ANY,
                Step::Number(_, Some(unit)) => Measure::of(*unit, false),
                Step::All(_, Fold::Count) => flag,
                Step::One(name) | Step::All(name, _) => of(*name),
                Step::Minus | Step::Absolute => continue,
                Step::Not => {
                    stack.pop();
                    flag
                }
                Step::Both(op) => {
                    let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else { continue };
                    match op {
                        Op::Plus | Op::Minus => Measure::alike(left, right)?,
                        Op::Times => left.times(right, 1),
                        Op::By => left.times(right, -1),
                        Op::And | Op::Or => flag,
                        Op::Below | Op::AtMost | Op::Above | Op::AtLeast | Op::Equal | Op::Unequal => {
                            Measure::alike(left, right)?;
                            flag
                        }
                    }
                }
            };
            stack.push(measure);
        }
        Ok(stack.pop().unwrap_or(flag))
    }

    /// What it gives, where `of` gives the values of a name; nothing where something is unknown or has no value.
    pub fn value<'v>(&self, of: impl Fn(usize) -> &'v [Option<f64>]) -> Option<f64> {
        let mut stack: Vec<f64> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let value = match *step {
                Step::Number(number, _) => number,
                Step::One(name) => match of(name) {
                    [one] => (*one)?,
                    // None, or nobody knows which.
                    _ => return None,
                },
                Step::All(name, fold) => fold.of(of(name))?,
                Step::Minus => -stack.pop()?,
                Step::Absolute => stack.pop()?.abs(),
                Step::Not => flag(stack.pop()? == 0.0),
                Step::Both(op) => {
                    let (right, left) = (stack.pop()?, stack.pop()?);
                    op.of(left, right)
                }
            };
            stack.push(Some(value).filter(|value| value.is_finite())?);
        }
        stack.pop()
    }
}

impl PartialEq for Formula {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Op {
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Plus => left + right,
            Self::Minus => left - right,
            Self::Times => left * right,
            Self::By => left / right,
            Self::Below => flag(left < right),
            Self::AtMost => flag(left <= right),
            Self::Above => flag(left > right),
            Self::AtLeast => flag(left >= right),
            Self::Equal => flag(left == right),
            Self::Unequal => flag(left != right),
            Self::And => flag(left != 0.0 && right != 0.0),
            Self::Or => flag(left != 0.0 || right != 0.0),
        }
    }
}

impl Fold {
    fn of(self, values: &[Option<f64>]) -> Option<f64> {
        let known: Option<Vec<f64>> = values.iter().copied().collect();
        let known = known.filter(|known| !known.is_empty())?;
        let sum = || known.iter().sum::<f64>();
        Some(match self {
            Self::Sum => sum(),
            Self::Average => sum() / known.len() as f64,
            Self::Least => known.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Most => known.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Count => known.len() as f64,
        })
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
    names: Vec<String>,
    steps: Vec<Step>,
    depth: usize,
}

type Parsed = Result<(), FormulaError>;

impl<'t> Parser<'t> {
    fn either(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault(format!("more than {DEPTH_MAX} brackets within each other")));
        }
        self.chain(Self::both, |parser| parser.word("or").then_some(Op::Or))?;
        self.depth -= 1;
        Ok(())
    }

    fn both(&mut self) -> Parsed {
        self.chain(Self::denial, |parser| parser.word("and").then_some(Op::And))
    }

    fn denial(&mut self) -> Parsed {
        let mut times = 0;
        while self.word("not") {
            times += 1;
        }
        self.comparison()?;
        self.steps.extend(std::iter::repeat_n(Step::Not, times));
        Ok(())
    }

    fn comparison(&mut self) -> Parsed {
        self.sum()?;
        let Some(op) = self.sign(&COMPARISONS) else { return Ok(()) };
        self.sum()?;
        self.steps.push(Step::Both(op));
        // `a < b < c` means nothing that anybody would expect.
        if self.sign(&COMPARISONS).is_some() {
            Err(self.fault("one comparison after the other; write `and` between".into()))
        } else {
            Ok(())
        }
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Self::product, |parser| parser.sign(&[("+", Op::Plus), ("-", Op::Minus)]))
    }

    fn product(&mut self) -> Parsed {
        self.chain(Self::factor, |parser| parser.sign(&[("*", Op::Times), ("/", Op::By)]))
    }

    fn chain(&mut self, part: fn(&mut Self) -> Parsed, op: fn(&mut Self) -> Option<Op>) -> Parsed {
        part(self)?;
        while let Some(op) = op(self) {
            part(self)?;
            self.steps.push(Step::Both(op));
        }
        Ok(())
    }

    fn factor(&mut self) -> Parsed {
        let mut is_negative = false;
        while self.take("-") {
            is_negative = !is_negative;
        }
        self.atom()?;
        self.steps.extend(is_negative.then_some(Step::Minus));
        Ok(())
    }

    fn atom(&mut self) -> Parsed {
        if self.take("(") {
            self.either()?;
            return self.close();
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        let before = self.rest;
        let word = self.name().ok_or_else(|| self.unexpected("a name, a number or ("))?;
        if ["and", "or", "not"].contains(&word) {
            self.rest = before;
            return Err(self.unexpected("a name, a number or ("));
        }
        if !self.take("(") {
            let name = self.known(word)?;
            self.steps.push(Step::One(name));
            return Ok(());
        }
        if word == "abs" {
            self.either()?;
            self.steps.push(Step::Absolute);
            return self.close();
        }
        let Some((_, fold)) = FUNCTIONS.iter().find(|(known, _)| *known == word) else {
            self.rest = before;
            return Err(self.fault(format!("no function is called `{word}`; there are abs, sum, avg, min, max and count")));
        };
        let of = self.name().ok_or_else(|| self.unexpected("the name of some series"))?;
        let name = self.known(of)?;
        self.steps.push(Step::All(name, *fold));
        self.close()
    }

    fn number(&mut self) -> Parsed {
        let digits = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let suffix = self.rest[digits..].find(|c: char| !c.is_alphabetic() && c != '%').map_or(self.rest.len(), |end| digits + end);
        let (written, rest) = self.rest.split_at(suffix);
        let is_bare = digits == suffix;
        let read = UNITS.iter().find_map(|unit| Some((quantity::parse(written, *unit).ok()?, *unit)));
        let Some((number, unit)) = read else { return Err(self.fault(format!("`{written}` is no number with a unit"))) };
        self.steps.push(Step::Number(number, Some(unit).filter(|_| !is_bare)));
        self.rest = rest.trim_start();
        Ok(())
    }

    fn close(&mut self) -> Parsed {
        if self.take(")") { Ok(()) } else { Err(self.unexpected(")")) }
    }

    /// The number of a name.
    fn known(&mut self, name: &str) -> Result<usize, FormulaError> {
        if let Some(place) = self.names.iter().position(|known| known == name) {
            return Ok(place);
        }
        if self.names.len() == NAMES_MAX {
            return Err(self.fault(format!("more than {NAMES_MAX} names")));
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }

    fn name(&mut self) -> Option<&'t str> {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !self.rest.starts_with(is_first) {
            return None;
        }
        let end = self.rest.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        Some(name)
    }

    /// Takes a word if it comes next, alone.
    fn word(&mut self, word: &str) -> bool {
        let before = self.rest;
        let is_it = self.name() == Some(word);
        if !is_it {
            self.rest = before;
        }
        is_it
    }

    fn sign(&mut self, signs: &[(&str, Op)]) -> Option<Op> {
        signs.iter().find(|(sign, _)| self.take(sign)).map(|(_, op)| *op)
    }

    fn take(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn unexpected(&self, expected: &str) -> FormulaError {
        let found = self.rest.chars().next().map_or("the end".into(), |c| c.to_string());
        self.fault(format!("found {found}, expected {expected}"))
    }

    fn fault(&self, message: String) -> FormulaError {
        let read = self.text.len() - self.rest.len();
        FormulaError { column: self.text.get(..read).map_or(0, |read| read.chars().count()) + 1, message }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: [(&str, &[Option<f64>]); 5] =
        [("a", &[Some(6.0)]), ("b", &[Some(2.0)]), ("many", &[Some(1.0), Some(5.0)]), ("gap", &[None]), ("holed", &[Some(1.0), None])];

    fn value(text: &str) -> Option<f64> {
        let formula = Formula::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        formula.value(|name| {
            let name = &formula.names()[name];
            VALUES.iter().find(|(known, _)| known == name).map(|(_, values)| *values).unwrap_or_default()
        })
    }

    #[test]
    fn expressions_give_what_arithmetic_does() {
        let table = [
            ("a", 6.0),
            ("a + b * 2", 10.0),
            ("(a + b) * 2", 16.0),
            ("a - b - 1", 3.0),
            ("a / b / 3", 1.0),
            ("-a + b", -4.0),
            ("--a", 6.0),
            ("a - -b", 8.0),
            ("abs(b - a)", 4.0),
            ("sum(many)", 6.0),
            ("avg(many) + min(many) + max(many) + count(many)", 11.0),
            ("sum(a)", 6.0),
            ("a > b", 1.0),
            ("a < b or a >= 6", 1.0),
            ("a < b or b < a and not a == 6", 0.0),
            ("not a < b", 1.0),
            ("not not a", 1.0),
            ("a!=b", 1.0),
            ("a <= 5.5", 0.0),
            ("a + 500ms", 6.5),
            ("a + 2KiB", 2_054.0),
            ("a * 50%", 3.0),
            ("a + 1k", 1_006.0),
        ];
        for (text, expected) in table {
            assert_eq!(value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn whatever_is_unknown_makes_the_whole_unknown() {
        for text in [
            "gap",
            "a + gap",
            "gap * 0",
            "a > 0 or gap > 0",
            "not gap",
            "sum(holed)",
            "count(holed)",
            "many",
            "a / (b - 2)",
            "none",
            "sum(none)",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn a_fault_names_its_column_and_what_would_be_right() {
        let table = [
            ("", "column 1: found the end, expected a name, a number or ("),
            ("1 + 2", "column 1: it names no series"),
            ("a +", "column 4: found the end, expected a name, a number or ("),
            ("a b", "column 3: found b, expected an operator or the end"),
            ("(a", "column 3: found the end, expected )"),
            ("a )", "column 3: found ), expected an operator or the end"),
            ("a < b < 3", "column 9: one comparison after the other; write `and` between"),
            ("a and or b", "column 7: found o, expected a name, a number or ("),
            ("median(a)", "column 1: no function is called `median`; there are abs, sum, avg, min, max and count"),
            ("sum(1)", "column 5: found 1, expected the name of some series"),
            ("a > 5 parsec", "column 7: found p, expected an operator or the end"),
            ("a > 5parsec", "column 5: `5parsec` is no number with a unit"),
            ("a > 1.2.3", "column 5: `1.2.3` is no number with a unit"),
            ("a = 1", "column 3: found =, expected an operator or the end"),
        ];
        for (text, expected) in table {
            assert_eq!(Formula::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
        assert!(Formula::parse(&format!("{}a{}", "(".repeat(99), ")".repeat(99))).unwrap_err().message.contains("brackets"));
        assert!(Formula::parse(&"a+".repeat(300)).unwrap_err().message.contains("characters"));
    }

    #[test]
    fn units_are_followed_and_what_is_of_two_is_refused() {
        let of = |name: &str| match name {
            "time" => Measure::of(Unit::Seconds, false),
            "size" | "free" => Measure::of(Unit::Bytes, false),
            "received" => Measure::of(Unit::Bytes, true),
            "errors" => Measure::of(Unit::Errors, true),
            "queries" => Measure::of(Unit::Queries, true),
            "share" => Measure::of(Unit::Ratio, false),
            "days" => Measure::of(Unit::Days, false),
            _ => Measure::of(Unit::Messages, false),
        };
        let told = |text: &str| {
            let formula = Formula::parse(text).unwrap();
            match formula.measure(|name| of(&formula.names()[name])) {
                Ok(measure) => measure.to_string(),
                Err(why) => why,
            }
        };
        for (text, expected) in [
            ("time + 500ms", "seconds"),
            ("2 * time", "seconds"),
            ("time * 50%", "seconds"),
            ("deferred + active", "messages"),
            ("deferred / (deferred + active)", "ratio"),
            ("deferred / 10", "messages"),
            ("size / free", "ratio"),
            ("size - free", "bytes"),
            ("errors / queries", "ratio"),
            ("errors + queries", "number in a second"),
            ("received", "bytes in a second"),
            ("received * time", "bytes"),
            ("deferred / errors", "seconds"),
            ("share * 2", "ratio"),
            ("days < 14", "number"),
            ("time > 2s and size > 1GiB", "number"),
            ("count(deferred)", "number"),
            ("time + size", "seconds and bytes are no one unit"),
            ("time > 2GiB", "seconds and bytes are no one unit"),
            ("deferred + errors", "messages and errors in a second are no one unit"),
            ("days + time", "days and seconds are no one unit"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is written, it is read or refused at a column that is there, and no unknown value becomes a number.
        #[test]
        fn whatever_is_written_is_read_or_refused(text in "[ab(). +*/<>=!not1%-]{0,24}") {
            match Formula::parse(&text) {
                Ok(formula) => {
                    let one = [Some(1.0)];
                    let value = formula.value(|_| &one[..]);
                    prop_assert!(value.is_none_or(f64::is_finite));
                    prop_assert_eq!(formula.value(|_| &[None][..]), None);
                    prop_assert!(formula.measure(|_| Measure::of(Unit::Number, false)).is_ok());
                }
                Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
            }
        }
    }
}
