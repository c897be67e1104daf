//! Series that are missed when they give no value for too long: `absent 10m`.
//!
//! Time is that of this process, which no clock moves: while nobody measured, nothing was missed. What is silent on purpose is not missed
//! either: a job that is paused, outside its windows or in a blackout, and one that was not due again since the value came.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{judge::Level, record::Subject};
use crate::{
    config::AlarmRule,
    reading::{Cause, Reading, Reason, Silence},
    schedule::Zone,
    series::gap::silences::Silences,
};

/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

/// Job, rule and series.
pub type Place = (String, String, String);

/// Series that are looked out for.
#[derive(Debug, Default)]
pub struct Awaiting {
    series: HashMap<Place, Awaited>,
    /// What is known of their jobs.
    jobs: HashMap<String, OfJob>,
}

/// What is known of a job whose series are looked out for.
#[derive(Debug, Default)]
struct OfJob {
    /// The slot of its last reading that was due.
    slot: Option<i64>,
    /// Why it gives none for now.
    silences: Silences,
}

/// A series that is looked out for.
#[derive(Debug)]
pub struct Awaited {
    /// When it gave a value, or was first looked out for.
    seen: Instant,
    /// The slot of its last value, and when that value is stale, nanoseconds since 1970.
    last: Option<(i64, i64)>,
    /// The rule that misses it.
    pub rule: Arc<AlarmRule>,
    /// After how long it is missed, the worst first.
    pub levels: Vec<(Level, Duration)>,
    /// What an alarm of it is about.
    pub subject: Subject,
}

impl Awaited {
    /// Looks out from now on.
    pub fn new(rule: Arc<AlarmRule>, levels: Vec<(Level, Duration)>, subject: Subject, now: Instant) -> Self {
        Self { seen: now, last: None, rule, levels, subject }
    }

    /// How long it gave nothing.
    pub fn missed_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.seen)
    }

    /// How bad that is.
    pub fn level(&self, now: Instant) -> Level {
        let missed = self.missed_for(now);
        self.levels.iter().find(|(_, longest)| missed >= *longest).map_or(0, |(level, _)| *level)
    }

    /// Whether its rule may raise something now.
    pub fn holds(&self, now_s: i64) -> bool {
        let zone: Zone = self.rule.zone;
        self.rule.hours.as_ref().is_none_or(|hours| hours.hold(now_s, zone))
    }

    /// Whether it could have given a value by now: its job gave a reading since, or should have.
    fn was_due(&self, job: Option<&OfJob>, now_ns: i64) -> bool {
        let last_reading = job.and_then(|job| job.slot);
        self.last.is_none_or(|(slot, stale_ns)| now_ns > stale_ns || last_reading.is_some_and(|last| last > slot))
    }
}

impl OfJob {
    /// Whether it gives no readings on purpose.
    fn is_silent(&self, now_s: i64) -> bool {
        let reason = self.silences.at(now_s);
        reason.is_some_and(|reason| match reason {
            Reason::Paused | Reason::Removed | Reason::NotDue | Reason::NotActive | Reason::Blackout => true,
            Reason::Skipped | Reason::ClockStep | Reason::HostDown => false,
        })
    }
}

impl Awaiting {
    /// A value came with a reading.
    pub fn saw(&mut self, place: Place, awaited: Awaited, reading: &Reading) {
        self.series.insert(place, Awaited { last: Some((reading.slot, reading.stale_ns)), ..awaited });
    }

    /// A value came of a series that is looked out for; false: it is not.
    pub fn saw_again(&mut self, place: &Place, reading: &Reading, now: Instant) -> bool {
        let Some(awaited) = self.series.get_mut(place) else { return false };
        (awaited.seen, awaited.last) = (now, Some((reading.slot, reading.stale_ns)));
        true
    }

    /// Looks out for a series; one that is looked out for already keeps its time.
    pub fn expect(&mut self, place: Place, mut awaited: Awaited) {
        if let Some(known) = self.series.get(&place) {
            (awaited.seen, awaited.last) = (known.seen, known.last);
        }
        self.series.insert(place, awaited);
    }

    /// Looks out for some only.
    pub fn retain(&mut self, is_wanted: impl Fn(&Place) -> bool) {
        self.series.retain(|place, _| is_wanted(place));
    }

    /// A job gave a reading, whatever is in it. One that was silent on purpose begins anew: nothing was missed meanwhile.
    pub fn hear(&mut self, reading: &Reading, now: Instant) {
        if reading.cause != Cause::Schedule || self.series.is_empty() && !self.jobs.contains_key(&reading.job) {
            return;
        }
        let job = self.jobs.entry(reading.job.clone()).or_default();
        job.slot = Some(reading.slot);
        if job.silences.passed(reading.slot) {
            let own = self.series.iter_mut().filter(|((job, _, _), _)| *job == reading.job);
            own.for_each(|(_, awaited)| awaited.seen = now);
        }
    }

    /// A job gives no readings for a while.
    pub fn fall_silent(&mut self, silence: &Silence) {
        self.jobs.entry(silence.job.clone()).or_default().silences.note(silence.from, silence.reason);
    }

    /// Those that are missed, as bad as that is.
    pub fn missed(&self, now: Instant, now_ns: i64) -> Vec<(Place, Level)> {
        let now_s = now_ns.div_euclid(SECOND_NS);
        let is_missed = |(name, _, _): &Place, awaited: &Awaited| {
            let job = self.jobs.get(name);
            awaited.was_due(job, now_ns) && !job.is_some_and(|job| job.is_silent(now_s))
        };
        let missed = self.series.iter().filter_map(|(place, awaited)| {
            let level = awaited.level(now);
            (level > 0 && is_missed(place, awaited)).then(|| (place.clone(), level))
        });
        missed.collect()
    }

    /// How long it takes until one of them may be missed, or missed worse.
    pub fn next(&self, now: Instant) -> Option<Duration> {
        let of_one = |awaited: &Awaited| {
            let missed = awaited.missed_for(now);
            awaited.levels.iter().filter_map(|(_, longest)| longest.checked_sub(missed)).filter(|rest| !rest.is_zero()).min()
        };
        self.series.values().filter_map(of_one).min()
    }

    /// When the hours of a rule begin that misses one of them already, seconds since 1970.
    pub fn opens_s(&self, now: Instant, now_s: i64) -> impl Iterator<Item = i64> {
        let is_missed = move |awaited: &&Awaited| awaited.level(now) > 0 && !awaited.holds(now_s);
        self.series.values().filter(is_missed).filter_map(move |awaited| awaited.rule.hours.as_ref()?.opens_from(now_s, awaited.rule.zone))
    }

    /// When a value of theirs is stale for the first time, nanoseconds since 1970, as a whole second.
    pub fn stale_ns(&self) -> impl Iterator<Item = i64> {
        self.series.values().filter_map(|awaited| Some((awaited.last?.1 / SECOND_NS).saturating_add(1).saturating_mul(SECOND_NS)))
    }

    /// One of them.
    pub fn get(&self, place: &Place) -> Option<&Awaited> {
        self.series.get(place)
    }
}
