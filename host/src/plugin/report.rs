//! How a plugin's worker fares, for `status`, `/metrics` and the log.

use std::{path::PathBuf, time::SystemTime};

use serde::{Deserialize, Serialize};

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Its process loads the library.
    Starting,
    /// It takes runs.
    Ready,
    /// It died and is started again later.
    BackingOff,
    /// Its library is refused.
    Refused,
    /// An operator disabled it.
    Disabled,
    /// It is no longer wanted.
    Stopped,
}

impl WorkerState {
    /// The state as people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::BackingOff => "backing off",
            Self::Refused => "refused",
            Self::Disabled => "disabled",
            Self::Stopped => "stopped",
        }
    }
}

/// A worker's death.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// When.
    pub at: SystemTime,
    /// How: signal or exit code.
    pub how: String,
    /// The job that was being polled.
    pub guilty: Option<String>,
    /// The end of that job's dialogue, masked.
    pub dialogue: Option<String>,
    /// The file of its report, in the folder `crashes` of the data folder.
    #[serde(default)]
    pub report: Option<String>,
}

/// That a job does not run because it brought its worker down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The job.
    pub job: String,
    /// In which way.
    pub holding: Holding,
    /// How often it did, without ten good runs in between.
    pub crashes: u32,
    /// How, the last time; fits behind "the worker".
    pub how: String,
    /// When it may run again, seconds since 1970.
    pub until: u64,
}

/// In which way a job is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// For a few of its intervals.
    HeldBack,
    /// Until it runs without harm on probation, or an operator releases it.
    Quarantined,
}

/// How a plugin fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The library.
    pub path: PathBuf,
    /// What its worker is doing.
    pub state: WorkerState,
    /// The worker's process.
    pub pid: Option<u32>,
    /// Jobs open in it.
    pub jobs: usize,
    /// Times it was started again after a death.
    pub restarts: u64,
    /// Deaths.
    pub crashes: u64,
    /// The last death.
    pub last_crash: Option<Crash>,
    /// Why it does not come back, while its library is refused.
    pub refusal: Option<String>,
    /// Lines of its agents that were more than is logged.
    #[serde(default)]
    pub lines_held_back: u64,
    /// Jobs that are held back or quarantined.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Whether the kernel holds its worker to what its jobs need.
    #[serde(default = "confined")]
    pub sandbox: bool,
}

fn confined() -> bool {
    true
}
