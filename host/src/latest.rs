//! The last reading of every job, for whoever shows or is asked for the present.
//!
//! A view of the journal, in memory: readings enter in the journal's order, time is passed in. A reader takes a
//! [`Snapshot`] (a list of shared pointers, copied under a short lock) and works on it at leisure.

mod ask;
mod counts;
mod standing;
mod totals;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use watchpost_plugin_api::{ErrorKind, MetricSpec};
use watchpost_services::outcome::{Sample, Status};

use crate::reading::{Reading, Shape};

pub use ask::{Found, SeriesNow, Unknown};
pub use counts::Counts;
pub use standing::{Health, Standing};
use totals::Totals;

/// The last reading of every job of the configuration in force.
#[derive(Debug, Default)]
pub struct Latest {
    jobs: RwLock<BTreeMap<String, Arc<JobState>>>,
}

/// A job as the configuration has it.
#[derive(Clone, Debug)]
pub struct JobView {
    /// Name, agent, target, labels and what the agent declared.
    pub shape: Shape,
    /// When it runs next, nanoseconds since 1970; unknown while it is paused.
    pub next_due_ns: Option<i64>,
}

/// What is known of a job.
#[derive(Clone, Debug)]
pub struct JobState {
    /// Name, agent, target, labels and what the agent declared.
    pub shape: Arc<Shape>,
    /// When it runs next, nanoseconds since 1970; unknown while it is paused.
    pub next_due_ns: Option<i64>,
    /// Its last run, stale or not; none before the first.
    pub last: Option<Arc<Last>>,
    /// The last of them that was made: neither left out nor broken off. It says how the agent fares where `last` says nothing of it.
    pub made: Option<Arc<Last>>,
    /// Until when its last run that was begun says how things are, to whoever is told when one stays away: the second time from then on at
    /// which it is due, whatever its windows, nanoseconds since 1970. Unknown before this daemon began one.
    pub worth_until_ns: Option<i64>,
    /// What it has done since the daemon started.
    pub counts: Counts,
    /// How it stood at its last run, and since when; it may come from an earlier daemon.
    standing: Option<Standing>,
    /// The totals that its counters had before the last run.
    before: Option<Arc<Totals>>,
}

/// What the last run of a job gave.
#[derive(Clone, Debug)]
pub struct Last {
    /// How it ended.
    pub status: Status,
    /// What it recorded.
    pub samples: Vec<Sample>,
    /// Metrics declared at run time.
    pub declared: Vec<MetricSpec>,
    /// How many events it reported, those beyond the bound included.
    pub events: usize,
    /// Samples and the like that were refused.
    pub refused: u32,
    /// Wall clock at its start, nanoseconds since 1970.
    pub started_ns: i64,
    /// How long it took; unknown if it never came to run.
    pub duration: Option<Duration>,
    /// Wall clock from which the values no longer stand for the present.
    pub stale_ns: i64,
}

/// All jobs at one instant, by name.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The instant, nanoseconds since 1970.
    pub now_ns: i64,
    /// The jobs.
    pub jobs: Vec<Arc<JobState>>,
}

impl Latest {
    /// Puts the jobs of a configuration in force. A job that kept agent and target keeps its last reading; the others start anew,
    /// and those that are gone vanish.
    pub fn set_jobs(&self, views: impl IntoIterator<Item = JobView>) {
        let mut jobs = self.jobs.write().unwrap_or_else(PoisonError::into_inner);
        let next = views.into_iter().map(|view| (view.shape.job.clone(), Arc::new(JobState::adopt(view, &jobs)))).collect();
        *jobs = next;
    }

    /// Puts the shape of one job in force: same agent, same target, other metrics.
    pub fn set_shape(&self, shape: &Shape) {
        self.change(&shape.job, |job| job.shape = Arc::new(shape.clone()));
    }

    /// Takes the reading of a job; that of a job which is gone is passed over.
    pub fn apply(&self, reading: &Reading) {
        let last = Arc::new(Last::of(reading));
        self.change(&reading.job, |job| job.apply(last));
    }

    /// Takes the reading that an earlier daemon made: it shows the present while it is fresh, and counts for nothing.
    pub fn restore(&self, reading: &Reading) {
        let last = Arc::new(Last::of(reading));
        self.change(&reading.job, |job| job.show(last));
    }

    /// Takes how a job stood when an earlier daemon looked last: since when, that is; nothing of it shows before a reading does.
    pub fn restore_standing(&self, job: &str, standing: Standing) {
        self.change(job, |job| job.standing = Some(standing));
    }

    /// Counts runs that were due and not started, where no reading says so.
    pub fn skipped(&self, job: &str, runs: u64) {
        self.change(job, |job| job.counts.skipped += runs);
    }

