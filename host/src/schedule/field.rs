//! One field of a cron expression: each item as it was written, and what is wrong with it.
//!
//! Unix' dialect, not the `cron` crate's: Sunday is 0 and 7, ranges may wrap (`FRI-MON`, `22-2`), names may stand
//! wherever numbers may. What Unix takes but hardly anybody means (a step past the end of the field) is refused.

use std::fmt;

use ::cron::TimeUnitSpec;

/// Days of the week, Sunday first as cron counts.
pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Months, January first.
pub(super) const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// A place in a cron expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// 0-59; the field that stands first where there are six.
    Second,
    /// 0-59.
    Minute,
    /// 0-23.
    Hour,
    /// 1-31.
    DayOfMonth,
    /// 1-12 or JAN-DEC.
    Month,
    /// 0-7 or SUN-SAT; 0 and 7 are Sunday.
    DayOfWeek,
}

/// What is wrong with one item of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemFault {
    /// Nothing between two commas, or nothing at a range's end.
    #[error("nothing stands here; write *, a value, or a range")]
    Empty,
    /// `?`, `L`, `W` and `#` belong to other dialects.
    #[error("{sign:?} belongs to another dialect; write *, values, ranges and steps")]
    OtherDialect {
        /// The foreign sign.
        sign: char,
    },
    /// Neither a number nor a name of this field.
    #[error("{word:?} is not a value; write {first}-{last}{}", name_hint(*.name))]
    NotAValue {
        /// What stands there.
        word: String,
        /// Lowest number of the field.
        first: u32,
        /// Highest number of the field.
        last: u32,
        /// The name meant, if one comes near.
        name: Option<&'static str>,
    },
    /// A number outside the field.
    #[error("{value} is outside {first}-{last}")]
    OutOfRange {
        /// What was written.
        value: u32,
        /// Lowest number of the field.
        first: u32,
        /// Highest number of the field.
        last: u32,
    },
    /// A step that is no number, or zero.
    #[error("step {step:?} is not a number from 1 on")]
    BadStep {
        /// What stands behind the slash.
        step: String,
    },
    /// A step behind a single value, which dialects read differently.
    #[error("a step needs a range; write {first}-{last}/{step} or */{step}")]
    StepWithoutRange {
        /// The single value.
        first: u32,
        /// Highest number of the field.
        last: u32,
        /// The step.
        step: u32,
    },
    /// A step no second value can follow, as in `*/90` of minutes.
    #[error("step {step} is more than the field's {size} values; a longer span is written with every = \"…\"")]
    StepTooLong {
        /// The step.
        step: u32,
        /// How many values the field has.
        size: u32,
    },
}

/// The values a field allows, and whether it was written starting with `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Bit n is set where value n is allowed; Sunday is bit 0 only.
    pub(super) values: u64,
    /// Vixie cron's mark of an open field: its text starts with `*`, whatever follows.
    pub(super) starred: bool,
}

/// An item of a field: every `step`-th of `length` places from `start` on, past the field's end where it wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Places from the lowest value on: 0 is Sunday, January, the first of the month, second 0.
    pub(super) start: u32,
    /// From first to last, both counted; `0-7` of weekdays has 8, Sunday twice.
    pub(super) length: u32,
    pub(super) step: u32,
}

impl Field {
    /// Takes the values that the `cron` crate read from a field that was written as `text`.
    pub(super) fn taken(kind: FieldKind, text: &str, read: &impl TimeUnitSpec) -> Self {
        let values = read.iter().map(|value| value - kind.low_in_crate() + kind.low());
        Self { values: values.fold(0, |set, value| set | 1 << value), starred: text.starts_with('*') }
    }
}

