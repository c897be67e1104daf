//! Records of the journal: what one run of one job produced, and what the job's series look like.

mod given;
mod samples;
pub(crate) mod wire;

pub use given::{Given, GivenOutcome};
pub use samples::{GivenSample, Labels, Samples};
use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{MetricSpec, Severity};
use watchpost_services::outcome::Outcome;

use crate::series::keeping::Keeping;

/// One record of the journal.
///
/// The order of variants is the wire format (postcard): append, never insert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A job's series have this shape from here on.
    Shape(Shape),
    /// One run.
    Reading(Reading),
    /// Something of the host's own.
    Event(HostEvent),
    /// A job gives no readings for a while.
    Silence(Silence),
    /// How the series of a job are kept from here on.
    Upkeep(Upkeep),
}

/// The place of [`Record::Reading`] among the variants.
const READING: u32 = 1;

impl Record {
    /// Its bytes, as the journal has them.
    pub fn to_bytes(&self) -> postcard::Result<Vec<u8>> {
        let Self::Reading(reading) = self else { return wire::put(self, Vec::new()) };
        /// Bytes that most records have beside samples, and that most samples have.
        const BESIDE: usize = 128;
        const OF_SAMPLE: usize = 32;
        let Outcome { status, samples, declared, events, events_dropped, refused, refusal, cursor, cursor_read, started_ns, duration_ns } =
            &reading.outcome;
        let head = (READING, &reading.job, reading.cause, reading.slot, reading.due_ns, reading.stale_ns, status);
        let mut bytes = wire::put(&head, Vec::with_capacity(BESIDE + samples.len() * OF_SAMPLE))?;
        samples::write(samples, &mut bytes);
        wire::put(&(declared, events, events_dropped, refused, refusal, cursor, cursor_read, started_ns, duration_ns), bytes)
    }

    /// The job of a record's bytes, if they are a reading: all others are made of more than that.
    pub fn job_of_reading(payload: &[u8]) -> Option<&str> {
        let (job, _) = postcard::take_from_bytes::<&str>(reading_bytes(payload)?).ok()?;
        Some(job)
    }
}

/// The bytes of the reading that a record's bytes are; nothing if they are another one.
fn reading_bytes(payload: &[u8]) -> Option<&[u8]> {
    let (variant, rest) = postcard::take_from_bytes::<u32>(payload).ok()?;
    Some(rest).filter(|_| variant == READING)
}

/// Something that the host reports of itself: nobody's run gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEvent {
    /// When, nanoseconds since 1970.
    pub time_ns: i64,
    /// The job that it is about, if it is about one.
    pub job: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// A short stable word to count by.
    pub code: String,
    /// A sentence.
    pub text: String,
}

/// From a slot on a job gives no readings, until one comes that was due, or there is another reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// When that was known, nanoseconds since 1970.
    pub time_ns: i64,
    /// The job's name.
    pub job: String,
    /// The first slot without a reading, seconds since 1970.
    pub from: i64,
    /// Why there is none.
    pub reason: Reason,
}

/// Why a job gives no reading.
///
/// The order of variants is the wire format (postcard): append, never insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody paused it.
    Paused,
    /// The configuration does not have it.
    Removed,
    /// Its expression is not due in every slot.
    NotDue,
    /// It is due outside its active windows.
    NotActive,
    /// It is due within a blackout.
    Blackout,
    /// Its run before was still under way, or its turn came too late.
    Skipped,
    /// The wall clock was turned past its time.
    ClockStep,
    /// No daemon ran.
    HostDown,
}

/// What the series of a job look like; journaled before the first reading that relies on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The job's name.
    pub job: String,
    /// Its agent's name.
    pub agent: String,
    /// The label `target`.
    pub target: String,
    /// The job's own labels, in the order of the configuration.
    pub labels: Vec<(String, String)>,
    /// Seconds between slots.
    pub step_s: u32,
    /// What the agent declared.
    pub metrics: Vec<MetricSpec>,
}

/// How a job wants its series kept; journaled after its shape, before the first reading that relies on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    /// The job's name.
    pub job: String,
    /// What it was called before; series of that name become its own.
    pub was: Option<String>,
    /// How long rows of which step are kept.
    pub keeping: Keeping,
    /// Seconds between two totals of a counter beyond which the growth between them is unknown; nothing: a day and two steps.
    pub heartbeat_s: Option<u32>,
}

/// Why a run took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It was due.
    Schedule,
    /// Somebody asked (`jobs run`); enters the series only if its slot is free.
    Manual,
}

/// What one run of one job produced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The job's name.
    pub job: String,
    /// Why it ran.
    pub cause: Cause,
    /// The aligned instant the run stands for, seconds since 1970: the due time rounded down to a multiple of the step.
    pub slot: i64,
    /// When it was due, nanoseconds since 1970.
    pub due_ns: i64,
    /// Wall clock after which the values are stale (next due + timeout, and what a reading takes on its way), nanoseconds since 1970.
    pub stale_ns: i64,
    /// What it gave.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::ErrorKind;

    use super::*;

    #[test]
    fn the_job_of_a_reading_is_read_without_the_rest() {
        let outcome = Outcome::failed(ErrorKind::CONNECT, "gone", 0);
        let reading = Reading { job: "mx".into(), cause: Cause::Manual, slot: 60, due_ns: 0, stale_ns: 0, outcome };
        let event = HostEvent { time_ns: 1, job: None, severity: Severity::Minor, code: "mx".into(), text: "mx".into() };
        let job = |record: &Record| Record::job_of_reading(&postcard::to_stdvec(record).unwrap()).map(str::to_owned);
        assert_eq!((job(&Record::Reading(reading)), job(&Record::Event(event))), (Some("mx".into()), None));
        assert_eq!(Record::job_of_reading(&[1, 200]), None);
    }
}
