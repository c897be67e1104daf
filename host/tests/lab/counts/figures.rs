//! What a job measures.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use watchpost_plugin_api::ErrorKind;

use super::Counting;
use crate::harness::{House, until};

/// How long a server may take to count what was done to it: it tells its statistics some time later.
const COUNTED_TIMEOUT: Duration = Duration::from_secs(30);

/// Samples by metric and labels: `commands/fetch`.
#[derive(Debug)]
pub(crate) struct Measured(BTreeMap<String, f64>);

impl Measured {
    /// Runs a job that has to end well.
    pub(crate) fn of(house: &House, job: &str) -> Self {
        let (told, code) = told(house, job);
        assert_eq!(code, Some(0), "{job}: {told:#}");
        let sample = |sample: &Value| {
            let labels = sample["labels"].as_array().unwrap().iter().map(|label| label.as_str().unwrap());
            let words: Vec<&str> = std::iter::once(sample["metric"].as_str().unwrap()).chain(labels).collect();
            (words.join("/"), sample["value"].as_f64().unwrap())
        };
        Self(told["outcome"]["samples"].as_array().unwrap().iter().map(sample).collect())
    }

    /// A figure that has to be known.
    pub(crate) fn get(&self, figure: &str) -> f64 {
        *self.0.get(figure).unwrap_or_else(|| panic!("no {figure} in {self:?}"))
    }
}

/// What `measure` tells of a job, and its exit code.
fn told(house: &House, job: &str) -> (Value, Option<i32>) {
    let said = house.run(&["measure", job, "--json"]);
    let told = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{job}: {error}: {said:?}"));
    (told, said.code)
}

impl Counting {
    /// What a job measures once each figure has grown by so much at least; then it is just so much.
    pub(crate) fn grown(&self, job: &str, before: &Measured, by: &[(&str, f64)]) -> Measured {
        let mut seen = None;
        let reached = until(COUNTED_TIMEOUT, || {
            let now = self.measure(job);
            let all = by.iter().all(|(figure, more)| now.get(figure) >= before.get(figure) + more);
            seen = Some(now);
            all.then_some(())
        });
        let now = seen.expect("it was looked at once at least");
        for (figure, more) in by {
            let grown = now.get(figure) - before.get(figure);
            assert_eq!(grown, *more, "{job}: {figure} ({}): {now:?}", if reached.is_some() { "too much" } else { "too little" });
        }
        now
    }

    /// The job fails so, and no figure is claimed.
    pub(crate) fn fails(&self, job: &str, kind: &str) {
        let (told, code) = told(&self.house, job);
        assert_eq!(code, Some(1), "{job}: {told:#}");
        let found: ErrorKind = serde_json::from_value(told["outcome"]["status"]["Failed"]["kind"].clone()).unwrap();
        assert_eq!(found.name(), kind, "{job}: {told:#}");
        let samples = told["outcome"]["samples"].as_array().unwrap().iter();
        let mut figures = samples.filter(|sample| !sample["metric"].as_str().unwrap().ends_with("_time"));
        assert_eq!(figures.next(), None, "{job}: {told:#}");
    }
}
