//! What was probably meant by a selector that matches nothing.

use std::collections::BTreeSet;

use super::pick::{labels, metrics};
use crate::config::nearest;
use crate::series::catalogue::Catalogue;
use crate::series::layout::{RUN_DURATION, UP};
use crate::series::name::of_series;
use crate::series::selector::{NAME_LABEL, Selector};
use crate::series::store::SeriesStore;

/// Names that a hint lists, at most.
const LISTED_MAX: usize = 12;

impl SeriesStore {
    /// Says why a selector matches nothing: the first of its labels whose value no series has, and the nearest that one has.
    pub fn hint(&self, selector: &Selector) -> String {
        let unknown = selector.fixed().find_map(|(label, value)| {
            let known = values(self.catalogue(), label);
            (!known.contains(value)).then(|| told(label, value, &known))
        });
        unknown.unwrap_or_else(|| "nothing of that is stored".into())
    }
}

fn told(label: &str, value: &str, known: &BTreeSet<String>) -> String {
    let what = if label == NAME_LABEL { "metric" } else { label };
    if known.is_empty() {
        return format!("no series has a label `{what}`");
    }
    if let Some(meant) = nearest(value, known.iter().map(String::as_str)) {
        return format!("did you mean the {what} `{meant}`?");
    }
    let shown: Vec<String> = known.iter().take(LISTED_MAX).map(|value| format!("`{value}`")).collect();
    let more = known.len().saturating_sub(LISTED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("no {what} is called so; there are {}{more}", shown.join(", "))
}

/// The values that a label has in any series, those of jobs that have not run yet among them.
fn values(catalogue: &Catalogue, wanted: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, job) in catalogue.jobs() {
        if wanted == NAME_LABEL {
            let every = [UP, RUN_DURATION].map(str::to_owned);
            found.extend(job.metrics.iter().map(|metric| metric.spec.name.clone()).chain(every));
        }
        let none: &[(String, String)] = &[];
        let sets: BTreeSet<_> = job.files.iter().map(|file| of_series(&file.labels)).chain([none]).collect();
        for set in sets {
            if wanted == NAME_LABEL {
                found.extend(metrics(job, set).into_iter().map(|(metric, _, _)| metric));
            } else {
                found.extend(labels(name, job, set).into_iter().filter(|(key, _)| key == wanted).map(|(_, value)| value));
            }
        }
    }
    found
}
