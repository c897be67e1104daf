//! How often a job brought its worker down, how long it is held back for it, and when it is quarantined.
//!
//! Held back: at most five of its intervals after each crash. Quarantined, after so many crashes as its configuration says: not run but
//! once in a while, on probation, until such a run leaves the worker alive or an operator releases it.

use std::time::{Duration, Instant};

/// A job is held back for at most so many of its intervals.
const INTERVALS_MAX: u32 = 5;
/// No job is held back longer than that: one that runs more seldom has waited long enough when it is due.
const HELD_MAX: Duration = Duration::from_secs(3600);
/// A job that ran so many times without a crash is trusted again.
const RUNS_TO_FORGIVE: u32 = 10;
/// How many of its intervals a quarantined job waits for its first probation; twice as many for each one more, within a bound.
const PROBATION_INTERVALS: u32 = 10;
const PROBATION_INTERVALS_MAX: u32 = 100;
/// How long a quarantined job waits for its next probation at most; one that runs more seldom is on probation at each run.
const PROBATION_AFTER_MAX: Duration = Duration::from_secs(3600);

/// How often a job brought its worker down.
#[derive(Debug, Default)]
pub(super) struct Record {
    crashes: u32,
    good_runs: u32,
    held_until: Option<Instant>,
    quarantine: Option<Quarantine>,
}

/// That a job is quarantined.
#[derive(Clone, Copy, Debug)]
struct Quarantine {
    /// Probations that it failed.
    failed: u32,
    /// Whether a run of it is on probation now.
    on_probation: bool,
}

/// Whether a job may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// As it is due.
    Free,
    /// Not yet: after so many crashes in a row.
    HeldBack(u32),
    /// Not before that long: after so many crashes in a row.
    Quarantined(u32, Duration),
    /// Once, to see whether it still brings its worker down.
    OnProbation,
}

/// What a crash brings upon a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sentence {
    /// Nothing but the run that it cost.
    None,
    /// It is held back for that long.
    HeldBack(Duration),
    /// It is quarantined, with that long to wait for a probation.
    Quarantined(Duration),
}

impl Record {
    /// That of a job which was quarantined before its worker was ours.
    pub(super) fn quarantined(crashes: u32, failed: u32, next: Duration, now: Instant) -> Self {
        let quarantine = Some(Quarantine { failed, on_probation: false });
        Self { crashes, good_runs: 0, held_until: Some(now + next), quarantine }
    }

    /// Notes a crash; the job is held back, longer each time, and quarantined in the end.
    pub(super) fn crashed(&mut self, now: Instant, interval: Duration, quarantine_after: u32) -> Sentence {
        self.crashes = self.crashes.saturating_add(1);
        self.good_runs = 0;
        if self.crashes >= quarantine_after || self.quarantine.is_some() {
            let failed = self.quarantine.map_or(0, |quarantine| quarantine.failed.saturating_add(1));
            self.quarantine = Some(Quarantine { failed, on_probation: false });
            let wait = probation_after(interval, failed);
            self.held_until = Some(now + wait);
            return Sentence::Quarantined(wait);
        }
        let intervals = 1_u32.checked_shl(self.crashes - 1).unwrap_or(u32::MAX).min(INTERVALS_MAX);
        // The first crash costs no run but its own: the next one is due after an interval anyway.
        let held = (self.crashes > 1).then(|| (interval * (intervals - 1) + interval / 2).min(HELD_MAX));
        self.held_until = held.map(|held| now + held);
        held.map_or(Sentence::None, Sentence::HeldBack)
    }

    /// Notes a run that did not bring the worker down; says whether that ends a quarantine.
    pub(super) fn survived(&mut self) -> bool {
        if self.quarantine.is_some_and(|quarantine| quarantine.on_probation) {
            *self = Self::default();
            return true;
        }
        self.good_runs = self.good_runs.saturating_add(1);
        if self.good_runs >= RUNS_TO_FORGIVE && self.quarantine.is_none() {
            *self = Self::default();
        }
        false
    }

    /// Whether a run that is due may start; one on probation starts with this.
    pub(super) fn ask(&mut self, now: Instant) -> Leave {
        let left = self.held_for(now);
        match (&mut self.quarantine, left) {
            (None, None) => Leave::Free,
            (None, Some(_)) => Leave::HeldBack(self.crashes),
            (Some(_), Some(left)) => Leave::Quarantined(self.crashes, left),
            (Some(quarantine), None) => {
                quarantine.on_probation = true;
                Leave::OnProbation
            }
        }
    }

