//! The journal's consumer that keeps series files: takes records, holds their rows, writes them, remembers how far it came.

mod adopt;
mod checkpoint;
mod copied;
mod counts;
mod drop;
mod flush;
mod held;
mod layouts;
mod migration;
mod open_file;
mod open_files;
mod place;
mod recover;
mod rename;
mod since;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use adopt::Adoption;
pub use checkpoint::{CHECKPOINT_EVERY, Step};
pub use counts::Counts;
use flush::Moment;
pub use flush::{FLUSH_EVERY, Flushed};
use layouts::Layouts;
use migration::Migrations;
pub use migration::{Migration, Stay};
use open_file::OpenFile;
use open_files::{OfJob, OpenFiles};
use place::Place;
pub use recover::Recovered;

use super::Position;
use super::catalogue::{Catalogue, Job, SeriesFile, UNSEEN_S};
use super::error::SeriesError;
use super::layout::Spread;
use super::librrd::Librrd;
use super::name::{LabelSet, of_series};
use super::plan::Span;
use super::row::Row;
use super::shape::Wishes;
use super::writer::SeriesWriter;
use crate::log::trouble::Trouble;
use crate::reading::{Cause, Given, Record, Shape, Upkeep};

/// Folder of series files in the data folder.
pub const FOLDER: &str = "series";
/// Bounds of a store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Label sets of one job, at most. How many it may have is settled when it is measured: what the journal has was let in then, and is
    /// not measured by what the configuration says when it is read again.
    pub labels_max: usize,
    /// Rows held in memory, at most, where there are few files; beyond, the journal keeps them.
    pub rows_held_max: usize,
    /// Rows held in memory for each file, on average, at most, where there are many.
    pub rows_held_per_file: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { labels_max: 100_000, rows_held_max: 100_000, rows_held_per_file: 120 }
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// It was taken; give the next.
    Taken,
    /// There is no room, or a file whose shape changes cannot be written now: flush, and give the same record again.
    Behind,
}

/// The owner of all series files of a data folder.
pub struct SeriesStore {
    data: PathBuf,
    folder: PathBuf,
    /// The same, open for as long as the store is.
    opened_folder: File,
    options: Options,
    catalogue: Catalogue,
    writer: Box<dyn SeriesWriter>,
    layouts: Layouts,
    /// Jobs of which it was told that they have more label sets than there is room for.
    crowded: HashSet<String>,
    files: OpenFiles,
    /// Jobs with rows that wait for a file which is none of the layout any more.
    outgrown: HashSet<String>,
    /// Files that a crash can be undone of: the checkpoint has their head, or it is noted what was done to them since.
    undoable: HashSet<String>,
    rows_held: usize,
    /// Room for the rows of a reading, and for the one before them.
    spread: Spread,
    room: Row,
    applied: Option<Position>,
    stored: Option<Position>,
    checkpoint_at: Option<Instant>,
    counts: Counts,
    migrations: Migrations,
    unwritable: Trouble,
    /// Told of each step of a checkpoint and back to it.
    on_step: Option<Box<dyn Fn(Step) + Send>>,
    /// Makes files durable in the place of the kernel.
    on_sync: Option<Box<dyn FnMut() -> io::Result<()> + Send>>,
    /// Whether the disk may lack what was written since the last checkpoint.
    unsure: bool,
    /// Whether the checkpoint that counts does not have its name for certain.
    unsettled: bool,
    opened: Instant,
    /// As whoever drives the store said last.
    now: Instant,
    /// How long rows may wait for their file, if somebody said so.
    flush_within: Option<Duration>,
}

impl SeriesStore {
    /// Opens the series of a data folder, which must exist and be this process's own, as of the last checkpoint.
    ///
    /// Shape: whoever is to write calls [`Self::recover`] first, and then gives the journal's records from [`Self::position`] on.
    /// Errors: [`SeriesError::Path`] if librrd could not be given the path; [`SeriesError::Catalogue`] if it is a newer one.
    pub fn open(data: &Path, options: Options) -> Result<Self, SeriesError> {
        Self::open_with(data, options, Box::new(Librrd::new()))
    }

