//! Takes back what was done to series files since the last checkpoint, so that a replay of the journal finds them as it found them then.
//!
//! A process that is killed leaves files torn, half renamed, or without their place in the catalogue. Nothing of that is repaired: what
//! was made since is removed, what was renamed gets its name back, each head is what it was. The journal has every row since, and
//! gives it the same place again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::held::Held;
use super::layouts::Layouts;
use super::migration::Migrations;
use super::open_files::OpenFiles;
use super::place::open_file;
use super::since::{Since, Undoing};
use super::{SeriesStore, Step};
use crate::series::catalogue::{Catalogue, Change};
use crate::series::checkpoint::{self, CheckpointError, Still};
use crate::series::error::SeriesError;
use crate::series::header::{self, Image};
use crate::series::layout::Layout;
use crate::series::shape::FileShape;

/// What librrd appends to the name of a file that it is making.
const UNFINISHED_CHARS: usize = 6;

/// What was taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Files whose head is as it was at the checkpoint.
    pub heads: usize,
    /// Files whose head is not, for they are gone or not the same any more.
    pub heads_unfit: usize,
    /// Files made since the checkpoint; they are made again.
    pub files_removed: usize,
    /// Files set aside since; they are again.
    pub names_given_back: usize,
    /// Whether the checkpoint file is lost: files are as the last process left them.
    pub checkpoint_lost: bool,
}

impl SeriesStore {
    /// Goes back to the last checkpoint; the journal's records after [`Self::position`] are to be given next.
    ///
    /// `journal_is_whole`: whether all of these are still there. Otherwise files have rows that nobody has any more: heads stay as they
    /// are, and files made since are kept in the quarantine.
    /// Errors: nothing is taken back by halves that a further call does not complete.
    pub fn recover(&mut self, journal_is_whole: bool) -> Result<Recovered, SeriesError> {
        let mut recovered = Recovered::default();
        let stills = match self.catalogue.checkpoint().map(|checkpoint| checkpoint::read(&self.data, checkpoint.mark)) {
            None => Vec::new(),
            Some(Ok(stills)) => stills,
            Some(Err(error @ CheckpointError::Newer { .. })) => return Err(error.into()),
            Some(Err(error)) => {
                recovered.checkpoint_lost = true;
                tracing::error!("files that a crash has torn cannot be put right: {}", crate::chain(&error));
                Vec::new()
            }
        };
        let changes = self.catalogue.changes()?;
        let unmade: BTreeSet<_> = stills.iter().filter(|still| still.image.is_none()).map(|still| still.path.as_str()).collect();
        let files = self.catalogue.jobs().values().flat_map(|job| &job.files).map(|file| file.path.clone());
        let known = files.filter(|path| !unmade.contains(path.as_str())).collect();
        let since = Since::of(&changes, &known, |name| self.folder.join(name).exists());
        self.take_back_names(&changes, &since, journal_is_whole, &mut recovered)?;
        let mut images = since.heads;
        images.extend(stills.iter().filter_map(|still| Some((still.path.clone(), still.image.clone()?))));
        for (path, image) in images.into_iter().filter(|_| journal_is_whole) {
            self.put_back(&path, &image, &mut recovered)?;
        }
        self.remove_given_up();
        for still in stills.into_iter().filter(|still| !still.held.is_empty()) {
            self.hold_again(still);
        }
        Ok(recovered)
    }

    /// Whether the disk may lack what was written since the last checkpoint: nothing is taken or written before [`Self::go_back`].
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Forgets all that was taken since the last checkpoint and goes back to it, as the next process would: the journal's records after
    /// [`Self::position`] are to be given again, so that all is written again.
    ///
    /// `journal_is_whole`: as for [`Self::recover`]. Errors: the store stays unsure, a further call tries again.
    pub fn go_back(&mut self, journal_is_whole: bool) -> Result<Recovered, SeriesError> {
        self.unsure = true;
        self.catalogue = Catalogue::open(&self.data)?;
        self.layouts = Layouts::of(&self.catalogue);
        self.files = OpenFiles::default();
        self.undoable.clear();
        self.migrations = Migrations::again(&self.catalogue);
        self.rows_held = 0;
        self.applied = self.catalogue.checkpoint().map(|checkpoint| checkpoint.position);
        (self.stored, self.unsettled) = (self.applied, false);
        let recovered = self.recover(journal_is_whole)?;
        self.unsure = false;
        Ok(recovered)
    }

