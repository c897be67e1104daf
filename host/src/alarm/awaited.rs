//! Series that are missed when they give no value for too long: `absent 10m`.
//!
//! Time is that of this process, which no clock moves: while nobody measured, nothing was missed.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{judge::Level, record::Subject};
use crate::{config::AlarmRule, schedule::Zone};

/// Job, rule and series.
pub type Place = (String, String, String);

/// Series that are looked out for.
#[derive(Debug, Default)]
pub struct Awaiting(HashMap<Place, Awaited>);

/// A series that is looked out for.
#[derive(Debug)]
pub struct Awaited {
    /// When it gave a value, or was first looked out for.
    seen: Instant,
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
        Self { seen: now, rule, levels, subject }
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
}

impl Awaiting {
    /// A value came.
    pub fn saw(&mut self, place: Place, awaited: Awaited) {
        self.0.insert(place, awaited);
    }

    /// Looks out for a series; one that is looked out for already keeps its time.
    pub fn expect(&mut self, place: Place, mut awaited: Awaited) {
        if let Some(known) = self.0.get(&place) {
            awaited.seen = known.seen;
        }
        self.0.insert(place, awaited);
    }

    /// Looks out for some only.
    pub fn retain(&mut self, is_wanted: impl Fn(&Place) -> bool) {
        self.0.retain(|place, _| is_wanted(place));
    }

    /// Those that are missed, as bad as that is.
    pub fn missed(&self, now: Instant) -> Vec<(Place, Level)> {
        let missed = self.0.iter().filter_map(|(place, awaited)| Some((place.clone(), awaited.level(now))).filter(|(_, level)| *level > 0));
        missed.collect()
    }

    /// One of them.
    pub fn get(&self, place: &Place) -> Option<&Awaited> {
        self.0.get(place)
    }
}
