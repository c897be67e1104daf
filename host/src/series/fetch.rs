//! Reads a range of series: over the journal's span from readings, before it from files.
//!
//! Whoever keeps the store lends it for a moment only: [`SeriesStore::ask`] takes from it what an answer needs, and [`Taken::read`] makes
//! the answer from files and journal while readings go on to come in.

pub(super) mod block;
mod gaps;
mod hint;
mod journal;
mod list;
mod pick;
mod read;
pub(super) mod resolution;
mod sets;
mod track;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use block::Block;
use journal::Overlay;
use pick::Pick;
use read::Read;
use resolution::choose;
use track::Track;
use watchpost_plugin_api::{Kind, Unit};

pub use list::{Kept, KeptArchive, KeptFile, LISTED_MAX, Listing};
pub use sets::{LabelSetOf, Meant};

use super::Position;
use super::archive::Consolidation;
use super::catalogue::{Job, SeriesFile};
use super::error::SeriesError;
use super::gap::{Gap, book::Told};
use super::gate;
use super::header::{self, Header, HeaderError};
use super::selector::Selector;
use super::store::SeriesStore;
use super::writer::WriteError;
use crate::reading::Record;

/// Rows of one answer, all series together, at most.
pub const ROWS_MAX: u64 = 1_000_000;

/// Rows before the first one, and those after it, up to which a young series is told as finely as it is kept.
const FINE_ROWS_MAX: i64 = 100_000;
/// Files that are written one by one for an answer, at most.
const FLUSHED_MAX: usize = 64;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which series.
    pub selectors: Vec<Selector>,
    /// Rows after this instant, seconds since 1970.
    pub from: i64,
    /// Rows up to this one; a later one than now and a step is taken for that.
    pub to: i64,
    /// Seconds between rows; nothing: as fine as is kept so far back. An archive may only be coarser.
    pub step: Option<u32>,
    /// How several slots become one row.
    pub consolidation: Consolidation,
}

/// One series over the range.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The metric.
    pub metric: String,
    /// `agent`, `job`, `target`, the job's own labels, the metric's.
    pub labels: Vec<(String, String)>,
    /// What one is; of a counter: what one per second is.
    pub unit: Unit,
    /// How values follow one another; counters come out per second.
    pub kind: Kind,
    /// Seconds between rows.
    pub step: u32,
    /// Seconds between what is kept over the range; `step` is a multiple of it.
    pub kept: u32,
    /// Every row of the range by rising time, aligned to the step. A row stands for the step that ends with it.
    pub rows: Vec<(i64, Option<f64>)>,
    /// Why rows are unknown, by rising time; of rows that nothing is said of, the reading is awaited, or nobody kept a book then.
    pub gaps: Vec<Gap>,
}

impl Series {
    /// What the row at this time is worth; unknown also where there is none.
    pub fn at(&self, time: i64) -> Option<f64> {
        self.rows.get(self.row_of(time)?)?.1
    }

    /// The place among the rows of the one at this time.
    pub fn row_of(&self, time: i64) -> Option<usize> {
        let (first, _) = self.rows.first()?;
        let step = i64::from(self.step.max(1));
        let (row, rest) = ((time - first).div_euclid(step), (time - first).rem_euclid(step));
        usize::try_from(row).ok().filter(|row| rest == 0 && *row < self.rows.len())
    }
}

/// An archive: number of the file, place in it.
type ArchiveOf = (i64, usize);
/// Archives that were read.
type Blocks = HashMap<ArchiveOf, Option<Block>>;

/// What an answer needs of the store.
#[derive(Debug)]
pub struct Taken {
    query: Query,
    now: i64,
    folder: PathBuf,
    /// Each series once, in the order of the selectors.
    picks: Vec<Pick>,
    /// Of each series, what its slots are worth whose rows wait for their file.
    held: Vec<Option<Track>>,
    /// The jobs of these series.
    jobs: BTreeMap<String, Job>,
    /// What is known of the time without readings, by job.
    told: HashMap<String, Told>,
    /// Selectors that mean nothing, each with what was probably meant.
    missed: Vec<(Selector, String)>,
    /// The last record that the store had taken.
    position: Option<Position>,
}

impl SeriesStore {
    /// Takes what an answer needs, has the rows of its series written to their files, if these can be written, and says what was probably meant
    /// by a selector that means nothing.
    pub fn ask(&mut self, query: Query, now: i64) -> Result<Taken, SeriesError> {
        let mut taken = self.glance(query, now)?;
        self.flush_for(&taken.picks);
        taken.held = taken.picks.iter().map(|pick| self.held(pick)).collect();
        for (selector, hint) in &mut taken.missed {
            *hint = self.hint(selector);
        }
        Ok(taken)
    }

