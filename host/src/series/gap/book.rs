//! The book of gaps: what each job's readings and silences come to, as spans that follow one another.
//!
//! Like the rest of the catalogue it rests on records alone, so that a replay after a crash comes to the same.

use std::collections::{HashMap, VecDeque};

use watchpost_services::outcome::Status;

use super::silences::Silences;
use super::{Cause, Gap, of_reason, of_status};
use crate::reading::{Cause as RunCause, Given, Reason, Silence};

/// Spans of one job that are kept, at most; the oldest give way.
pub const SPANS_MAX: usize = 10_000;

/// What is known of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Of the time before nothing is known: nobody kept a book, or its spans gave way.
    pub since: i64,
    /// Up to here it is known what was.
    pub until: i64,
    /// Seconds between slots; 0 before the first reading.
    pub step: i64,
    /// What was said of the time after that.
    pub silences: Silences,
    /// Spans in the file.
    pub spans: usize,
    /// Those that are not, and the last one of all, which may yet become longer.
    pub unsaved: VecDeque<Gap>,
    /// Whether the first of these is in the file, if not as long.
    pub first_is_saved: bool,
    /// Whether the file has it as it is here.
    pub saved: bool,
}

/// Jobs by name.
pub(in crate::series) type Jobs = HashMap<String, Followed, foldhash::fast::RandomState>;

/// What is known of every job.
#[derive(Debug, Default)]
pub struct Book {
    jobs: Jobs,
    /// Jobs whose series are dropped, while the file does not know that.
    forgotten: Vec<String>,
    /// Jobs that are called otherwise now, while the file does not know that.
    renamed: Vec<(String, String)>,
    /// When the last record was made, seconds since 1970.
    heard: Option<i64>,
}

/// Some time of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Before that nothing is known.
    pub since: i64,
    /// After that neither.
    pub until: i64,
    /// By rising time; what lies between them was measured.
    pub gaps: Vec<Gap>,
}

impl Book {
    /// Takes what a file has.
    pub(in crate::series) fn of(jobs: Jobs, heard: Option<i64>) -> Self {
        Self { jobs, heard, ..Self::default() }
    }

    /// When the last record was made, seconds since 1970.
    pub fn heard(&self) -> Option<i64> {
        self.heard
    }

    /// Notes when a record was made.
    pub fn hear(&mut self, time_ns: i64) {
        self.heard = Some(time_ns.div_euclid(1_000_000_000));
    }

    /// What is known of a job.
    pub fn job(&self, job: &str) -> Option<&Followed> {
        self.jobs.get(job)
    }

    /// Every job that the file does not have as it is here.
    pub fn unsaved(&mut self) -> impl Iterator<Item = (&String, &mut Followed)> {
        self.jobs.iter_mut().filter(|(_, followed)| !followed.saved)
    }

    /// Forgets a job that has no series any more.
    pub fn forget(&mut self, job: &str) {
        self.jobs.remove(job);
        let in_file = self.take_name_in_file(job);
        self.forgotten.extend(in_file);
    }

    /// Gives what is known of a job to the one that goes on with its series, unless that one has measured before.
    pub fn succeed(&mut self, from: &str, to: &str) {
        let Some(old) = self.jobs.remove(from) else { return };
        let in_file = self.take_name_in_file(from);
        if self.jobs.get(to).is_some_and(|known| known.step > 0) {
            self.forgotten.extend(in_file);
            return;
        }
        let silences = self.jobs.remove(to).map(|known| known.silences).filter(|said| *said != Silences::default());
        let silences = silences.unwrap_or_else(|| old.silences.clone());
        self.jobs.insert(to.to_owned(), Followed { silences, saved: false, ..old });
        self.renamed.extend(in_file.filter(|in_file| in_file != to).map(|in_file| (in_file, to.to_owned())));
    }

    /// What the file calls a job; nothing if what it has under that name is another one's by now, or nobody's.
    pub fn in_file<'a>(&'a self, job: &'a str) -> Option<&'a str> {
        let renamed = self.renamed.iter().find(|(_, now)| now == job).map(|(before, _)| before.as_str());
        let is_gone = self.forgotten.iter().chain(self.renamed.iter().map(|(before, _)| before)).any(|gone| gone == job);
        renamed.or(Some(job).filter(|_| !is_gone))
    }

    /// What the file calls a job that is called otherwise from now on, or no more.
    fn take_name_in_file(&mut self, job: &str) -> Option<String> {
        let in_file = self.in_file(job).map(str::to_owned);
        self.renamed.retain(|(_, now)| now != job);
        in_file
    }

    /// Jobs that are called otherwise now, while the file does not know that.
    pub fn renamed(&self) -> &[(String, String)] {
        &self.renamed
    }

    /// Jobs that were forgotten, while the file does not know that.
    pub fn forgotten(&self) -> &[String] {
        &self.forgotten
    }

