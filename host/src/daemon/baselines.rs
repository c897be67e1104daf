//! What is usual of the series whose rules ask for that: learned from the store once an hour, a few series at a time.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::interval};
use tracing::{debug, warn};

use super::{Daemon, now_ns};
use crate::{
    alarm::baseline::{Baseline, Baselines, Calendar, FINE_S, LOOKED_BACK_S},
    config::AlarmRule,
    log::trouble::Trouble,
    series::{
        archive::Consolidation,
        error::SeriesError,
        fetch::{Query, Series},
        selector::{Selector, Shown},
    },
};

/// How often it is looked whether something is to be learned.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long what was learned holds.
const HOLDS: Duration = Duration::from_secs(3_600);
/// Seconds of an hour.
const HOUR_S: u32 = 3_600;

/// Learns until the daemon ends.
pub(super) async fn lead(daemon: Arc<Daemon>) {
    let mut looks = interval(LOOK_EVERY);
    let (mut learned, mut unread): (Option<(Instant, Vec<String>)>, _) = (None, Trouble::new());
    loop {
        looks.tick().await;
        let config = daemon.config();
        let rules: Vec<AlarmRule> = config.rules.iter().filter(|rule| rule.enabled && rule.asks_what_is_usual()).cloned().collect();
        let asked: Vec<String> = rules.iter().map(|rule| rule.looks_at.shown()).collect();
        if learned.as_ref().is_some_and(|(at, known)| at.elapsed() < HOLDS && *known == asked) {
            continue;
        }
        learned = Some((Instant::now(), asked));
        if rules.is_empty() {
            continue;
        }
        let owner = daemon.clone();
        let began = Instant::now();
        match spawn_blocking(move || owner.learn(&rules)).await.map_err(|error| error.to_string()) {
            Ok(Ok(baselines)) => {
                unread.is_over(Instant::now());
                debug!(series = baselines.len(), took_ms = began.elapsed().as_millis(), "what is usual was learned");
                daemon.ledger.lend().is_usual(baselines);
            }
            Ok(Err(why)) | Err(why) => {
                if unread.met(&why, Instant::now()).is_some() {
                    warn!("what is usual of series cannot be learned: {why}");
                }
            }
        }
    }
}

impl Daemon {
    fn learn(&self, rules: &[AlarmRule]) -> Result<Baselines, String> {
        let mut baselines = HashMap::new();
        for rule in rules {
            let Some(series) = rule.looks_at.series() else { continue };
            let calendar = Calendar { zone: rule.zone, special: rule.holidays.clone() };
            self.learn_one(&series.value, &calendar, &mut baselines).map_err(|error| crate::chain(&error))?;
        }
        Ok(baselines)
    }

    fn learn_one(&self, selector: &Selector, calendar: &Calendar, baselines: &mut Baselines) -> Result<(), SeriesError> {
        let now = now_ns() / 1_000_000_000;
        let fetch = |back: i64, step: Option<u32>| -> Result<Vec<Series>, SeriesError> {
            let consolidation = Consolidation::Average;
            let query = Query { selectors: vec![selector.clone()], from: now - back, to: now, step, consolidation };
            let taken = super::series_view::lend(&self.store).ask(query, now)?;
            // What is not in files yet is a few minutes of weeks.
            taken.read(std::iter::empty())
        };
        let config = self.config();
        let own = |job: &str| config.jobs.iter().find(|known| known.name.as_str() == job).map_or(0, |job| job.asks.labels.len());
        let place = |series: &Series| place(series, own);
        let mut fine: HashMap<(String, String), Series> = fetch(FINE_S, None)?.into_iter().map(|series| (place(&series), series)).collect();
        for hours in fetch(LOOKED_BACK_S, Some(HOUR_S))? {
            let place = place(&hours);
            let fine = fine.remove(&place).map(|series| series.rows).unwrap_or_default();
            baselines.insert(place, Baseline::of(&hours.rows, &fine, calendar.clone()));
        }
        Ok(())
    }
}

/// Job and series, the latter without the labels that its job gives it: agent, job and target, and so many of its own.
fn place(series: &Series, own: impl Fn(&str) -> usize) -> (String, String) {
    let job = series.labels.iter().find(|(key, _)| key == "job").map(|(_, job)| job.clone()).unwrap_or_default();
    let labels = series.labels.get(3 + own(&job)..).unwrap_or_default();
    let shown = Shown { metric: &series.metric, labels }.to_string();
    (job, shown)
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::{Kind, Unit};

    use super::*;

    #[test]
    fn a_series_is_known_by_what_its_job_does_not_give_it() {
        let labels = [("agent", "queue"), ("job", "mx"), ("target", "h"), ("site", "paris"), ("queue", "deferred")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let (metric, unit, kind) = ("queue_size".to_owned(), Unit::Messages, Kind::Gauge);
        let series = Series { metric, labels, unit, kind, step: 60, kept: 60, rows: Vec::new(), gaps: Vec::new() };
        let own = |job: &str| usize::from(job == "mx");
        assert_eq!(place(&series, own), ("mx".to_owned(), "queue_size{queue=\"deferred\"}".to_owned()));
    }
}
