//! Files that were set aside give what they have to the ones that go on from them, and go.
//!
//! One file at a time, while readings come in: whoever drives the store takes the next one from it, has it done, and says so. Answers are made
//! of both files meanwhile. What is to be done rests on the catalogue alone; a crash has it done again, which changes nothing.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::PathBuf;

use super::SeriesStore;
use super::adopt::is_taken_in;
use super::open_file::OpenFile;
use crate::series::catalogue::{Catalogue, Column, Job, SeriesFile};
use crate::series::error::SeriesError;
use crate::series::gate;
use crate::series::migrate::{self, Pair, Source};
use crate::series::name::{LabelSet, of_series};
use crate::series::row::Row;
use crate::series::shape::FileShape;
use crate::series::writer::WriteError;

/// Files that are told by name where several stay, at most.
const STAYS_TOLD_MAX: usize = 100;
/// Jobs that are looked at for the next migration, at most; the others have their turn after that.
const JOBS_LOOKED_AT: usize = 64;

/// How far migrations are.
#[derive(Debug, Default)]
pub(super) struct Migrations {
    /// Jobs that may have files to take rows from.
    jobs: BTreeSet<String>,
    /// The one that was looked at last.
    looked_at: Option<String>,
    /// Source and target, by number, that are done with.
    poured: HashSet<(i64, i64)>,
    /// Files that stay although all was done, for somebody to be told.
    stays: Vec<Stay>,
    /// Those that were found to stay.
    pub(super) known_stays: HashSet<i64>,
    /// Whether rows are written that are there already.
    rewrites: bool,
}

/// A file that was set aside and stays, for it has what no other file goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Its job.
    pub job: String,
    /// Where it lies, below the folder of series.
    pub path: String,
    /// The metrics that only it has.
    pub metrics: Vec<String>,
}

/// One file that takes over the rows of another.
#[derive(Clone, Debug)]
pub struct Migration {
    job: String,
    source: SeriesFile,
    target: SeriesFile,
    shape: FileShape,
    rewrites: bool,
    source_path: PathBuf,
    target_path: PathBuf,
}

impl Migrations {
    /// What an earlier process left to be done.
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        let has = |job: &Job| job.files.iter().any(|file| file.generation > 0);
        Self { jobs: catalogue.jobs().iter().filter(|(_, job)| has(job)).map(|(name, _)| name.clone()).collect(), ..Self::default() }
    }

    /// The jobs whose turn it is.
    fn turn(&self) -> Vec<String> {
        let after = self.looked_at.as_ref().map_or(Bound::Unbounded, |last| Bound::Excluded(last.clone()));
        let until = self.looked_at.as_ref().map_or(Bound::Excluded(String::new()), |last| Bound::Included(last.clone()));
        let all = self.jobs.range((after, Bound::Unbounded)).chain(self.jobs.range((Bound::Unbounded, until)));
        all.take(JOBS_LOOKED_AT).cloned().collect()
    }

    /// What is to be done again, all of it: the disk may lack what was written, whatever the files say.
    pub(super) fn again(catalogue: &Catalogue) -> Self {
        Self { rewrites: true, ..Self::of(catalogue) }
    }

    /// A file of the job was set aside.
    pub(super) fn begin(&mut self, job: &str) {
        self.jobs.insert(job.to_owned());
    }
}

impl Migration {
    /// Has the rows taken over; takes milliseconds for each megabyte, and needs no store.
    ///
    /// Errors: [`WriteError::Missing`] if the target is not made yet; a damaged source, or a disk that fails.
    pub fn run(&self) -> Result<(), WriteError> {
        let since = self.source.since - i64::from(self.source.step);
        // One that is gone has nothing to give.
        let Some(source) = Source::read(&self.source_path, since)? else { return Ok(()) };
        let step = i64::from(self.target.step);
        // One that was another job's may have rows of slots that the target has itself; what the target knows stays.
        let last = source.head().last.stamp;
        let until = (self.target.first_slot - step).max(last - last.rem_euclid(step.max(1)));
        let pairs = pairs(&self.source, &self.target.columns);
        migrate::pour(&self.target_path, &self.shape, &source, &pairs, until, self.rewrites)?;
        // A file that goes on from another one has the begun rows of it; one that was there before does not.
        if is_taken_in(&self.source) {
            migrate::complete(&self.target_path, &self.shape, &source, &pairs, self.target.first_slot)?;
        }
        Ok(())
    }
}

/// The columns of a file that another one goes on with.
fn pairs(source: &SeriesFile, columns: &[Column]) -> Vec<Pair> {
    let new = |column: &Column| columns.iter().position(|new| is_same(column, new));
    source.columns.iter().enumerate().filter_map(|(old, column)| Some((old, new(column)?))).collect()
}

