//! A run in the form of Nagios' plugins, which its kin understand too: a verdict, a sentence, and figures.
//!
//! Source: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios", "Performance data".

use watchpost_plugin_api::{Kind, MetricSpec, Severity, Unit};
use watchpost_services::outcome::{Sample, Status};

use crate::plain;

/// A verdict; its number is the exit code of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// All is well.
    Ok = 0,
    /// Somebody should look at it.
    Warning = 1,
    /// Somebody has to look at it.
    Critical = 2,
    /// It could not be found out.
    Unknown = 3,
}

impl Verdict {
    /// The verdict on a run.
    pub fn of(status: &Status) -> Self {
        match status.up() {
            Some(up) if up > 0.0 => Self::Ok,
            Some(_) => Self::Critical,
            None => Self::Unknown,
        }
    }

    /// The verdict on an alarm that is active.
    pub fn of_alarm(severity: Severity) -> Self {
        match severity {
            Severity::Critical | Severity::Major => Self::Critical,
            Severity::Minor | Severity::Warning => Self::Warning,
            _ => Self::Unknown,
        }
    }

    /// The worse one of two; who does not know is less sure than who has seen something.
    pub fn or_worse(self, other: Self) -> Self {
        let badness = |verdict: &Self| match verdict {
            Self::Ok => 0,
            Self::Unknown => 1,
            Self::Warning => 2,
            Self::Critical => 3,
        };
        if badness(&other) > badness(&self) { other } else { self }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A figure, the values of its labels behind its name: `queue_size.deferred=3`.
pub fn figure(sample: &Sample, metrics: &[MetricSpec]) -> String {
    // What stands in a name without quotes.
    let safe = |label: &String| label.replace(|c: char| !c.is_alphanumeric() && !"-_.".contains(c), "_");
    let labels: String = sample.labels.iter().map(|label| format!(".{}", safe(label))).collect();
    format!("{}{labels}={}{}", sample.metric, sample.value, unit(sample, metrics))
}

/// The guidelines' unit of a figure: seconds, bytes, a counter, or none.
fn unit(sample: &Sample, metrics: &[MetricSpec]) -> &'static str {
    match metrics.iter().find(|metric| metric.name == sample.metric) {
        Some(metric) if metric.kind == Kind::Counter => "c",
        Some(metric) if metric.unit == Unit::Seconds => "s",
        Some(metric) if metric.unit == Unit::Bytes => "B",
        _ => "",
    }
}

/// One line of what can be shown: a bar would begin the figures, and a line break the next line.
pub fn line(text: &str) -> String {
    plain(text).replace('|', "/")
}
