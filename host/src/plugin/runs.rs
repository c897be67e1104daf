//! Runs that are not answered yet, and those given up while the worker still had them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use watchpost_plugin_api::{AgentError, ErrorKind};
use watchpost_services::outcome::Status;
use watchpost_worker::frames::ToWorker;

use super::{RunEnd, RunRequest};
use crate::log::seconds;

/// How long a run may wait for its worker to start and still have all of its time; less than it may be late by.
const STARTING: Duration = Duration::from_millis(100);
/// Time that a run may lose by its worker's absence, or a fifth of its own if that is more, and still judge its target by its deadline.
const LOST: Duration = Duration::from_secs(1);
/// How much longer than its timeout a run may take to be answered before it is given up.
const GRACE: Duration = Duration::from_secs(2);

/// The runs of one plugin, by number.
#[derive(Default)]
pub(super) struct Runs(HashMap<u64, Pending>);

struct Pending {
    request: RunRequest,
    /// Gone once answered: a run that was given up stays known, as somebody to blame, until the worker is done with it.
    reply: Option<oneshot::Sender<RunEnd>>,
    asked: Instant,
    /// Whether it is with the worker, or waits for one.
    sent: bool,
    /// Whether it was lost once already.
    repeated: bool,
    /// What the worker had of its time, where that was not all of it.
    cut: Option<Duration>,
}

/// What a worker's death cost besides the guilty run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Runs that are made again by the next worker.
    pub(super) repeated: usize,
    /// Runs that are lost.
    pub(super) lost: usize,
}

/// Runs that nobody answered in time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Overdue {
    /// When the last of those was asked that the worker had and let lie.
    pub(super) let_lie: Option<Instant>,
    /// The job of each.
    pub(super) jobs: Vec<u64>,
}

impl Pending {
    /// A deadline that came early by our own fault is none of the target's.
    fn judged(&self, mut end: RunEnd) -> RunEnd {
        let is_late = matches!(end.outcome.status, Status::Failed { kind: ErrorKind::TIMEOUT, .. });
        let all = self.request.timeout;
        let cut = self.cut.filter(|cut| all.saturating_sub(*cut) > LOST.max(all / 5));
        if let (Some(cut), true) = (cut, is_late) {
            let (had, all) = (seconds(cut), seconds(all));
            let message = format!("it had {had} s of its {all} s, for its worker was down, and did not end in them");
            end.outcome.status = Status::Failed { kind: ErrorKind::INTERRUPTED, message };
        }
        end
    }

    fn answer(&mut self, end: RunEnd) {
        if let Some(reply) = self.reply.take() {
            let _nobody_waits = reply.send(end);
        }
    }
}

impl Runs {
    /// Takes a run that waits for a worker.
    pub(super) fn add(&mut self, number: u64, request: RunRequest, reply: oneshot::Sender<RunEnd>) {
        let pending = Pending { request, reply: Some(reply), asked: Instant::now(), sent: false, repeated: false, cut: None };
        self.0.insert(number, pending);
    }

    /// Runs that wait for a worker.
    pub(super) fn waiting(&self) -> Vec<u64> {
        self.0.iter().filter(|(_, run)| !run.sent).map(|(&number, _)| number).collect()
    }

    /// Runs that the worker has.
    pub(super) fn sent(&self) -> Vec<u64> {
        self.0.iter().filter(|(_, run)| run.sent).map(|(&number, _)| number).collect()
    }

    /// Whether somebody waits for what comes of a run.
    pub(super) fn is_waited_for(&self, number: u64) -> bool {
        self.0.get(&number).is_some_and(|run| run.reply.is_some())
    }

    /// Whether the worker has one for which somebody waits.
    pub(super) fn are_under_way(&self) -> bool {
        self.0.values().any(|run| run.sent && run.reply.is_some())
    }

    /// Whether none waits for an answer.
    pub(super) fn are_over(&self) -> bool {
        self.0.values().all(|run| run.reply.is_none())
    }

    /// Takes the runs of these jobs that wait for a worker.
    pub(super) fn part(&mut self, of: impl Fn(u64) -> bool) -> Self {
        Self(self.0.extract_if(|_, run| !run.sent && of(run.request.job)).collect())
    }

    /// The greatest number among them.
    pub(super) fn last_number(&self) -> u64 {
        self.0.keys().copied().max().unwrap_or_default()
    }

    /// The job of a run.
    pub(super) fn job(&self, number: u64) -> Option<u64> {
        self.0.get(&number).map(|run| run.request.job)
    }

    /// The run of a job that the worker has.
    pub(super) fn of_job(&self, job: u64) -> Option<u64> {
        self.0.iter().find(|(_, run)| run.sent && run.request.job == job).map(|(number, _)| *number)
    }

