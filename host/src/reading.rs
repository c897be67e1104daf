//! Records of the journal: what one run of one job produced, and what the job's series look like.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{MetricSpec, Severity};
use watchpost_services::outcome::Outcome;

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
