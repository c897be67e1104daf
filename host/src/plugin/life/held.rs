//! Jobs that brought the worker down: held back, quarantined, on probation, released.

use std::time::{Duration, Instant};

use watchpost_plugin_api::ErrorKind;

use super::Life;
use crate::{
    log::seconds,
    plugin::{
        Held, Holding, Incident, RunEnd, What,
        blame::Culprit,
        jobs::Job,
        record::{Leave, Record, Sentence},
        seconds_now,
        ward::Kept,
    },
};

impl Life {
    /// A job as an earlier worker, or an earlier daemon, left it: quarantined, if library and configuration are still the same.
    pub(super) fn recalled(&self, mut job: Job) -> Job {
        let Some(kept) = self.ward.kept(&job.open.name) else { return job };
        if kept.config != job.open.digest() || self.source.digest() != Some(&kept.library) {
            self.ward.free(&job.open.name);
            self.tell_released(&job.open.name, "its library or its configuration is another one");
            return job;
        }
        let wait = Duration::from_secs(kept.next.saturating_sub(seconds_now()));
        job.record = Record::quarantined(kept.crashes, kept.failed, wait, Instant::now());
        job.how.clone_from(&kept.how);
        job.kept = Some(kept);
        job
    }

    /// How a run of a job ends that may not start; none where it may.
    pub(super) fn not_now(&mut self, number: u64) -> Option<RunEnd> {
        let job = self.jobs.get_mut(number)?;
        let name = &job.open.name;
        let why = match job.record.ask(Instant::now()) {
            Leave::Free => return None,
            Leave::OnProbation => {
                self.story.on_probation(name);
                let text = "quarantined, it runs once to see whether it still brings its worker down".to_owned();
                self.ward.tell(Incident { plugin: self.name.clone(), job: Some(name.clone()), what: What::OnProbation, text });
                return None;
            }
            Leave::HeldBack(crashes) => format!("held back: this job brought its worker down {crashes} times in a row"),
            Leave::Quarantined(crashes, _) => {
                format!("quarantined: this job brought its worker down {crashes} times; `watchpost jobs release {name}` frees it")
            }
        };
        Some(RunEnd::failed(ErrorKind::SKIPPED, why))
    }

    /// Holds the guilty job back from now on, or has it quarantined.
    pub(super) fn hold_back(&mut self, culprit: &Culprit, how: &str) -> Sentence {
        let Some(job) = culprit.job().and_then(|(number, _)| self.jobs.get_mut(number)) else { return Sentence::None };
        let sentence = job.record.crashed(Instant::now(), job.open.interval, job.open.quarantine_after);
        how.clone_into(&mut job.how);
        if let Sentence::Quarantined(wait) = sentence {
            let since = job.kept.as_ref().map_or_else(seconds_now, |kept| kept.since);
            let kept = Kept {
                how: how.to_owned(),
                crashes: job.record.crashes(),
                failed: job.record.failed_probations().unwrap_or_default(),
                since,
                next: seconds_now().saturating_add(wait.as_secs()),
                library: self.source.digest().unwrap_or_default().to_owned(),
                config: job.open.digest(),
            };
            self.ward.keep(&job.open.name, kept.clone());
            self.story.quarantined(&job.open.name, kept.crashes, wait);
            job.kept = Some(kept);
        }
        self.show_held();
        sentence
    }

    pub(super) fn tell_sentence(&self, job: &str, sentence: Sentence, how: &str) {
        let (what, text) = match sentence {
            Sentence::None => return,
            Sentence::HeldBack(held) => {
                (What::HeldBack, format!("held back for {} s: the worker {how}, and not for the first time", seconds(held)))
            }
            Sentence::Quarantined(wait) => {
                let wait = seconds(wait);
                let text = format!("quarantined: the worker {how}; on probation in {wait} s; `watchpost jobs release {job}` frees it");
                (What::Quarantined, text)
            }
        };
        self.ward.tell(Incident { plugin: self.name.clone(), job: Some(job.to_owned()), what, text });
    }

    /// A run of a job ended, and the worker lives.
    pub(super) fn survived(&mut self, number: u64) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        let before = job.record.crashes();
        if job.record.survived() {
            self.release(number, "it left its worker alive on probation");
        } else if before > 0 && job.record.crashes() == 0 {
            self.show_held();
        }
    }

    /// Sets a job free; says whether it was held back or quarantined.
    pub(super) fn release(&mut self, number: u64, why: &str) -> bool {
        let Some(job) = self.jobs.get_mut(number) else { return false };
        let held = job.record.release(Instant::now()) | job.kept.take().is_some();
        if !held {
            return false;
        }
        let name = job.open.name.clone();
        self.ward.free(&name);
        self.tell_released(&name, why);
        self.show_held();
        true
    }

    fn tell_released(&self, job: &str, why: &str) {
        self.story.released(job, why);
        self.ward.tell(Incident {
            plugin: self.name.clone(),
            job: Some(job.to_owned()),
            what: What::Released,
            text: format!("released: {why}"),
        });
    }

    /// Brings the report up to date.
    pub(super) fn show_held(&self) {
        let now = Instant::now();
        let of = |job: &Job| {
            let left = job.record.held_for(now);
            let holding = match (&job.kept, left) {
                (Some(_), _) => Holding::Quarantined,
                (None, Some(_)) => Holding::HeldBack,
                (None, None) => return None,
            };
            // Rounded up: not free before it says so.
            let until = seconds_now() + left.map_or(0, |left| left.as_secs() + 1);
            Some(Held { job: job.open.name.clone(), holding, crashes: job.record.crashes(), how: job.how.clone(), until })
        };
        let mut held: Vec<Held> = self.jobs.all().filter_map(of).collect();
        held.sort_by(|a, b| a.job.cmp(&b.job));
        self.report().held = held;
    }
}
