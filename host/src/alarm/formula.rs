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
//!
//! Reading order: `parser` (reads it) · `measure` (units) · here (what it gives).

mod measure;
mod parser;
#[cfg(test)]
mod tests;

use std::fmt;

pub use measure::Measure;

use watchpost_plugin_api::Unit;

/// Characters, at most.
const CHARS_MAX: usize = 500;
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

impl Formula {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        if text.chars().count() > CHARS_MAX {
            return Err(FormulaError { column: CHARS_MAX + 1, message: format!("it has more than {CHARS_MAX} characters") });
        }
        let (names, steps) = parser::parse(text)?;
        Ok(Self { text: text.trim().to_owned(), names, steps })
    }

    /// The names that it is made of.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names that each stand for one series, by their places.
    pub fn alone(&self) -> impl Iterator<Item = usize> + '_ {
        self.steps.iter().filter_map(|step| if let Step::One(name) = step { Some(*name) } else { None })
    }

    /// Whether it makes one value of several series.
    pub fn is_folded(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::All(..)))
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
