//! Takes back what was done to series files since the last checkpoint, so that a replay of the journal finds them as it found them then.
//!
//! A process that is killed leaves files torn, half renamed, or without their place in the catalogue. Nothing of that is repaired: what
//! was made since is removed, what was renamed gets its name back, each head is what it was. The journal has every row since, and
//! gives it the same place again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::migration::Migrations;
use super::open_files::OpenFiles;
use super::place::open_file;
use super::{SeriesStore, Step};
use crate::series::catalogue::{Catalogue, Change};
use crate::series::checkpoint::{self, CheckpointError, Still};
use crate::series::error::SeriesError;
use crate::series::header::{self, Image};
use crate::series::layout::Layout;

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
        let unmade = stills.iter().filter(|still| still.image.is_none()).map(|still| still.path.as_str()).collect();
        self.take_back_names(&changes, &unmade, journal_is_whole, &mut recovered)?;
        let mut images = BTreeMap::new();
        let moved: BTreeMap<_, _> = Since::of(&changes).moved.into_iter().map(|(origin, now)| (now, origin)).collect();
        for change in changes {
            if let Change::Written { path, image } = change {
                // It lies again where it lay then.
                images.entry(moved.get(&path).cloned().unwrap_or(path)).or_insert(image);
            }
        }
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
        self.layouts = self.catalogue.jobs().iter().map(|(name, job)| (name.clone(), Layout::of(job))).collect();
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
        let shape = self.layouts.get(&still.job).and_then(|layout| layout.file(&still.labels)).map(|(shape, _)| shape);
        let id = self.catalogue.jobs().get(&still.job).and_then(|job| job.current(&still.labels)).map(|file| file.id);
        let (Some(shape), Some(id)) = (shape, id) else { return };
        let mut file = open_file(id, still.path, &self.folder, shape, None);
        file.exists = still.image.is_some();
        self.rows_held += still.held.len();
        (file.held, file.before) = (still.held, still.before);
        self.files.insert(&still.job, still.labels, file);
    }

    fn take_back_names(
        &mut self,
        changes: &[Change],
        unmade: &BTreeSet<&str>,
        journal_is_whole: bool,
        recovered: &mut Recovered,
    ) -> Result<(), SeriesError> {
        if changes.is_empty() {
            return Ok(());
        }
        let files = self.catalogue.jobs().values().flat_map(|job| &job.files).map(|file| file.path.clone());
        let known: BTreeSet<_> = files.filter(|path| !unmade.contains(path.as_str())).collect();
        let Since { moved, born } = Since::of(changes);
        let fault = |source| SeriesError::Folder { path: self.folder.clone(), source };
        for (origin, now) in moved {
            recovered.names_given_back += usize::from(renamed(&self.folder.join(now), &self.folder.join(origin)).map_err(fault)?);
        }
        for change in changes {
            if let Change::Born { path } = change {
                remove_unfinished(&self.folder.join(path)).map_err(fault)?;
            }
        }
        for name in born {
            let path = self.folder.join(&name);
            // One that was there at the checkpoint was gone when it was made; who knows whether it came back instead.
            let gone =
                if journal_is_whole && !known.contains(&name) { removed(&path) } else { self.quarantine(&path).map(|kept| kept.is_some()) };
            recovered.files_removed += usize::from(gone.map_err(fault)?);
        }
        // Names first, for good: without the notes nobody could take back what is half done.
        File::open(&self.folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?)).map_err(fault)?;
        self.step(Step::TakenBack);
        Ok(self.catalogue.forget_names()?)
    }
}

/// Where files are that were there at the checkpoint, and where those may be that were not.
struct Since {
    /// From its place then to where it may be now.
    moved: Vec<(String, String)>,
    born: BTreeSet<String>,
}

impl Since {
    /// Follows every file through what was noted. A note may be of something that was never done, or is taken back already.
    fn of(changes: &[Change]) -> Self {
        let mut origins: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        let mut born = BTreeSet::new();
        for change in changes {
            match change {
                Change::Born { path } => {
                    origins.insert(path, None);
                    born.insert(path.clone());
                }
                Change::Moved { from, to } => {
                    let origin = origins.remove(from.as_str()).unwrap_or(Some(from));
                    if origin.is_none() {
                        born.insert(to.clone());
                    }
                    origins.insert(to, origin);
                }
                Change::Written { .. } => {}
            }
        }
        let moved: Vec<_> = origins.iter().filter_map(|(now, origin)| Some(((*origin)?.to_owned(), (*now).to_owned()))).collect();
        // Where a file of the checkpoint belongs, it lies, or lies again by now.
        for (origin, now) in &moved {
            born.remove(origin);
            born.remove(now);
        }
        Self { moved, born }
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

    fn moved(from: &str, to: &str) -> Change {
        Change::Moved { from: from.into(), to: to.into() }
    }

    fn born(path: &str) -> Change {
        Change::Born { path: path.into() }
    }

    fn check(changes: &[Change], moves: &[(&str, &str)], births: &[&str]) {
        let since = Since::of(changes);
        let moved: Vec<_> = since.moved.iter().map(|(origin, now)| (origin.as_str(), now.as_str())).collect();
        assert_eq!((moved, since.born.iter().map(String::as_str).collect::<Vec<_>>()), (moves.to_vec(), births.to_vec()), "{changes:?}");
    }

    #[test]
    fn a_file_of_the_checkpoint_is_never_among_those_to_be_removed() {
        check(&[born("a")], &[], &["a"]);
        check(&[moved("a", "a.1"), born("a")], &[("a", "a.1")], &[]);
        check(&[moved("a", "a.1"), born("a"), moved("a", "a.2"), born("a")], &[("a", "a.1")], &["a.2"]);
        check(&[born("b"), moved("b", "b.1"), born("b")], &[], &["b", "b.1"]);
        check(&[moved("a", "a.1"), moved("a.1", "a.2")], &[("a", "a.2")], &[]);
    }

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
