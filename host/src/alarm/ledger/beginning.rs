//! Series that a rule begins to look at: what is stored of them fills its windows.

use super::Ledger;
use crate::{
    alarm::{awaited::Place, history::Reach, seat::Named, watch::Sight},
    series::selector::{Selector, Shown},
};

/// Series that wait for their past, at most; windows of others fill as values come.
const WAITING_MAX: usize = 50_000;

/// A series of which a rule wants more than it remembers.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Job, rule and series.
    place: Place,
    /// What selects the series.
    pub series: Selector,
    /// After this instant its past is wanted, seconds since 1970…
    pub from_s: i64,
    /// …and up to this one.
    pub to_s: i64,
    is_total: bool,
    reach: Reach,
}

impl Beginning {
    /// A series whose rule looks back further than from its last value to its first; nothing where that is not so.
    pub(super) fn of(sight: &Sight<'_>, named: &Named, span: (i64, i64)) -> Option<Self> {
        let (first_s, last_s) = span;
        let reach = sight.limits().reach();
        let from_s = last_s - reach.back() - 2 * i64::from(sight.shape.step_s);
        if reach.back() == 0 || first_s <= last_s - reach.back() {
            return None;
        }
        let labels: Vec<(String, String)> =
            std::iter::once(("job".to_owned(), sight.shape.job.clone())).chain(named.own.iter().cloned()).collect();
        let series = Selector::parse(&Shown { metric: &sight.spec.name, labels: &labels }.to_string()).ok()?;
        Some(Self { place: named.place.clone(), series, from_s, to_s: first_s, is_total: sight.is_total(), reach })
    }
}

impl Ledger {
    /// Takes down that a rule begins to look at a series.
    pub(super) fn begins(beginnings: &mut Vec<Beginning>, one: Option<Beginning>) {
        if beginnings.len() < WAITING_MAX {
            beginnings.extend(one);
        }
    }

    /// Series that rules have begun to look at, some of them, each once.
    pub fn begun(&mut self, most: usize) -> Vec<Beginning> {
        let first = self.beginnings.len().saturating_sub(most);
        self.beginnings.split_off(first)
    }

    /// Takes what is stored of a series before a rule began to look at it: rows by rising time, of a counter what it rose in a second. Says
    /// whether the rule now remembers more.
    pub fn precede(&mut self, begun: &Beginning, rows: &[(i64, Option<f64>)], step_s: i64) -> bool {
        let (job, rule, series) = &begun.place;
        let memory = self.memories.get_mut(job).and_then(|memories| memories.get_mut(&(rule.clone(), series.clone())));
        let is_more = memory.is_some_and(|memory| memory.history.precede(rows, step_s, begun.is_total, begun.reach));
        if is_more {
            self.changed_memories.insert(begun.place.clone());
        }
        is_more
    }
}