    /// The file has all of it now.
    pub fn is_saved(&mut self) {
        self.forgotten.clear();
        self.renamed.clear();
        self.unsaved().for_each(|(_, known)| known.is_saved());
    }

    /// Takes a reading of a job with this step.
    pub fn take(&mut self, reading: &Given<'_>, step: u32) {
        let outcome = &reading.outcome;
        self.hear(outcome.started_ns.saturating_add_unsigned(outcome.duration_ns));
        let known = match self.jobs.get_mut(reading.job) {
            Some(known) => known,
            None => self.jobs.entry(reading.job.to_owned()).or_default(),
        };
        known.read(reading.slot, i64::from(step.max(1)), reading.cause, &outcome.status);
    }

    /// Takes that a job is silent.
    pub fn fall_silent(&mut self, silence: &Silence) {
        self.hear(silence.time_ns);
        let known = self.jobs.entry(silence.job.clone()).or_default();
        if known.silences.note(silence.from, silence.reason) {
            known.saved = false;
        }
    }

    /// Says that nobody measures since the last record was made; for whoever reads what an ended daemon left.
    pub fn stop(&mut self) {
        let Some(heard) = self.heard else { return };
        for known in self.jobs.values_mut().filter(|known| known.step > 0) {
            let next = known.until + known.step;
            if known.silences.at(heard.max(next)).is_none() {
                known.silences.note(heard.max(next), Reason::HostDown);
            }
        }
    }
}

impl Followed {
    fn read(&mut self, slot: i64, step: i64, cause: RunCause, status: &Status) {
        if self.step == 0 {
            (self.since, self.until) = (slot - step, slot - step);
        }
        self.step = step;
        if slot > self.until {
            if slot - step > self.until {
                self.silent_gaps(slot - step).into_iter().for_each(|gap| self.push(gap));
            }
            let from = self.until.max(slot - step);
            if let Some((cause, detail)) = of_status(status) {
                self.push(Gap { from, to: slot, cause, detail });
            }
            self.until = slot;
            self.saved = false;
        }
        // One that somebody asked for ends no pause.
        if cause == RunCause::Schedule && self.silences.passed(slot) {
            self.saved = false;
        }
    }

    /// The time up to an instant of which no reading came.
    fn silent_gaps(&self, to: i64) -> Vec<Gap> {
        let pieces = self.silences.over(self.until, to, self.step);
        // A run that was under way when the daemon ended left nothing either.
        let second = pieces.get(1).and_then(|(_, _, reason)| *reason).filter(|next| [Reason::HostDown, Reason::Removed].contains(next));
        let gaps = pieces.into_iter().map(|(from, to, reason)| {
            let (cause, detail) = reason.or(second).map_or((Cause::NotStored, None), of_reason);
            Gap { from, to, cause, detail }
        });
        gaps.collect()
    }

    /// What is said of the time after the last reading, up to an instant; where nothing was said, the next reading is awaited.
    pub fn ahead(&self, to: i64) -> Vec<Gap> {
        let pieces = self.silences.over(self.until, to, self.step.max(1)).into_iter();
        let said = pieces.filter_map(|(from, to, reason)| Some((from, to, of_reason(reason?))));
        said.map(|(from, to, (cause, detail))| Gap { from, to, cause, detail }).collect()
    }

    fn push(&mut self, gap: Gap) {
        match self.unsaved.back_mut() {
            Some(last) if last.to == gap.from && (last.cause, &last.detail) == (gap.cause, &gap.detail) => last.to = gap.to,
            _ => self.unsaved.push_back(gap),
        }
        if self.unsaved.len() > SPANS_MAX {
            let gone = self.unsaved.pop_front();
            self.since = gone.map_or(self.since, |gone| self.since.max(gone.to));
            self.first_is_saved = false;
        }
    }

    /// The file has it now as it is here; the last span stays at hand.
    pub fn is_saved(&mut self) {
        self.spans += self.unsaved.len() - usize::from(self.first_is_saved && !self.unsaved.is_empty());
        self.unsaved.drain(..self.unsaved.len().saturating_sub(1));
        self.first_is_saved = !self.unsaved.is_empty();
        self.saved = true;
    }
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::Outcome;

    use super::*;
    use crate::reading::Reading;

    const STEP: i64 = 60;

    /// A run that was due in the slot of this number: fine, or failed.
    fn reading(slot: i64, cause: RunCause, failed: Option<ErrorKind>) -> Reading {
        let outcome = Outcome::failed(failed.unwrap_or(ErrorKind::LOCAL), "", slot * STEP * 1_000_000_000);
        let status = if failed.is_none() { Status::Ok } else { outcome.status.clone() };
        let outcome = Outcome { status, ..outcome };
        Reading { job: "mx".into(), cause, slot: slot * STEP, due_ns: 0, stale_ns: 0, outcome }
    }

