//! Series as rules know them, found by job, metric and labels: names are made once, not with every reading.

use std::{collections::HashMap, sync::Arc};

use super::{awaited::Place, record::key};
use crate::series::selector::Shown;

/// Label sets of one metric of one job that are known at once, at most; beyond, all are found anew.
const SEATS_MAX: usize = 20_000;

/// All that are known, by job; and of a job by the number of the metric and its labels.
#[derive(Debug, Default)]
pub struct Seats(HashMap<String, Vec<OfMetric>>);

/// Those of one metric of one job, by its labels; of a series one for each rule.
pub type OfMetric = HashMap<Vec<String>, Vec<Seat>>;

/// One series and one rule.
#[derive(Debug)]
pub struct Seat {
    /// Which of the rule's bounds hold; nothing: it is not looked at.
    pub limited: Option<Limited>,
    /// Whether the rule may remember something of the series.
    pub is_remembered: bool,
    /// Whether it is looked out for.
    pub is_awaited: bool,
    /// Whether its past was asked for.
    pub has_begun: bool,
    named: Option<Arc<Named>>,
}

/// Which bounds hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// The rule's own.
    Own,
    /// Those of the override at this place.
    Override(usize),
}

/// What a series is called.
#[derive(Debug)]
pub struct Named {
    /// Job, rule and series.
    pub place: Place,
    /// Rule and series.
    pub within_job: (String, String),
    /// What its alarm is known by.
    pub key: String,
    /// Labels of the metric, with their values.
    pub own: Vec<(String, String)>,
}

impl Seats {
    /// Forgets all: other rules hold.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Labels of a job's metric, by its number, that gave values.
    pub fn known(&self, job: &str, metric: usize) -> impl Iterator<Item = &Vec<String>> {
        self.0.get(job).and_then(|metrics| metrics.get(metric)).into_iter().flat_map(HashMap::keys)
    }

    /// Those of a job that has so many metrics.
    pub fn of_job(&mut self, job: &str, metrics: usize) -> &mut [OfMetric] {
        if !self.0.contains_key(job) {
            self.0.insert(job.to_owned(), (0..metrics).map(|_| HashMap::new()).collect());
        }
        self.0.get_mut(job).map(Vec::as_mut_slice).unwrap_or_default()
    }
}

/// Those of a series, one for each rule; made where they are not known.
pub fn of_series<'s>(known: &'s mut OfMetric, labels: &[String], make: impl FnOnce() -> Vec<Seat>) -> &'s mut [Seat] {
    if !known.contains_key(labels) {
        if known.len() >= SEATS_MAX {
            known.clear();
        }
        known.insert(labels.to_vec(), make());
    }
    known.get_mut(labels).map(Vec::as_mut_slice).unwrap_or_default()
}

impl Seat {
    /// One of which nothing is known but its bounds.
    pub fn new(limited: Option<Limited>) -> Self {
        Self { limited, is_remembered: true, is_awaited: false, has_begun: false, named: None }
    }

    /// What its series is called; made where that was not asked before.
    pub fn named(&mut self, make: impl FnOnce() -> Named) -> Arc<Named> {
        self.named.get_or_insert_with(|| Arc::new(make())).clone()
    }
}

impl Named {
    /// Names the series of a metric, and what a rule says of it.
    pub fn new(job: &str, rule: &str, metric: &str, own: Vec<(String, String)>) -> Self {
        let series = Shown { metric, labels: &own }.to_string();
        let key = key(job, &series, rule);
        let within_job = (rule.to_owned(), series.clone());
        Self { place: (job.to_owned(), rule.to_owned(), series), within_job, key, own }
    }
}
