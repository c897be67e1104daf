//! How bad an event is, and how loud a log line.

use serde::{Deserialize, Serialize};

/// X.733 perceived severity, mildest first. `cleared` is a state of an alarm, not a severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// How bad cannot be told.
    Indeterminate,
    /// A potential fault, before it is felt.
    Warning,
    /// Something is wrong that does not stop the service.
    Minor,
    /// The service suffers; act soon.
    Major,
    /// The service is out; act now.
    Critical,
}

/// Loudness of a log line, quietest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is odd.
    Warn,
    /// A state changed.
    Info,
    /// For whoever looks for a fault.
    Debug,
}
