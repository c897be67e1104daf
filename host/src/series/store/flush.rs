//! Writes held rows.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};

use super::SeriesStore;
use super::open_file::OpenFile;
use crate::log::seconds;
use crate::series::catalogue::Change;
use crate::series::error::SeriesError;
use crate::series::header;
use crate::series::name::LabelSet;
use crate::series::row::Row;
use crate::series::writer::{SeriesWriter, WriteError};

/// How often whoever drives the store flushes it: a sample is in its file within a second.
pub const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// Open files up to which each is written at every flush.
const FEW_FILES: usize = 300;
/// Time between two writes of a file for each one beyond.
const FLUSH_PER_FILE: Duration = Duration::from_millis(60);
/// Longest such time: rows of ten minutes are written at once.
const FLUSH_MAX: Duration = Duration::from_secs(600);
/// Files for which it is worth to have several threads, and rows of each.
const SHARED_FILES_MIN: usize = 64;
const SHARED_ROWS_MIN: usize = 8;
/// Threads that write, at most; each has files of its own.
const SHARDS_MAX: usize = 4;

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

/// A moment at which rows begin to wait.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    now: Instant,
    /// How long they may.
    interval: Duration,
    /// How long the store is open.
    since: Duration,
}

impl Moment {
    /// When the first row that waits for a file is to be in it: each file has an instant of its own within the interval.
    pub(super) fn due(&self, job: &str, labels: &LabelSet) -> Instant {
        if self.interval <= FLUSH_EVERY {
            return self.now;
        }
        let mut hasher = DefaultHasher::new();
        (job, labels).hash(&mut hasher);
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let interval = nanos(self.interval);
        let (phase, since) = (hasher.finish() % interval, nanos(self.since));
        self.now + Duration::from_nanos(interval - (since + interval - phase) % interval)
    }
}

impl SeriesStore {
    /// Takes how long rows may wait for their file; nothing: as there are many files or few.
    pub fn flush_within(&mut self, longest: Option<Duration>) {
        if self.flush_within != longest {
            self.flush_within = longest;
            self.files.values_mut().for_each(|file| file.due = None);
        }
    }

    /// Writes what has waited long enough, and what has gathered enough. Whoever drives the store calls it every [`FLUSH_EVERY`].
    pub fn flush_due(&mut self, now: Instant) -> Flushed {
        self.now = now;
        let mut files = std::mem::take(&mut self.files);
        let flushed = self.flush_all(files.values_mut().filter(|file| file.is_due(now)));
        self.files = files;
        flushed
    }

    /// How long rows wait for their file.
    pub fn flush_interval(&self) -> Duration {
        self.flush_within.unwrap_or_else(|| {
            let beyond = u32::try_from(self.files.count().saturating_sub(FEW_FILES)).unwrap_or(u32::MAX);
            FLUSH_PER_FILE.saturating_mul(beyond).clamp(FLUSH_EVERY, FLUSH_MAX)
        })
    }

    /// What says when the first row that waits for a file is to be in it.
    pub(super) fn moment(&self) -> Moment {
        Moment { now: self.now, interval: self.flush_interval(), since: self.now.saturating_duration_since(self.opened) }
    }

    /// Writes what is held. A file that cannot be written keeps its rows for the next time.
    pub fn flush(&mut self) -> Flushed {
        let mut files = std::mem::take(&mut self.files);
        let flushed = self.flush_all(files.values_mut());
        self.files = files;
        flushed
    }

    /// Writes what is held for one file.
    pub(in crate::series) fn flush_file(&mut self, path: &Path) -> Flushed {
        let mut files = std::mem::take(&mut self.files);
        let flushed = self.flush_all(files.values_mut().filter(|file| file.path == path));
        self.files = files;
        flushed
    }

    pub(super) fn flush_all<'a>(&mut self, files: impl Iterator<Item = &'a mut OpenFile>) -> Flushed {
        let mut files: Vec<_> = files.filter(|file| !file.held.is_empty()).collect();
        let mut flushed = Flushed::default();
        if self.unsure {
            return Flushed { files_behind: files.len(), ..flushed };
        }
        // All of them at once: noting costs a sync.
        if let Err(error) = self.note_writes(files.iter().map(|file| &**file)) {
            self.failed(&error);
            let before = files.len();
            files.retain(|file| self.undoable.contains(&file.name));
            flushed.files_behind += before - files.len();
        }
        let tried = append_all(self.writer.as_ref(), &mut files);
        for (file, tried) in files.into_iter().zip(tried) {
            match self.write(file, tried) {
                Ok(()) => flushed.rows += file.release(),
                Err(error) => {
                    flushed.files_behind += 1;
                    flushed.files_locked += usize::from(matches!(error, SeriesError::Write(WriteError::Locked { .. })));
                    // The last checkpoint and the journal say what it is to be.
                    self.unsure |= matches!(error, SeriesError::Write(WriteError::Torn { .. }));
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

/// Appends what is held to every file that was made: on several threads, where many files have many rows, and none on two.
fn append_all(writer: &dyn SeriesWriter, files: &mut [&mut OpenFile]) -> Vec<Result<(), WriteError>> {
    let append = |rows: &mut Vec<Row>, file: &OpenFile| match file.exists {
        true => {
            file.held.rows_into(rows);
            writer.append(&file.path, rows)
        }
        false => Err(WriteError::Missing { path: file.path.clone() }),
    };
    let append_to = |files: &[&mut OpenFile]| {
        let mut rows = Vec::new();
        files.iter().map(|file| append(&mut rows, file)).collect::<Vec<_>>()
    };
    let rows: usize = files.iter().map(|file| file.held.len()).sum();
    // Asking how many may run at once costs more than a small flush.
    let is_shared = files.len() >= SHARED_FILES_MIN && rows >= files.len() * SHARED_ROWS_MIN;
    let shards = if is_shared { std::thread::available_parallelism().map_or(1, NonZero::get).min(SHARDS_MAX) } else { 1 };
    if shards == 1 {
        return append_to(files);
    }
    std::thread::scope(|scope| {
        let shards = files.chunks(files.len().div_ceil(shards));
        let shards: Vec<_> = shards.map(|shard| (shard, scope.spawn(move || append_to(shard)))).collect();
        let written = shards.into_iter().flat_map(|(shard, thread)| {
            // One that panicked has written what it has; each file's own last row tells how far that is.
            thread.join().unwrap_or_else(|_| shard.iter().map(|file| Err(WriteError::Locked { path: file.path.clone() })).collect())
        });
        written.collect()
    })
}
