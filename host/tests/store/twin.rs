//! The run that nobody interrupts: a store of its own that takes the same journal.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use tempfile::TempDir;
use watchpost::{
    reading::Record,
    series::{
        catalogue::Job,
        store::{Applied, Options, SeriesStore},
    },
};
use watchpost_journal::Reader;

use crate::lives;

/// Records taken between two flushes: other batches than those of the run that is killed.
const FLUSH_EVERY: u64 = 37;

/// The store that is never interrupted.
pub(crate) struct Twin {
    dir: TempDir,
    store: SeriesStore,
    /// Checksum of every record, by position.
    pub(crate) sums: HashMap<u64, u32>,
}

/// What differs.
#[derive(Debug)]
pub(crate) struct Differences {
    pub(crate) compared: u64,
    pub(crate) names: Vec<String>,
}

impl Twin {
    pub(crate) fn new() -> Self {
        let dir = lives::folder();
        let store = SeriesStore::open(dir.path(), Options::default()).unwrap();
        Self { dir, store, sums: HashMap::new() }
    }

    /// Takes what is new in the journal; gives how many records that are.
    pub(crate) fn follow(&mut self, mut reader: Reader) -> u64 {
        let mut records = 0;
        while let Some((position, payload)) = reader.next().expect("no record of the journal is lost") {
            let position = u64::from(position);
            if self.sums.insert(position, crc32c::crc32c(&payload)).is_none() {
                let record: Record = postcard::from_bytes(&payload).unwrap();
                assert_eq!(self.store.apply(position, &record).unwrap(), Applied::Taken);
                records += 1;
                if records % FLUSH_EVERY == 0 {
                    self.store.flush();
                }
            }
        }
        assert_eq!(self.store.flush().files_behind, 0);
        crate::migrated(&mut self.store, usize::MAX);
        self.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
        records
    }

    /// Files of `dir` that are not the twin's.
    pub(crate) fn unequal(&self, dir: &Path) -> Vec<String> {
        let (theirs, ours) = (files(dir), files(self.dir.path()));
        let all: BTreeSet<_> = theirs.keys().chain(ours.keys()).cloned().collect();
        all.into_iter().filter(|name| theirs.get(name) != ours.get(name)).collect()
    }

    /// Compares every file, and what the catalogue says of them.
    pub(crate) fn differences(&self, dir: &Path, store: &SeriesStore) -> Differences {
        let mut names = self.unequal(dir);
        // What nobody needs any more may wait for the next checkpoint, and be removed again after a loss of power.
        names.retain(|name| !name.strip_prefix("series/").is_some_and(|path| store.is_given_up(path)));
        if told(store) != told(&self.store) {
            names.push(format!("catalogue: {:#?}\n{:#?}", told(store), told(&self.store)));
        }
        if dir.join("quarantine").exists() {
            names.push("quarantine".into());
        }
        Differences { compared: files(self.dir.path()).len() as u64, names }
    }
}

/// What a catalogue says of a job but for what it notes at checkpoints only.
fn told(store: &SeriesStore) -> BTreeMap<String, String> {
    let job = |name: &str, job: &Job| {
        let gaps = store.catalogue().told(name, i64::MIN, i64::MAX).unwrap();
        let files: Vec<_> =
            job.files.iter().map(|file| (file.id, &file.labels, &file.path, file.generation, file.first_slot, &file.columns)).collect();
        format!("{} {:?} {files:?} {gaps:?}", job.step, job.metrics)
    };
    store.catalogue().jobs().iter().map(|(name, known)| (name.clone(), job(name, known))).collect()
}

/// Every file below the series folder with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![dir.join("series")]);
    while let Some(folder) = folders.pop() {
        let paths: Vec<PathBuf> = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}
