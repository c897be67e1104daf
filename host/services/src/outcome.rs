//! What one run gave.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{ErrorKind, MetricSpec, Severity};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It measured.
    Ok,
    /// It did not; what it recorded before is kept.
    Failed {
        /// The sort of failure, counted by name.
        kind: ErrorKind,
        /// A sentence for people.
        message: String,
    },
}

impl Status {
    /// The metric `up`: 1, 0, or unknown when the failure is our own.
    pub fn up(&self) -> Option<f64> {
        match self {
            Self::Ok => Some(1.0),
            Self::Failed { kind, .. } if kind.blames_target() => Some(0.0),
            Self::Failed { .. } => None,
        }
    }

    /// Whether the run ended well.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The metric's name, without unit.
    pub metric: String,
    /// Values of the metric's label keys, in declared order; empty for a metric without labels.
    pub labels: Vec<String>,
    /// A finite number.
    pub value: f64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// How bad.
    pub severity: Severity,
    /// A short stable word to count by.
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// Everything one run gave: one record of the journal, with when and for whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What it recorded, in order; a later value of the same series has replaced the earlier one.
    pub samples: Vec<Sample>,
    /// Metrics declared at run time.
    pub declared: Vec<MetricSpec>,
    /// What it reported, the first hundred.
    pub events: Vec<Event>,
    /// Events beyond the hundred.
    pub events_dropped: u32,
    /// Samples, declarations and the like that were refused, with the reason of the first.
    pub refused: u32,
    /// The reason of the first refusal.
    pub refusal: Option<String>,
    /// What it left for the next run, if it left something.
    pub cursor: Option<Vec<u8>>,
    /// Whether it read what the last run left.
    pub cursor_read: bool,
    /// Wall clock at its start, nanoseconds since 1970.
    pub started_ns: i64,
    /// How long it took, nanoseconds, monotonic.
    pub duration_ns: u64,
}

impl Outcome {
    /// The outcome of a run that never came to measure.
    pub fn failed(kind: ErrorKind, message: impl Into<String>, started_ns: i64) -> Self {
        Self {
            status: Status::Failed { kind, message: message.into() },
            samples: Vec::new(),
            declared: Vec::new(),
            events: Vec::new(),
            events_dropped: 0,
            refused: 0,
            refusal: None,
            cursor: None,
            cursor_read: false,
            started_ns,
            duration_ns: 0,
        }
    }
}