    /// Notes when a job runs next; unknown while it is paused.
    pub fn set_next_due(&self, job: &str, next_due_ns: Option<i64>) {
        self.change(job, |job| job.next_due_ns = next_due_ns);
    }

    /// Notes until when a run that begins says how things are.
    pub fn set_worth(&self, job: &str, worth_until_ns: Option<i64>) {
        self.change(job, |job| job.worth_until_ns = worth_until_ns);
    }

    /// Shows one job.
    pub fn job(&self, name: &str) -> Option<Arc<JobState>> {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Shows all jobs as they stand at `now_ns`.
    pub fn snapshot(&self, now_ns: i64) -> Snapshot {
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot { now_ns, jobs: jobs.values().cloned().collect() }
    }

    fn change(&self, job: &str, with: impl FnOnce(&mut JobState)) {
        let mut jobs = self.jobs.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = jobs.get_mut(job) {
            with(Arc::make_mut(job));
        }
    }
}

impl JobState {
    fn adopt(view: JobView, before: &BTreeMap<String, Arc<JobState>>) -> Self {
        let shape = Arc::new(view.shape);
        let known = before.get(&shape.job).filter(|old| old.shape.agent == shape.agent && old.shape.target == shape.target);
        match known {
            Some(old) => Self { shape, next_due_ns: view.next_due_ns.or(old.next_due_ns), ..JobState::clone(old) },
            None => Self {
                shape,
                next_due_ns: view.next_due_ns,
                last: None,
                made: None,
                worth_until_ns: None,
                counts: Counts::default(),
                standing: None,
                before: None,
            },
        }
    }

    fn apply(&mut self, last: Arc<Last>) {
        self.counts.count(&last.status);
        self.show(last);
    }

    fn show(&mut self, last: Arc<Last>) {
        self.standing = Some(Standing::after(self.standing, last.health(), last.started_ns, last.stale_ns));
        let before = self.last.as_ref().and_then(|before| Totals::of(before, &self.shape.metrics));
        self.before = before.map(Arc::new).or(self.before.take());
        if last.is_made() {
            self.made = Some(last.clone());
        }
        self.last = Some(last);
    }

    /// The last run, while its values stand for the present.
    pub fn fresh(&self, now_ns: i64) -> Option<&Last> {
        self.last.as_deref().filter(|last| now_ns < last.stale_ns)
    }

    /// How the job stands.
    pub fn health(&self, now_ns: i64) -> Health {
        self.fresh(now_ns).map_or(Health::Unknown, Last::health)
    }

    /// Since when it stands so, nanoseconds since 1970; none before the first run.
    pub fn since_ns(&self, now_ns: i64) -> Option<i64> {
        self.last.as_ref().and(self.standing).map(|standing| standing.since_ns(now_ns))
    }

    /// How it stood at its last run, and since when.
    pub fn standing(&self) -> Option<Standing> {
        self.standing
    }
}

impl Last {
    fn of(reading: &Reading) -> Self {
        let outcome = &reading.outcome;
        Self {
            status: outcome.status.clone(),
            samples: outcome.samples.clone(),
            declared: outcome.declared.clone(),
            events: outcome.events.len() + outcome.events_dropped as usize,
            refused: outcome.refused,
            started_ns: outcome.started_ns,
            duration: (outcome.duration_ns > 0).then(|| Duration::from_nanos(outcome.duration_ns)),
            stale_ns: reading.stale_ns,
        }
    }

    fn health(&self) -> Health {
        Health::of(&self.status)
    }

