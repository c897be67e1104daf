//! Which series there are, and what is known of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{Kind, Unit};

use super::pick::{self, Key, Pick};
use crate::series::catalogue::{Job, SeriesFile, UNSEEN_S};
use crate::series::header::{self, Header};
use crate::series::meant::of_every_run;
use crate::series::name::LabelSet;
use crate::series::output::selector_of;
use crate::series::row::{Datum, Row};
use crate::series::selector::Selector;
use crate::series::store::{FOLDER, SeriesStore};

/// Series of one listing, at most.
pub const LISTED_MAX: usize = 100_000;

/// A series that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The metric.
    pub name: String,
    /// What selects it, and nothing else.
    pub series: String,
    /// `agent`, `job`, `target`, the job's own labels, the metric's.
    pub labels: BTreeMap<String, String>,
    /// The agent of its job.
    pub agent: String,
    /// Its job.
    pub job: String,
    /// What one is.
    pub unit: Unit,
    /// How values follow one another.
    pub kind: Kind,
    /// What it tells, in a sentence.
    pub help: String,
    /// Seconds between slots.
    pub step: u32,
    /// The file that it is written to, in the data folder; the last one that it was in, if it is written no more.
    pub file: String,
    /// The slot of its first reading, seconds since 1970.
    pub first: Option<i64>,
    /// The slot of its last one.
    pub last: Option<i64>,
    /// What that one gave: of a counter, its total. Unknown if it gave nothing.
    pub value: Option<f64>,
    /// Every file that has some of it, the one that is written to first; where details are asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<KeptFile>,
}

/// A file that has some of a series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Where it lies, in the data folder.
    pub path: String,
    /// The data source that has the series, as rrdtool calls it.
    pub source: String,
    /// All metrics that lie in it.
    pub metrics: Vec<String>,
    /// Whether it is written to; others were set aside.
    pub current: bool,
    /// Its length; unknown if it cannot be read.
    pub bytes: Option<u64>,
    /// Seconds between slots.
    pub step: u32,
    /// The slot of its first reading, seconds since 1970.
    pub first: i64,
    /// The slot of its last one.
    pub last: i64,
    /// How long rows of which step are kept.
    pub archives: Vec<KeptArchive>,
}

/// One archive of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptArchive {
    /// AVERAGE, MIN, MAX or LAST.
    pub consolidation: String,
    /// Seconds between rows.
    pub step: u32,
    /// Rows that it has room for.
    pub rows: u32,
    /// Rows that have come so far.
    pub filled: u32,
}

/// The series that are meant, as the catalogue has them; files are not looked at yet.
#[derive(Debug)]
pub struct Listing {
    folder: PathBuf,
    found: Vec<Found>,
    /// Selectors that mean nothing, each with what was probably meant.
    missed: Vec<(Selector, String)>,
}

#[derive(Debug)]
struct Found {
    pick: Pick,
    agent: String,
    step: u32,
    help: String,
    /// Its files, the one that is written to first.
    files: Vec<SeriesFile>,
    /// The last row of the one that is written to, where the store has it at hand.
    last: Option<Row>,
}

impl SeriesStore {
    /// Finds the series that any of the selectors means; all of them, without one. One more than [`LISTED_MAX`] at most.
    pub fn list(&self, selectors: &[Selector]) -> Listing {
        let mut picks: BTreeMap<Key, Pick> = BTreeMap::new();
        let mut missed = Vec::new();
        let mut add = |found: Vec<Pick>| picks.extend(found.into_iter().map(|pick| (pick.key(), pick)));
        for selector in selectors {
            let found = pick::pick(self.catalogue(), selector);
            if found.is_empty() {
                missed.push((selector.clone(), self.hint(selector)));
            }
            add(found);
        }
        if selectors.is_empty() {
            add(pick::all(self.catalogue()));
        }
        // Who names nothing in particular is not told of what was not seen for long.
        let is_told = |pick: &Pick| !selectors.is_empty() || self.is_seen(&pick.job, &pick.label_set);
        let found = picks.into_values().filter(is_told).take(LISTED_MAX + 1).filter_map(|pick| self.listed(pick)).collect();
        Listing { folder: self.folder().to_owned(), found, missed }
    }

    /// Whether a label set had a reading within [`UNSEEN_S`] before the last one of its job.
    fn is_seen(&self, job: &str, labels: &LabelSet) -> bool {
        let Some(known) = self.catalogue().jobs().get(job) else { return false };
        let last = |labels: &LabelSet| self.last_stamp(job, labels);
        let newest = known.last_slot().max(last(&LabelSet::default()));
        let own = known.files_of(labels).filter_map(|file| Some(file.last_slot).max(last(&file.labels))).max();
        labels.is_empty() || own >= newest.map(|newest| newest - UNSEEN_S)
    }