    /// Takes what an answer needs and leaves the files as they are; of a selector that means nothing it says no more.
    pub fn glance(&self, query: Query, now: i64) -> Result<Taken, SeriesError> {
        if query.to <= query.from {
            return Err(SeriesError::Range { from: query.from, to: query.to });
        }
        let (mut picks, mut missed, mut known) = (Vec::new(), Vec::new(), HashSet::new());
        for selector in &query.selectors {
            let found = pick::pick(self.catalogue(), selector);
            if found.is_empty() {
                missed.push((selector.clone(), String::new()));
            }
            let is_new = |pick: &Pick| known.insert(pick.key());
            picks.extend(found.into_iter().filter(is_new));
        }
        let held = picks.iter().map(|pick| self.held(pick)).collect();
        let job = |pick: &Pick| Some((pick.job.clone(), self.catalogue().jobs().get(&pick.job)?.clone()));
        let mut jobs = BTreeMap::new();
        for pick in &picks {
            if !jobs.contains_key(&pick.job) {
                jobs.extend(job(pick));
            }
        }
        let told = jobs.keys().map(|job| Ok((job.clone(), self.told(job, &query, now)?)));
        let told = told.collect::<Result<_, SeriesError>>()?;
        Ok(Taken { query, now, told, folder: self.folder().to_owned(), picks, held, jobs, missed, position: self.position() })
    }

    /// Reads the range of every series that is meant. Rows that wait for their file are part of it.
    ///
    /// Shape: as [`Taken::read`].
    pub fn fetch(
        &mut self,
        query: &Query,
        now: i64,
        journal: impl IntoIterator<Item = (Position, Record)>,
    ) -> Result<Vec<Series>, SeriesError> {
        self.ask(query.clone(), now)?.read(journal)
    }

    /// Says whether what was taken still lies where it lay.
    pub fn has_still(&self, taken: &Taken) -> bool {
        let paths = |job: Option<&Job>| -> Vec<(i64, String)> {
            job.iter().flat_map(|job| &job.files).map(|file| (file.id, file.path.clone())).collect()
        };
        taken.jobs.iter().all(|(name, job)| {
            let (then, now) = (paths(Some(job)), paths(self.catalogue().jobs().get(name)));
            then.iter().all(|file| now.contains(file))
        })
    }

    /// Has what waits written to the files of these series; to all files, where they are many.
    fn flush_for(&mut self, picks: &[Pick]) {
        let current = |pick: &Pick| Some(self.folder().join(&self.catalogue().jobs().get(&pick.job)?.current(&pick.file)?.path));
        let paths: BTreeSet<PathBuf> = picks.iter().filter_map(current).collect();
        if paths.len() > FLUSHED_MAX {
            self.flush();
            return;
        }
        for path in paths {
            self.flush_file(&path);
        }
    }

    /// What slots are worth whose rows wait for their file.
    fn held(&self, pick: &Pick) -> Option<Track> {
        let spans = self.held_spans(&pick.job, &pick.file);
        let (first, last, column) = (spans.first()?, spans.last()?, pick.column?);
        let mut track = Track::over(first.from, last.to);
        for span in spans {
            track.push(span.from, span.to, span.values.get(column).copied().flatten());
        }
        Some(track)
    }
}

impl Taken {
    /// The jobs whose readings are asked for.
    pub fn jobs(&self) -> HashSet<String> {
        self.jobs.keys().cloned().collect()
    }

    /// The last record that the store had taken.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Selectors that mean nothing, each with what was probably meant.
    pub fn missed(&self) -> &[(Selector, String)] {
        &self.missed
    }

    /// Reads the range of every series that is meant, those of the first selector first, each once.
    ///
    /// `journal`: the journal's records in order, from any position on; over their span they are what is told.
    /// Unknown: rows that nothing is known of, and rows whose span is not over.
    /// Errors: [`SeriesError::TooManyRows`]; a file that cannot be read.
    pub fn read(&self, journal: impl IntoIterator<Item = (Position, Record)>) -> Result<Vec<Series>, SeriesError> {
        let reads = self.prepare_all()?;
        let rows = reads.iter().map(|read| read.rows()).sum();
        if rows > ROWS_MAX {
            return Err(SeriesError::TooManyRows { rows, max: ROWS_MAX });
        }
        let begin = reads.iter().map(|read| read.begin()).min().unwrap_or(self.query.from);
        let mut told = Overlay::new(&self.jobs, &self.picks, (begin, self.query.to)).follow(journal);
        let mut blocks = Blocks::new();
        let mut series = Vec::new();
        for (index, (pick, read)) in self.picks.iter().zip(&reads).enumerate() {
            if index > 0 && !reads.get(index - 1).is_some_and(|before| Rc::ptr_eq(before, read)) {
                blocks.clear();
            }
            series.push(self.read_one(pick, read, [told.remove(&index), self.held.get(index).cloned().flatten()], &mut blocks)?);
        }
        Ok(series)
    }

