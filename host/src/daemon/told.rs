//! What the log tells of jobs: each change of how one fares, within bounds.
//!
//! A run that was skipped or interrupted changes nothing: it tells of a worker, whose own line says so once for all its jobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{info, warn};
use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::Status;

use crate::{
    latest::{Health, JobState},
    log::{instant, quota::Quota, seconds, trouble::Trouble},
    reading::Reading,
};

/// Changes of one job that are told in a minute; the rest are counted.
const CHANGES_A_MINUTE: u32 = 10;

/// What was told of every job.
#[derive(Default)]
pub(super) struct Told {
    jobs: BTreeMap<String, Chapter>,
    /// Jobs that change more often than is told.
    restless: BTreeSet<String>,
}

/// What was told of one job.
struct Chapter {
    target: String,
    /// How it fares: the kind of its failure, none while it is well.
    kind: Option<ErrorKind>,
    /// Since when it is not well, nanoseconds since 1970, whatever the kind.
    unwell_since_ns: Option<i64>,
    /// Whether this daemon told it; the log of an earlier one may be elsewhere.
    told: bool,
    changes: Quota,
    refusals: Trouble,
}

/// Where a job belongs.
#[derive(Clone)]
pub(super) struct Whose {
    pub(super) state: Arc<JobState>,
    /// The plugin that carries its agent.
    pub(super) plugin: Option<Arc<str>>,
}

impl Told {
    /// Takes what an earlier daemon saw: a recovery from it is news, too.
    pub(super) fn remember(&mut self, reading: &Reading, state: &JobState) {
        self.chapter(reading, state).turn(reading, state);
    }

    /// Tells of a change: a job begins to fail, fails otherwise, recovers.
    pub(super) fn tell(&mut self, reading: &Reading, whose: &Whose, now: Instant) {
        let chapter = self.chapter(reading, &whose.state);
        chapter.tell_refusals(reading, whose, now);
        let Some(turn) = chapter.turn(reading, &whose.state) else { return };
        if !turn.is_change && (chapter.told || chapter.kind.is_none()) {
            return;
        }
        chapter.told = true;
        if chapter.changes.admits(now) {
            turn.tell(reading, whose);
        } else {
            self.restless.insert(reading.job.clone());
        }
    }

    /// Tells how often jobs changed in a minute that is over, of those that changed too often to be told each time.
    pub(super) fn settle(&mut self, whose: impl Fn(&str) -> Option<Whose>, now: Instant) {
        self.restless.retain(|job| {
            let (Some(chapter), Some(whose)) = (self.jobs.get_mut(job), whose(job)) else { return false };
            let Some(changes) = chapter.changes.settle(now) else { return true };
            let (agent, plugin, kind) = (&whose.state.shape.agent, whose.plugin.as_deref(), chapter.kind.map(ErrorKind::name));
            let health = if kind.is_none() { "ok" } else { whose.state.standing().map_or("unknown", |standing| standing.health().name()) };
            warn!(job, plugin, agent, kind, changes, "changed so often more in the last minute; now {health}");
            false
        });
    }

    /// Forgets jobs that are gone.
    pub(super) fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        self.jobs.retain(|job, _| !is_gone(job));
    }

    /// The chapter of a job; what is told of another target says nothing of this one.
    fn chapter(&mut self, reading: &Reading, state: &JobState) -> &mut Chapter {
        let chapter = self.jobs.entry(reading.job.clone()).or_insert_with(|| Chapter::begin(&state.shape.target));
        if chapter.target != state.shape.target {
            *chapter = Chapter::begin(&state.shape.target);
        }
        chapter
    }
}

impl Chapter {
    fn begin(target: &str) -> Self {
        let changes = Quota::a_minute(CHANGES_A_MINUTE);
        Self { target: target.to_owned(), kind: None, unwell_since_ns: None, told: false, changes, refusals: Trouble::default() }
    }

    /// Takes how a run ended; none where that is no news of the job.
    fn turn(&mut self, reading: &Reading, state: &JobState) -> Option<Turn> {
        let kind = match &reading.outcome.status {
            Status::Ok => None,
            Status::Failed { kind, .. } if [ErrorKind::SKIPPED, ErrorKind::INTERRUPTED].contains(kind) => return None,
            Status::Failed { kind, .. } => Some(*kind),
        };
        let before = std::mem::replace(&mut self.kind, kind);
        let started_ns = reading.outcome.started_ns;
        let since_ns = state.standing().map_or(started_ns, |standing| standing.since_ns(started_ns));
        let unwell_since_ns = match kind {
            Some(_) => {
                self.unwell_since_ns.get_or_insert(since_ns);
                None
            }
            None => self.unwell_since_ns.take(),
        };
        Some(Turn { is_change: before != kind, before, since_ns: unwell_since_ns.unwrap_or(since_ns) })
    }

