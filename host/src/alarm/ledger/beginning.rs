//! Series that a rule begins to look at: what is stored of them fills its windows. Of an expression it is what it would have come to.

use std::sync::Arc;

use super::Ledger;
use crate::{
    alarm::{awaited::Place, history::Reach, seat::Named, together::Together, watch::Sight},
    series::selector::{Selector, Shown},
};

/// Series that wait for their past, at most; windows of others fill as values come.
const WAITING_MAX: usize = 50_000;

/// Something of which a rule wants more than it remembers.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Job, rule and series.
    place: Place,
    /// What selects the series; of an expression those of each of its names.
    pub series: Vec<Vec<Selector>>,
    /// After this instant its past is wanted, seconds since 1970…
    pub from_s: i64,
    /// …and up to this one.
    pub to_s: i64,
    is_total: bool,
    reach: Reach,
    together: Option<Arc<Together>>,
}

/// What is stored of a series before a rule began to look at it: rows by rising time, of a counter what it rose in a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The rows.
    pub rows: Vec<(i64, Option<f64>)>,
    /// Seconds between two of them.
    pub step_s: i64,
}

impl Beginning {
    /// A series whose rule looks back further than from its last value to its first; nothing where that is not so.
    pub(super) fn of(sight: &Sight<'_>, named: &Named, span: (i64, i64)) -> Option<Self> {
        let reach = sight.limits().reach();
        let (from_s, to_s) = wanted(reach, span, sight.shape.step_s)?;
        let labels: Vec<(String, String)> =
            std::iter::once(("job".to_owned(), sight.shape.job.clone())).chain(named.own.iter().cloned()).collect();
        let series = Selector::parse(&Shown { metric: &sight.spec.name, labels: &labels }.to_string()).ok()?;
        let (place, series, is_total) = (named.place.clone(), vec![vec![series]], sight.is_total());
        Some(Self { place, series, from_s, to_s, is_total, reach, together: None })
    }

    /// The same of an expression over these series.
    pub(super) fn of_sum(
        together: &Arc<Together>,
        named: &Named,
        series: impl FnOnce() -> Option<Vec<Vec<Selector>>>,
        span: (i64, i64),
        step_s: u32,
    ) -> Option<Self> {
        let reach = together.limits.reach();
        let (from_s, to_s) = wanted(reach, span, step_s)?;
        let (place, series, together) = (named.place.clone(), series()?, Some(together.clone()));
        Some(Self { place, series, from_s, to_s, is_total: false, reach, together })
    }

    /// What the rule would have seen, of what is stored of each series; nothing where nothing is.
    ///
    /// Shape: an expression has a row for each of the series whose rows are furthest apart; of the others the last row counts that is not
    /// older than that.
    /// Unknown: where one of its series is.
    pub fn seen(&self, mut pasts: Vec<Vec<Past>>) -> Option<Past> {
        let Some(expression) = self.together.as_ref().map(|together| together.expression()) else { return pasts.pop()?.pop() };
        let coarsest = pasts.iter().flatten().max_by_key(|past| past.step_s)?;
        let step_s = coarsest.step_s;
        let row = |at_s: i64| {
            let parts: Vec<Vec<Option<f64>>> =
                pasts.iter().map(|of_name| of_name.iter().map(|past| past.last_within(at_s, step_s)).collect()).collect();
            expression?.formula.value.value(|name| parts.get(name).map(Vec::as_slice).unwrap_or_default())
        };
        Some(Past { rows: coarsest.rows.iter().map(|(at_s, _)| (*at_s, row(*at_s))).collect(), step_s })
    }
}

impl Past {
    /// The last row up to an instant, if it is not so old.
    fn last_within(&self, at_s: i64, span_s: i64) -> Option<f64> {
        let after = self.rows.partition_point(|(row_s, _)| *row_s <= at_s);
        let (row_s, value) = self.rows.get(after.checked_sub(1)?)?;
        (*row_s > at_s - span_s).then_some(*value)?
    }
}

/// After which instant, and up to which, more is wanted than is remembered from the first value to the last.
fn wanted(reach: Reach, (first_s, last_s): (i64, i64), step_s: u32) -> Option<(i64, i64)> {
    let is_wanted = reach.back() > 0 && first_s > last_s - reach.back();
    is_wanted.then(|| (last_s - reach.back() - 2 * i64::from(step_s), first_s))
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

    /// Takes what a rule would have seen before it began to look. Says whether the rule now remembers more.
    pub fn precede(&mut self, begun: &Beginning, past: &Past) -> bool {
        let (job, rule, series) = &begun.place;
        let memory = self.memories.get_mut(job).and_then(|memories| memories.get_mut(&(rule.clone(), series.clone())));
        let is_more = memory.is_some_and(|memory| memory.history.precede(&past.rows, past.step_s, begun.is_total, begun.reach));
        if is_more {
            self.changed_memories.insert(begun.place.clone());
        }
        is_more
    }
}
