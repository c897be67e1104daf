//! Finds, makes and sets aside the file of a label set.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SeriesStore;
use super::open_file::OpenFile;
use crate::series::catalogue::{Job, SeriesFile};
use crate::series::error::SeriesError;
use crate::series::header::Header;
use crate::series::layout::Layout;
use crate::series::name::{ENDING, LabelSet, file_stem, file_stem_marked, is_job_name};
use crate::series::shape::FileShape;
use crate::series::writer::WriteError;

/// Where a row goes.
#[derive(Debug)]
pub(super) enum Place {
    /// Into this file.
    File(OpenFile),
    /// Nowhere: it is a row of an older shape, replayed, and newer ones are in their file already.
    Past,
    /// Nowhere: the job has no room for another label set.
    Refused,
}

/// What lies where a file should be.
enum Found {
    /// A file that can be written on with, or nothing yet.
    Usable(Option<Header>),
    /// A file of another shape, with this last row.
    Other(i64),
    /// No series file.
    Damaged,
}

impl SeriesStore {
    /// Finds the file of a label set for a reading of `slot`.
    ///
    /// What lies there in another shape, or damaged, is set aside first.
    pub(super) fn place(&mut self, job: &str, labels: &LabelSet, slot: i64) -> Result<Place, SeriesError> {
        let wanted = self.layouts.get(job).and_then(|layout: &Layout| layout.file(labels));
        let (Some((shape, columns)), Some(known)) = (wanted, self.catalogue.jobs().get(job)) else { return Ok(Place::Refused) };
        if let Some(current) = known.current(labels).cloned() {
            let path = self.folder.join(&current.path);
            match self.found(&path, &shape)? {
                Found::Usable(header) => return Ok(Place::File(open_file(current.id, path, shape, header))),
                Found::Other(last) if slot <= last => return Ok(Place::Past),
                Found::Other(_) | Found::Damaged => self.set_aside(job, &current)?,
            }
        } else if !labels.is_empty() && known.label_sets() >= self.labels_max(job) || !is_job_name(job) {
            return Ok(Place::Refused);
        }
        let path = self.new_path(job, labels)?;
        let step = shape.step;
        let file = SeriesFile { id: 0, labels: labels.clone(), path, generation: 0, step, first_slot: slot, last_slot: slot, columns };
        let absolute = self.folder.join(&file.path);
        self.catalogue.add_file(job, file)?;
        let id = self.catalogue.jobs().get(job).and_then(|job: &Job| job.current(labels)).map_or(0, |file| file.id);
        Ok(Place::File(open_file(id, absolute, shape, None)))
    }

    fn found(&self, path: &Path, shape: &FileShape) -> Result<Found, SeriesError> {
        match self.writer.info(path) {
            Ok(Some(header)) if header.shape != *shape => Ok(Found::Other(header.last.stamp)),
            Ok(header) => Ok(Found::Usable(header)),
            Err(error) if error.is_corrupt() => Ok(Found::Damaged),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a current file the first free number. The catalogue is told first: a crash in between leaves a file at the old
    /// place, which [`Self::new_path`] moves.
    fn set_aside(&mut self, job: &str, file: &SeriesFile) -> Result<(), SeriesError> {
        let (path, generation) = self.free_number(&file.path);
        self.catalogue.set_aside(job, file.id, &path, generation)?;
        self.counts.files_set_aside += 1;
        tracing::info!(job, from = file.path, to = path, "series file set aside: its shape is not the one asked for");
        self.give_way(&file.path, &path)
    }

    /// Chooses where the file of a label set lies, below the series folder; whatever lies there is moved out of the way.
    fn new_path(&mut self, job: &str, labels: &LabelSet) -> Result<String, SeriesError> {
        let plain = format!("{job}/{}{ENDING}", file_stem(labels));
        let path = if self.catalogue.is_taken(job, &plain) { format!("{job}/{}{ENDING}", file_stem_marked(labels)) } else { plain };
        if self.folder.join(&path).exists() {
            let unfinished = self.catalogue.jobs().get(job).and_then(|job| {
                job.files.iter().find(|file| file.labels == *labels && file.generation > 0 && !self.folder.join(&file.path).exists())
            });
            let aside = unfinished.map_or_else(|| self.free_number(&path).0, |file| file.path.clone());
            self.give_way(&path, &aside)?;
        }
        let folder = self.folder.join(job);
        fs::create_dir_all(&folder).map_err(|source| SeriesError::Folder { path: folder, source })?;
        Ok(path)
    }

    /// Finds the first number that neither a file nor the catalogue has.
    fn free_number(&self, path: &str) -> (String, u32) {
        let job = path.split('/').next().unwrap_or_default();
        let stem = path.strip_suffix(ENDING).unwrap_or(path);
        let mut number = 1;
        loop {
            let candidate = format!("{stem}.{number}{ENDING}");
            if !self.catalogue.is_taken(job, &candidate) && !self.folder.join(&candidate).exists() {
                return (candidate, number);
            }
            number += 1;
        }
    }

    fn give_way(&self, from: &str, to: &str) -> Result<(), SeriesError> {
        let from = self.folder.join(from);
        match fs::rename(&from, self.folder.join(to)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SeriesError::Folder { path: from, source: error }),
            _ => Ok(()),
        }
    }

    /// Writes a file's held rows, making the file if there is none.
    pub(super) fn write(&mut self, file: &OpenFile) -> Result<(), WriteError> {
        match self.writer.append(&file.path, &file.held) {
            Err(WriteError::Missing { .. }) => {}
            Err(error) if error.is_corrupt() => self.move_damaged(file, error)?,
            done => return done,
        }
        if let Some(start) = file.start() {
            self.writer.create(&file.path, &file.shape, start)?;
        }
        self.writer.append(&file.path, &file.held)
    }
}

impl SeriesStore {
    /// Moves a file that was damaged while it was written out of the way of a new one.
    fn move_damaged(&mut self, file: &OpenFile, error: WriteError) -> Result<(), WriteError> {
        let Some(path) = file.path.strip_prefix(&self.folder).ok().and_then(Path::to_str) else { return Err(error) };
        let aside = self.free_number(path).0;
        if self.give_way(path, &aside).is_err() {
            return Err(error);
        }
        self.counts.files_set_aside += 1;
        tracing::warn!(from = path, to = aside, "series file set aside, for it is damaged: {}", crate::chain(&error));
        Ok(())
    }
}

fn open_file(id: i64, path: PathBuf, shape: FileShape, header: Option<Header>) -> OpenFile {
    let last = header.map(|header| header.last);
    OpenFile { id, path, shape, last, held: Vec::new(), held_spans: Vec::new(), before: None, seen: None }
}