    fn silence(slot: i64, reason: Reason) -> Silence {
        Silence { time_ns: slot * STEP * 1_000_000_000, job: "mx".into(), from: slot * STEP, reason }
    }

    #[derive(Clone)]
    enum Did {
        Read(i64),
        Asked(i64),
        Failed(i64, ErrorKind),
        Silent(i64, Reason),
    }
    use Did::{Asked, Failed, Read, Silent};

    /// What a book makes of it: spans in slots after the first reading's, and what is said of the time up to slot 100.
    fn check(did: &[Did], expected: &[&str]) {
        let mut book = Book::default();
        for did in did {
            match did {
                Read(slot) => book.take(&Given::of(&reading(*slot, RunCause::Schedule, None)), 60),
                Asked(slot) => book.take(&Given::of(&reading(*slot, RunCause::Manual, None)), 60),
                Failed(slot, kind) => book.take(&Given::of(&reading(*slot, RunCause::Schedule, Some(*kind))), 60),
                Silent(slot, reason) => book.fall_silent(&silence(*slot, *reason)),
            }
        }
        let known = book.job("mx").unwrap();
        let said = |gap: &Gap| format!("{}-{} {}", gap.from / STEP, gap.to / STEP, gap.said());
        let told: Vec<_> = known.unsaved.iter().map(said).chain(known.ahead(100 * STEP).iter().map(said)).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn each_cause_has_its_time_and_what_is_alike_is_one_span() {
        check(&[Read(1), Read(2), Read(3)], &[]);
        let failed = [Read(1), Failed(2, ErrorKind::CONNECT), Failed(3, ErrorKind::CONNECT), Failed(4, ErrorKind::TLS), Read(5)];
        check(&failed, &["1-3 target_down: connect", "3-4 target_down: tls"]);
        let ours = [Read(1), Failed(2, ErrorKind::PANIC), Failed(3, ErrorKind::INTERRUPTED), Failed(4, ErrorKind::SKIPPED)];
        check(&ours, &["1-2 agent_failed: panic", "2-3 interrupted", "3-4 skipped"]);
        check(&[Read(1), Silent(2, Reason::Skipped), Read(3)], &["1-2 skipped"]);
        check(&[Read(1), Silent(4, Reason::ClockStep), Read(9)], &["1-3 not_stored", "3-8 clock_stepped"]);
    }

    #[test]
    fn what_holds_now_holds_until_a_reading_that_was_due() {
        check(&[Read(1), Silent(2, Reason::Paused)], &["1-100 not_scheduled: paused"]);
        let by_hand = [Read(1), Silent(2, Reason::Paused), Asked(10), Read(20), Read(21)];
        check(&by_hand, &["1-9 not_scheduled: paused", "10-19 not_scheduled: paused"]);
        let both = [Silent(2, Reason::NotDue), Silent(5, Reason::Blackout), Read(1)];
        check(&both, &["1-4 not_scheduled: not_due", "4-100 blackout"]);
    }

    #[test]
    fn what_is_said_at_the_begin_of_a_run_outlives_its_reading() {
        // Due in one slot of three: of each run is said what follows it, and then comes its reading.
        let runs = [1, 4, 7, 10].map(|slot| [Silent(slot + 1, Reason::NotDue), Read(slot)]).concat();
        check(
            &runs,
            &["1-3 not_scheduled: not_due", "4-6 not_scheduled: not_due", "7-9 not_scheduled: not_due", "10-100 not_scheduled: not_due"],
        );
        // However often, it is one gap while no reading comes.
        let often: Vec<Did> = [Read(1)].into_iter().chain((2..60).map(|slot| Silent(slot, Reason::Blackout))).collect();
        check(&often, &["1-100 blackout"]);
    }

    #[test]
    fn a_run_that_was_under_way_when_the_host_went_down_is_part_of_that() {
        check(&[Read(1), Silent(3, Reason::HostDown), Read(7)], &["1-6 host_down"]);
        // It was paused, went down, and came up paused.
        let paused = [Read(1), Silent(2, Reason::Paused), Silent(5, Reason::HostDown), Silent(8, Reason::Paused), Read(9)];
        check(&paused, &["1-4 not_scheduled: paused", "4-7 host_down", "7-8 not_scheduled: paused"]);
    }

    #[test]
    fn late_readings_and_those_twice_change_nothing() {
        check(&[Read(1), Read(3), Failed(2, ErrorKind::TLS), Read(3), Failed(3, ErrorKind::TLS)], &["1-2 not_stored"]);
    }

    #[test]
    fn whoever_reads_without_a_daemon_is_told_that_none_runs() {
        let mut book = Book::default();
        for slot in 1..4 {
            book.take(&Given::of(&reading(slot, RunCause::Schedule, None)), 60);
        }
        book.stop();
        let ahead = book.job("mx").unwrap().ahead(10 * STEP);
        assert_eq!(ahead.iter().map(Gap::said).collect::<Vec<_>>(), ["host_down"]);
    }
}
