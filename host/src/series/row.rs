//! Rows: what every data source of a file is at one instant.

use serde::{Deserialize, Serialize};

/// One cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Datum {
    /// Nobody knows. Never 0.
    Unknown,
    /// A finite value.
    Gauge(f64),
    /// A running total; RRD's COUNTER takes integers.
    Total(u64),
}

impl Datum {
    /// Takes a gauge's value; a number that is none is unknown.
    pub fn gauge(value: f64) -> Self {
        if value.is_finite() { Self::Gauge(value) } else { Self::Unknown }
    }

    /// Takes a counter's total, rounded; negative and unrepresentable totals are unknown.
    pub fn total(value: f64) -> Self {
        const TOTAL_MAX: f64 = 18_446_744_073_709_551_616.0; // 2^64
        let rounded = value.round();
        if !(0.0..TOTAL_MAX).contains(&rounded) {
            return Self::Unknown;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and from 0 to below 2^64")]
        Self::Total(rounded as u64)
    }

    /// The running total, if it is one.
    pub fn as_total(self) -> Option<u64> {
        match self {
            Self::Total(total) => Some(total),
            _ => None,
        }
    }

    /// The value, if it is a gauge's.
    pub fn as_gauge(self) -> Option<f64> {
        match self {
            Self::Gauge(value) => Some(value),
            _ => None,
        }
    }
}

/// What every data source of a file is at `stamp`, in the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Seconds since 1970.
    pub stamp: i64,
    /// One cell for each data source.
    pub cells: Vec<Datum>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_unknown() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((Datum::gauge(value), Datum::total(value)), (Datum::Unknown, Datum::Unknown));
        }
        assert_eq!(Datum::total(-1.0), Datum::Unknown);
        assert_eq!(Datum::total(1e300), Datum::Unknown);
        assert_eq!(Datum::total(18_446_744_073_709_551_616.0), Datum::Unknown);
        assert_eq!(Datum::total(2.5), Datum::Total(3));
        assert_eq!(Datum::total(-0.2), Datum::Total(0));
    }
}
