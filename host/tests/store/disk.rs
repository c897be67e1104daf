//! What a machine finds of a data folder after its power was lost.
//!
//! The model: what was synced is there. Of what was not, any part is: each page of a file as it was synced or as it was written, a file
//! that was made since also short or full of zeros; of the names given since, those of the first so many changes. SQLite and the
//! journal sync by themselves what they rely on; the journal's last segment may end in what was on its way.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use tempfile::TempDir;
use watchpost::series::store::Step;

use crate::{chance::Chance, lives};

const PAGE: usize = 4096;

/// One file, whatever it is called: numbers are given again, so the time it was made tells, too.
type Identity = (u64, Option<SystemTime>);
/// What is called how.
type Names = BTreeMap<PathBuf, Identity>;

/// The disk under a data folder, while a process writes.
pub(crate) struct Disk {
    dir: PathBuf,
    chance: Chance,
    /// Moments until the power is lost.
    moments_left: u64,
    synced: HashMap<Identity, Vec<u8>>,
    /// How files were called at each moment since the last sync.
    names: Vec<Names>,
    /// What the machine will find.
    pub(crate) found: Option<TempDir>,
    /// The moment when the power was lost, if it was within a checkpoint.
    pub(crate) step: Option<Step>,
}

impl Disk {
    /// A disk that has all that is in the folder.
    pub(crate) fn new(dir: &Path, moments_left: u64, seed: u64) -> Self {
        let mut disk = Self {
            dir: dir.into(),
            chance: Chance(seed),
            moments_left,
            synced: HashMap::new(),
            names: Vec::new(),
            found: None,
            step: None,
        };
        disk.sync();
        disk
    }

    /// Everything is durable now.
    pub(crate) fn sync(&mut self) {
        let names = names(&self.dir);
        self.synced = names.iter().map(|(path, identity)| (*identity, fs::read(self.dir.join(path)).unwrap())).collect();
        self.names = vec![names];
    }

    /// A moment passes; the power may be lost in it.
    pub(crate) fn passes(&mut self, step: Option<Step>) {
        if self.found.is_some() {
            return;
        }
        self.names.push(names(&self.dir));
        self.moments_left -= 1;
        if self.moments_left == 0 {
            self.step = step;
            self.found = Some(self.lose_power(step));
        }
    }

    /// What was not synced is lost in part, while the machine goes on: the kernel drops pages that the disk did not take.
    pub(crate) fn loses_what_was_written(&mut self) {
        for (path, identity) in names(&self.dir) {
            let bytes = self.content(&path, identity);
            fs::write(self.dir.join(path), bytes).unwrap();
        }
    }

    fn lose_power(&mut self, step: Option<Step>) -> TempDir {
        let found = lives::folder();
        for entry in fs::read_dir(&self.dir).unwrap() {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
            // What processes share while they live, and what is built below.
            if name != "series" && !name.ends_with("-shm") {
                assert!(Command::new("cp").arg("-a").arg(path).arg(found.path()).status().unwrap().success());
            }
        }
        fs::create_dir_all(found.path().join("series")).unwrap();
        if step == Some(Step::HeadsKept) && self.chance.below(2) == 0 {
            self.shorten(&found.path().join("series.checkpoint.next"));
        }
        self.leave_a_tail(&found.path().join("journal"));
        let names = self.names[self.chance.below(self.names.len() as u64) as usize].clone();
        for (path, identity) in names {
            let bytes = self.content(&path, identity);
            let path = found.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        found
    }

    /// What is in a file: pages as they were synced, and others as they were written.
    fn content(&mut self, path: &Path, identity: Identity) -> Vec<u8> {
        let now = names(&self.dir).into_iter().find(|(_, other)| *other == identity).map(|(path, _)| path);
        let written = now.map(|path| fs::read(self.dir.join(path)).unwrap());
        let Some(mut bytes) = self.synced.get(&identity).cloned() else {
            let mut made = written.unwrap_or_default();
            return match self.chance.below(3) {
                0 => Vec::new(),
                1 => made,
                _ => {
                    made.chunks_mut(PAGE).filter(|_| self.chance.below(2) == 0).for_each(|page| page.fill(0));
                    made.truncate(self.chance.below(1 + made.len() as u64) as usize);
                    made
                }
            };
        };
        let written = written.unwrap_or_else(|| bytes.clone());
        assert_eq!(bytes.len(), written.len(), "{} grows", path.display());
        let of_four = self.chance.below(5);
        for (old, new) in bytes.chunks_mut(PAGE).zip(written.chunks(PAGE)) {
            if self.chance.below(4) < of_four {
                old.copy_from_slice(new);
            }
        }
        bytes
    }

    fn shorten(&mut self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        bytes.truncate(self.chance.below(bytes.len() as u64) as usize);
        fs::write(path, bytes).unwrap();
    }

    /// A part of a group that was never acknowledged.
    fn leave_a_tail(&mut self, journal: &Path) {
        let segments = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path());
        let newest = segments.filter(|path| path.extension().is_some_and(|ending| ending == "segment")).max().unwrap();
        let length = [0, 0, 7, 40, 300][self.chance.below(5) as usize];
        let bytes: Vec<u8> = (0..length).map(|_| self.chance.next() as u8).collect();
        fs::File::options().append(true).open(newest).unwrap().write_all(&bytes).unwrap();
    }
}

/// The series files of a data folder.
fn names(dir: &Path) -> Names {
    let mut names = Names::new();
    for job in fs::read_dir(dir.join("series")).into_iter().flatten().map(|entry| entry.unwrap().path()) {
        for path in fs::read_dir(job).unwrap().map(|entry| entry.unwrap().path()) {
            let facts = fs::metadata(&path).unwrap();
            names.insert(path.strip_prefix(dir).unwrap().to_owned(), (facts.ino(), facts.created().ok()));
        }
    }
    names
}
