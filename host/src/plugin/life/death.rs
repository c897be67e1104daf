//! What happens when a worker dies.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime},
};

use tokio::time::sleep;
use watchpost_plugin_api::ErrorKind;

use super::Life;
use crate::plugin::{
    Crash, RunEnd, WorkerState,
    blame::{Cause, Culprit, Suspects},
    runs::Cost,
    story::Death,
};

/// How long after its worker the daemon may be told to end.
const TOLD_TO_END_WITHIN: Duration = Duration::from_millis(100);

impl Life {
    /// Takes note of the worker's death: names the guilty job, repeats or ends the runs that were under way.
    pub(super) async fn bury(&mut self, cause: Cause) {
        let Some(mut live) = self.live.take() else { return };
        if cause.has_to_be_ended() {
            live.process.kill();
        }
        let end = live.process.end().await;
        if end.was_asked_for() && is_raised(&self.ending).await {
            // What waits is answered when the plugin is stopped, in a moment.
            return;
        }
        let page = live.process.page.under_way().map(|(work, _)| work);
        let suspects = Suspects { jobs: &self.jobs, runs: &self.runs, examinations: &self.examinations };
        let (culprit, how) = (suspects.culprit(&cause, &end, page), cause.how(&end));
        let dialogue = match culprit {
            Culprit::Run { number, .. } => live.process.page.dialogue(number),
            _ => None,
        };
        let pid = live.process.pid;
        for answer in live.rest().await {
            self.take(answer);
        }
        let held = self.hold_back(&culprit);
        let wait = if culprit == Culprit::Nobody { self.comeback.later(self.jobs.shortest_interval()) } else { self.comeback.at_once() };
        let last_words = &self.jobs.masker().mask(&end.last_words);
        let guilty = culprit.job().map(|(_, name)| name.to_owned());
        // Whoever hears of a lost run finds the death reported.
        self.report_crash(Crash { at: SystemTime::now(), how: how.clone(), guilty, dialogue });
        let cost = self.answer_the_bereaved(&culprit, &how);
        self.story.died(&Death { pid, how: &how, culprit: &culprit, cost, wait, held, last_words });
        self.jobs.forget_worker();
    }

    /// Holds the guilty job back from now on; gives for how long.
    fn hold_back(&mut self, culprit: &Culprit) -> Option<Duration> {
        let (number, _) = culprit.job()?;
        let (job, now) = (self.jobs.get_mut(number)?, Instant::now());
        job.record.crashed(now, job.open.interval);
        job.record.held_for(now)
    }

    fn report_crash(&self, crash: Crash) {
        let mut report = self.report();
        report.state = WorkerState::BackingOff;
        report.pid = None;
        report.crashes += 1;
        report.last_crash = Some(crash);
    }

    /// Ends what was under way when the worker died; what may be repeated waits for the next one.
    fn answer_the_bereaved(&mut self, culprit: &Culprit, how: &str) -> Cost {
        let crash = culprit.crash(how);
        match *culprit {
            Culprit::Run { number, .. } => drop(self.runs.end(number, RunEnd::failed(ErrorKind::CRASH, crash.message()))),
            Culprit::Agent { job, .. } => self.runs.fail_job(job, &crash),
            Culprit::Configuration { number, .. } => self.examinations.end(number, Err(crash)),
            Culprit::Nobody => {}
        }
        let (guilty, why) = (culprit.job().map(|(number, _)| number), culprit.why(how));
        self.runs.lose(|job| self.jobs.get(job).is_some_and(|job| job.open.repeatable), guilty, &why)
    }
}

/// Whether the daemon is told to end as well, a moment earlier or later: a service manager tells all processes of a service.
async fn is_raised(ending: &AtomicBool) -> bool {
    if !ending.load(Ordering::Acquire) {
        sleep(TOLD_TO_END_WITHIN).await;
    }
    ending.load(Ordering::Acquire)
}
