//! What one run gave, in words a test asks with.

use watchpost_plugin_api::{Level, Metric};
use watchpost_services::{
    dialogue::{Said, Speaker},
    outcome::{Outcome, Status},
};

/// What one run gave.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What would be stored.
    pub outcome: Outcome,
    /// What was said, if it was to be kept.
    pub dialogue: Vec<Said>,
    /// What the agent logged.
    pub logged: Vec<(Level, String)>,
}

impl Ran {
    /// Kind and message of the failure; `None` if the run ended well.
    pub fn failure(&self) -> Option<(&'static str, &str)> {
        match &self.outcome.status {
            Status::Ok => None,
            Status::Failed { kind, message } => Some((kind.name(), message)),
        }
    }

    /// What the run waited for when it met its deadline, as its message says; `None` if it did not meet it, or waited for nothing that is known.
    pub fn awaited(&self) -> Option<&str> {
        let (_, told) = self.failure()?.1.strip_prefix("no end within ")?.split_once(": ")?;
        Some(told.rsplit_once("; ").map_or(told, |(awaited, _)| awaited))
    }

    /// The value of a metric without labels; `None` if it was not recorded.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        let of_metric = self.outcome.samples.iter().find(|sample| sample.metric == metric.name() && sample.labels.is_empty());
        of_metric.map(|sample| sample.value)
    }

    /// The value of a metric in seconds as whole nanoseconds, as the run's clock counted them.
    pub fn nanos(&self, metric: Metric) -> Option<u64> {
        // A double holds whole nanoseconds exactly for 104 days.
        self.value(metric).map(|seconds| (seconds * 1e9).round() as u64)
    }

    /// Names of what was recorded, in order.
    pub fn recorded(&self) -> Vec<&str> {
        self.outcome.samples.iter().map(|sample| sample.metric.as_str()).collect()
    }

    /// Lines that one side said.
    pub fn said_by(&self, speaker: Speaker) -> Vec<&str> {
        self.dialogue.iter().filter(|said| said.speaker == speaker).map(|said| said.text.as_str()).collect()
    }

    /// Everything a person could come to see of this run, as one text: to look for what must not be in it.
    pub fn everything(&self) -> String {
        format!("{:#?}", self)
    }
}
