//! Whole label sets that selectors mean: what lies in the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::pick::{self, Pick, metrics};
use crate::series::drop::{Dropped, UndroppedError};
use crate::series::name::{LabelSet, of_series};
use crate::series::output::selector_of;
use crate::series::request::FetchError;
use crate::series::selector::{Selector, Shown};
use crate::series::store::{FOLDER, SeriesStore};

/// Series that are named where one file has many, at most.
const NAMED_MAX: usize = 3;

/// A label set of a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelSetOf {
    /// The job.
    pub job: String,
    /// The labels of the metric; none are a label set as well.
    pub labels: LabelSet,
}

/// A label set that is meant wholly.
#[derive(Debug)]
pub struct Meant {
    /// Which one.
    pub of: LabelSetOf,
    picks: Vec<Pick>,
}

impl SeriesStore {
    /// Finds the label sets that selectors mean.
    ///
    /// Errors: [`UndroppedError::Part`] if one is meant in part only; [`FetchError::NoSeries`] if a selector means nothing.
    pub(in crate::series) fn sets_of(&self, selectors: &[Selector]) -> Result<Vec<Meant>, UndroppedError> {
        let mut sets: BTreeMap<LabelSetOf, BTreeMap<String, Pick>> = BTreeMap::new();
        let mut missed = Vec::new();
        for selector in selectors {
            let found = pick::pick(self.catalogue(), selector);
            if found.is_empty() {
                missed.push(format!("no series matches {selector}: {}", self.hint(selector)));
            }
            for pick in found {
                let of = LabelSetOf { job: pick.job.clone(), labels: pick.label_set.clone() };
                sets.entry(of).or_default().insert(pick.metric.clone(), pick);
            }
        }
        if !missed.is_empty() {
            return Err(FetchError::NoSeries(missed).into());
        }
        sets.into_iter().map(|(of, picks)| self.whole(of, picks)).collect()
    }

    /// Each file's own labels, of label sets.
    pub(in crate::series) fn files_of(&self, sets: &[LabelSetOf]) -> Vec<LabelSetOf> {
        let of_set = |set: &LabelSetOf| {
            let job = self.catalogue().jobs().get(&set.job);
            let files: BTreeSet<LabelSet> =
                job.into_iter().flat_map(|job| job.files_of(&set.labels)).map(|file| file.labels.clone()).collect();
            files.into_iter().map(|labels| LabelSetOf { job: set.job.clone(), labels }).collect::<Vec<_>>()
        };
        sets.iter().flat_map(of_set).collect()
    }

    fn whole(&self, of: LabelSetOf, picks: BTreeMap<String, Pick>) -> Result<Meant, UndroppedError> {
        let job = self.catalogue().jobs().get(&of.job);
        let all = job.map(|job| metrics(job, &of.labels)).unwrap_or_default();
        let others: Vec<String> = all.into_iter().map(|(metric, _, _)| metric).filter(|metric| !picks.contains_key(metric)).collect();
        let Some(first) = picks.values().next().filter(|_| !others.is_empty()) else {
            return Ok(Meant { of, picks: picks.into_values().collect() });
        };
        let more = others.len().saturating_sub(NAMED_MAX);
        let named = others.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        // A label that only other sets of the job have is empty here.
        let keys = job.into_iter().flat_map(|job| &job.files).flat_map(|file| of_series(&file.labels)).map(|(key, _)| key);
        let mut labels = vec![("job".to_owned(), of.job.clone())];
        labels.extend(of.labels.iter().cloned());
        for key in keys {
            if !labels.iter().any(|(known, _)| known == key) {
                labels.push((key.clone(), String::new()));
            }
        }
        Err(UndroppedError::Part {
            asked: selector_of(&first.metric, &first.labels),
            others: if more > 0 { format!("{named} and {more} more") } else { named },
            all: Shown { metric: "", labels: &labels }.to_string(),
        })
    }

    /// Tells what goes with a label set.
    pub(in crate::series) fn dropped(&self, meant: &Meant) -> Dropped {
        let job = self.catalogue().jobs().get(&meant.of.job);
        let files = job.into_iter().flat_map(|job| job.files_of(&meant.of.labels));
        let paths: Vec<&str> = files.map(|file| file.path.as_str()).collect();
        let length = |path: &&str| fs::metadata(self.folder().join(path)).map_or(0, |facts| facts.len());
        Dropped {
            series: meant.picks.iter().map(|pick| selector_of(&pick.metric, &pick.labels)).collect(),
            bytes: paths.iter().map(length).sum(),
            files: paths.iter().map(|path| format!("{FOLDER}/{path}")).collect(),
        }
    }
}
