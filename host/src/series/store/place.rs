//! Finds and makes the file of a label set, and sets aside the one that it goes on from.
//!
//! What is decided here rests on the catalogue, on the heads of files and on the records given, never on a clock or a lot: after
//! a crash the same records decide the same again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SeriesStore;
use super::held::Held;
use super::open_file::OpenFile;
use crate::series::catalogue::{Change, SeriesFile};
use crate::series::error::SeriesError;
use crate::series::header::Header;
use crate::series::name::{ENDING, LabelSet, file_stem, file_stem_marked, is_job_name, of_series};
use crate::series::shape::FileShape;
use crate::series::writer::WriteError;

/// Folder in the data folder for what is damaged.
pub(super) const QUARANTINE: &str = "quarantine";

/// Where a row goes.
#[derive(Debug)]
pub(super) enum Place {
    /// Into this file.
    File(Box<OpenFile>),
    /// Nowhere: it is older than what a file of another shape already has.
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
    Damaged(WriteError),
}

impl SeriesStore {
    /// Finds the file of a label set for a reading of `slot`.
    ///
    /// What lies there in another shape is set aside first, for its rows to be taken over; what is damaged goes to the quarantine.
    pub(super) fn place(&mut self, job: &str, labels: &LabelSet, slot: i64) -> Result<Place, SeriesError> {
        let wanted = self.layouts.get(job).and_then(|layout| layout.file(labels));
        let (Some((shape, columns)), Some(known)) = (wanted, self.catalogue.jobs().get(job)) else { return Ok(Place::Refused) };
        if let Some(current) = known.current(labels).cloned() {
            match self.found(&self.folder.join(&current.path), &shape)? {
                // Gone before its columns changed.
                Found::Usable(None) if current.columns != columns => self.catalogue.forget_file(job, current.id),
                Found::Usable(header) => {
                    return Ok(Place::File(Box::new(open_file(current.id, current.path, &self.folder, shape, header))));
                }
                Found::Other(last) if slot <= last => return Ok(Place::Past),
                Found::Other(_) => {
                    // What it is to have of files before it, it has before another one takes over from it.
                    self.migrate_set(job, labels)?;
                    self.set_aside(job, &current)?;
                }
                Found::Damaged(error) => {
                    self.put_away(&current.path, &error)?;
                    self.catalogue.forget_file(job, current.id);
                }
            }
        } else {
            let is_new = !of_series(labels).is_empty() && known.files_of(labels).all(|file| file.generation > 0);
            if is_new && self.label_sets_seen(job, slot) >= self.options.labels_max || !is_job_name(job) {
                return Ok(Place::Refused);
            }
        }
        self.set_others_aside(job, labels)?;
        let path = self.new_path(job, labels)?;
        let step = shape.step;
        let file = SeriesFile {
            id: 0,
            labels: labels.clone(),
            path: path.clone(),
            generation: 0,
            step,
            first_slot: slot,
            since: slot,
            last_slot: slot,
            columns,
        };
        let before = self.last_before(job, &file, &shape)?;
        if before.is_some() {
            // Files that nobody could take rows from until now.
            self.migrations.begin(job);
        }
        let id = self.catalogue.add_file(job, file).unwrap_or(0);
        Ok(Place::File(Box::new(OpenFile { before, ..open_file(id, path, &self.folder, shape, None) })))
    }

    /// Sets aside the other files of a label set that hold metrics which this one may have now.
    fn set_others_aside(&mut self, job: &str, labels: &LabelSet) -> Result<(), SeriesError> {
        let (Some(layout), Some(known)) = (self.layouts.get(job), self.catalogue.jobs().get(job)) else { return Ok(()) };
        let is_other = |file: &&SeriesFile| file.generation == 0 && file.labels != *labels && !layout.fits(file);
        let others: Vec<SeriesFile> = known.files_of(labels).filter(is_other).cloned().collect();
        for other in others {
            self.migrate_set(job, labels)?;
            self.set_aside(job, &other)?;
        }
        Ok(())
    }

