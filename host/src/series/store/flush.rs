//! Writes held rows.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::SeriesStore;
use super::open_file::OpenFile;
use crate::log::seconds;
use crate::series::catalogue::Change;
use crate::series::error::SeriesError;
use crate::series::header;
use crate::series::writer::WriteError;

/// How often whoever drives the store flushes it: a sample is in its file within a second.
pub const FLUSH_EVERY: Duration = Duration::from_millis(500);

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

    pub(super) fn flush_all<'a>(&mut self, files: impl Iterator<Item = &'a mut OpenFile>) -> Flushed {
        let mut files: Vec<_> = files.filter(|file| !file.held.is_empty()).collect();
        let mut flushed = Flushed::default();
        // All of them at once: noting costs a sync.
        if let Err(error) = self.note_writes(files.iter().map(|file| &**file)) {
            self.failed(&error);
            let before = files.len();
            files.retain(|file| self.undoable.contains(&file.name));
            flushed.files_behind += before - files.len();
        }
        for file in files {
            match self.write(file) {
                Ok(()) => flushed.rows += file.release(),
                Err(error) => {
                    flushed.files_behind += 1;
                    flushed.files_locked += usize::from(matches!(error, SeriesError::Write(WriteError::Locked { .. })));
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

    /// Notes what a crash has to know of files that are about to be made or written to, where that is not known yet.
    pub(super) fn note_writes<'a>(&mut self, files: impl Iterator<Item = &'a OpenFile>) -> Result<(), SeriesError> {
        let (mut changes, mut unread) = (Vec::new(), Ok(()));
        for file in files.filter(|file| !self.undoable.contains(&file.name)) {
            let path = file.name.clone();
            match header::image(&file.path, &file.shape) {
                Ok(Some(image)) => changes.push(Change::Written { path, image }),
                Ok(None) => changes.push(Change::Born { path }),
                // The others need not wait for it.
                Err(source) => unread = Err(SeriesError::Folder { path: file.path.clone(), source }),
            }
        }
        if !changes.is_empty() {
            self.catalogue.note(&changes)?;
        }
        self.undoable.extend(changes.into_iter().map(|change| match change {
            Change::Born { path } | Change::Written { path, .. } | Change::Moved { to: path, .. } => path,
        }));
        unread
    }

    fn written_again(&mut self) {
        if let Some(told) = self.unwritable.is_over(Instant::now()) {
            tracing::info!(lasted_s = seconds(told.lasted), "series files are written again");
        }
    }

    fn failed(&mut self, error: &SeriesError) {
        if matches!(error, SeriesError::Write(WriteError::Locked { .. })) {
            self.counts.writes_locked += 1;
        } else {
            self.counts.writes_failed += 1;
            let why = crate::chain(error);
            if let Some(told) = self.unwritable.met(&why, Instant::now()) {
                tracing::error!(times = told.times, "a series file cannot be written; its rows are kept for another try: {why}");
            }
        }
    }
}