    fn tell_refusals(&mut self, reading: &Reading, whose: &Whose, now: Instant) {
        let (job, plugin, agent) = (reading.job.as_str(), whose.plugin.as_deref(), whose.state.shape.agent.as_str());
        let refused = reading.outcome.refused;
        match &reading.outcome.refusal {
            Some(why) => {
                if let Some(told) = self.refusals.met(why, now) {
                    warn!(job, plugin, agent, refused, runs = told.times, "samples refused: {why}");
                }
            }
            // What was not recorded could not be refused.
            None if reading.outcome.status.is_ok() => {
                if let Some(told) = self.refusals.is_over(now) {
                    info!(job, plugin, agent, runs = told.times, lasted_s = seconds(told.lasted), "no sample is refused any more");
                }
            }
            None => {}
        }
    }
}

/// How a job fares after a run.
struct Turn {
    is_change: bool,
    /// The kind of its failure before.
    before: Option<ErrorKind>,
    /// Since when it stands so; of one that recovers, since when it did not.
    since_ns: i64,
}

impl Turn {
    fn tell(&self, reading: &Reading, whose: &Whose) {
        let (job, plugin, agent) = (reading.job.as_str(), whose.plugin.as_deref(), whose.state.shape.agent.as_str());
        let (since, before) = (instant(self.since_ns), self.before.map(ErrorKind::name));
        match &reading.outcome.status {
            Status::Failed { kind, message } => {
                let next = whose.state.next_due_ns.map(instant);
                // "failing" is said of the target alone.
                let health = if Health::of(&reading.outcome.status) == Health::Failing { "failing" } else { "unknown" };
                warn!(job, plugin, agent, kind = kind.name(), since, next, before, "{health}: {message}");
            }
            Status::Ok => {
                let lasted_ns = reading.outcome.started_ns.saturating_sub(self.since_ns).max(0).unsigned_abs();
                info!(job, plugin, agent, before, since, lasted_s = seconds(Duration::from_nanos(lasted_ns)), "recovered");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latest::{JobView, Latest},
        log::lines_of,
        reading::{Cause, Shape},
    };
    use watchpost_services::outcome::Outcome;

    const SECOND: i64 = 1_000_000_000;

    /// One job, told of run by run.
    struct Rig {
        latest: Latest,
        told: Told,
        began: Instant,
    }

    impl Rig {
        fn new() -> Self {
            let rig = Self { latest: Latest::default(), told: Told::default(), began: Instant::now() };
            rig.measures("mx:110");
            rig
        }

        fn measures(&self, target: &str) {
            let (agent, target, labels, metrics) = ("pop3".into(), target.into(), vec![], vec![]);
            let shape = Shape { job: "a".into(), agent, target, labels, step_s: 1, metrics };
            self.latest.set_jobs([JobView { shape, next_due_ns: Some(7 * SECOND) }]);
        }

        fn reading(at_s: i64, status: Status) -> Reading {
            let outcome = Outcome { status, ..Outcome::failed(ErrorKind::LOCAL, "", at_s * SECOND) };
            let (slot, due_ns, stale_ns) = (at_s, at_s * SECOND, (at_s + 2) * SECOND);
            Reading { job: "a".into(), cause: Cause::Schedule, slot, due_ns, stale_ns, outcome }
        }

        fn run(&mut self, at_s: i64, status: Status) {
            self.take(&Self::reading(at_s, status));
        }

        fn take(&mut self, reading: &Reading) {
            self.latest.apply(reading);
            let state = self.latest.job("a").unwrap();
            let now = self.began + Duration::from_secs(reading.slot.unsigned_abs());
            let whose = Whose { state, plugin: Some("pop".into()) };
            self.told.tell(reading, &whose, now);
            self.told.settle(|job| (job == "a").then(|| whose.clone()), now);
        }
    }

    fn failed(kind: ErrorKind) -> Status {
        Status::Failed { kind, message: "no".into() }
    }

    /// `message kind before since lasted_s` of what is told of one run a second.
    fn check(runs: &[Status], expected: &[&str]) {
        let mut rig = Rig::new();
        let lines = lines_of(|| (1..).zip(runs).for_each(|(at_s, status)| rig.run(at_s, status.clone())));
        let shown: Vec<String> = lines
            .iter()
            .map(|line| {
                let text = |key: &str| {
                    line.get(key).map_or("-".into(), |value| value.to_string().replace(['"'], "").replace("1970-01-01T00:00:", ""))
                };
                format!("{} {} {} {} {}", text("message"), text("kind"), text("before"), text("since"), text("lasted_s"))
            })
            .collect();
        assert_eq!(shown, expected, "{lines:?}");
        assert!(lines.iter().all(|line| line["job"] == "a" && line["plugin"] == "pop" && line["agent"] == "pop3"), "{lines:?}");
    }

    #[test]
    fn a_change_is_told_once_and_a_run_is_not() {
        use Status::Ok;
        check(&[Ok, Ok, failed(ErrorKind::SKIPPED), failed(ErrorKind::INTERRUPTED), Ok], &[]);
        check(
            &[Ok, failed(ErrorKind::CONNECT), failed(ErrorKind::INTERRUPTED), failed(ErrorKind::SKIPPED), failed(ErrorKind::TLS), Ok, Ok],
            &["failing: no connect - 02.000Z -", "failing: no tls connect 02.000Z -", "recovered - tls 02.000Z 4.0"],
        );
        check(&[failed(ErrorKind::CONNECT)], &["failing: no connect - 01.000Z -"]);
    }

    #[test]
    fn a_failure_of_our_own_is_not_said_of_the_target() {
        check(
            &[failed(ErrorKind::CONNECT), failed(ErrorKind::CRASH), failed(ErrorKind::CONNECT), Status::Ok],
            &[
                "failing: no connect - 01.000Z -",
                "unknown: no crash connect 02.000Z -",
                "failing: no connect crash 01.000Z -",
                "recovered - connect 01.000Z 3.0",
            ],
        );
    }

    #[test]
    fn a_job_that_flaps_at_every_run_has_ten_lines_a_minute_and_one_that_counts_the_rest() {
        let mut rig = Rig::new();
        let flap = |at_s: i64| if at_s % 2 == 0 { Status::Ok } else { failed(ErrorKind::PROTOCOL) };
        let lines = lines_of(|| (1..=600).for_each(|at_s| rig.run(at_s, flap(at_s))));
        let counted: u64 = lines.iter().filter_map(|line| line["changes"].as_u64()).sum();
        let (summaries, told): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.get("changes").is_some());
        eprintln!("{} lines of 600 changes, {} of them summaries of {counted}", lines.len(), summaries.len());
        assert!(lines.len() <= 10 * 10 && summaries.len() == 9, "{lines:?}");
        // What is told or counted is every change but those of the minute that is not over.
        assert!(told.len() as u64 + counted > 540, "{} + {counted}", told.len());
        assert!(
            summaries.iter().all(|line| line["message"].as_str().unwrap().starts_with("changed so often more in the last minute; now "))
        );
    }

    #[test]
    fn what_an_earlier_daemon_saw_is_no_change_and_its_end_is_one() {
        for (status, expected) in [(Status::Ok, "recovered"), (failed(ErrorKind::CONNECT), "failing: no")] {
            let mut rig = Rig::new();
            let earlier = Rig::reading(1, failed(ErrorKind::CONNECT));
            let lines = lines_of(|| {
                rig.latest.restore(&earlier);
                rig.told.remember(&earlier, &rig.latest.job("a").unwrap());
                rig.run(2, status.clone());
                rig.run(3, status);
            });
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!((&lines[0]["message"], &lines[0]["since"]), (&expected.into(), &"1970-01-01T00:00:01.000Z".into()));
        }
    }

    #[test]
    fn another_target_does_not_recover_from_what_the_one_before_had() {
        let mut rig = Rig::new();
        let lines = lines_of(|| {
            rig.run(1, failed(ErrorKind::CONNECT));
            rig.measures("mx2:110");
            rig.run(2, Status::Ok);
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn samples_that_are_refused_are_told_when_that_begins_and_ends_whatever_the_job_does_otherwise() {
        let mut rig = Rig::new();
        let refused = |at_s: i64, refusal: Option<&str>| {
            let mut reading = Rig::reading(at_s, Status::Ok);
            (reading.outcome.refusal, reading.outcome.refused) = (refusal.map(str::to_owned), 1);
            reading
        };
        let lines = lines_of(|| {
            for (at_s, refusal) in [(1, None), (2, Some("NaN is no value")), (3, Some("NaN is no value")), (4, None)] {
                rig.take(&refused(at_s, refusal));
            }
        });
        let said: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(said, ["samples refused: NaN is no value", "no sample is refused any more"]);
    }
}
