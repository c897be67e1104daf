//! How a plugin's worker fares, for `status`, `/metrics` and the log.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

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

/// A worker that has some of a library's jobs to itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// Its process.
    pub pid: Option<u32>,
    /// The jobs, by name.
    pub jobs: Vec<String>,
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
    /// Workers that have some of its jobs to themselves, to find out which job brings them down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apart: Vec<Apart>,
    /// Whether the kernel holds its worker to what its jobs need.
    #[serde(default = "confined")]
    pub sandbox: bool,
}

fn confined() -> bool {
    true
}

impl Report {
    /// Adds what became of workers that have some of the jobs to themselves.
    fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.held.extend(other.held.iter().cloned());
        self.held.sort_by(|a, b| a.job.cmp(&b.job));
        self.inherit(other);
    }

    /// Adds what stays of one that is no more.
    fn inherit(&mut self, other: &Self) {
        self.restarts += other.restarts;
        self.crashes += other.crashes;
        self.lines_held_back += other.lines_held_back;
        let at = |report: &Self| report.last_crash.as_ref().map(|crash| crash.at);
        if at(other) > at(self) {
            self.last_crash.clone_from(&other.last_crash);
        }
    }
}

/// How a plugin fares, told at any time while its workers run.
pub(super) struct Told {
    own: Mutex<Report>,
    apart: Mutex<Vec<Arc<Told>>>,
}

impl Told {
    pub(super) fn new(report: Report) -> Arc<Self> {
        Arc::new(Self { own: Mutex::new(report), apart: Mutex::default() })
    }

    /// The part of the worker that has no jobs to itself.
    pub(super) fn own(&self) -> MutexGuard<'_, Report> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it.
    pub(super) fn all(&self) -> Report {
        let apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.own().clone();
        for other in apart.iter().map(|told| told.own()) {
            all.add(&other);
            all.apart.extend(other.apart.iter().map(|apart| Apart { pid: other.pid, ..apart.clone() }));
        }
        all
    }

    /// Tells of a worker that has these jobs to itself, from now on.
    pub(super) fn begin_apart(&self, jobs: Vec<String>) -> Arc<Self> {
        let own = self.own().clone();
        let (state, pid, jobs) = (WorkerState::Starting, None, vec![Apart { pid: None, jobs }]);
        let (restarts, crashes, last_crash, refusal, held, lines_held_back) = (0, 0, None, None, Vec::new(), 0);
        let report = Report { state, pid, jobs: 0, restarts, crashes, last_crash, refusal, held, lines_held_back, apart: jobs, ..own };
        let told = Self::new(report);
        self.apart.lock().unwrap_or_else(PoisonError::into_inner).push(told.clone());
        told
    }

    /// Tells of it no more: what it came to stays.
    pub(super) fn end_apart(&self, told: &Arc<Self>) {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        apart.retain(|known| !Arc::ptr_eq(known, told));
        self.own().inherit(&told.own());
    }
}