    /// The question that gives a run to the worker; it is with it from then on. None where too little of its time is left.
    pub(super) fn question(&mut self, number: u64) -> Option<ToWorker> {
        let run = self.0.get_mut(&number)?;
        let waited = run.asked.elapsed();
        let left = if waited < STARTING { run.request.timeout } else { run.request.timeout.saturating_sub(waited) };
        // A run that is cut short by our own fault must not look like a target that is slow.
        if left < run.request.timeout / 2 {
            self.end(number, RunEnd::failed(ErrorKind::INTERRUPTED, "the plugin's worker was down when it was due"));
            return None;
        }
        run.sent = true;
        run.cut = (left < run.request.timeout).then_some(left);
        let RunRequest { job, cursor, explain, .. } = &run.request;
        let timeout_ns = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        Some(ToWorker::Run { run: number, job: *job, timeout_ns, cursor: cursor.clone(), explain: *explain })
    }

    /// Answers a run that the worker is done with; gives its job.
    pub(super) fn end(&mut self, number: u64, end: RunEnd) -> Option<u64> {
        let mut run = self.0.remove(&number)?;
        let end = run.judged(end);
        run.answer(end);
        Some(run.request.job)
    }

    /// Fails every run of a job.
    pub(super) fn fail_job(&mut self, job: u64, error: &AgentError) {
        for (_, mut run) in self.0.extract_if(|_, run| run.request.job == job) {
            run.answer(RunEnd::failed(error.kind(), error.message()));
        }
    }

    /// Fails every run.
    pub(super) fn fail_all(&mut self, kind: ErrorKind, why: &str) {
        for (_, mut run) in self.0.drain() {
            run.answer(RunEnd::failed(kind, why));
        }
    }

    /// Answers the runs that nobody answered in time, `blocking` being the one that holds the worker's thread; others have those `elsewhere`.
    pub(super) fn give_up_overdue(&mut self, blocking: Option<u64>, elsewhere: &[u64]) -> Overdue {
        let mut overdue = Overdue::default();
        self.0.retain(|&number, run| {
            if run.reply.is_some() && run.asked.elapsed() > run.request.timeout + GRACE {
                let why = match run.sent {
                    false => "the plugin's worker is down",
                    true if blocking == Some(number) => "it blocks its worker's thread",
                    true => "the worker did not answer in time",
                };
                run.answer(RunEnd::failed(ErrorKind::INTERRUPTED, why));
                overdue.jobs.push(run.request.job);
                if run.sent && blocking.is_none() && !elsewhere.contains(&number) {
                    overdue.let_lie = overdue.let_lie.max(Some(run.asked));
                }
            }
            run.reply.is_some() || run.sent
        });
        overdue
    }

    /// Answers the runs of a job that wait for a worker, for the job is closed.
    pub(super) fn close_job(&mut self, job: u64) {
        for (_, mut run) in self.0.extract_if(|_, run| run.request.job == job && !run.sent) {
            run.answer(closed());
        }
    }

    /// Cancels the runs of a job: those that wait for a worker end at once, the worker is to end the others; gives their numbers.
    pub(super) fn cancel_job(&mut self, job: u64) -> Vec<u64> {
        for (_, mut run) in self.0.extract_if(|_, run| run.request.job == job && !run.sent) {
            run.answer(RunEnd::failed(ErrorKind::INTERRUPTED, CANCELLED));
        }
        self.0.iter().filter(|(_, run)| run.request.job == job).map(|(number, _)| *number).collect()
    }

    /// A worker died with the runs that it `had`: a repeatable run of an innocent job waits for the next one, once; the others are lost.
    pub(super) fn lose(&mut self, had: impl Fn(u64) -> bool, repeatable: impl Fn(u64) -> bool, guilty: Option<u64>, why: &str) -> Cost {
        let mut cost = Cost::default();
        self.0.retain(|&number, run| {
            if !run.sent || !had(number) {
                return true;
            }
            let innocent = guilty != Some(run.request.job);
            if innocent && run.reply.is_some() && !run.repeated && repeatable(run.request.job) {
                run.sent = false;
                run.repeated = true;
                // Its time begins anew: what it lost was not its own doing.
                run.asked = Instant::now();
                cost.repeated += 1;
                return true;
            }
            cost.lost += usize::from(run.reply.is_some());
            run.answer(RunEnd::failed(ErrorKind::INTERRUPTED, why));
            false
        });
        cost
    }
}

/// What came of a run that was cancelled before a worker had it.
const CANCELLED: &str = "it was cancelled: the next run is due";

