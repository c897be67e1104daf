//! Between which values a series usually is: beside its rows, for whoever draws or reads them.

use serde::{Deserialize, Serialize, Serializer};

/// How many deviations a band reaches to either side, unless it is said.
pub const DEVIATIONS: f64 = 2.0;
/// How many it may reach.
pub const DEVIATIONS_MAX: f64 = 1_000.0;

/// Between which values most of a series are.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// So many deviations to either side of what is usual.
    pub deviations: f64,
    /// For each row of the series the lower end and the upper one; nothing where too little is known.
    pub rows: Vec<Option<(f64, f64)>>,
}

/// The same as JSON has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// So many deviations to either side of what is usual.
    pub deviations: f64,
    /// The lower ends.
    pub low: Vec<Option<f64>>,
    /// The upper ends.
    pub high: Vec<Option<f64>>,
}

impl Serialize for Band {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (low, high) = self.rows.iter().map(|row| row.map_or((None, None), |(low, high)| (Some(low), Some(high)))).unzip();
        Drawn { deviations: self.deviations, low, high }.serialize(serializer)
    }
}

/// Reads how many deviations a band reaches: a number, or `true`.
pub fn deviations_of(text: &str) -> Option<f64> {
    let deviations = if text == "true" { DEVIATIONS } else { text.parse().ok()? };
    (deviations > 0.0 && deviations <= DEVIATIONS_MAX).then_some(deviations)
}