    /// How long the job is still held back.
    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        self.held_until.and_then(|until| until.checked_duration_since(now)).filter(|held| !held.is_zero())
    }

    /// Crashes in a row.
    pub(super) fn crashes(&self) -> u32 {
        self.crashes
    }

    /// Probations that a quarantined job failed.
    pub(super) fn failed_probations(&self) -> Option<u32> {
        self.quarantine.map(|quarantine| quarantine.failed)
    }

    /// Forgets all of it; says whether that set the job free.
    pub(super) fn release(&mut self, now: Instant) -> bool {
        let held = self.quarantine.is_some() || self.held_for(now).is_some();
        *self = Self::default();
        held
    }
}

fn probation_after(interval: Duration, failed: u32) -> Duration {
    let doubled = PROBATION_INTERVALS.saturating_mul(1_u32.checked_shl(failed).unwrap_or(u32::MAX));
    interval.saturating_mul(doubled.min(PROBATION_INTERVALS_MAX)).min(PROBATION_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);
    const NEVER: u32 = u32::MAX;

    #[test]
    fn a_job_that_crashes_again_and_again_misses_at_most_five_intervals_at_a_time() {
        let (start, mut record) = (Instant::now(), Record::default());
        let mut held = Vec::new();
        for _ in 0..8 {
            record.crashed(start, INTERVAL, NEVER);
            held.push((0..20).filter(|&due| record.ask(start + INTERVAL * due) != Leave::Free).count());
        }
        assert_eq!(held, [0, 2, 4, 5, 5, 5, 5, 5]);
    }

    #[test]
    fn good_runs_are_forgiveness() {
        let mut record = Record::default();
        record.crashed(Instant::now(), INTERVAL, NEVER);
        record.crashed(Instant::now(), INTERVAL, NEVER);
        for _ in 0..RUNS_TO_FORGIVE {
            record.survived();
        }
        assert_eq!(record.ask(Instant::now()), Leave::Free);
    }

    /// Quarantined after three crashes; one that is asked at each of its intervals runs on probation after 10, 20, 40, 80, 100, 100 of them.
    #[test]
    fn a_quarantined_job_runs_on_probation_after_a_wait_that_doubles_up_to_a_bound() {
        let (start, mut record) = (Instant::now(), Record::default());
        let sentences: Vec<Sentence> = (0..3).map(|_| record.crashed(start, INTERVAL, 3)).collect();
        assert_eq!(sentences, [Sentence::None, Sentence::HeldBack(INTERVAL * 3 / 2), Sentence::Quarantined(INTERVAL * 10)]);
        let mut now = start;
        for waited in [10, 20, 40, 80, 100, 100] {
            let asked = (1..).find(|&due| record.ask(now + INTERVAL * due) == Leave::OnProbation);
            assert_eq!(asked, Some(waited));
            now += INTERVAL * waited;
            record.crashed(now, INTERVAL, 3);
        }
        assert_eq!(record.ask(now), Leave::Quarantined(9, INTERVAL * 100));
    }

    #[test]
    fn a_run_on_probation_that_leaves_the_worker_alive_ends_the_quarantine_and_another_does_not() {
        let (start, mut record) = (Instant::now(), Record::default());
        record.crashed(start, INTERVAL, 1);
        for _ in 0..2 * RUNS_TO_FORGIVE {
            assert!(!record.survived(), "a run that began before");
        }
        assert_eq!(record.ask(start + INTERVAL * 10), Leave::OnProbation);
        assert!(record.survived());
        assert_eq!(record.ask(start), Leave::Free);
    }

    #[test]
    fn a_job_that_runs_seldom_waits_an_hour_at_most() {
        let (start, mut record) = (Instant::now(), Record::default());
        let day = Duration::from_secs(86_400);
        assert_eq!(record.crashed(start, day, 3), Sentence::None);
        assert_eq!(record.crashed(start, day, 3), Sentence::HeldBack(HELD_MAX));
        assert_eq!(record.crashed(start, day, 3), Sentence::Quarantined(PROBATION_AFTER_MAX));
    }

    #[test]
    fn a_release_forgets_all_of_it() {
        let (start, mut record) = (Instant::now(), Record::quarantined(5, 2, INTERVAL, Instant::now()));
        assert!(matches!(record.ask(start), Leave::Quarantined(5, _)));
        assert!(record.release(start));
        assert!(!record.release(start));
        assert_eq!((record.ask(start), record.crashed(start, INTERVAL, 5)), (Leave::Free, Sentence::None));
    }
}