    fn is_made(&self) -> bool {
        !matches!(self.status, Status::Failed { kind: ErrorKind::SKIPPED | ErrorKind::INTERRUPTED, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Cause;
    use watchpost_services::outcome::Outcome;

    fn shape(job: &str, target: &str) -> Shape {
        let (agent, target, labels, metrics) = ("pop3".into(), target.into(), vec![], vec![]);
        Shape { job: job.into(), agent, target, labels, step_s: 30, metrics }
    }

    fn view(job: &str, target: &str) -> JobView {
        JobView { shape: shape(job, target), next_due_ns: Some(0) }
    }

    fn latest() -> Latest {
        let latest = Latest::default();
        latest.set_jobs([view("a", "mx:110")]);
        latest
    }

    fn reading(job: &str, at: i64, status: Status, metrics: &[&str]) -> Reading {
        let samples = metrics.iter().map(|m| Sample { metric: (*m).into(), labels: vec![], value: 1.0 }).collect();
        let outcome = Outcome { status, samples, duration_ns: 5, ..Outcome::failed(ErrorKind::LOCAL, "", at) };
        Reading { job: job.into(), cause: Cause::Schedule, slot: at, due_ns: at, stale_ns: at + 40, outcome }
    }

    fn failed(kind: ErrorKind) -> Status {
        Status::Failed { kind, message: "no".into() }
    }

    fn only(latest: &Latest) -> Arc<JobState> {
        latest.snapshot(0).jobs[0].clone()
    }

    #[test]
    fn a_metric_not_recorded_in_the_last_run_leaves_at_once() {
        let latest = latest();
        latest.apply(&reading("a", 1, Status::Ok, &["connect_time", "banner_time"]));
        latest.apply(&reading("a", 31, failed(ErrorKind::TIMEOUT), &["connect_time"]));
        let job = only(&latest);
        let names: Vec<_> = job.fresh(32).unwrap().samples.iter().map(|s| s.metric.as_str()).collect();
        assert_eq!(names, ["connect_time"]);
    }

    #[test]
    fn values_stand_until_stale_and_not_a_nanosecond_longer() {
        let latest = latest();
        latest.apply(&reading("a", 1, Status::Ok, &["connect_time"]));
        let job = only(&latest);
        assert!(job.fresh(40).is_some());
        assert!(job.fresh(41).is_none());
        assert_eq!((job.health(40), job.since_ns(40)), (Health::Ok, Some(1)));
        assert_eq!((job.health(41), job.since_ns(41)), (Health::Unknown, Some(41)));
    }

    #[test]
    fn what_was_left_out_or_broken_off_says_nothing_of_how_the_agent_fares() {
        let latest = latest();
        assert!(only(&latest).made.is_none());
        latest.apply(&reading("a", 1, failed(ErrorKind::LOCAL), &[]));
        for (at, kind) in [(31, ErrorKind::SKIPPED), (61, ErrorKind::INTERRUPTED)] {
            latest.apply(&reading("a", at, failed(kind), &[]));
        }
        let job = only(&latest);
        assert_eq!((job.last.as_ref().unwrap().started_ns, job.made.as_ref().unwrap().started_ns), (61, 1));
    }

    #[test]
    fn health_remembers_when_it_began() {
        let latest = latest();
        assert_eq!((only(&latest).health(0), only(&latest).since_ns(0)), (Health::Unknown, None));
        for (at, status) in [(1, Status::Ok), (11, failed(ErrorKind::CONNECT)), (21, failed(ErrorKind::TLS))] {
            latest.apply(&reading("a", at, status, &[]));
        }
        assert_eq!((only(&latest).health(22), only(&latest).since_ns(22)), (Health::Failing, Some(11)));
        latest.apply(&reading("a", 31, failed(ErrorKind::CRASH), &[]));
        assert_eq!((only(&latest).health(32), only(&latest).since_ns(32)), (Health::Unknown, Some(31)));
        latest.skipped("a", 1);
        assert_eq!((only(&latest).counts.runs, only(&latest).counts.skipped), (4, 1));
    }

    #[test]
    fn a_reload_keeps_what_was_measured_and_drops_what_is_gone() {
        let latest = latest();
        latest.set_jobs([view("a", "mx:110"), view("b", "mx:110"), view("c", "mx:110")]);
        for job in ["a", "b", "c", "stranger"] {
            latest.apply(&reading(job, 1, Status::Ok, &[]));
        }
        latest.set_jobs([view("a", "mx:110"), view("b", "elsewhere:110")]);
        let kept: Vec<_> = latest.snapshot(2).jobs.iter().map(|j| (j.shape.job.clone(), j.last.is_some())).collect();
        assert_eq!(kept, [("a".to_owned(), true), ("b".to_owned(), false)]);
    }

    #[test]
    fn what_an_earlier_daemon_saw_shows_since_when_and_counts_for_nothing() {
        let latest = latest();
        latest.apply(&reading("a", 1, failed(ErrorKind::CONNECT), &[]));
        let standing = only(&latest).standing().unwrap();
        let latest = self::latest();
        latest.restore_standing("a", standing);
        assert_eq!((only(&latest).health(2), only(&latest).since_ns(2)), (Health::Unknown, None), "no reading shows yet");
        latest.restore(&reading("a", 30, failed(ErrorKind::CONNECT), &[]));
        assert_eq!((only(&latest).health(31), only(&latest).since_ns(31)), (Health::Failing, Some(1)));
        assert_eq!(only(&latest).counts, Counts::default(), "an earlier daemon's runs count for nothing");
    }

    #[test]
    fn a_reload_does_not_forget_when_a_job_runs_next() {
        let latest = latest();
        latest.set_next_due("a", Some(7));
        latest.set_jobs([JobView { shape: shape("a", "mx:110"), next_due_ns: None }]);
        assert_eq!(only(&latest).next_due_ns, Some(7));
    }
}
