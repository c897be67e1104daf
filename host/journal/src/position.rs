//! The number of a record.

use std::fmt;

/// Number of a record in the journal, rising by one from record to record, never given twice.
///
/// A number, not a place in a file: so two positions compare and subtract (how far a consumer is
/// behind), and damage to a file moves none of them. Numbers are skipped where a write failed or a
/// torn tail was found; a number that a reader may once have seen is never given to another record.
///
/// As a bound it means "everything below": a consumer at position 7 has done 0 to 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Below every record.
    pub const START: Self = Self(0);

    /// The position that follows; stays at the last one there is.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    pub(crate) const fn plus(self, records: u64) -> Self {
        Self(self.0.saturating_add(records))
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<Position> for u64 {
    fn from(position: Position) -> Self {
        position.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