    /// Opens the series of a data folder with another writer.
    pub fn open_with(data: &Path, options: Options, writer: Box<dyn SeriesWriter>) -> Result<Self, SeriesError> {
        let folder = prepared(data)?;
        let opened_folder = File::open(&folder).map_err(|source| SeriesError::Folder { path: folder.clone(), source })?;
        let catalogue = Catalogue::open(data)?;
        let layouts = Layouts::of(&catalogue);
        let migrations = Migrations::of(&catalogue);
        let position = catalogue.checkpoint().map(|checkpoint| checkpoint.position);
        Ok(Self {
            data: data.into(),
            folder,
            opened_folder,
            options,
            catalogue,
            writer,
            layouts,
            crowded: HashSet::new(),
            files: OpenFiles::default(),
            outgrown: HashSet::new(),
            undoable: HashSet::new(),
            rows_held: 0,
            spread: Spread::default(),
            room: Row { stamp: 0, cells: Vec::new() },
            applied: position,
            stored: position,
            checkpoint_at: None,
            counts: Counts::default(),
            migrations,
            unwritable: Trouble::new(),
            on_step: None,
            on_sync: None,
            unsure: false,
            unsettled: false,
            opened: Instant::now(),
            now: Instant::now(),
            flush_within: None,
        })
    }

    /// Takes one record. Records come in the journal's order; those up to [`Self::position`] are passed over.
    ///
    /// Errors: the catalogue or the folder failed; the record was not taken, give it again.
    pub fn apply(&mut self, position: Position, record: &Record) -> Result<Applied, SeriesError> {
        if let Some(answer) = self.answered(position) {
            return Ok(answer);
        }
        let applied = match record {
            Record::Shape(shape) => self.reshape(shape),
            Record::Reading(reading) => self.take(&Given::of(reading))?,
            Record::Upkeep(upkeep) => self.keep(upkeep)?,
            Record::Event(event) => {
                self.catalogue.gaps_mut().hear(event.time_ns);
                Applied::Taken
            }
            Record::Silence(silence) => {
                self.catalogue.gaps_mut().fall_silent(silence);
                Applied::Taken
            }
        };
        if applied == Applied::Taken {
            self.applied = Some(position);
        }
        Ok(applied)
    }

    /// Takes one record as its bytes are; nothing if they are not understood.
    ///
    /// Shape: as for [`Self::apply`].
    pub fn apply_bytes(&mut self, position: Position, payload: &[u8]) -> Result<Option<Applied>, SeriesError> {
        let Some(reading) = Given::read(payload) else {
            let Ok(record) = postcard::from_bytes(payload) else { return Ok(None) };
            return self.apply(position, &record).map(Some);
        };
        if let Some(answer) = self.answered(position) {
            return Ok(Some(answer));
        }
        let applied = self.take(&reading)?;
        if applied == Applied::Taken {
            self.applied = Some(position);
        }
        Ok(Some(applied))
    }

    /// What is answered without a look at the record: it was taken before, or there is no room for one.
    fn answered(&self, position: Position) -> Option<Applied> {
        if self.applied.is_some_and(|applied| position <= applied) {
            return Some(Applied::Taken);
        }
        let rows_max = self.options.rows_held_max.max(self.files.count() * self.options.rows_held_per_file);
        (self.unsure || self.rows_held >= rows_max).then_some(Applied::Behind)
    }

    /// Counts a row whose label set is one too many; the first of a job is told.
    fn refuse_row(&mut self, job: &str) {
        self.counts.rows_over_labels_max += 1;
        if self.crowded.insert(job.to_owned()) {
            let most = self.options.labels_max;
            tracing::warn!(job, most, "it has more label sets than there is room for: those beyond are not stored");
        }
    }

    /// Says that no daemon measures since the last record was made: for whoever only reads.
    pub fn nobody_measures(&mut self) {
        self.catalogue.gaps_mut().stop();
    }

    /// The last record taken.
    pub fn position(&self) -> Option<Position> {
        self.applied
    }

    /// The latest slot of every job's series, of rows not written yet too.
    pub fn last_slots(&self) -> HashMap<String, i64> {
        let mut slots: HashMap<String, i64> = HashMap::new();
        for (name, job) in self.catalogue.jobs() {
            let stored = job.files.iter().map(|file| file.last_slot);
            let open = self.files.of_job(name).filter_map(OpenFile::last_stamp);
            slots.extend(stored.chain(open).max().map(|slot| (name.clone(), slot)));
        }
        slots
    }

