//! Takes in files that were made beside the store: each as one that was set aside, whose rows another one takes over.
//!
//! A crash finds them whole or not at all: that a file is made is noted before it has its name, and the checkpoint that follows has it.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::SeriesStore;
use crate::series::catalogue::{Change, Column, SeriesFile};
use crate::series::error::SeriesError;
use crate::series::name::{ENDING, LabelSet, file_stem};

/// What stands in the name of a file that was taken in, before its number.
const MARK: &str = ".import";

/// A file to be taken in.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The job that is to have its rows.
    pub job: String,
    /// Of which labels.
    pub labels: LabelSet,
    /// Seconds between its slots.
    pub step: u32,
    /// The earliest slot that it has anything of.
    pub since: i64,
    /// The last one.
    pub last: i64,
    /// What its columns are.
    pub columns: Vec<Column>,
    /// Where it lies, durably, on the disk of the series.
    pub draft: PathBuf,
}

impl SeriesStore {
    /// Takes in files of jobs that it knows; each goes once others have taken over its rows.
    ///
    /// Gives the job whose own files still wait for that: what its files know goes first, so that nothing was taken in.
    /// Errors: the catalogue or the folder failed; a crash or another call finds all of them or none.
    pub fn adopt(&mut self, files: Vec<Adoption>, now: Instant) -> Result<Option<String>, SeriesError> {
        for Adoption { job, labels, .. } in &files {
            self.migrate_set(job, labels)?;
            if self.waits(job, labels) {
                return Ok(Some(job.clone()));
            }
        }
        let mut named = Vec::new();
        for file in files {
            let generation = self.catalogue.take_generation();
            let stem = format!("{}/{}{MARK}{ENDING}", file.job, file_stem(&file.labels));
            let path = self.free_number(&stem, generation);
            named.push((file, path, generation));
        }
        let born: Vec<_> = named.iter().map(|(_, path, _)| Change::Born { path: path.clone() }).collect();
        self.catalogue.note(&born)?;
        for (file, path, generation) in named {
            let target = self.folder.join(&path);
            let moved = self.folder_of(&file.job).and_then(|folder| {
                fs::rename(&file.draft, &target)?;
                File::open(folder)?.sync_all()
            });
            moved.map_err(|source| SeriesError::Folder { path: target, source })?;
            let Adoption { job, labels, step, since, last, columns, .. } = file;
            let own = self.catalogue.jobs().get(&job).into_iter().flat_map(|known| known.files_of(&labels)).map(|own| own.last_slot).max();
            let last_slot = own.map_or(last, |own| own.min(last));
            let taken = SeriesFile { id: 0, labels, path, generation, step, first_slot: since, since, last_slot, columns };
            self.catalogue.add_file(&job, taken);
            self.migrations.begin(&job);
        }
        self.checkpoint_anyway(now)?;
        Ok(None)
    }

    /// Whether files of the job's own, set aside, still have rows that others are to take over.
    fn waits(&self, job: &str, labels: &LabelSet) -> bool {
        let files = self.catalogue.jobs().get(job).into_iter().flat_map(|known| known.files_of(labels));
        let mut own = files.filter(|file| file.generation > 0 && !self.migrations.known_stays.contains(&file.id));
        own.any(|file| !is_taken_in(file))
    }

    fn folder_of(&self, job: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join(job);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Whether a file was taken in, as its name has it.
pub(super) fn is_taken_in(file: &SeriesFile) -> bool {
    let begin = format!("{}{MARK}.", file_stem(&file.labels));
    file.path.split_once('/').is_some_and(|(_, name)| name.starts_with(&begin))
}