    fn found(&self, path: &Path, shape: &FileShape) -> Result<Found, SeriesError> {
        match self.writer.info(path) {
            Ok(Some(header)) if header.shape != *shape => Ok(Found::Other(header.last.stamp)),
            Ok(header) => Ok(Found::Usable(header)),
            Err(error) if error.is_corrupt() => Ok(Found::Damaged(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a current file a number of its own: what was set aside before may be gone already, or not yet.
    fn set_aside(&mut self, job: &str, file: &SeriesFile) -> Result<(), SeriesError> {
        let generation = self.catalogue.take_generation();
        let path = self.free_number(&file.path, generation);
        self.give_way(&file.path, &path)?;
        self.catalogue.set_aside(job, file.id, &path, generation);
        self.counts.files_set_aside += 1;
        self.migrations.begin(job);
        tracing::info!(
            job,
            from = file.path,
            to = path,
            "series file set aside, another one goes on from it: its shape is not the one asked for"
        );
        Ok(())
    }

    /// Chooses where the file of a label set lies, below the series folder; whatever lies there is moved out of the way.
    fn new_path(&mut self, job: &str, labels: &LabelSet) -> Result<String, SeriesError> {
        let plain = format!("{job}/{}{ENDING}", file_stem(labels));
        let path = if self.catalogue.is_taken(job, &plain) { format!("{job}/{}{ENDING}", file_stem_marked(labels)) } else { plain };
        if self.folder.join(&path).exists() {
            let aside = self.free_number(&path, 1);
            self.give_way(&path, &aside)?;
        }
        let folder = self.folder.join(job);
        fs::create_dir_all(&folder).map_err(|source| SeriesError::Folder { path: folder, source })?;
        Ok(path)
    }

    /// Finds the first number from `number` on that neither a file nor the catalogue has.
    pub(super) fn free_number(&self, path: &str, mut number: u32) -> String {
        let job = path.split('/').next().unwrap_or_default();
        let stem = path.strip_suffix(ENDING).unwrap_or(path);
        loop {
            let candidate = format!("{stem}.{number}{ENDING}");
            if !self.catalogue.is_given_up(&candidate)
                && !self.catalogue.is_taken(job, &candidate)
                && !self.folder.join(&candidate).exists()
            {
                return candidate;
            }
            number += 1;
        }
    }

    /// Renames a file, which is noted first: a crash takes it back.
    pub(super) fn give_way(&mut self, from: &str, to: &str) -> Result<(), SeriesError> {
        self.catalogue.note(&[Change::Moved { from: from.into(), to: to.into() }])?;
        self.undoable.remove(from);
        let from = self.folder.join(from);
        match fs::rename(&from, self.folder.join(to)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(SeriesError::Folder { path: from, source: error }),
            _ => Ok(()),
        }
    }

    /// Moves a damaged file into the quarantine, and tells. It stays there: no crash brings it back.
    pub(super) fn put_away(&mut self, name: &str, error: &WriteError) -> Result<(), SeriesError> {
        let path = self.folder.join(name);
        let kept = self.quarantine(&path).map_err(|source| SeriesError::Folder { path: path.clone(), source })?;
        self.counts.files_quarantined += 1;
        let kept = kept.map(|kept| kept.display().to_string());
        tracing::error!(file = name, kept, "a series file is damaged and was put into the quarantine: {}", crate::chain(error));
        Ok(())
    }

    /// Moves a file into the quarantine, under a name that nothing there has; gives where it is, if it was there.
    pub(super) fn quarantine(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        let stem = self.data.join(QUARANTINE).join(super::FOLDER).join(below);
        stem.parent().map_or(Ok(()), fs::create_dir_all)?;
        let free = (1_u32..).map(|number| stem.with_extension(format!("{number}{ENDING}"))).find(|kept| !kept.exists());
        let Some(kept) = free else { return Ok(None) };
        match fs::rename(path, &kept) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            // The folder of series may be a disk of its own.
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                fs::copy(path, &kept).and_then(|_| fs::remove_file(path)).map(|()| Some(kept))
            }
            done => done.map(|()| Some(kept)),
        }
    }

    /// Sees to it that a file has its held rows, making the file if there is none; `tried` is what appending them came to.
    pub(super) fn write(&mut self, file: &mut OpenFile, tried: Result<(), WriteError>) -> Result<(), SeriesError> {
        match tried {
            // A folder that is away, as a disk may be, comes back with the file; nothing is made in its place.
            Err(error @ WriteError::Missing { .. }) if file.exists && !file.path.parent().is_some_and(Path::is_dir) => {
                return Err(error.into());
            }
            Err(WriteError::Missing { .. }) => {}
            Err(error) if error.is_corrupt() => self.put_away(&file.name, &error)?,
            Err(error) => return Err(error.into()),
            Ok(()) => {
                file.exists = true;
                return Ok(());
            }
        }
        if file.exists {
            // It is gone, and with it what was known of it.
            self.undoable.remove(&file.name);
        }
        self.note_writes([&*file].into_iter())?;
        if let Some(folder) = file.path.parent().filter(|folder| !folder.is_dir()) {
            fs::create_dir(folder).map_err(|source| SeriesError::Folder { path: folder.into(), source })?;
        }
        if let Some(start) = file.start() {
            self.writer.create(&file.path, &file.shape, start)?;
            if let Err(error) = self.originate(file) {
                // Half of an origin is worse than none: it is made again.
                drop(fs::remove_file(&file.path));
                return Err(error);
            }
        }
        file.exists = true;
        Ok(self.writer.append(&file.path, &file.held.rows())?)
    }
}

/// A file with nothing held.
pub(super) fn open_file(id: i64, name: String, folder: &Path, shape: Arc<FileShape>, header: Option<Header>) -> OpenFile {
    let (path, exists) = (folder.join(&name), header.is_some());
    let before = header.map(|header| header.last);
    let reach = shape.counter_heartbeat();
    OpenFile { id, name, path, exists, shape, reach, before, held: Held::default(), due: None, seen: None }
}