    /// The label sets of each job that have a file, with the slots of their last readings.
    pub fn label_sets(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = (LabelSet, i64)>)> {
        self.catalogue.jobs().iter().map(|(name, job)| {
            let last =
                |file: &SeriesFile| (of_series(&file.labels).to_vec(), self.last_stamp(name, &file.labels).unwrap_or(file.last_slot));
            (name.as_str(), job.current_sets().map(last))
        })
    }

    /// Metric and labels of the series of a job that had a reading since an instant.
    pub fn given_since(&self, job: &str, since_s: i64) -> Vec<(String, LabelSet)> {
        let last = |file: &SeriesFile| self.last_stamp(job, &file.labels).unwrap_or(file.last_slot);
        let files = self.catalogue.jobs().get(job).into_iter().flat_map(|known| &known.files);
        let given = files.filter(|file| file.generation == 0 && last(file) >= since_s);
        given.flat_map(|file| file.columns.iter().map(|column| (column.metric.clone(), of_series(&file.labels).to_vec()))).collect()
    }

    /// Counts the label sets of a job that had a reading within [`UNSEEN_S`] before this slot.
    fn label_sets_seen(&self, job: &str, slot: i64) -> usize {
        let known = self.catalogue.jobs().get(job);
        let last = |file: &SeriesFile| self.last_stamp(job, &file.labels).unwrap_or(file.last_slot);
        let seen = known.into_iter().flat_map(Job::current_sets).filter(|file| last(file) >= slot - UNSEEN_S);
        seen.map(|file| of_series(&file.labels)).collect::<HashSet<_>>().len()
    }

    /// Rows that wait for their file.
    pub fn rows_held(&self) -> usize {
        self.rows_held
    }

