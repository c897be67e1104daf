//! A reading as its bytes in the journal have it, with no text of it copied: whoever takes each of thousands a second looks at most of it once.

use serde::Deserialize;
use watchpost_plugin_api::MetricSpec;
use watchpost_services::outcome::{Event, Status};

use super::{Cause, Reading};

/// A [`Reading`], borrowed. The order of fields is that of the wire.
#[derive(Debug, PartialEq, Deserialize)]
pub struct Given<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Why it ran.
    pub cause: Cause,
    /// The aligned instant the run stands for, seconds since 1970.
    pub slot: i64,
    /// When it was due, nanoseconds since 1970.
    pub due_ns: i64,
    /// Wall clock after which the values are stale, nanoseconds since 1970.
    pub stale_ns: i64,
    /// What it gave.
    #[serde(borrow)]
    pub outcome: GivenOutcome<'a>,
}

/// What one run gave: an `Outcome`, borrowed.
#[derive(Debug, PartialEq, Deserialize)]
pub struct GivenOutcome<'a> {
    /// How it ended.
    pub status: Status,
    /// What it recorded, in order.
    #[serde(borrow)]
    pub samples: Vec<GivenSample<'a>>,
    /// Metrics declared at run time.
    pub declared: Vec<MetricSpec>,
    /// What it reported, the first hundred.
    pub events: Vec<Event>,
    /// Events beyond the hundred.
    pub events_dropped: u32,
    /// How much was refused.
    pub refused: u32,
    /// The reason of the first refusal.
    pub refusal: Option<&'a str>,
    /// What it left for the next run.
    pub cursor: Option<&'a [u8]>,
    /// Whether it read what the last run left.
    pub cursor_read: bool,
    /// Wall clock at its start, nanoseconds since 1970.
    pub started_ns: i64,
    /// How long it took, nanoseconds, monotonic.
    pub duration_ns: u64,
}

/// One value of one series: a `Sample`, borrowed.
#[derive(Debug, PartialEq, Deserialize)]
pub struct GivenSample<'a> {
    /// The metric's name.
    pub metric: &'a str,
    /// Values of the metric's label keys.
    #[serde(borrow)]
    pub labels: Vec<&'a str>,
    /// A finite number.
    pub value: f64,
}

impl<'a> Given<'a> {
    /// Reads it from a record's bytes; nothing if that is another record, or not understood.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        postcard::from_bytes(super::reading_bytes(payload)?).ok()
    }

    /// Borrows one that was read otherwise.
    pub fn of(reading: &'a Reading) -> Self {
        let outcome = &reading.outcome;
        let sample = |sample: &'a watchpost_services::outcome::Sample| GivenSample {
            metric: &sample.metric,
            labels: sample.labels.iter().map(String::as_str).collect(),
            value: sample.value,
        };
        Self {
            job: &reading.job,
            cause: reading.cause,
            slot: reading.slot,
            due_ns: reading.due_ns,
            stale_ns: reading.stale_ns,
            outcome: GivenOutcome {
                status: outcome.status.clone(),
                samples: outcome.samples.iter().map(sample).collect(),
                declared: outcome.declared.clone(),
                events: outcome.events.clone(),
                events_dropped: outcome.events_dropped,
                refused: outcome.refused,
                refusal: outcome.refusal.as_deref(),
                cursor: outcome.cursor.as_deref(),
                cursor_read: outcome.cursor_read,
                started_ns: outcome.started_ns,
                duration_ns: outcome.duration_ns,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{ErrorKind, Kind, Severity, Unit};
    use watchpost_services::outcome::{Outcome, Sample};

    use super::*;
    use crate::reading::{HostEvent, Record};

    #[test]
    fn a_reading_is_the_same_from_its_bytes_and_from_itself() {
        let sample = |metric: &str, labels: &[&str], value| Sample {
            metric: metric.into(),
            labels: labels.iter().map(|label| (*label).into()).collect(),
            value,
        };
        let declared = MetricSpec { name: "d".into(), kind: Kind::Counter, unit: Unit::Bytes, help: "D.".into(), keys: vec!["k".into()] };
        let outcome = Outcome {
            samples: vec![sample("connect_time", &[], 0.1), sample("queue_size", &["deferred", "é"], -3.0)],
            declared: vec![declared],
            events: vec![Event { severity: Severity::Major, code: "c".into(), text: "t".into() }],
            events_dropped: 3,
            refused: 2,
            refusal: Some("why".into()),
            cursor: Some(vec![0, 200, 255]),
            cursor_read: true,
            duration_ns: 7,
            ..Outcome::failed(ErrorKind::CONNECT, "gone", 12)
        };
        let reading = Reading { job: "mx".into(), cause: Cause::Manual, slot: 60, due_ns: -1, stale_ns: 2, outcome };
        let bytes = postcard::to_stdvec(&Record::Reading(reading.clone())).unwrap();
        assert_eq!(Given::read(&bytes), Some(Given::of(&reading)));
        let plain = Reading { outcome: Outcome { status: Status::Ok, ..Outcome::failed(ErrorKind::CONNECT, "", 0) }, ..reading };
        let bytes = postcard::to_stdvec(&Record::Reading(plain.clone())).unwrap();
        assert_eq!(Given::read(&bytes), Some(Given::of(&plain)));
        assert_eq!(Given::read(&bytes[..bytes.len() - 1]), None);
        let event = HostEvent { time_ns: 1, job: None, severity: Severity::Minor, code: "mx".into(), text: "mx".into() };
        assert_eq!(Given::read(&postcard::to_stdvec(&Record::Event(event)).unwrap()), None);
    }
}
