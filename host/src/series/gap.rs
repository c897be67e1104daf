//! Gaps: why a series has no value for a while.
//!
//! A reading that failed says so itself; what was not measured at all is told by a [`Silence`](crate::reading::Silence). The [`book`] makes
//! spans of both, job by job, and the catalogue keeps these beside the series.

pub mod book;
pub mod silences;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::Status;

use crate::reading::Reason;

/// Why nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The job was not to run: paused, not in the configuration, not due, outside its active windows.
    NotScheduled,
    /// The job was not to run: a blackout.
    Blackout,
    /// A run was due and did not begin: the one before was under way, or its library is held back.
    Skipped,
    /// The wall clock was turned past the job's time.
    ClockStepped,
    /// No daemon ran.
    HostDown,
    /// The target did not answer as it should.
    TargetDown,
    /// The agent failed.
    AgentFailed,
    /// The run was cut short through no fault of its own.
    Interrupted,
    /// A run was due, and the journal has nothing of it: it could not be written.
    NotStored,
    /// The run gave other values, and not this one.
    NotRecorded,
}

impl Cause {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotScheduled => "not_scheduled",
            Self::Blackout => "blackout",
            Self::Skipped => "skipped",
            Self::ClockStepped => "clock_stepped",
            Self::HostDown => "host_down",
            Self::TargetDown => "target_down",
            Self::AgentFailed => "agent_failed",
            Self::Interrupted => "interrupted",
            Self::NotStored => "not_stored",
            Self::NotRecorded => "not_recorded",
        }
    }
}

/// Some time of which nothing is known, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// After this instant, seconds since 1970.
    pub from: i64,
    /// Up to this one.
    pub to: i64,
    /// Why.
    pub cause: Cause,
    /// The kind of a failure, or why a job was not scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Gap {
    /// Cause and detail as one word for a cell.
    pub fn said(&self) -> String {
        self.detail.as_ref().map_or_else(|| self.cause.name().to_owned(), |detail| format!("{}: {detail}", self.cause.name()))
    }

    /// The part of it that lies in a range; nothing if none does.
    pub fn within(&self, from: i64, to: i64) -> Option<Self> {
        let (from, to) = (self.from.max(from), self.to.min(to));
        (from < to).then(|| Self { from, to, ..self.clone() })
    }
}

/// Why a run gave less than it should; nothing if it ended well.
pub fn of_status(status: &Status) -> Option<(Cause, Option<String>)> {
    let Status::Failed { kind, .. } = status else { return None };
    let named = |cause| Some((cause, Some(kind.name().to_owned())));
    match *kind {
        ErrorKind::INTERRUPTED => Some((Cause::Interrupted, None)),
        ErrorKind::SKIPPED => Some((Cause::Skipped, None)),
        kind if kind.blames_target() => named(Cause::TargetDown),
        _ => named(Cause::AgentFailed),
    }
}

/// What a reason comes to.
pub fn of_reason(reason: Reason) -> (Cause, Option<String>) {
    let not_scheduled = |why: &str| (Cause::NotScheduled, Some(why.to_owned()));
    match reason {
        Reason::Paused => not_scheduled("paused"),
        Reason::Removed => not_scheduled("removed"),
        Reason::NotDue => not_scheduled("not_due"),
        Reason::NotActive => not_scheduled("not_active"),
        Reason::Blackout => (Cause::Blackout, None),
        Reason::Skipped => (Cause::Skipped, None),
        Reason::ClockStep => (Cause::ClockStepped, None),
        Reason::HostDown => (Cause::HostDown, None),
    }
}