    /// What was done since the store was opened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// True names of all series.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn writer(&self) -> &dyn SeriesWriter {
        self.writer.as_ref()
    }

    /// What slots are worth whose rows wait for their file.
    pub(super) fn held_spans(&self, job: &str, labels: &LabelSet) -> Vec<Span> {
        self.files.get(job, labels).map(OpenFile::held_spans).unwrap_or_default()
    }

    /// The last row of the file that a label set is written to, also while it waits; nothing before the first reading since the store
    /// was opened.
    pub(super) fn last_row(&self, job: &str, labels: &LabelSet) -> Option<Row> {
        self.files.get(job, labels)?.last()
    }

    /// The stamp of that row.
    pub(super) fn last_stamp(&self, job: &str, labels: &LabelSet) -> Option<i64> {
        self.files.get(job, labels)?.last_stamp()
    }

    fn reshape(&mut self, shape: &Shape) -> Applied {
        if !self.close(&shape.job) {
            return Applied::Behind;
        }
        self.catalogue.put_shape(shape);
        self.lay_out(&shape.job);
        Applied::Taken
    }

    fn keep(&mut self, upkeep: &Upkeep) -> Result<Applied, SeriesError> {
        if let Some(was) = &upkeep.was
            && self.rename_job(was, &upkeep.job)? == Applied::Behind
        {
            return Ok(Applied::Behind);
        }
        let wishes = Wishes { keeping: upkeep.keeping.clone(), heartbeat: upkeep.heartbeat_s };
        if self.catalogue.jobs().get(&upkeep.job).is_some_and(|job| job.wishes != wishes) {
            if !self.close(&upkeep.job) {
                return Ok(Applied::Behind);
            }
            self.catalogue.put_wishes(&upkeep.job, &wishes);
            self.lay_out(&upkeep.job);
        }
        Ok(Applied::Taken)
    }

    /// Writes a job's held rows and forgets its files, so that the next reading looks at their shape; not if that fails.
    fn close(&mut self, job: &str) -> bool {
        let Some(mut files) = self.files.remove_job(job) else { return true };
        let done = self.flush_all(files.values_mut()).files_behind == 0;
        if !done {
            self.files.put_job(job, files);
            return false;
        }
        let seen: Vec<_> = files.values().filter_map(|file| Some((file.id, file.seen?))).collect();
        self.catalogue.seen(&seen);
        true
    }

    fn lay_out(&mut self, job: &str) {
        if let Some(known) = self.catalogue.jobs().get(job) {
            let layout = self.layouts.put(job, known);
            self.files.lay_out(job, layout);
        }
    }

    fn take(&mut self, reading: &Given<'_>) -> Result<Applied, SeriesError> {
        let would_grow = |job: &Job| job.would_grow(&reading.outcome.declared);
        if !reading.outcome.declared.is_empty() && self.catalogue.jobs().get(reading.job).is_some_and(would_grow) {
            if !self.close(reading.job) {
                return Ok(Applied::Behind);
            }
            self.catalogue.declare(reading.job, &reading.outcome.declared);
            self.lay_out(reading.job);
        }
        if self.outgrown.contains(reading.job) {
            if !self.close(reading.job) {
                return Ok(Applied::Behind);
            }
            self.outgrown.remove(reading.job);
        }
        let mut spread = std::mem::take(&mut self.spread);
        let taken = self.enter(reading, &mut spread);
        self.spread = spread;
        let Some((unplaced, step)) = taken? else {
            self.counts.readings_unshaped += 1;
            return Ok(Applied::Taken);
        };
        self.counts.samples_unplaced += unplaced;
        self.catalogue.gaps_mut().take(reading, step);
        Ok(Applied::Taken)
    }

    /// Holds the rows of a reading for their files. Every file before any row: a reading enters wholly, or is given again. Gives how many samples
    /// fit nowhere, and the step of the job; nothing if the job has no shape.
    fn enter(&mut self, reading: &Given<'_>, rows: &mut Spread) -> Result<Option<(u64, u32)>, SeriesError> {
        let moment = self.moment();
        // Mostly all files are open: then the job is looked for once.
        if let Some(of_job) = self.files.of_job_mut(reading.job) {
            let (unplaced, step) = (of_job.layout.spread(&reading.outcome, rows), of_job.layout.step());
            if rows.rows().all(|row| of_job.get(&row.labels).is_some()) {
                self.rows_held += hold(of_job, reading, (rows, &mut self.room), moment, &mut self.counts);
                return Ok(Some((unplaced, step)));
            }
        }
        let Some(layout) = self.layouts.get(reading.job) else { return Ok(None) };
        let (unplaced, step) = (layout.spread(&reading.outcome, rows), layout.step());
        for row in rows.rows() {
            self.ensure_open(reading, &row.labels)?;
        }
        let moment = self.moment();
        if let Some(of_job) = self.files.of_job_mut(reading.job) {
            self.rows_held += hold(of_job, reading, (rows, &mut self.room), moment, &mut self.counts);
        }
        Ok(Some((unplaced, step)))
    }

    fn ensure_open(&mut self, reading: &Given<'_>, labels: &LabelSet) -> Result<(), SeriesError> {
        if self.files.get(reading.job, labels).is_some() {
            return Ok(());
        }
        match self.place(reading.job, labels, reading.slot)? {
            Place::Past => self.counts.rows_past += 1,
            Place::Refused => self.refuse_row(reading.job),
            Place::File(file) => {
                if let Some(layout) = self.layouts.get(reading.job) {
                    self.files.insert(reading.job, layout, labels.clone(), *file);
                }
            }
        }
        Ok(())
    }
}

/// Holds rows for those files that have a place; gives how many that were.
fn hold(of_job: &mut OfJob, reading: &Given<'_>, (rows, room): (&mut Spread, &mut Row), moment: Moment, counts: &mut Counts) -> usize {
    let mut held = 0;
    for row in rows.rows_mut() {
        match of_job.get_mut(&row.labels) {
            None => {} // counted when no place was found
            Some(file) if file.is_free(reading.slot) => {
                if file.held.is_empty() {
                    file.due = Some(moment.due(reading.job, &row.labels));
                }
                held += file.hold(reading.slot, &mut row.cells, room);
            }
            Some(_) if reading.cause == Cause::Manual => counts.rows_manual += 1,
            Some(_) => counts.rows_past += 1,
        }
    }
    held
}

/// Makes the folder of series and gives its absolute path.
fn prepared(data: &Path) -> Result<PathBuf, SeriesError> {
    let fault = |source| SeriesError::Folder { path: data.into(), source };
    let folder = data.join(FOLDER);
    fs::create_dir_all(&folder).map_err(fault)?;
    let folder = folder.canonicalize().map_err(fault)?;
    let is_safe = folder.to_str().is_some_and(|text| !text.contains('%'));
    if is_safe { Ok(folder) } else { Err(SeriesError::Path { path: data.into() }) }
}
