//! What `status` tells: the health of host, workers and jobs.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;
use watchpost_services::outcome::Status as RunStatus;
use watchpost_worker::confine::kernel::Gap;

use crate::{
    expose::host_metrics::process::resident_bytes,
    latest::{Health, JobState, Snapshot},
    plugin::{Held, Holding, Plugin, Plugins, Report},
    series::selector::notation,
};

/// Everything `status` tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The daemon itself.
    pub host: Host,
    /// One for each library.
    pub workers: Vec<Worker>,
    /// One for each job, by name.
    pub jobs: Vec<Job>,
}

/// The daemon itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started, seconds since 1970.
    pub started: u64,
    /// The configuration in force.
    pub config: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// Where it listens: the port that it has, also where the configuration leaves that to the system.
    pub listen: String,
    /// Memory in use, bytes.
    pub memory_bytes: Option<u64>,
    /// Whether it is ready, and if not, why.
    pub not_ready: Option<String>,
    /// Whether readings are being stored: `ok`, else why not.
    pub journal: String,
    /// Whether they enter their series: `ok`, else why not.
    pub series: String,
    /// Records each view of the journal is behind.
    pub behind: BTreeMap<String, u64>,
    /// How many alarms are active, by severity.
    #[serde(default)]
    pub alarms: BTreeMap<Severity, usize>,
    /// Channels that cannot be told, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channels_failing: BTreeMap<String, String>,
    /// Series files that were set aside and whose rows are not all taken over yet.
    #[serde(default)]
    pub migrating: usize,
    /// Libraries that did not load, and why.
    pub refused_libraries: Vec<(PathBuf, String)>,
    /// What confined agents are not held to on this machine.
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

/// A library and its worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Worker {
    /// Its short name.
    pub plugin: String,
    /// Memory in use by its process, bytes.
    pub memory_bytes: Option<u64>,
    /// That it is on trial, or why its changed file is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How it fares.
    #[serde(flatten)]
    pub report: Report,
}

/// A job, as people ask for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Its agent.
    pub agent: String,
    /// What it measures.
    pub target: String,
    /// `ok`, `failing` or `unknown`.
    pub health: String,
    /// The value of `up`, if it is known.
    pub up: Option<f64>,
    /// Since when it stands so, seconds since 1970.
    pub since: Option<f64>,
    /// The kind of its last failure, while it fails.
    pub kind: Option<String>,
    /// Why it fails, or why nothing is known.
    pub why: Option<String>,
    /// When it ran last, seconds since 1970.
    pub last_run: Option<f64>,
    /// When it runs next, seconds since 1970; none while it is paused.
    pub next_run: Option<f64>,
    /// Runs since the daemon started.
    pub runs: u64,
    /// Runs that ended well.
    pub ok: u64,
    /// Runs that were due and not started.
    pub skipped: u64,
    /// Runs that reached their deadline.
    pub timed_out: u64,
    /// Runs that did not end well, by kind; those that reached their deadline among them.
    pub failed: BTreeMap<String, u64>,
    /// Why it does not run, if it brought its worker down too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// The last values, by series as SERIES has it, without the labels that the job gives.
    pub values: BTreeMap<String, f64>,
}

impl Job {
    /// Shows one job of a snapshot.
    pub fn of(state: &JobState, now_ns: i64) -> Self {
        let last = state.last.as_ref();
        let current = state.fresh(now_ns);
        // A failure of the target that is too old is not what stands now; one of our own is why nothing is known.
        let stands = last.filter(|last| current.is_some() || Health::of(&last.status) == Health::Unknown);
        let failure = stands.and_then(|last| match &last.status {
            RunStatus::Ok => None,
            RunStatus::Failed { kind, message } => Some((kind.name().to_owned(), message.clone())),
        });
        let why = match (&failure, last, current) {
            (Some((_, message)), ..) => Some(message.clone()),
            (None, None, _) => Some("no run yet".to_owned()),
            (None, Some(_), None) => Some("its last values are too old".to_owned()),
            (None, Some(_), Some(_)) => None,
        };
        let failed: BTreeMap<String, u64> = state.counts.failed.iter().map(|(kind, count)| (kind.name().to_owned(), *count)).collect();
        Self {
            name: state.shape.job.clone(),
            agent: state.shape.agent.clone(),
            target: state.shape.target.clone(),
            health: state.health(now_ns).name().to_owned(),
            up: current.and_then(|last| last.status.up()),
            since: state.since_ns(now_ns).map(seconds),
            kind: failure.map(|(kind, _)| kind),
            why,
            last_run: last.map(|last| seconds(last.started_ns)),
            next_run: state.next_due_ns.map(seconds),
            runs: state.counts.runs,
            ok: state.counts.ok,
            skipped: state.counts.skipped,
            timed_out: failed.get("timeout").copied().unwrap_or(0),
            failed,
            held: None,
            values: current.map(|last| values(state, last)).unwrap_or_default(),
        }
    }
}

