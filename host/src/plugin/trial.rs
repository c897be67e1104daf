//! The trial of a library that took over from an earlier one: every job of it has two runs to show that it is no worse.
//!
//! | it failed, for | unless |
//! |---|---|
//! | a run that crashed or panicked | |
//! | a run that failed by the agent's own doing: `config`, `limit`, `local` and kinds without a name | the job's last run before ended so too |
//! | a metric that two good runs did not record | the job's last run before did not record it either |
//!
//! What was skipped or interrupted says nothing of the library; nor does a target that failed say what a run would have recorded, so a job
//! whose last run before recorded something has two good runs to show.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::{Outcome, Status};

/// Runs that every job has to show, good ones where they were good before.
pub const RUNS: u32 = 2;

/// How a job did under the library before.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// What its last run recorded, if that ended well.
    pub metrics: BTreeSet<String>,
    /// How its last run failed, if it did.
    pub kind: Option<ErrorKind>,
}

/// A trial that is under way, or over.
#[derive(Debug, Default)]
pub struct Trial {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<String, Course>,
    failed: Option<String>,
}

#[derive(Debug)]
struct Course {
    before: Before,
    runs: u32,
    good: u32,
    recorded: BTreeSet<String>,
}

/// How a trial stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many of its jobs have shown their runs, of so many.
    Open(usize, usize),
    /// All have.
    Passed,
    /// The library is worse, for this reason.
    Failed(String),
}

impl Trial {
    /// Begins with these jobs, by name.
    pub fn of(jobs: impl IntoIterator<Item = (String, Before)>) -> Self {
        let course = |before| Course { before, runs: 0, good: 0, recorded: BTreeSet::new() };
        let jobs = jobs.into_iter().map(|(job, before)| (job, course(before))).collect();
        Self { state: Mutex::new(State { jobs, failed: None }), changed: Notify::new() }
    }

    /// Takes what came of a run.
    pub fn note(&self, job: &str, outcome: &Outcome) {
        let mut state = self.state();
        let Some(course) = state.jobs.get_mut(job) else { return };
        let failed = course.take(outcome).map(|why| format!("job {job}: {why}"));
        state.failed = state.failed.take().or(failed);
        drop(state);
        self.changed.notify_one();
    }

    /// Says that the library is worse, for a reason that no run shows.
    pub fn fail(&self, why: String) {
        self.state().failed.get_or_insert(why);
        self.changed.notify_one();
    }

    /// Says how it stands.
    pub fn verdict(&self) -> Verdict {
        let state = self.state();
        let over = state.jobs.values().filter(|course| course.is_over()).count();
        match &state.failed {
            Some(why) => Verdict::Failed(why.clone()),
            None if over == state.jobs.len() => Verdict::Passed,
            None => Verdict::Open(over, state.jobs.len()),
        }
    }

    /// Waits until something was noted.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Course {
    /// Whether it has shown enough.
    fn is_over(&self) -> bool {
        let shown = if self.before.metrics.is_empty() { self.runs } else { self.good };
        shown >= RUNS
    }

    /// Takes a run; says why it shows the library to be worse, if it does.
    fn take(&mut self, outcome: &Outcome) -> Option<String> {
        match &outcome.status {
            Status::Failed { kind: ErrorKind::SKIPPED | ErrorKind::INTERRUPTED, .. } => return None,
            Status::Failed { kind, message } => {
                self.runs += 1;
                let at_any_rate = [ErrorKind::CRASH, ErrorKind::PANIC].contains(kind);
                let is_new = !kind.blames_target() && self.before.kind != Some(*kind);
                if at_any_rate || is_new {
                    return Some(format!("{kind}: {message}"));
                }
            }
            Status::Ok => {
                self.runs += 1;
                self.good += 1;
                self.recorded.extend(outcome.samples.iter().map(|sample| sample.metric.clone()));
            }
        }
        let vanished = self.before.metrics.difference(&self.recorded).next();
        vanished.filter(|_| self.good == RUNS).map(|metric| format!("it no longer records `{metric}`"))
    }
}

