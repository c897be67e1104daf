//! What a program tells, whatever the form: points, events, failures.

use watchpost_plugin_api::{AgentError, Kind, Severity, Unit};

/// One value of one series, with names as the program gave them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) name: String,
    /// `None` where the form has no word for it: then it is a gauge, or what is known of a metric of that name.
    pub(crate) kind: Option<Kind>,
    /// As `kind`.
    pub(crate) unit: Option<Unit>,
    pub(crate) help: Option<String>,
    /// In the order they came.
    pub(crate) labels: Vec<(String, String)>,
    /// `None` is unknown: the program says that it does not know.
    pub(crate) value: Option<f64>,
    /// Seconds since 1970, if the program said when.
    pub(crate) time: Option<f64>,
}

impl Point {
    /// A point of which only name and value are known.
    pub(crate) fn new(name: impl Into<String>, value: Option<f64>) -> Self {
        Self { name: name.into(), kind: None, unit: None, help: None, labels: Vec::new(), value, time: None }
    }

    pub(crate) fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) severity: Severity,
    pub(crate) code: String,
    pub(crate) text: String,
}

/// What one line tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Point(Point),
    Event(Event),
    /// The program could not measure: the run fails so.
    Failed(AgentError),
    /// All of this time is told; the run need not wait for more.
    End,
}
