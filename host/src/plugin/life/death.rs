//! What happens when a worker dies.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;
use watchpost_plugin_api::ErrorKind;

use super::Life;
use crate::{
    log::seconds,
    plugin::{
        Crash, Incident, RunEnd, What, WorkerState,
        blame::{Cause, Culprit, Suspects},
        live::Live,
        process::End,
        record::Sentence,
        runs::Cost,
        story::Death,
        ward::CrashReport,
    },
};

/// How long after its worker the daemon may be told to end.
const TOLD_TO_END_WITHIN: Duration = Duration::from_millis(100);

impl Life {
    /// Takes note of the worker's death: names the guilty job, repeats or ends the runs that were under way.
    pub(super) async fn bury(&mut self, cause: Cause) {
        let Some(live) = self.live.take() else { return };
        let elsewhere = self.renewal.runs();
        if self.mourn(live, &cause, false, |run| !elsewhere.contains(&run)).await {
            self.jobs.forget_worker();
            // The one that comes has the room that was wanted.
            self.renewal.cancel();
            self.rest();
        }
    }

    /// As [`bury`](Self::bury), of a worker that was taken over from and still had these runs.
    pub(super) async fn bury_retired(&mut self, live: Live, cause: Cause, runs: &[u64]) {
        if self.mourn(live, &cause, true, |run| runs.contains(&run)).await {
            for number in self.runs.waiting() {
                self.send_run(number);
            }
        }
    }

