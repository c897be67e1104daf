//! The jobs of one plugin: those that are open, and those closed so lately that their worker may still be busy with them.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use watchpost_plugin_api::{AgentError, Needs};
use watchpost_services::mask::Masker;

use super::{JobOpen, record::Record, ward::Kept};
use crate::log::{quota::Quota, repeats::Repeats};

/// Closed jobs that are remembered, to be named when their end brings the worker down.
const CLOSED_MAX: usize = 100;
/// Lines of an agent's own that are logged in a minute for one job.
const LINES_A_MINUTE: u32 = 20;

/// The jobs of one plugin, by number.
#[derive(Default)]
pub(super) struct Jobs {
    open: HashMap<u64, Job>,
    /// Those that this worker knew, the latest first.
    closed: VecDeque<JobOpen>,
}

/// A job that is open.
pub(super) struct Job {
    pub(super) open: JobOpen,
    /// Whether the worker at hand was asked to make its agent.
    pub(super) made: bool,
    /// Why its agent could not be made.
    pub(super) error: Option<AgentError>,
    pub(super) record: Record,
    /// How it brought its worker down the last time.
    pub(super) how: String,
    /// Why it is quarantined.
    pub(super) kept: Option<Kept>,
    /// What its agent logged lately, and how much more of it is logged.
    pub(super) said: Repeats,
    pub(super) lines: Quota,
}

impl Job {
    pub(super) fn new(open: JobOpen) -> Self {
        Self {
            open,
            made: false,
            error: None,
            record: Record::default(),
            how: String::new(),
            kept: None,
            said: Repeats::default(),
            lines: Quota::a_minute(LINES_A_MINUTE),
        }
    }
}

impl Jobs {
    pub(super) fn open(&mut self, job: Job) {
        self.open.insert(job.open.number, job);
    }

    pub(super) fn close(&mut self, number: u64) {
        if let Some(job) = self.open.remove(&number) {
            self.closed.truncate(CLOSED_MAX - 1);
            self.closed.push_front(job.open);
        }
    }

    /// Takes a job out, for another worker.
    pub(super) fn take(&mut self, number: u64) -> Option<Job> {
        self.open.remove(&number)
    }

    /// Those that the worker at hand knew: none else can have brought it down.
    pub(super) fn made(&self) -> Vec<u64> {
        let closed = self.closed.iter().map(|job| job.number);
        self.open.values().filter(|job| job.made).map(|job| job.open.number).chain(closed).collect()
    }

    /// Those that are open.
    pub(super) fn all(&self) -> impl Iterator<Item = &Job> {
        self.open.values()
    }

    /// What each of them needs.
    pub(super) fn needs(&self) -> impl Iterator<Item = &Needs> {
        self.open.values().map(|job| &job.open.needs)
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.open.keys().copied()
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Job> {
        self.open.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Job> {
        self.open.get_mut(&number)
    }

    /// The name of a job, open or closed lately.
    pub(super) fn name(&self, number: u64) -> Option<&str> {
        let open = self.open.get(&number).map(|job| &job.open);
        open.or_else(|| self.closed.iter().find(|job| job.number == number)).map(|job| job.name.as_str())
    }

    /// The agent of a job, open or closed lately.
    pub(super) fn agent(&self, number: u64) -> Option<&str> {
        let open = self.open.get(&number).map(|job| &job.open);
        open.or_else(|| self.closed.iter().find(|job| job.number == number)).map(|job| job.agent.as_str())
    }

    /// The longest time between two runs of a job.
    pub(super) fn longest_interval(&self) -> Option<Duration> {
        self.open.values().map(|job| job.open.interval).max()
    }

    /// The shortest time between two runs of a job.
    pub(super) fn shortest_interval(&self) -> Option<Duration> {
        self.open.values().map(|job| job.open.interval).min()
    }

    /// Takes the secrets of a job out of a text; of one that is not known, everybody's.
    pub(super) fn masked(&self, job: Option<u64>, text: &str) -> String {
        match job.and_then(|number| self.open.get(&number)) {
            Some(job) => Masker::new(&job.open.secrets).mask(text),
            None => self.masker().mask(text),
        }
    }

    /// What hides the secrets of all of them: what a worker writes to standard error may hold any.
    pub(super) fn masker(&self) -> Masker {
        let known = self.open.values().map(|job| &job.open).chain(&self.closed);
        Masker::new(&known.flat_map(|job| job.secrets.iter().cloned()).collect::<Vec<_>>())
    }

    /// The worker is dead: the next one knows none of them yet, and the closed ones never.
    pub(super) fn forget_worker(&mut self) {
        self.closed.clear();
        for job in self.open.values_mut() {
            job.made = false;
        }
    }
}
