//! Writes held rows, and stores how far the journal need not be read again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::SeriesStore;
use super::open_file::OpenFile;
use crate::log::seconds;
use crate::series::Position;
use crate::series::error::SeriesError;
use crate::series::writer::WriteError;

/// How often whoever drives the store flushes it: a sample is in its file within a second.
pub const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// How often positions are stored, at most.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Rows written.
    pub rows: usize,
    /// Files that must be tried again.
    pub files_behind: usize,
    /// Those of them that another process has open.
    pub files_locked: usize,
}

impl SeriesStore {
    /// Writes what is held. A file that cannot be written keeps its rows for the next time.
    pub fn flush(&mut self) -> Flushed {
        let mut files = std::mem::take(&mut self.files);
        let flushed = self.flush_all(files.values_mut().flat_map(HashMap::values_mut));
        self.files = files;
        flushed
    }

    /// Writes what is held for one file.
    pub(in crate::series) fn flush_file(&mut self, path: &Path) -> Flushed {
        let mut files = std::mem::take(&mut self.files);
        let flushed = self.flush_all(files.values_mut().flat_map(HashMap::values_mut).filter(|file| file.path == path));
        self.files = files;
        flushed
    }

    /// Says whether it is time for a checkpoint.
    pub fn checkpoint_due(&self, now: Instant) -> bool {
        self.checkpoint_at.is_none_or(|at| now.duration_since(at) >= CHECKPOINT_EVERY)
    }

    /// Flushes, makes the files durable, and then has the position stored from which a restart must read on.
    ///
    /// Nothing is stored if nothing new is durable, which is also so while the oldest held row stays unwritten.
    pub fn checkpoint(&mut self, now: Instant, store: impl FnOnce(Position) -> io::Result<()>) -> Result<Option<Position>, SeriesError> {
        self.checkpoint_at = Some(now);
        self.flush();
        let Some(position) = self.durable_after_sync().filter(|position| Some(*position) != self.stored) else { return Ok(None) };
        let fault = |source: io::Error| SeriesError::Folder { path: self.folder.clone(), source };
        rustix::fs::syncfs(File::open(&self.folder).map_err(fault)?).map_err(|errno| fault(errno.into()))?;
        let seen: Vec<_> = self.open_files_mut().filter_map(|file| Some((file.id, file.seen.take()?))).collect();
        self.catalogue.seen(&seen)?;
        store(position).map_err(SeriesError::Position)?;
        self.stored = Some(position);
        Ok(Some(position))
    }

    pub(super) fn flush_all<'a>(&mut self, files: impl Iterator<Item = &'a mut OpenFile>) -> Flushed {
        let mut flushed = Flushed::default();
        for file in files.filter(|file| !file.held.is_empty()) {
            match self.write(file) {
                Ok(()) => flushed.rows += file.release(),
                Err(error) => {
                    flushed.files_behind += 1;
                    flushed.files_locked += usize::from(matches!(error, WriteError::Locked { .. }));
                    self.failed(&error);
                }
            }
        }
        if flushed.rows > 0 && flushed.files_behind == flushed.files_locked {
            self.written_again();
        }
        self.rows_held -= flushed.rows;
        self.counts.rows_written += flushed.rows as u64;
        flushed
    }

    fn written_again(&mut self) {
        if let Some(told) = self.unwritable.is_over(Instant::now()) {
            tracing::info!(lasted_s = seconds(told.lasted), "series files are written again");
        }
    }

    fn failed(&mut self, error: &WriteError) {
        if matches!(error, WriteError::Locked { .. }) {
            self.counts.writes_locked += 1;
        } else {
            self.counts.writes_failed += 1;
            let why = crate::chain(error);
            if let Some(told) = self.unwritable.met(&why, Instant::now()) {
                tracing::error!(times = told.times, "a series file cannot be written; its rows are kept for another try: {why}");
            }
        }
    }

    /// The last record of which, and of all before it, every row is in its file.
    fn durable_after_sync(&self) -> Option<Position> {
        let waiting = self.files.values().flat_map(HashMap::values).filter(|file| !file.held.is_empty());
        waiting.map(|file| file.before).min().unwrap_or(self.applied)
    }

    fn open_files_mut(&mut self) -> impl Iterator<Item = &mut OpenFile> {
        self.files.values_mut().flat_map(HashMap::values_mut)
    }
}
