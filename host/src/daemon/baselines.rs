//! What is usual of the series whose rules ask for that: learned from the store once an hour, a job at a time.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::interval};
use tracing::{debug, warn};

use super::{Daemon, now_ns};
use crate::{
    alarm::{
        baseline::Calendar,
        usual::{self, Baselines},
    },
    config::AlarmRule,
    latest::JobState,
    log::trouble::Trouble,
    series::{
        fetch::Series,
        meant::{may_be, may_be_of, of_every_run},
        selector::{Selector, Shown},
    },
};

/// How often it is looked whether something is to be learned.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long what was learned holds.
const HOLDS: Duration = Duration::from_secs(3_600);
/// When it is tried again after something could not be read.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// Series, as they were written, and the calendars that they are held to.
type Asked = Vec<(String, Calendar)>;

/// Jobs whose series have got a past that nothing was learned from yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Unlearned(Arc<Mutex<BTreeSet<String>>>);

impl Unlearned {
    /// Takes down jobs whose series were imported.
    pub(super) fn note(&self, jobs: impl IntoIterator<Item = String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(jobs);
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Learns until the daemon ends.
pub(super) async fn lead(daemon: Arc<Daemon>) {
    let mut looks = interval(LOOK_EVERY);
    let (mut learned, mut unread): (Option<(Instant, Asked)>, _) = (None, Trouble::new());
    loop {
        looks.tick().await;
        let config = daemon.config();
        let rules: Vec<AlarmRule> = config.rules.iter().filter(|rule| rule.enabled && rule.asks_what_is_usual()).cloned().collect();
        let asked: Asked = rules.iter().map(|rule| (rule.looks_at.shown(), rule.calendar())).collect();
        let (imported, holds) =
            (daemon.unlearned.take(), learned.as_ref().is_some_and(|(at, known)| at.elapsed() < HOLDS && *known == asked));
        if holds && imported.is_empty() {
            continue;
        }
        let only = holds.then_some(imported);
        if !holds {
            learned = Some((Instant::now(), asked));
        }
        if rules.is_empty() {
            continue;
        }
        let is_whole = only.is_none();
        let owner = daemon.clone();
        let began = Instant::now();
        let Ok(Learned { baselines, unread: failed }) = spawn_blocking(move || owner.learn(&rules, only.as_ref())).await else { continue };
        debug!(series = baselines.len(), took_ms = began.elapsed().as_millis(), "what is usual was learned");
        {
            let (mut ledger, unread) = (daemon.ledger.lend(), failed.iter().map(|(job, _)| job.as_str()));
            if is_whole { ledger.is_usual(baselines, unread) } else { ledger.is_usual_too(baselines) }
        }
        let Some((job, why)) = failed.first() else {
            unread.is_over(Instant::now());
            continue;
        };
        if unread.met(why, Instant::now()).is_some() {
            warn!(job, jobs = failed.len(), "what is usual of a job's series cannot be learned, what was known of them stays: {why}");
        }
        learned = learned.and_then(|(at, asked)| Some((at.checked_sub(HOLDS.saturating_sub(AGAIN_AFTER))?, asked)));
    }
}

/// What was learned.
#[derive(Default)]
struct Learned {
    baselines: Baselines,
    /// Jobs of which nothing can be learned, each with why.
    unread: Vec<(String, String)>,
}

impl Daemon {
    /// Learns what rules ask for: of all jobs, or of these.
    fn learn(&self, rules: &[AlarmRule], only: Option<&BTreeSet<String>>) -> Learned {
        let (mut found, now_s) = (Learned::default(), now_ns() / 1_000_000_000);
        let (config, jobs) = (self.config(), self.snapshot().jobs);
        let own = |job: &str| config.jobs.iter().find(|known| known.name.as_str() == job).map_or(0, |job| job.asks.labels.len());
        let mut learned: Vec<(&str, Calendar)> = Vec::new();
        for rule in rules {
            let (Some(series), calendar) = (rule.looks_at.series(), rule.calendar()) else { continue };
            if learned.iter().any(|(known, by)| *known == series.value.as_str() && *by == calendar) {
                continue;
            }
            learned.push((series.value.as_str(), calendar.clone()));
            // One job at a time: what is learned from fits one answer, whatever the rule is about.
            let is_meant = |job: &&Arc<JobState>| gives(job, &series.value) && only.is_none_or(|only| only.contains(&job.shape.job));
            for shape in jobs.iter().filter(is_meant).map(|job| &job.shape) {
                let meant = series.value.of_job(&shape.job);
                match usual::learn(&self.store, &meant, &calendar, (now_s, shape.step_s)) {
                    Ok(of_job) => {
                        for (series, baseline) in of_job {
                            let (job, series) = place(&series, own);
                            found.baselines.insert(&calendar, &job, series, baseline);
                        }
                    }
                    Err(error) => found.unread.push((shape.job.clone(), crate::chain(&error))),
                }
            }
        }
        found
    }
}

/// Whether a job may have series that are meant: what its agent declares with its runs counts, and what is not known yet.
fn gives(job: &JobState, meant: &Selector) -> bool {
    let every = of_every_run();
    let declared = job.last.iter().flat_map(|last| &last.declared);
    let mut known = job.shape.metrics.iter().chain(declared).chain(&every);
    may_be_of(meant, &job.shape) && (job.shape.metrics.is_empty() || known.any(|spec| may_be(meant, &job.shape, spec)))
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