    /// Says whether it was a death at all: those are none that come with the daemon's own end.
    async fn mourn(&mut self, mut live: Live, cause: &Cause, has_successor: bool, had: impl Fn(u64) -> bool) -> bool {
        if cause.has_to_be_ended() {
            live.process.kill();
        }
        let end = live.process.end().await;
        if end.was_asked_for() && is_raised(&self.ending).await {
            // What waits is answered when the plugin is stopped, in a moment.
            return false;
        }
        let page = live.process.died_doing(&end);
        let suspects = Suspects { jobs: &self.jobs, runs: &self.runs, examinations: &self.examinations };
        let how = cause.how(&end);
        let culprit = match suspects.culprit(cause, &end, page) {
            Culprit::Nobody if !has_successor => self.who_was_alone(&how),
            known => known,
        };
        let dialogue = match culprit {
            Culprit::Run { number, .. } => live.process.page.dialogue(number),
            _ => None,
        };
        let (pid, lived) = (live.process.pid, live.since.elapsed());
        for answer in live.rest().await {
            self.take(answer);
        }
        let sentence = self.hold_back(&culprit, &how);
        let suspects = if has_successor || culprit != Culprit::Nobody { Vec::new() } else { self.to_be_told_apart() };
        let wait = match culprit {
            _ if has_successor => Duration::ZERO,
            Culprit::Nobody if !suspects.is_empty() => self.comeback.at_once(),
            Culprit::Nobody => self.comeback.later(self.jobs.shortest_interval()),
            _ => self.comeback.at_once(),
        };
        let last_words = &self.jobs.masker().mask(&end.last_words);
        let guilty = culprit.job().map(|(_, name)| name.to_owned());
        let mut file = self.crash_report(guilty.clone(), pid, lived, &how, &culprit, dialogue.as_deref(), last_words);
        let report = file.name();
        // Whoever hears of a lost run finds the death reported.
        self.report_crash(Crash { at: file.at, how: how.clone(), guilty: guilty.clone(), dialogue, report: Some(report.clone()) });
        if !has_successor {
            self.report_down();
        }
        let cost = self.answer_the_bereaved(&culprit, &how, had);
        let held = match sentence {
            Sentence::None => None,
            Sentence::HeldBack(held) | Sentence::Quarantined(held) => Some(held),
        };
        self.story.died(&Death { pid, how: &how, culprit: &culprit, cost, wait, held, last_words });
        let Cost { repeated, lost } = cost;
        file.facts.push(("neighbours", format!("{repeated} runs repeated, {lost} lost")));
        self.ward.report(file);
        self.tell_death(cause, &end, &culprit, cost, &report);
        if let Some((_, job)) = culprit.job() {
            self.tell_sentence(job, sentence, &how);
        }
        self.tell_apart(&suspects);
        true
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of a death")]
    fn crash_report(
        &self,
        job: Option<String>,
        pid: u32,
        lived: Duration,
        how: &str,
        culprit: &Culprit,
        dialogue: Option<&str>,
        last_words: &str,
    ) -> CrashReport {
        // The worker masked what was said with the secrets of its job; here are those of all of them.
        let masker = self.jobs.masker();
        let facts = vec![
            ("agent", self.agent_of(culprit).unwrap_or_else(|| "none to blame".into())),
            ("worker", format!("process {pid}, lived {} s", seconds(lived))),
            ("it", masker.mask(how)),
            ("while", culprit.doing().unwrap_or("nothing of a job's was under way").into()),
            ("crashes", self.crashes_of(culprit).map_or("unknown".into(), |crashes| format!("{crashes} without ten good runs in between"))),
        ];
        let texts = vec![
            ("last dialogue", dialogue.map(|said| masker.mask(said)).unwrap_or_default()),
            ("last words on standard error, a backtrace among them if there was one", last_words.to_owned()),
        ];
        CrashReport { at: SystemTime::now(), plugin: self.name.clone(), source: self.source.clone(), job, facts, texts }
    }

    fn agent_of(&self, culprit: &Culprit) -> Option<String> {
        match culprit {
            Culprit::Configuration { agent, .. } => Some(agent.clone()),
            _ => self.jobs.agent(culprit.job()?.0).map(str::to_owned),
        }
    }

    fn crashes_of(&self, culprit: &Culprit) -> Option<u32> {
        Some(self.jobs.get(culprit.job()?.0)?.record.crashes())
    }

    fn tell_death(&self, cause: &Cause, end: &End, culprit: &Culprit, Cost { repeated, lost }: Cost, report: &str) {
        let job = culprit.job().map(|(_, name)| name.to_owned());
        let crash = culprit.crash(&cause.how(end));
        let text = format!("plugin {}: {}; {repeated} runs of others repeated, {lost} lost; crashes/{report}", self.name, crash.message());
        self.ward.tell(Incident { plugin: self.name.clone(), job, what: What::Died(cause.name(end)), text });
    }

    fn report_crash(&self, crash: Crash) {
        let mut report = self.report();
        report.crashes += 1;
        report.last_crash = Some(crash);
    }

    fn report_down(&self) {
        let mut report = self.report();
        report.state = WorkerState::BackingOff;
        report.pid = None;
    }

    /// Ends what was under way when the worker died; what may be repeated waits for the next one.
    fn answer_the_bereaved(&mut self, culprit: &Culprit, how: &str, had: impl Fn(u64) -> bool) -> Cost {
        let crash = culprit.crash(how);
        match *culprit {
            Culprit::Run { number, .. } => drop(self.runs.end(number, RunEnd::failed(ErrorKind::CRASH, crash.message()))),
            Culprit::Agent { job, .. } | Culprit::Alone { job, .. } => self.runs.fail_job(job, &crash),
            Culprit::Configuration { number, .. } => self.examinations.end(number, Err(crash)),
            Culprit::Nobody => {}
        }
        let (guilty, why) = (culprit.job().map(|(number, _)| number), culprit.why(how));
        self.runs.lose(had, |job| self.jobs.get(job).is_some_and(|job| job.open.repeatable), guilty, &why)
    }
}

/// Whether the daemon is told to end as well, a moment earlier or later: a service manager tells all processes of a service.
async fn is_raised(ending: &AtomicBool) -> bool {
    if !ending.load(Ordering::Acquire) {
        sleep(TOLD_TO_END_WITHIN).await;
    }
    ending.load(Ordering::Acquire)
}