    /// Prepares every series; those of one label set lie beside each other and share their files.
    fn prepare_all(&self) -> Result<Vec<Rc<Read>>, SeriesError> {
        let mut reads: Vec<Rc<Read>> = Vec::new();
        for (index, pick) in self.picks.iter().enumerate() {
            let beside = index.checked_sub(1).and_then(|before| self.picks.get(before)).filter(|before| before.is_beside(pick));
            let shared = beside.and_then(|_| reads.last().map(Rc::clone));
            reads.push(shared.map_or_else(|| self.prepare(pick).map(Rc::new), Ok)?);
        }
        Ok(reads)
    }

    /// Looks at the files of a series and settles the step of the answer.
    fn prepare(&self, pick: &Pick) -> Result<Read, SeriesError> {
        let Query { from, to, step: wanted, consolidation, .. } = self.query;
        let mut files = Vec::new();
        let job = self.jobs.get(&pick.job);
        for file in job.iter().flat_map(|job| job.files_of(&pick.label_set)) {
            let path = self.folder.join(&file.path);
            let _open = gate::reading(&path);
            match header::read(&path) {
                Ok(Some(header)) => files.push((file.clone(), header)),
                Ok(None) | Err(HeaderError::Corrupt(_)) => {}
                Err(source) => return Err(WriteError::Header { path, source }.into()),
            }
        }
        files.sort_by_key(|(file, _)| (file.generation != 0, std::cmp::Reverse(file.generation)));
        // A series that is young is all in its finest rows; coarser ones, which reach further back, may have none yet.
        let since = files.iter().map(|(file, _)| file.since - i64::from(file.step)).min().unwrap_or(from);
        let choose_from = |from: i64| files.first().and_then(|(_, header)| choose(header, consolidation, from, wanted));
        let fine = choose_from(from.max(since)).filter(|found| (to - from) / i64::from(found.step) <= FINE_ROWS_MAX);
        let newest = fine.or_else(|| choose_from(from));
        let base = job.map_or(1, |job| job.step.max(1));
        let (kept, step) = newest.map_or_else(
            || (base, wanted.map_or(base, |wanted| wanted.div_ceil(base).saturating_mul(base))),
            |found| (found.archive_step, found.step),
        );
        Ok(Read { files, kept, step, since, from, to: to.min(self.now.saturating_add(step.into())) })
    }

    fn read_one(&self, pick: &Pick, read: &Read, certain: [Option<Track>; 2], blocks: &mut Blocks) -> Result<Series, SeriesError> {
        let (step, how) = (i64::from(read.step), self.query.consolidation);
        let sure = |to: i64| certain.iter().flatten().find(|track| track.covers(to - step, to));
        let mut found = Vec::new();
        // What journal and waiting rows answer wholly needs no file.
        if !read.times().all(|to| sure(to).is_some()) {
            for (file, header) in &read.files {
                found.extend(self.open(pick, read, (file, header), blocks)?);
            }
        }
        let found: Vec<(usize, &Block)> =
            found.into_iter().filter_map(|(column, key)| Some((column, blocks.get(&key)?.as_ref()?))).collect();
        let row = |to: i64| match sure(to) {
            Some(track) => track.value(to - step, to, how),
            None => found.iter().find_map(|(column, block)| block.value(*column, to - step, to, how)),
        };
        let rows = read.times().map(|to| (to, row(to))).collect();
        let (metric, labels) = (pick.metric.clone(), pick.labels.clone());
        let (unit, kind, step, kept) = (pick.unit, pick.kind, read.step, read.kept);
        let mut series = Series { metric, labels, unit, kind, step, kept, rows, gaps: Vec::new() };
        if let Some(told) = self.told.get(&pick.job) {
            series.explain(told);
        }
        Ok(series)
    }

    /// Reads what one file has of a series: its column, and which block that is one of; nothing if the file has neither the metric nor
    /// a fitting archive.
    fn open(
        &self,
        pick: &Pick,
        read: &Read,
        (file, header): (&SeriesFile, &Header),
        blocks: &mut Blocks,
    ) -> Result<Option<(usize, ArchiveOf)>, SeriesError> {
        let column = file.columns.iter().position(|column| column.metric == pick.metric);
        // Of a file that was set aside the finest rows that reach: its last coarse ones were never over.
        let wanted = Some(read.step).filter(|step| file.generation == 0 && *step > header.shape.step);
        let found = choose(header, self.query.consolidation, read.from.max(read.since), wanted).filter(|_| read.begin() < read.to);
        let (Some(column), Some(found)) = (column, found) else { return Ok(None) };
        let key = (file.id, found.index);
        if let Entry::Vacant(entry) = blocks.entry(key) {
            entry.insert(Block::read(&self.folder.join(&file.path), &found, read.begin(), read.to)?);
        }
        Ok(Some((column, key)))
    }
}
