//! What `/metrics` says, line by line, with values as they are written.

use std::{thread::sleep, time::Duration};

use crate::harness::until;

/// How often a story looks again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One answer of `/metrics`.
pub(crate) struct Scrape(Vec<Line>);

/// One sample.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) family: String,
    /// What stands between the braces.
    pub(crate) labels: String,
    pub(crate) value: String,
}

impl Line {
    /// The value of a label; those here hold no quotes.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let pairs = self.labels.split("\",");
        pairs.filter_map(|pair| pair.trim_end_matches('"').split_once("=\"")).find_map(|(known, value)| (known == key).then_some(value))
    }

    /// Nanoseconds, from the decimals as they are written; a fraction of one is a failure.
    pub(crate) fn nanoseconds(&self) -> u64 {
        let (whole, fraction) = self.value.split_once('.').unwrap_or((&self.value, ""));
        assert!(fraction.len() <= 9, "{self:?} is no whole number of nanoseconds");
        format!("{whole}{fraction:0<9}").parse().unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

impl Scrape {
    pub(crate) fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            let (family, labels) = name.split_once('{').map_or((name, ""), |(family, labels)| (family, labels.trim_end_matches('}')));
            Some(Line { family: family.into(), labels: labels.into(), value: value.into() })
        });
        Self(read.collect())
    }

    /// All that is said of one job.
    pub(crate) fn of_job<'a, 'j>(&'a self, job: &'j str) -> impl Iterator<Item = &'a Line> + use<'a, 'j> {
        self.0.iter().filter(move |line| line.label("job") == Some(job))
    }

    /// All lines of one family.
    pub(crate) fn of_family<'a, 'f>(&'a self, family: &'f str) -> impl Iterator<Item = &'a Line> + use<'a, 'f> {
        self.0.iter().filter(move |line| line.family == family)
    }

    /// The value of one family for one job.
    pub(crate) fn value(&self, family: &str, job: &str) -> Option<&str> {
        self.of_job(job).find(|line| line.family == family).map(|line| line.value.as_str())
    }

    /// Whether a job found its target up; `None` while nothing is known.
    pub(crate) fn up(&self, job: &str) -> Option<&str> {
        self.value("watchpost_up", job)
    }
}

/// Scrapes every now and then until there is something to give; `None` after `timeout`.
pub(crate) fn until_scraped<T>(timeout: Duration, scrape: impl Fn() -> Scrape, mut look: impl FnMut(&Scrape) -> Option<T>) -> Option<T> {
    until(timeout, || {
        let found = look(&scrape());
        if found.is_none() {
            sleep(LOOK_EVERY);
        }
        found
    })
}
