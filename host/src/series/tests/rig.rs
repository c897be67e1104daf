//! A store in a temporary folder, with the journal that fed it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use tempfile::TempDir;
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use crate::reading::{Cause, Reading, Record, Shape};
use crate::series::Position;
use crate::series::archive::Consolidation;
use crate::series::fetch::{Query, Series};
use crate::series::selector::Selector;
use crate::series::store::{Applied, Options, Recovered, SeriesStore};

/// Rows of one series.
pub(super) type Rows = Vec<(i64, Option<f64>)>;

/// A store, its folder and its journal.
pub(super) struct Rig {
    pub(super) folder: TempDir,
    pub(super) store: SeriesStore,
    pub(super) journal: Vec<(Position, Record)>,
}

pub(super) fn gauge(name: &str, keys: &[&str]) -> MetricSpec {
    let keys = keys.iter().map(|key| (*key).into()).collect();
    MetricSpec { name: name.into(), kind: Kind::Gauge, unit: Unit::Seconds, help: "A time.".into(), keys }
}

pub(super) fn counter(name: &str, keys: &[&str]) -> MetricSpec {
    MetricSpec { kind: Kind::Counter, unit: Unit::Messages, ..gauge(name, keys) }
}

pub(super) fn shape(step_s: u32, metrics: &[MetricSpec]) -> Record {
    let (job, agent, target) = ("mx".into(), "smtp".into(), "h:25".into());
    Record::Shape(Shape { job, agent, target, labels: vec![("site".into(), "paris".into())], step_s, metrics: metrics.to_vec() })
}

pub(super) fn sample(metric: &str, labels: &[&str], value: f64) -> Sample {
    Sample { metric: metric.into(), labels: labels.iter().map(|label| (*label).into()).collect(), value }
}

pub(super) fn reading(slot: i64, samples: Vec<Sample>) -> Reading {
    let failed = Outcome::failed(ErrorKind::CONNECT, "unused", slot * 1_000_000_000);
    let outcome = Outcome { status: Status::Ok, samples, duration_ns: 250_000_000, ..failed };
    let due_ns = slot * 1_000_000_000;
    Reading { job: "mx".into(), cause: Cause::Schedule, slot, due_ns, stale_ns: due_ns, outcome }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SeriesStore::open(folder.path(), options).unwrap();
        Self { folder, store, journal: Vec::new() }
    }

    /// Journals a record and gives it to the store.
    pub(super) fn give(&mut self, record: Record) {
        self.journal.push((self.journal.len() as Position + 1, record));
        let (position, record) = self.journal.last().unwrap();
        assert_eq!(self.store.apply(*position, record).unwrap(), Applied::Taken);
    }

    /// Ends the process in good order, and starts the next.
    pub(super) fn restart(&mut self) {
        self.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
        self.store = SeriesStore::open(self.folder.path(), Options::default()).unwrap();
        assert_eq!(self.store.recover(true).unwrap().files_removed, 0);
    }

    /// Ends the process without a word, and starts the next, which reads the journal again.
    pub(super) fn crash(&mut self) -> Recovered {
        self.store = SeriesStore::open(self.folder.path(), Options::default()).unwrap();
        let recovered = self.store.recover(true).unwrap();
        for (position, record) in &self.journal {
            assert_eq!(self.store.apply(*position, record).unwrap(), Applied::Taken);
        }
        recovered
    }

    /// Has every file take over what those before it have, and those removed; gives how many that were.
    pub(super) fn migrate(&mut self) -> u64 {
        let before = self.store.counts().files_migrated;
        while let Some(migration) = self.store.next_migration() {
            let done = migration.run();
            self.store.migrated(&migration, done).unwrap();
        }
        self.store.checkpoint_anyway(Instant::now()).unwrap();
        self.store.counts().files_migrated - before
    }

    /// Every series file with its bytes.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.folder.path().join("series/mx")).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())).collect()
    }

    pub(super) fn read(&mut self, slot: i64, samples: Vec<Sample>) {
        self.give(Record::Reading(reading(slot, samples)));
    }

    pub(super) fn flush(&mut self) {
        assert_eq!(self.store.flush().files_behind, 0);
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("series/mx").join(name)
    }

    /// Fetches with the files alone, or with the journal.
    pub(super) fn fetch(&mut self, query: &Query, with_journal: bool) -> Vec<Series> {
        let journal = self.journal.iter().filter(|_| with_journal).cloned().collect::<Vec<_>>();
        self.store.fetch(query, query.to, journal).unwrap()
    }

    /// Fetches one series at its base step.
    pub(super) fn rows(&mut self, selector: &str, from: i64, to: i64, with_journal: bool) -> Rows {
        let mut all = self.fetch(&query(selector, from, to), with_journal);
        assert_eq!(all.len(), 1, "{selector}");
        all.remove(0).rows
    }
}

pub(super) fn query(selector: &str, from: i64, to: i64) -> Query {
    Query { selectors: vec![Selector::parse(selector).unwrap()], from, to, step: None, consolidation: Consolidation::Average }
}