impl Stretch {
    /// Reads an item.
    pub(super) fn parse(kind: FieldKind, item: &str) -> Result<Self, ItemFault> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let step = step.map(|step| step_value(kind, step)).transpose()?;
        let (low, high) = kind.bounds();
        let (first, last) = match (range.split_once('-'), step) {
            _ if range == "*" => (low, low + kind.size() - 1),
            (Some((first, last)), _) => (value(kind, first)?, value(kind, last)?),
            (None, None) => (value(kind, range)?, value(kind, range)?),
            (None, Some(step)) => {
                let first = value(kind, range)?;
                return Err(ItemFault::StepWithoutRange { first, last: high, step });
            }
        };
        let length = if first <= last { last - first } else { kind.size() - (first - last) } + 1;
        Ok(Self { start: (first - low) % kind.size(), length, step: step.unwrap_or(1) })
    }
}

impl FieldKind {
    /// Every field, in the order of an expression with six.
    pub(super) const ALL: [Self; 6] = [Self::Second, Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    /// The lowest and highest number that may be written.
    const fn bounds(self) -> (u32, u32) {
        match self {
            Self::Second | Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::DayOfMonth => (1, 31),
            Self::Month => (1, 12),
            Self::DayOfWeek => (0, 7),
        }
    }

    /// The lowest value.
    const fn low(self) -> u32 {
        self.bounds().0
    }

    /// The lowest value as the `cron` crate counts: its Sunday is 1.
    pub(super) const fn low_in_crate(self) -> u32 {
        match self {
            Self::DayOfWeek => 1,
            _ => self.low(),
        }
    }

    /// How many values differ: Sunday has two numbers.
    pub(super) const fn size(self) -> u32 {
        match self {
            Self::DayOfWeek => 7,
            _ => self.bounds().1 - self.low() + 1,
        }
    }

    /// The names of the values from the lowest on.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// Gives the lowest value from `from` on.
pub(super) const fn next_value(values: u64, from: u32) -> Option<u32> {
    let rest = if from < u64::BITS { values >> from << from } else { 0 };
    if rest == 0 { None } else { Some(rest.trailing_zeros()) }
}

/// Gives the values by rising number.
pub(super) fn values(set: u64) -> impl Iterator<Item = u32> {
    std::iter::successors(next_value(set, 0), move |value| next_value(set, value + 1))
}

fn step_value(kind: FieldKind, step: &str) -> Result<u32, ItemFault> {
    let number = step.bytes().all(|b| b.is_ascii_digit()).then(|| step.parse().ok()).flatten();
    match number {
        None | Some(0) => Err(ItemFault::BadStep { step: step.to_owned() }),
        Some(step) if step > kind.size() => Err(ItemFault::StepTooLong { step, size: kind.size() }),
        Some(step) => Ok(step),
    }
}

fn value(kind: FieldKind, word: &str) -> Result<u32, ItemFault> {
    let (first, last) = kind.bounds();
    if word.is_empty() {
        return Err(ItemFault::Empty);
    }
    if let Some(place) = kind.names().iter().position(|name| name.eq_ignore_ascii_case(word)) {
        return Ok(first + place as u32);
    }
    if word.bytes().all(|b| b.is_ascii_digit()) {
        let value = word.parse().unwrap_or(u32::MAX);
        let inside = (first..=last).contains(&value);
        return if inside { Ok(value) } else { Err(ItemFault::OutOfRange { value, first, last }) };
    }
    if let Some(sign) = word.chars().find(|c| "?#".contains(*c)) {
        return Err(ItemFault::OtherDialect { sign });
    }
    Err(ItemFault::NotAValue { word: word.to_owned(), first, last, name: meant(kind, word) })
}

/// Finds the name that starts as `word` does ("monday") or looks like it ("tus").
fn meant(kind: FieldKind, word: &str) -> Option<&'static str> {
    let word = word.to_ascii_uppercase();
    let begins = kind.names().iter().find(|name| word.starts_with(**name));
    let near = || kind.names().iter().find(|name| strsim::levenshtein(name, &word) == 1);
    begins.or_else(near).copied()
}

fn name_hint(name: Option<&'static str>) -> String {
    name.map(|name| format!(", or {name}")).unwrap_or_default()
}