impl Job {
    /// What holds it says more than its last run does.
    fn with(mut self, held: Option<Held>) -> Self {
        if let Some(held) = held {
            let (times, how) = (held.crashes, &held.how);
            let what = match held.holding {
                Holding::HeldBack => "held back",
                Holding::Quarantined => "quarantined",
            };
            self.why = Some(format!("{what}: it brought its worker down {times} times; the last time the worker {how}"));
            self.held = Some(held);
        }
        self
    }
}

fn values(state: &JobState, last: &crate::latest::Last) -> BTreeMap<String, f64> {
    let metrics = state.shape.metrics.iter().chain(&last.declared);
    last.samples.iter().map(|sample| (notation(sample, metrics.clone()), sample.value)).collect()
}

/// Shows every job of a snapshot, and which of them are held.
pub(super) fn jobs(snapshot: &Snapshot, plugins: &Plugins) -> Vec<Job> {
    let now = seconds(snapshot.now_ns);
    let held = plugins.all().iter().flat_map(|plugin| plugin.report().held);
    // Held back no longer: its plugin looks again when something happens.
    let held = held.filter(|held| held.holding == Holding::Quarantined || held.until as f64 > now);
    let mut held: BTreeMap<String, Held> = held.map(|held| (held.job.clone(), held)).collect();
    let job = |state: &Arc<JobState>| Job::of(state, snapshot.now_ns).with(held.remove(&state.shape.job));
    snapshot.jobs.iter().map(job).collect()
}

/// Shows every library's worker.
pub(super) fn workers(plugins: &Plugins, note: impl Fn(&Plugin) -> Option<String>) -> Vec<Worker> {
    let worker = |plugin: &Arc<Plugin>| {
        let report = plugin.report();
        let memory_bytes = report.pid.and_then(|pid| resident_bytes(&pid.to_string()));
        Worker { plugin: plugin.name(), memory_bytes, note: note(plugin), report }
    };
    plugins.all().iter().map(worker).collect()
}

pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latest::{JobView, Latest},
        reading::{Cause, Reading, Shape},
    };
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::Outcome;

    /// Health, kind, reason and `up` at second 50 of a job whose run at second 1 ended so, and goes stale at `stale_s`.
    fn check(kind: ErrorKind, stale_s: i64, expected: (&str, Option<&str>, &str, Option<f64>)) {
        let latest = Latest::default();
        let (agent, target, labels, metrics) = ("pop3".into(), "mx:110".into(), vec![], vec![]);
        latest.set_jobs([JobView { shape: Shape { job: "a".into(), agent, target, labels, step_s: 30, metrics }, next_due_ns: None }]);
        let stale_ns = stale_s * 1_000_000_000;
        let outcome = Outcome::failed(kind, "no", 1_000_000_000);
        latest.apply(&Reading { job: "a".into(), cause: Cause::Schedule, slot: 1, due_ns: 0, stale_ns, outcome });
        let job = jobs(&latest.snapshot(50_000_000_000), &Plugins::default()).remove(0);
        assert_eq!((job.health.as_str(), job.kind.as_deref(), job.why.as_deref().unwrap_or("-"), job.up), expected);
    }

    #[test]
    fn a_failure_that_is_too_old_is_not_told_as_what_stands_now() {
        check(ErrorKind::CONNECT, 60, ("failing", Some("connect"), "no", Some(0.0)));
        check(ErrorKind::CONNECT, 40, ("unknown", None, "its last values are too old", None));
        check(ErrorKind::CRASH, 60, ("unknown", Some("crash"), "no", None));
        check(ErrorKind::CRASH, 40, ("unknown", Some("crash"), "no", None));
    }
}