#[cfg(test)]
mod tests {
    use watchpost_services::outcome::Sample;

    use super::*;

    fn ok(metrics: &[&str]) -> Outcome {
        let samples = metrics.iter().map(|metric| Sample { metric: (*metric).into(), labels: vec![], value: 1.0 }).collect();
        Outcome { status: Status::Ok, samples, ..failed(ErrorKind::LOCAL) }
    }

    fn failed(kind: ErrorKind) -> Outcome {
        Outcome::failed(kind, "no", 0)
    }

    fn before(kind: Option<ErrorKind>, metrics: &[&str]) -> Before {
        Before { kind, metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect() }
    }

    /// Whether the trial of one job passed, failed, or is open after these runs.
    fn check(before: Before, runs: &[Outcome], expected: &str) {
        let trial = Trial::of([("a".to_owned(), before.clone())]);
        for run in runs {
            trial.note("stranger", &failed(ErrorKind::CRASH));
            trial.note("a", run);
        }
        let said = match trial.verdict() {
            Verdict::Open(over, of) => format!("open {over} of {of}"),
            Verdict::Passed => "passed".into(),
            Verdict::Failed(why) => why,
        };
        assert_eq!(said, expected, "{before:?} {runs:?}");
    }

    #[test]
    fn two_runs_that_are_no_worse_pass() {
        check(before(None, &["x"]), &[ok(&["x"])], "open 0 of 1");
        check(before(None, &["x"]), &[ok(&["x"]), ok(&["x"])], "passed");
        check(before(None, &["x", "y"]), &[ok(&["x"]), ok(&["y"])], "passed");
        check(before(None, &[]), &[failed(ErrorKind::CONNECT), failed(ErrorKind::TIMEOUT)], "passed");
        check(before(Some(ErrorKind::LOCAL), &[]), &[failed(ErrorKind::LOCAL), ok(&[])], "passed");
        check(before(None, &["x"]), &[failed(ErrorKind::CONNECT), ok(&[])], "open 0 of 1");
        check(before(None, &["x"]), &[failed(ErrorKind::CONNECT), failed(ErrorKind::PROTOCOL)], "open 0 of 1");
        check(before(None, &["x"]), &[ok(&["x"]), failed(ErrorKind::CONNECT), ok(&["x"])], "passed");
    }

    #[test]
    fn what_is_worse_fails_at_once_and_a_metric_after_two_good_runs() {
        check(before(None, &[]), &[failed(ErrorKind::CRASH)], "job a: crash: no");
        check(before(Some(ErrorKind::PANIC), &[]), &[failed(ErrorKind::PANIC)], "job a: panic: no");
        check(before(None, &[]), &[ok(&[]), failed(ErrorKind::LIMIT)], "job a: limit: no");
        check(before(Some(ErrorKind::CONNECT), &[]), &[failed(ErrorKind::CONFIG)], "job a: config: no");
        check(before(None, &[]), &[failed(ErrorKind(4711))], "job a: other: no");
        check(before(None, &["x", "y"]), &[ok(&["x"]), ok(&["x"])], "job a: it no longer records `y`");
        check(before(None, &["x"]), &[failed(ErrorKind::PROTOCOL), ok(&[]), ok(&[])], "job a: it no longer records `x`");
    }

    #[test]
    fn what_was_skipped_or_interrupted_says_nothing() {
        let nothing = [ErrorKind::SKIPPED, ErrorKind::INTERRUPTED, ErrorKind::SKIPPED].map(failed);
        check(before(None, &["x"]), &nothing, "open 0 of 1");
    }

    #[test]
    fn a_failed_trial_stays_failed() {
        let trial = Trial::of([("a".to_owned(), Before::default())]);
        trial.fail("its worker died".into());
        for _ in 0..3 {
            trial.note("a", &ok(&[]));
        }
        assert_eq!(trial.verdict(), Verdict::Failed("its worker died".into()));
    }
}