/// What came of a run that was asked just when its job was closed.
pub(super) fn closed() -> RunEnd {
    RunEnd { closed: true, ..RunEnd::failed(ErrorKind::INTERRUPTED, "the job was changed or removed before it ran") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(runs: &mut Runs, number: u64, timeout: Duration) -> oneshot::Receiver<RunEnd> {
        let (reply, answer) = oneshot::channel();
        runs.add(number, RunRequest { job: number * 10, timeout, cursor: None, explain: false }, reply);
        answer
    }

    fn message(answer: &mut oneshot::Receiver<RunEnd>) -> Option<String> {
        answer.try_recv().ok().map(|end| format!("{:?}", end.outcome.status))
    }

    #[test]
    fn a_repeatable_run_is_repeated_once_and_no_other_is() {
        let mut runs = Runs::default();
        let mut answers = [1, 2].map(|number| asked(&mut runs, number, Duration::from_secs(9)));
        for number in [1, 2] {
            assert!(runs.question(number).is_some());
        }
        assert_eq!(runs.lose(|_| true, |job| job == 10, None, "first"), Cost { repeated: 1, lost: 1 });
        assert!(message(&mut answers[1]).is_some_and(|message| message.contains("first")));
        assert_eq!((message(&mut answers[0]), runs.waiting()), (None, vec![1]));
        assert!(runs.question(1).is_some());
        runs.lose(|_| true, |job| job == 10, None, "second");
        assert!(message(&mut answers[0]).is_some_and(|message| message.contains("second")));
    }

    #[test]
    fn runs_that_another_worker_has_are_not_lost_with_this_one() {
        let mut runs = Runs::default();
        let mut answers = [1, 2].map(|number| asked(&mut runs, number, Duration::from_secs(9)));
        for number in [1, 2] {
            assert!(runs.question(number).is_some());
        }
        assert_eq!(runs.lose(|run| run == 1, |_| false, None, "dead"), Cost { repeated: 0, lost: 1 });
        assert!(message(&mut answers[0]).is_some_and(|message| message.contains("dead")));
        assert_eq!((message(&mut answers[1]), runs.sent()), (None, vec![2]));
    }

    #[test]
    fn a_run_that_waited_most_of_its_time_for_a_worker_says_nothing_of_the_target() {
        let mut runs = Runs::default();
        let mut answer = asked(&mut runs, 1, Duration::from_secs(9));
        if let Some(run) = runs.0.get_mut(&1) {
            run.asked -= Duration::from_secs(5);
        }
        assert!(runs.question(1).is_none());
        let end = answer.try_recv().unwrap();
        assert_eq!(end.outcome.status.up(), None, "{end:?}");
    }

    #[test]
    fn a_run_that_had_less_than_its_time_and_met_its_deadline_says_nothing_of_the_target() {
        for (waited, expected) in [(3_u64, None), (0, Some(0.0))] {
            for kind in [ErrorKind::TIMEOUT, ErrorKind::CONNECT] {
                let mut runs = Runs::default();
                let mut answer = asked(&mut runs, 1, Duration::from_secs(9));
                if let Some(run) = runs.0.get_mut(&1) {
                    run.asked -= Duration::from_secs(waited);
                }
                assert!(runs.question(1).is_some());
                runs.end(1, RunEnd::failed(kind, "no end within its time"));
                let end = answer.try_recv().unwrap();
                // A refused connection is one, however little time there was.
                let expected = if kind == ErrorKind::CONNECT { Some(0.0) } else { expected };
                assert_eq!(end.outcome.status.up(), expected, "{:?}", end.outcome.status);
            }
        }
    }

    #[test]
    fn a_run_given_up_is_still_known_as_somebody_to_blame() {
        let mut runs = Runs::default();
        let mut answer = asked(&mut runs, 1, Duration::ZERO);
        assert!(runs.question(1).is_some());
        if let Some(run) = runs.0.get_mut(&1) {
            run.asked -= GRACE + Duration::from_millis(1);
        }
        assert_eq!(runs.give_up_overdue(Some(1), &[]), Overdue { let_lie: None, jobs: vec![10] });
        assert!(message(&mut answer).is_some_and(|message| message.contains("blocks its worker's thread")));
        assert_eq!(runs.job(1), Some(10));
        runs.lose(|_| true, |_| true, None, "dead");
        assert_eq!(runs.job(1), None, "nobody waits for it: it is not repeated");
    }

    #[test]
    fn the_guilty_jobs_own_next_run_is_not_taken_to_the_next_worker() {
        let mut runs = Runs::default();
        let mut answers = [1, 2].map(|number| asked(&mut runs, number, Duration::from_secs(9)));
        for number in [1, 2] {
            assert!(runs.question(number).is_some());
        }
        runs.lose(|_| true, |_| true, Some(10), "the worker died of job 10");
        assert!(message(&mut answers[0]).is_some_and(|message| message.contains("died of job 10")));
        assert_eq!((message(&mut answers[1]), runs.waiting()), (None, vec![2]));
    }

    #[test]
    fn a_run_that_waits_for_a_worker_is_told_when_its_job_is_closed() {
        let mut runs = Runs::default();
        let mut answers = [1, 2].map(|number| asked(&mut runs, number, Duration::from_secs(9)));
        assert!(runs.question(2).is_some());
        for job in [10, 20] {
            runs.close_job(job);
        }
        assert!(message(&mut answers[0]).is_some_and(|message| message.contains("changed or removed")));
        assert_eq!(message(&mut answers[1]), None, "the worker has it, and answers");
    }
}