    fn listed(&self, pick: Pick) -> Option<Found> {
        let job = self.catalogue().jobs().get(&pick.job)?;
        let has = |file: &&SeriesFile| file.columns.iter().any(|column| column.metric == pick.metric);
        let mut files: Vec<SeriesFile> = job.files_of(&pick.label_set).filter(has).cloned().collect();
        files.sort_by_key(|file| (file.generation != 0, std::cmp::Reverse(file.generation)));
        let last = pick.column.and_then(|_| self.last_row(&pick.job, &pick.file));
        Some(Found { agent: job.agent.clone(), step: job.step, help: help(job, &pick.metric), files, last, pick })
    }
}

impl Listing {
    /// How many series were found.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Says whether none was.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Selectors that mean nothing, each with what was probably meant.
    pub fn missed(&self) -> &[(Selector, String)] {
        &self.missed
    }

    /// Looks into the files. What one cannot tell is unknown.
    pub fn look(&self, details: bool) -> Vec<Kept> {
        let mut head: Option<(i64, Option<Header>)> = None;
        let kept = self.found.iter().map(|found| {
            let file = found.files.first();
            // Those of one file lie beside each other.
            if let Some(file) = file.filter(|file| found.last.is_none() && head.as_ref().is_none_or(|(id, _)| *id != file.id)) {
                head = Some((file.id, header::read(&self.folder.join(&file.path)).ok().flatten()));
            }
            let known = head.as_ref().filter(|(id, _)| file.is_some_and(|file| file.id == *id)).and_then(|(_, header)| header.as_ref());
            self.kept(found, known, details)
        });
        kept.collect()
    }

    fn kept(&self, found: &Found, header: Option<&Header>, details: bool) -> Kept {
        let Found { pick, files, last, .. } = found;
        let current = files.first();
        let column = current.and_then(|file| file.columns.iter().position(|column| column.metric == pick.metric));
        let (stamp, value) = match (last, header) {
            (Some(row), _) => (Some(row.stamp), column.and_then(|column| row.cells.get(column)).and_then(|cell| number(*cell))),
            (None, Some(header)) => (Some(header.last.stamp), column.and_then(|column| header.given.get(column).copied().flatten())),
            (None, None) => (current.map(|file| file.last_slot), None),
        };
        Kept {
            name: pick.metric.clone(),
            series: selector_of(&pick.metric, &pick.labels),
            labels: pick.labels.iter().cloned().collect(),
            agent: found.agent.clone(),
            job: pick.job.clone(),
            unit: pick.unit,
            kind: pick.kind,
            help: found.help.clone(),
            step: current.map_or(found.step, |file| file.step),
            file: current.map(|file| in_data(&file.path)).unwrap_or_default(),
            first: files.iter().map(|file| file.since).min(),
            last: stamp,
            value,
            files: if details { files.iter().map(|file| self.detailed(file, &pick.metric)).collect() } else { Vec::new() },
        }
    }

    fn detailed(&self, file: &SeriesFile, metric: &str) -> KeptFile {
        let path = self.folder.join(&file.path);
        let header = header::read(&path).ok().flatten();
        let source = file.columns.iter().find(|column| column.metric == metric).map(|column| column.source.clone());
        let last = header.as_ref().map_or(file.last_slot, |header| header.last.stamp);
        let archives = header.iter().flat_map(|header| {
            header.shape.archives.iter().map(|archive| {
                let step = archive.steps.saturating_mul(header.shape.step);
                // Rows end at multiples of their step.
                let until = |slot: i64| slot.div_euclid(i64::from(step.max(1)));
                let filled = until(last) - until(file.since - i64::from(file.step));
                let filled = u32::try_from(filled).unwrap_or(0).min(archive.rows);
                KeptArchive { consolidation: archive.consolidation.name().to_owned(), step, rows: archive.rows, filled }
            })
        });
        KeptFile {
            path: in_data(&file.path),
            source: source.unwrap_or_default(),
            metrics: file.columns.iter().map(|column| column.metric.clone()).collect(),
            current: file.generation == 0,
            bytes: fs::metadata(&path).ok().map(|facts| facts.len()),
            step: file.step,
            first: file.since,
            last,
            archives: archives.collect(),
        }
    }
}

fn in_data(path: &str) -> String {
    format!("{FOLDER}/{path}")
}

fn help(job: &Job, metric: &str) -> String {
    let own = job.metrics.iter().map(|known| &known.spec).find(|spec| spec.name == metric).map(|spec| spec.help.clone());
    own.or_else(|| of_every_run().into_iter().find(|spec| spec.name == metric).map(|spec| spec.help)).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "totals beyond 2^53 are told as near as a number can")]
fn number(cell: Datum) -> Option<f64> {
    match cell {
        Datum::Unknown => None,
        Datum::Gauge(value) => Some(value),
        Datum::Total(total) => Some(total as f64),
    }
}