/// Whether values of both mean the same.
fn is_same(one: &Column, other: &Column) -> bool {
    (&one.metric, one.kind, one.unit) == (&other.metric, other.kind, other.unit)
}

/// Files of a label set that were set aside, the last one first.
fn aside<'a>(job: &'a Job, labels: &'a LabelSet) -> Vec<&'a SeriesFile> {
    let mut aside: Vec<_> = job.files_of(labels).filter(|file| file.generation > 0).collect();
    aside.sort_by_key(|file| std::cmp::Reverse(file.generation));
    aside
}

impl SeriesStore {
    /// The next file to take rows over; the same again until somebody says what came of it.
    pub fn next_migration(&mut self) -> Option<Migration> {
        for name in self.migrations.turn() {
            let sets: BTreeSet<LabelSet> = {
                let files = self.catalogue.jobs().get(&name).into_iter().flat_map(|job| &job.files);
                files.filter(|file| file.generation > 0).map(|file| of_series(&file.labels).to_vec()).collect()
            };
            let mut waits = false;
            for labels in sets {
                match self.next_of(&name, &labels) {
                    Next::Ready(migration) => return Some(*migration),
                    Next::Waits => waits = true,
                    Next::None => {}
                }
            }
            if !waits {
                self.migrations.jobs.remove(&name);
            }
            self.migrations.looked_at = Some(name);
        }
        None
    }

