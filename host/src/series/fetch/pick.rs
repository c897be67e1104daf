//! The series that a selector means.

use std::collections::BTreeSet;

use watchpost_plugin_api::{Kind, Unit};

use crate::series::catalogue::{Catalogue, Job, SeriesFile};
use crate::series::name::{LabelSet, of_series};
use crate::series::selector::{NAME_LABEL, Selector};

/// What tells a series from others: job, labels, metric.
pub(super) type Key = (String, LabelSet, String);

/// One series.
#[derive(Clone, Debug)]
pub(super) struct Pick {
    pub(super) job: String,
    pub(super) label_set: LabelSet,
    pub(super) metric: String,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    /// `agent`, `job`, `target`, the job's own labels, the metric's.
    pub(super) labels: Vec<(String, String)>,
    /// The labels of the file that it is written to; those of its label set, if only files set aside have it.
    pub(super) file: LabelSet,
    /// Its column in that file.
    pub(super) column: Option<usize>,
}

impl Pick {
    /// What tells it from others.
    pub(super) fn key(&self) -> Key {
        (self.job.clone(), self.label_set.clone(), self.metric.clone())
    }

    /// Says whether both lie in the same files.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.job == other.job && self.label_set == other.label_set
    }

    /// The instant from which on a journal whose first reading is of `slot` answers: a gauge knows its own slot, a counter only
    /// what comes after its first total.
    pub(super) fn answers_from(&self, slot: i64, step: u32) -> i64 {
        if self.kind == Kind::Gauge { slot - i64::from(step) } else { slot }
    }
}

/// Finds the series that are meant, by job, labels and metric.
pub(super) fn pick(catalogue: &Catalogue, selector: &Selector) -> Vec<Pick> {
    // A job that is named is the only one to look at.
    match selector.job() {
        Some(named) => of_jobs(catalogue.jobs().get_key_value(named), |labels, metric| is_meant(selector, labels, metric)),
        None => of_jobs(catalogue.jobs(), |labels, metric| is_meant(selector, labels, metric)),
    }
}

/// Every series, by job, labels and metric.
pub(super) fn all(catalogue: &Catalogue) -> Vec<Pick> {
    of_jobs(catalogue.jobs(), |_, _| true)
}

fn is_meant(selector: &Selector, labels: &[(String, String)], metric: &str) -> bool {
    let label = |wanted: &str| labels.iter().rev().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
    selector.matches(|wanted| if wanted == NAME_LABEL { Some(metric) } else { label(wanted) })
}

fn of_jobs<'a>(jobs: impl IntoIterator<Item = (&'a String, &'a Job)>, is_meant: impl Fn(&[(String, String)], &str) -> bool) -> Vec<Pick> {
    let mut picks = Vec::new();
    for (name, job) in jobs {
        let sets: BTreeSet<_> = job.files.iter().map(|file| of_series(&file.labels)).collect();
        for set in sets {
            let labels = labels(name, job, set);
            let series = metrics(job, set).into_iter().filter(|(metric, _, _)| is_meant(&labels, metric));
            picks.extend(series.map(|(metric, kind, unit)| {
                let column = |file: &SeriesFile| file.columns.iter().position(|column| column.metric == metric);
                let current = job.files_of(set).filter(|file| file.generation == 0).find_map(|file| Some((&file.labels, column(file)?)));
                Pick {
                    file: current.map_or_else(|| set.to_vec(), |(file, _)| file.clone()),
                    column: current.map(|(_, column)| column),
                    job: name.clone(),
                    label_set: set.to_vec(),
                    metric,
                    kind,
                    unit,
                    labels: labels.clone(),
                }
            }));
        }
    }
    picks
}

pub(super) fn labels(name: &str, job: &Job, set: &[(String, String)]) -> Vec<(String, String)> {
    let host = [("agent", job.agent.as_str()), ("job", name), ("target", job.target.as_str())];
    let host = host.map(|(key, value)| (key.to_owned(), value.to_owned()));
    host.into_iter().chain(job.labels.iter().cloned()).chain(set.iter().cloned()).collect()
}

/// Every metric that files of this label set hold, as the newest file has it.
pub(super) fn metrics(job: &Job, set: &[(String, String)]) -> Vec<(String, Kind, Unit)> {
    let mut files: Vec<_> = job.files_of(set).collect();
    files.sort_by_key(|file| (file.generation != 0, std::cmp::Reverse(file.generation)));
    let mut metrics: Vec<(String, Kind, Unit)> = Vec::new();
    for column in files.into_iter().flat_map(|file| &file.columns) {
        if metrics.iter().all(|(metric, _, _)| *metric != column.metric) {
            metrics.push((column.metric.clone(), column.kind, column.unit));
        }
    }
    metrics
}