    fn put_back(&mut self, name: &str, image: &Image, recovered: &mut Recovered) -> Result<(), SeriesError> {
        let path = self.folder.join(name);
        let fault = |source| SeriesError::Folder { path: path.clone(), source };
        if header::put_back(&path, image).map_err(fault)? {
            recovered.heads += 1;
            self.undoable.insert(name.to_owned());
        } else {
            recovered.heads_unfit += 1;
        }
        Ok(())
    }

    /// Takes rows that could not be written then, and wait for their file again.
    fn hold_again(&mut self, still: Still) {
        let Some(job) = self.catalogue.jobs().get(&still.job) else { return };
        let Some(known) = job.current(&still.labels) else { return };
        let laid_out = self.layouts.get(&still.job).filter(|layout| layout.fits(known)).and_then(|layout| layout.file(&still.labels));
        let shape = laid_out.map(|(shape, _)| shape).unwrap_or_else(|| {
            // An earlier version laid it out; it gets these rows, and another file what comes after them.
            self.outgrown.insert(still.job.clone());
            let metrics = known.columns.iter().map(|column| (column.metric.as_str(), column.kind));
            Arc::new(FileShape::of(known.step, metrics, &job.wishes))
        });
        let mut file = open_file(known.id, still.path, &self.folder, shape, None);
        file.exists = still.image.is_some();
        self.rows_held += still.held.len();
        (file.held, file.before) = (Held::of(still.held), still.before);
        let layout = self.layouts.get(&still.job).cloned().unwrap_or_else(|| Arc::new(Layout::of(job)));
        self.files.insert(&still.job, &layout, still.labels, file);
    }

    fn take_back_names(
        &mut self,
        changes: &[Change],
        since: &Since,
        journal_is_whole: bool,
        recovered: &mut Recovered,
    ) -> Result<(), SeriesError> {
        if changes.is_empty() {
            return Ok(());
        }
        let fault = |source| SeriesError::Folder { path: self.folder.clone(), source };
        for change in changes {
            if let Change::Born { path } = change {
                remove_unfinished(&self.folder.join(path)).map_err(fault)?;
            }
        }
        for undoing in &since.undoings {
            match undoing {
                Undoing::Rename { now, before } => {
                    let done = renamed(&self.folder.join(now), &self.folder.join(before)).map_err(fault)?;
                    recovered.names_given_back += usize::from(done);
                }
                Undoing::Remove(name) if journal_is_whole => {
                    recovered.files_removed += usize::from(removed(&self.folder.join(name)).map_err(fault)?);
                }
                Undoing::Remove(name) | Undoing::Doubt(name) => {
                    recovered.files_removed += usize::from(self.quarantine(&self.folder.join(name)).map_err(fault)?.is_some());
                }
            }
        }
        // Names first, for good: without the notes nobody could take back what is half done.
        File::open(&self.folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?)).map_err(fault)?;
        self.step(Step::TakenBack);
        Ok(self.catalogue.names_taken_back(&since.heads)?)
    }
}

/// Renames a file over another; says whether it was there.
fn renamed(from: &Path, to: &Path) -> io::Result<bool> {
    // The folder of a job may be gone that has no files any more.
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => done.map(|()| true),
    }
}

fn removed(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => done.map(|()| true),
    }
}

/// Removes what librrd leaves of a file when it is killed while it makes it: the name, and six characters drawn by lot.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Ok(()) };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?.file_name();
        let drawn = entry.to_str().and_then(|entry| entry.strip_prefix(name));
        if drawn.is_some_and(|drawn| drawn.len() == UNFINISHED_CHARS && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            removed(&folder.join(entry))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librrd_did_not_finish_is_removed_and_nothing_like_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["_.rrd", "_.rrd9hR8z6", "_.rrd.bak-1", "_.rrd9hR8z67", "_.1.rrd"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_unfinished(&folder.path().join("_.rrd")).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["_.1.rrd", "_.rrd", "_.rrd.bak-1", "_.rrd9hR8z67"]);
    }
}