    /// Takes what came of a migration.
    ///
    /// Errors: the source is damaged and cannot be put away, or the disk fails: it is to be tried again.
    pub fn migrated(&mut self, migration: &Migration, done: Result<(), WriteError>) -> Result<(), SeriesError> {
        let Migration { job, source, target, .. } = migration;
        match done {
            Ok(()) => {}
            Err(error) if error.is_corrupt() && self.writer.info(&migration.source_path).is_err() => {
                if self.is_known(job, source) {
                    self.put_away(&source.path, &error)?;
                    self.catalogue.forget_file(job, source.id);
                }
                return Ok(());
            }
            // The target is not what it was; it is looked at again.
            Err(WriteError::Missing { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if self.is_known(job, source) && self.is_known(job, target) {
            self.migrations.poured.insert((source.id, target.id));
            self.settle_source(job, source);
        }
        Ok(())
    }

    /// Files that wait for others to take over their rows.
    pub fn migrations_pending(&self) -> usize {
        let files = self.migrations.jobs.iter().filter_map(|name| self.catalogue.jobs().get(name)).flat_map(|job| &job.files);
        files.filter(|file| file.generation > 0 && !self.migrations.known_stays.contains(&file.id)).count()
    }

    /// Files that were set aside and stay, and were not told of yet.
    pub fn take_stays(&mut self) -> Vec<Stay> {
        std::mem::take(&mut self.migrations.stays)
    }

    /// Files that nobody needs any more, and are or will be gone.
    pub fn is_given_up(&self, path: &str) -> bool {
        self.catalogue.is_given_up(path)
    }

    /// Has all that is to be done for a label set done at once.
    pub(super) fn migrate_set(&mut self, job: &str, labels: &LabelSet) -> Result<(), SeriesError> {
        while let Next::Ready(migration) = self.next_of(job, labels) {
            let done = migration.run();
            if let Err(missing @ WriteError::Missing { .. }) = done {
                return Err(missing.into());
            }
            self.migrated(&migration, done)?;
        }
        Ok(())
    }

    /// The row that a new file goes on from; nothing if there is no file before it.
    pub(super) fn last_before(&self, job: &str, file: &SeriesFile, shape: &FileShape) -> Result<Option<Row>, SeriesError> {
        let mut row: Option<Row> = None;
        for (source, pairs) in self.origins(job, file)? {
            let other = migrate::continued(&source, &pairs, shape, file.first_slot);
            match &mut row {
                None => row = Some(other),
                Some(row) if row.stamp == other.stamp => {
                    row.cells
                        .iter_mut()
                        .zip(other.cells)
                        .filter(|(cell, _)| cell.as_total().is_none())
                        .for_each(|(cell, other)| *cell = other);
                }
                // It ended before the last one did.
                Some(_) => {}
            }
        }
        Ok(row)
    }

    /// Gives a file that was just made the state of the files before it.
    pub(super) fn originate(&self, file: &OpenFile) -> Result<(), SeriesError> {
        let Some(before) = &file.before else { return Ok(()) };
        let job = file.name.split('/').next().unwrap_or_default();
        let known = self.catalogue.jobs().get(job).and_then(|known| known.files.iter().find(|known| known.id == file.id));
        let Some(known) = known else { return Ok(()) };
        let origins = self.origins(job, known)?;
        let _alone = gate::writing(&file.path);
        let fault = |source| SeriesError::Folder { path: file.path.clone(), source };
        migrate::seed(&file.path, &file.shape, before, &origins).map_err(fault)
    }

    /// The files that a new one goes on from, the last one first, with the columns that each of them gives; no column twice.
    fn origins(&self, job: &str, file: &SeriesFile) -> Result<Vec<(Source, Vec<Pair>)>, SeriesError> {
        let (mut origins, mut given) = (Vec::new(), HashSet::new());
        let known = self.catalogue.jobs().get(job);
        for before in known.map(|job| aside(job, &file.labels)).unwrap_or_default() {
            let mut pairs = pairs(before, &file.columns);
            pairs.retain(|(_, new)| given.insert(*new));
            if pairs.is_empty() {
                continue;
            }
            match Source::read(&self.folder.join(&before.path), before.since - i64::from(before.step)) {
                Ok(source) => origins.extend(source.map(|source| (source, pairs))),
                Err(error) if error.is_corrupt() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(origins)
    }

    fn is_known(&self, job: &str, file: &SeriesFile) -> bool {
        let files = self.catalogue.jobs().get(job).into_iter().flat_map(|job| &job.files);
        files.into_iter().any(|known| (known.id, &known.path, known.generation) == (file.id, &file.path, file.generation))
    }

    fn next_of(&mut self, job: &str, labels: &LabelSet) -> Next {
        let Some(known) = self.catalogue.jobs().get(job) else { return Next::None };
        // One that waits has those before it wait too: whose rows a file has must not rest on when it took them.
        let (mut waiting, mut idle) = (HashSet::new(), Vec::new());
        for source in aside(known, labels) {
            let targets = known.files_of(labels).filter(|file| file.generation == 0);
            let mut of_source = targets.filter(|target| !pairs(source, &target.columns).is_empty()).peekable();
            if of_source.peek().is_none() {
                // Its metrics may come back with the first reading of a new shape; until then it answers.
                idle.push(source.clone());
                continue;
            }
            let is_open = |target: &&SeriesFile| !self.migrations.poured.contains(&(source.id, target.id)) && !waiting.contains(&target.id);
            let open: Vec<_> = of_source.filter(is_open).collect();
            for target in open {
                let target_path = self.folder.join(&target.path);
                let source_path = self.folder.join(&source.path);
                // Rows that the target is still to get are its own, whatever the source has of that time.
                let last = self.writer.last(&source_path).ok().flatten();
                let head = self.writer.info(&target_path).ok().flatten();
                let Some(head) = head.filter(|head| last.is_none_or(|last| last <= head.last.stamp)) else {
                    waiting.insert(target.id);
                    continue;
                };
                return Next::Ready(Box::new(Migration {
                    job: job.to_owned(),
                    source: source.clone(),
                    target: target.clone(),
                    shape: head.shape,
                    rewrites: self.migrations.rewrites,
                    source_path,
                    target_path,
                }));
            }
        }
        for source in idle {
            self.settle_source(job, &source);
        }
        if waiting.is_empty() { Next::None } else { Next::Waits }
    }

    /// Lets a source go once every metric that it has is in files that have taken it over; tells of one that stays.
    fn settle_source(&mut self, job: &str, source: &SeriesFile) {
        let Some(known) = self.catalogue.jobs().get(job) else { return };
        let targets = || known.files_of(&source.labels).filter(|file| file.generation == 0);
        let taker = |column: &Column| targets().find(|target| target.columns.iter().any(|new| is_same(column, new)));
        let left: Vec<String> =
            source.columns.iter().filter(|column| taker(column).is_none()).map(|column| column.metric.clone()).collect();
        let takers: BTreeSet<i64> = source.columns.iter().filter_map(|column| Some(taker(column)?.id)).collect();
        if takers.iter().any(|target| !self.migrations.poured.contains(&(source.id, *target))) {
            return;
        }
        if left.is_empty() {
            let by: Vec<i64> = takers.into_iter().collect();
            self.catalogue.took_over(job, &by, source);
            self.counts.files_migrated += 1;
        } else if targets().next().is_some()
            && self.migrations.known_stays.insert(source.id)
            && self.migrations.stays.len() < STAYS_TOLD_MAX
        {
            self.migrations.stays.push(Stay { job: job.to_owned(), path: source.path.clone(), metrics: left });
        }
    }

    /// Removes the files that the last commit gave up.
    pub(super) fn remove_given_up(&self) {
        for name in self.catalogue.given_up() {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(file = name, "a series file that nobody needs any more cannot be removed: {error}");
                }
                _ => {}
            }
        }
    }
}

/// What is to be done for a label set.
enum Next {
    Ready(Box<Migration>),
    /// A file is not made yet.
    Waits,
    None,
}
