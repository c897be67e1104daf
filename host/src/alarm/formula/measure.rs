//! The unit of what an expression gives: seconds, bytes and days with their powers, and what is counted.

use std::fmt;

use watchpost_plugin_api::Unit;

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

    pub(super) const fn plain(counted: Unit) -> Self {
        Self { seconds: 0, bytes: 0, days: 0, counted, is_bare: false }
    }

    /// What is added, or compared: of one unit.
    pub(super) fn alike(self, other: Self) -> Result<Self, String> {
        match (self.is_bare, other.is_bare) {
            (true, _) => Ok(other),
            (_, true) => Ok(self),
            _ if self.powers() != other.powers() => Err(format!("{self} and {other} are no one unit")),
            _ if self.counted == other.counted => Ok(self),
            _ => Ok(Self { counted: Unit::Number, ..self }),
        }
    }

    pub(super) fn times(self, other: Self, sign: i8) -> Self {
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
