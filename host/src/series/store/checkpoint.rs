//! Stores a picture of all series that a crash can go back to, and how far the journal need not be read again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use super::SeriesStore;
use super::open_file::OpenFile;
use crate::series::Position;
use crate::series::catalogue::Checkpointed;
use crate::series::checkpoint::{self, Still};
use crate::series::error::SeriesError;
use crate::series::header;
use crate::series::name::LabelSet;
use crate::series::row::Row;

/// How often checkpoints are made, at most; where rows wait longer for their file, as often as they may.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// A step of a checkpoint, or back to one, that was just made; for proofs that end a process between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What was held is in its files.
    Flushed,
    /// The heads of all files are in the next checkpoint file.
    HeadsKept,
    /// The files are durable.
    Synced,
    /// The catalogue speaks of the next checkpoint file.
    Committed,
    /// That file has its name.
    Settled,
    /// Names are what they were at the checkpoint, durably.
    TakenBack,
}

impl SeriesStore {
    /// Says whether it is time for a checkpoint.
    pub fn checkpoint_due(&self, now: Instant) -> bool {
        self.checkpoint_at.is_none_or(|at| now.duration_since(at) >= CHECKPOINT_EVERY.max(self.flush_interval()))
    }

    /// Has each step told.
    pub fn on_step(&mut self, told: Box<dyn Fn(Step) + Send>) {
        self.on_step = Some(told);
    }

    /// Flushes, keeps the heads of all files and the rows that are not written, makes the files durable, and then has the position
    /// stored from which a restart must read on.
    ///
    /// Nothing is stored if nothing was taken since the last one.
    pub fn checkpoint(&mut self, now: Instant, store: impl FnOnce(Position) -> io::Result<()>) -> Result<Option<Position>, SeriesError> {
        self.checkpoint_at = Some(now);
        if self.unsure {
            return Err(SeriesError::Unsure);
        }
        // The one that counts has its name before the next one is written.
        if std::mem::take(&mut self.unsettled) {
            self.settle()?;
        }
        // Where rows wait for long, they are kept, and written many at once later.
        if self.flush_interval() <= CHECKPOINT_EVERY {
            self.flush();
        }
        self.step(Step::Flushed);
        let Some(position) = self.applied.filter(|position| Some(*position) != self.stored) else { return Ok(None) };
        let mark = drawn_mark();
        checkpoint::write(&self.data, mark, self.stills())?;
        self.step(Step::HeadsKept);
        if let Err(source) = self.sync() {
            self.unsure = true;
            return Err(SeriesError::Unsynced { path: self.folder.clone(), source });
        }
        self.step(Step::Synced);
        let seen: Vec<_> = self.files.values_mut().filter_map(|file| Some((file.id, file.seen.take()?))).collect();
        self.catalogue.seen(&seen);
        if let Err(error) = self.catalogue.commit(Checkpointed { mark, position }) {
            // Whether the file has it or not shows when it is opened again.
            self.unsure = true;
            return Err(error.into());
        }
        self.undoable = self.files.iter().filter(|(_, _, file)| file.exists).map(|(_, _, file)| file.name.clone()).collect();
        self.step(Step::Committed);
        self.remove_given_up();
        self.settle()?;
        self.step(Step::Settled);
        store(position).map_err(SeriesError::Position)?;
        self.stored = Some(position);
        Ok(Some(position))
    }

    /// Has files made durable in another way; for proofs that let a disk fail.
    pub fn on_sync(&mut self, sync: Box<dyn FnMut() -> io::Result<()> + Send>) {
        self.on_sync = Some(sync);
    }

    /// Makes all files durable. The folder is open since before anything was written: the kernel tells an error once, to those who
    /// had something open when it came about.
    fn sync(&mut self) -> io::Result<()> {
        match &mut self.on_sync {
            Some(sync) => sync(),
            None => Ok(rustix::fs::syncfs(&self.opened_folder)?),
        }
    }

    fn settle(&mut self) -> Result<(), SeriesError> {
        self.unsettled = true;
        checkpoint::settle(&self.data)?;
        self.unsettled = false;
        Ok(())
    }

    /// Makes a checkpoint also where no reading came since the last one.
    pub(in crate::series) fn checkpoint_anyway(&mut self, now: Instant) -> Result<(), SeriesError> {
        self.stored = None;
        self.checkpoint(now, |_| Ok(())).map(drop)
    }

    pub(super) fn step(&self, step: Step) {
        if let Some(told) = &self.on_step {
            told(step);
        }
    }

    /// The files that are written to; of another one the head is noted before it is.
    fn stills(&self) -> impl Iterator<Item = io::Result<Still>> {
        self.files.iter().map(|(job, labels, file)| still(job, labels, file))
    }
}

fn still(job: &str, labels: &LabelSet, file: &OpenFile) -> io::Result<Still> {
    // A file that no rows wait for tells by itself which its last one is.
    let waits = |row: Row| Some(row).filter(|_| !file.held.is_empty());
    Ok(Still {
        job: job.to_owned(),
        labels: labels.clone(),
        path: file.name.clone(),
        image: header::image(&file.path, &file.shape)?,
        last: file.last().and_then(waits),
        held: file.held.rows(),
        before: file.before.clone().and_then(waits),
    })
}

/// A number that no other checkpoint has.
fn drawn_mark() -> u64 {
    RandomState::new().build_hasher().finish()
}
