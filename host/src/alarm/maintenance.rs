//! Maintenance: for a while, or at hours that come again, nobody is told of what is wrong with some series. Measuring and judging go on, and
//! what is over is told to whoever knows that it began.

use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::record::Subject;
use crate::{
    config::MaintenanceWindow,
    series::selector::{NAME_LABEL, Selector},
};

/// Maintenance that is remembered beyond its end, at most; then the first goes.
const REMEMBERED_MAX: usize = 10_000;

/// Maintenance that somebody announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Its number.
    pub number: u64,
    /// Whose alarms nobody is told of, as SERIES: `{site="paris"}`.
    pub series: String,
    /// Who announced it.
    pub by: String,
    /// Why.
    pub comment: Option<String>,
    /// When it began, nanoseconds since 1970.
    pub from_ns: i64,
    /// When it ends by itself.
    pub until_ns: i64,
    /// Who ended it before, and when.
    pub ended: Option<(String, i64)>,
}

impl Maintenance {
    /// Whether it goes on.
    pub fn goes_on(&self, now_ns: i64) -> bool {
        self.ended.is_none() && (self.from_ns..self.until_ns).contains(&now_ns)
    }

    /// Whether it went on then, over by now or not.
    fn went_on(&self, time_ns: i64) -> bool {
        let until_ns = self.ended.as_ref().map_or(self.until_ns, |(_, ended)| self.until_ns.min(*ended));
        (self.from_ns..until_ns).contains(&time_ns)
    }
}

/// All that was announced, also what is over: whoever counts time looks back.
#[derive(Clone, Debug, Default)]
pub struct Announced(Arc<RwLock<Vec<(Maintenance, Selector)>>>);

impl Announced {
    /// Takes one, or what became of it.
    pub fn take(&self, maintenance: Maintenance) {
        // It was read when it was announced.
        let Ok(selector) = Selector::parse(&maintenance.series) else { return };
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(known, _)| known.number != maintenance.number);
        all.push((maintenance, selector));
        let surplus = all.len().saturating_sub(REMEMBERED_MAX);
        all.drain(..surplus);
    }

    /// Whose alarms nobody was told of at that time.
    pub fn at(&self, time_ns: i64) -> Vec<Selector> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(maintenance, _)| maintenance.went_on(time_ns)).map(|(_, selector)| selector.clone()).collect()
    }
}

/// What is maintained now, and at which hours.
#[derive(Debug, Default)]
pub struct Maintained {
    remembered: Announced,
    announced: Vec<(Maintenance, Selector)>,
    windows: Vec<MaintenanceWindow>,
}

impl Maintained {
    /// Takes one that was announced.
    pub fn announce(&mut self, maintenance: Maintenance) {
        self.remembered.take(maintenance.clone());
        // It was read when it was announced.
        if let Ok(selector) = Selector::parse(&maintenance.series) {
            self.announced.push((maintenance, selector));
        }
    }

    /// Takes the hours that come again.
    pub fn set(&mut self, windows: Vec<MaintenanceWindow>) {
        self.windows = windows;
    }

    /// All that were announced, also later and what is over.
    pub fn remembered(&self) -> Announced {
        self.remembered.clone()
    }

    /// All that were announced and are not over.
    pub fn announced(&self) -> impl Iterator<Item = &Maintenance> {
        self.announced.iter().map(|(maintenance, _)| maintenance)
    }

    /// Takes out what is over, and gives one that is ended now.
    pub fn end(&mut self, number: u64, by: &str, now_ns: i64) -> Option<Maintenance> {
        let place = self.announced.iter().position(|(known, _)| known.number == number && known.goes_on(now_ns))?;
        let (maintenance, _) = self.announced.remove(place);
        let ended = Maintenance { ended: Some((by.to_owned(), now_ns)), ..maintenance };
        self.remembered.take(ended.clone());
        Some(ended)
    }

    /// Forgets what is over.
    pub fn forget(&mut self, now_ns: i64) {
        self.announced.retain(|(maintenance, _)| maintenance.goes_on(now_ns));
    }

    /// Why nobody is to be told of an alarm now, if so.
    pub fn silences(&self, subject: &Subject, now_ns: i64) -> Option<String> {
        let announced = self.announced.iter().find(|(maintenance, selector)| maintenance.goes_on(now_ns) && is_meant(selector, subject));
        if let Some((maintenance, _)) = announced {
            return Some(format!("maintenance {} by {}", maintenance.number, maintenance.by));
        }
        let now_s = now_ns.div_euclid(1_000_000_000);
        let window = self.windows.iter().find(|window| window.hours.hold(now_s, window.zone) && is_meant(&window.series.value, subject));
        window.map(|window| format!("maintenance {}", window.name.value))
    }
}

/// Whether an alarm is of a series that is meant.
pub(super) fn is_meant(selector: &Selector, subject: &Subject) -> bool {
    let metric = subject.series.split('{').next().unwrap_or_default();
    selector.matches(|label| match label {
        NAME_LABEL => Some(metric),
        "agent" => Some(&subject.agent),
        "job" => Some(&subject.job),
        "target" => Some(&subject.target),
        other => subject.labels.iter().rev().find(|(key, _)| key == other).map(|(_, value)| value.as_str()),
    })
}
