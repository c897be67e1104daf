//! Events: what agents and the host reported, kept for a month.
//!
//! Reading order: [`Event`] (one of them) · [`store`] (a file a day, fed from the journal) · [`request`] (what is asked of it).

pub mod request;
pub mod store;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

use crate::reading::{HostEvent, Reading, Record};

/// Code of the event that stands for those a run reported beyond what is kept of one run.
pub const DROPPED: &str = "events_dropped";

/// Something that happened, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it was reported, seconds since 1970.
    pub time: f64,
    /// Whose run reported it, or which job it is about; nothing for what concerns the host alone.
    pub job: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// A short stable word to count by.
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// An event as a record of the journal gives it; the place tells those of one record apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Whether one that is alike in all is the same, and was said again.
    is_once: bool,
    place: u32,
    time_ns: i64,
    job: Option<String>,
    severity: Severity,
    code: String,
    text: String,
}

impl Reported {
    /// The events of a record.
    pub fn of(record: Record) -> Vec<Self> {
        match record {
            Record::Shape(_) | Record::Silence(_) | Record::Upkeep(_) => Vec::new(),
            Record::Reading(reading) => of_run(reading),
            Record::Event(HostEvent { time_ns, job, severity, code, text }) => {
                vec![Self { is_once: true, place: 0, time_ns, job, severity, code, text }]
            }
        }
    }
}

fn of_run(reading: Reading) -> Vec<Reported> {
    let (job, outcome) = (reading.job, reading.outcome);
    let time_ns = outcome.started_ns.saturating_add_unsigned(outcome.duration_ns);
    let dropped = (outcome.events_dropped > 0).then(|| watchpost_services::outcome::Event {
        severity: Severity::Warning,
        code: DROPPED.into(),
        text: format!("{} more events of this run were not kept", outcome.events_dropped),
    });
    let events = outcome.events.into_iter().chain(dropped).zip(0..);
    events
        .map(|(it, place)| Reported {
            is_once: false,
            place,
            time_ns,
            job: Some(job.clone()),
            severity: it.severity,
            code: it.code,
            text: it.text,
        })
        .collect()
}
