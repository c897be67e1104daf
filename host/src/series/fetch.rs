//! Reads a range of series: over the journal's span from readings, before it from files.

mod hint;
mod journal;
mod pick;
mod read;
mod resolution;
mod track;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use journal::Overlay;
use pick::Pick;
use read::Read;
use resolution::{Resolution, choose};
use track::Track;
use watchpost_plugin_api::{Kind, Unit};

use super::Position;
use super::archive::Consolidation;
use super::catalogue::{Job, SeriesFile};
use super::error::SeriesError;
use super::header::Header;
use super::selector::Selector;
use super::store::SeriesStore;
use super::writer::{Fetched, Wanted, WriteError};
use crate::reading::Record;

/// Rows of one answer, all series together, at most.
pub const ROWS_MAX: u64 = 1_000_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which series.
    pub selector: Selector,
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
}

/// One file's answer, read once for all its series.
type Answers = HashMap<(i64, Consolidation, u32), Option<Fetched>>;

impl SeriesStore {
    /// Reads the range of every series that is meant. Rows that wait for their file are part of it.
    ///
    /// `journal`: the journal's records in order, from any position on; over their span they are what is told.
    /// Unknown: rows that nothing is known of, and rows whose span is not over.
    /// Errors: [`SeriesError::Range`], [`SeriesError::TooManyRows`]; a file that cannot be read.
    pub fn fetch(
        &mut self,
        query: &Query,
        now: i64,
        journal: impl IntoIterator<Item = (Position, Record)>,
    ) -> Result<Vec<Series>, SeriesError> {
        if query.to <= query.from {
            return Err(SeriesError::Range { from: query.from, to: query.to });
        }
        self.flush();
        let picks = pick::pick(self.catalogue(), &query.selector);
        let reads = self.prepare_all(&picks, query, now)?;
        let rows = reads.iter().map(|read| read.rows()).sum();
        if rows > ROWS_MAX {
            return Err(SeriesError::TooManyRows { rows, max: ROWS_MAX });
        }
        let begin = reads.iter().map(|read| read.begin()).min().unwrap_or(query.from);
        let mut told = Overlay::new(self.catalogue(), &picks, (begin, query.to)).follow(journal);
        let mut answers = Answers::new();
        let mut series = Vec::new();
        for (index, (pick, read)) in picks.iter().zip(&reads).enumerate() {
            if index > 0 && !reads.get(index - 1).is_some_and(|before| Rc::ptr_eq(before, read)) {
                answers.clear();
            }
            series.push(self.read(pick, read, query.consolidation, told.remove(&index), &mut answers)?);
        }
        Ok(series)
    }

    /// Prepares every series; those of one label set lie beside each other and share their files.
    fn prepare_all(&self, picks: &[Pick], query: &Query, now: i64) -> Result<Vec<Rc<Read>>, SeriesError> {
        let mut reads: Vec<Rc<Read>> = Vec::new();
        for (index, pick) in picks.iter().enumerate() {
            let beside = index.checked_sub(1).and_then(|before| picks.get(before)).filter(|before| before.is_beside(pick));
            let shared = beside.and_then(|_| reads.last().map(Rc::clone));
            reads.push(shared.map_or_else(|| self.prepare(pick, query, now).map(Rc::new), Ok)?);
        }
        Ok(reads)
    }

    /// Looks at the files of a series and settles the step of the answer.
    fn prepare(&self, pick: &Pick, query: &Query, now: i64) -> Result<Read, SeriesError> {
        let mut files = Vec::new();
        let job = self.catalogue().jobs().get(&pick.job);
        for file in job.iter().flat_map(|job: &&Job| &job.files).filter(|file| file.labels == pick.label_set) {
            match self.writer().info(&self.folder().join(&file.path)) {
                Ok(Some(header)) => files.push((file.clone(), header)),
                Err(error) if !error.is_corrupt() => return Err(error.into()),
                _ => {}
            }
        }
        files.sort_by_key(|(file, _)| (file.generation != 0, std::cmp::Reverse(file.generation)));
        let newest = files.first().and_then(|(_, header)| choose(header, query.consolidation, query.from, query.step));
        let base = job.map_or(1, |job| job.step.max(1));
        let (kept, step) = newest.map_or_else(
            || (base, query.step.map_or(base, |wanted| wanted.div_ceil(base).saturating_mul(base))),
            |found| (found.archive_step, found.step),
        );
        let to = query.to.min(now.saturating_add(step.into()));
        Ok(Read { files, kept, step, from: query.from, to })
    }

    fn read(
        &self,
        pick: &Pick,
        read: &Read,
        how: Consolidation,
        told: Option<Track>,
        answers: &mut Answers,
    ) -> Result<Series, SeriesError> {
        let held = self.held(pick, read);
        let step = i64::from(read.step);
        let sure = |to: i64| [&told, &held].into_iter().flatten().find(|track| track.covers(to - step, to));
        let mut files = Vec::new();
        // What the journal answers wholly needs no file; somebody may hold it.
        if !read.times().all(|to| sure(to).is_some()) {
            for (file, header) in &read.files {
                files.extend(self.track(pick, read, how, (file, header), answers)?);
            }
        }
        let row = |to: i64| match sure(to) {
            Some(track) => track.value(to - step, to, how),
            None => files.iter().find_map(|track| track.value(to - step, to, how)),
        };
        let rows = read.times().map(|to| (to, row(to))).collect();
        let (metric, labels) = (pick.metric.clone(), pick.labels.clone());
        Ok(Series { metric, labels, unit: pick.unit, kind: pick.kind, step: read.step, kept: read.kept, rows })
    }

    /// What slots are worth whose rows wait for their file.
    fn held(&self, pick: &Pick, read: &Read) -> Option<Track> {
        let spans = self.held_spans(&pick.job, &pick.label_set);
        let (first, last, column) = (spans.first()?, spans.last()?, pick.column?);
        let mut track = Track::over(first.from, last.to);
        for span in spans.iter().filter(|span| span.to > read.begin() && span.from < read.to) {
            track.push(span.from, span.to, span.values.get(column).copied().flatten());
        }
        Some(track)
    }

    /// What one file says of a series; nothing if the file has neither the metric nor a fitting archive.
    fn track(
        &self,
        pick: &Pick,
        read: &Read,
        how: Consolidation,
        (file, header): (&SeriesFile, &Header),
        answers: &mut Answers,
    ) -> Result<Option<Track>, SeriesError> {
        let column = file.columns.iter().position(|column| column.metric == pick.metric);
        let wanted = Some(read.step).filter(|step| *step > header.shape.step);
        let found = choose(header, how, read.from, wanted).filter(|_| read.begin() < read.to);
        let (Some(column), Some(found)) = (column, found) else { return Ok(None) };
        let answer = match answers.entry((file.id, found.consolidation, found.archive_step)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(self.answer(file, read, found)?),
        };
        let Some(fetched) = answer else { return Ok(None) };
        let mut track = Track::over(i64::MIN, i64::MAX);
        for (to, values) in &fetched.rows {
            track.push(to - i64::from(fetched.step), *to, values.get(column).copied().flatten());
        }
        Ok(Some(track))
    }

    fn answer(&self, file: &SeriesFile, read: &Read, found: Resolution) -> Result<Option<Fetched>, SeriesError> {
        let wanted = Wanted { consolidation: found.consolidation, from: read.begin(), to: read.to, step: found.archive_step };
        match self.writer().fetch(&self.folder().join(&file.path), &wanted) {
            Ok(fetched) => Ok(Some(fetched)),
            Err(WriteError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
