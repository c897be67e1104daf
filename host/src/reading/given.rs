//! A reading as its bytes in the journal have it, with no text of it copied: whoever takes each of thousands a second looks at most of it once.

use serde::Deserialize;
use watchpost_plugin_api::MetricSpec;
use watchpost_services::outcome::{Event, Status};

use super::samples::Samples;
use super::{Cause, Reading};

/// A [`Reading`], borrowed.
#[derive(Debug, PartialEq)]
pub struct Given<'a> {
    /// The job's name.
    pub job: &'a str,
    /// Why it ran.
    pub cause: Cause,
    /// The aligned instant the run stands for, seconds since 1970.
    pub slot: i64,
    /// What it gave.
    pub outcome: GivenOutcome<'a>,
}

/// What one run gave: of an `Outcome`, what its series take.
#[derive(Debug, PartialEq)]
pub struct GivenOutcome<'a> {
    /// How it ended.
    pub status: Status,
    /// What it recorded, in order.
    pub samples: Samples<'a>,
    /// Metrics declared at run time.
    pub declared: Vec<MetricSpec>,
    /// Wall clock at its start, nanoseconds since 1970.
    pub started_ns: i64,
    /// How long it took, nanoseconds, monotonic.
    pub duration_ns: u64,
}

/// What comes before the samples. The order of fields is that of the wire.
#[derive(Deserialize)]
struct Head<'a> {
    job: &'a str,
    cause: Cause,
    slot: i64,
    _due_ns: i64,
    _stale_ns: i64,
    status: Status,
}

/// What comes after them, likewise.
#[derive(Default, Deserialize)]
struct Tail<'a> {
    declared: Vec<MetricSpec>,
    _events: Vec<Event>,
    _events_dropped: u32,
    _refused: u32,
    _refusal: Option<&'a str>,
    _cursor: Option<&'a [u8]>,
    _cursor_read: bool,
    started_ns: i64,
    duration_ns: u64,
}

impl<'a> Tail<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        // Most runs declare nothing, report nothing, are refused nothing and leave nothing: that is seen at once.
        let Some(rest) = bytes.strip_prefix(&[0; 6]) else { return postcard::from_bytes(bytes).ok() };
        let (_cursor_read, started_ns, duration_ns): (bool, _, _) = postcard::from_bytes(rest).ok()?;
        Some(Self { started_ns, duration_ns, ..Self::default() })
    }
}

impl<'a> Given<'a> {
    /// Reads it from a record's bytes; nothing if that is another record, or not understood.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let (head, rest) = postcard::take_from_bytes::<Head<'a>>(super::reading_bytes(payload)?).ok()?;
        let (samples, rest) = Samples::read(rest)?;
        let Tail { declared, started_ns, duration_ns, .. } = Tail::read(rest)?;
        let outcome = GivenOutcome { status: head.status, samples, declared, started_ns, duration_ns };
        Some(Self { job: head.job, cause: head.cause, slot: head.slot, outcome })
    }

    /// Borrows one that was read otherwise.
    pub fn of(reading: &'a Reading) -> Self {
        let outcome = &reading.outcome;
        Self {
            job: &reading.job,
            cause: reading.cause,
            slot: reading.slot,
            outcome: GivenOutcome {
                status: outcome.status.clone(),
                samples: Samples::of(&outcome.samples),
                declared: outcome.declared.clone(),
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
        assert_eq!(Record::Reading(reading.clone()).to_bytes().unwrap(), bytes);
        let plain = Reading { outcome: Outcome { status: Status::Ok, ..Outcome::failed(ErrorKind::CONNECT, "", 0) }, ..reading };
        let bytes = postcard::to_stdvec(&Record::Reading(plain.clone())).unwrap();
        assert_eq!(Record::Reading(plain.clone()).to_bytes().unwrap(), bytes);
        assert_eq!(Given::read(&bytes), Some(Given::of(&plain)));
        assert_eq!(Given::read(&bytes[..bytes.len() - 1]), None);
        let event = HostEvent { time_ns: 1, job: None, severity: Severity::Minor, code: "mx".into(), text: "mx".into() };
        assert_eq!(Given::read(&postcard::to_stdvec(&Record::Event(event)).unwrap()), None);
    }
}
