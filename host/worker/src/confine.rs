//! What a worker may touch, and how the kernel holds it to that.
//!
//! A worker confines itself when its library is copied and before it is loaded: initialisers run then. Nothing widens a confinement
//! again; wider needs start another worker.
//!
//! Reading order: [`Confinement`] · `files` (landlock: files, TCP ports, signals) · `calls` (seccomp: system calls) · `bounds` (resources, and
//! how a worker is known from outside) ·
//! [`kernel`] (what this machine enforces).

mod bounds;
mod calls;
mod files;
pub mod kernel;

use std::{
    collections::{BTreeSet, HashMap, hash_map::DefaultHasher},
    fs,
    hash::{Hash, Hasher},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{Needs, Port, Transport};

pub use bounds::is_marked;

/// Address space of a worker, unless the operator says otherwise: stacks for every name that is being looked up, and room to measure.
pub const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Descriptors of a worker: ten thousand connections under way, and some.
pub const DESCRIPTORS_MAX: u64 = 16_384;

/// What a worker may touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether the kernel holds it to its needs; otherwise only the bounds hold.
    pub sandbox: bool,
    /// What its jobs need.
    pub needs: Needs,
    /// What it never gets, whatever it says that it needs: the data folder, and the files of secrets.
    pub forbidden: BTreeSet<PathBuf>,
    /// Address space, bytes.
    pub memory_bytes_max: u64,
}

impl Default for Confinement {
    /// Needs nothing.
    fn default() -> Self {
        Self { sandbox: true, needs: Needs::none(), forbidden: BTreeSet::new(), memory_bytes_max: MEMORY_BYTES_MAX }
    }
}

/// Why a worker cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum Unconfined {
    /// Landlock.
    #[error("the kernel does not take its rules for files and ports: {0}")]
    Files(String),
    /// Seccomp.
    #[error("the kernel does not take its rules for system calls: {0}")]
    Calls(String),
    /// Resources and attributes of the process.
    #[error("the kernel does not take its bounds")]
    Bounds(#[source] io::Error),
}

impl Confinement {
    /// Confines this process, which has one thread, for good.
    pub fn apply(&self) -> Result<(), Unconfined> {
        bounds::apply(self).map_err(Unconfined::Bounds)?;
        if self.sandbox {
            // Its memory holds secrets: no other process of the same user reads them.
            set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| Unconfined::Bounds(error.into()))?;
            files::apply(self)?;
            calls::apply(self)?;
        }
        Ok(())
    }

    /// Whether a worker that is confined so may do all that those needs ask for.
    pub fn covers(&self, needs: &Needs) -> bool {
        let has = |ours: &[PathBuf], theirs: &[PathBuf]| theirs.iter().all(|path| ours.contains(path));
        !self.sandbox
            || needs.ports.iter().all(|port| self.needs.ports.contains(port))
                && has(&self.needs.files, &needs.files)
                && has(&self.needs.removes, &needs.removes)
                && has(&self.needs.sockets, &needs.sockets)
                && has(&self.needs.programs, &needs.programs)
    }

    /// Whether what it may touch holds that path.
    pub fn reaches(&self, path: &Path) -> bool {
        let path = files::truly(path);
        let needs = self.needs.files.iter().chain(&self.needs.removes).chain(&self.needs.programs).map(PathBuf::as_path);
        self.sandbox && needs.chain(files::system_folders()).any(|ours| path.starts_with(files::truly(ours)))
    }

    /// One number for the files that it may touch, as they are now: the kernel knows files and not their names, so a file that took
    /// another's name is none that the worker may touch.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        if self.sandbox {
            let needs = self.needs.files.iter().chain(&self.needs.removes).chain(&self.needs.programs).map(PathBuf::as_path);
            for path in needs.chain(files::files_of_names()).filter(|path| !path.starts_with("/proc")) {
                let found = fs::metadata(path).ok();
                found.as_ref().map(|file| (file.dev(), file.ino())).hash(&mut hasher);
                // What is beside a forbidden path is granted one by one.
                if self.forbidden.iter().any(|forbidden| forbidden.starts_with(path)) {
                    found.map(|file| (file.mtime(), file.mtime_nsec())).hash(&mut hasher);
                }
            }
        }
        hasher.finish()
    }

    fn connects(&self) -> bool {
        !self.needs.ports.is_empty()
    }

    fn starts_programs(&self) -> bool {
        !self.needs.programs.is_empty()
    }
}

/// What is never granted, by all of its names.
#[derive(Debug, Default)]
pub struct Forbidden<'f> {
    paths: HashMap<PathBuf, &'f Path>,
    files: HashMap<(u64, u64), &'f Path>,
}

impl<'f> Forbidden<'f> {
    /// That of these paths.
    pub fn of(paths: impl IntoIterator<Item = &'f Path>) -> Self {
        let mut forbidden = Self::default();
        for path in paths {
            forbidden.paths.insert(files::truly(path), path);
            forbidden.files.extend(files::identity(path).filter(|_| path.is_file()).map(|file| (file, path)));
        }
        forbidden
    }

    /// Which of them keeps a path from being granted: it is that, lies in it, or is another name of it.
    pub fn holds(&self, path: &Path) -> Option<&'f Path> {
        let otherwise_named = || self.files.get(&files::identity(path)?);
        files::truly(path).ancestors().find_map(|above| self.paths.get(above)).or_else(otherwise_named).copied()
    }
}

/// All that several jobs need together.
pub fn union<'n>(all: impl IntoIterator<Item = &'n Needs>) -> Needs {
    let mut ports: BTreeSet<(bool, u16)> = BTreeSet::new();
    let [mut files, mut removes, mut sockets, mut programs] = [(); 4].map(|()| BTreeSet::new());
    for needs in all {
        ports.extend(needs.ports.iter().map(|port| (port.transport == Transport::Udp, port.number)));
        files.extend(needs.files.iter().map(PathBuf::as_path));
        removes.extend(needs.removes.iter().map(PathBuf::as_path));
        sockets.extend(needs.sockets.iter().map(PathBuf::as_path));
        programs.extend(needs.programs.iter().map(PathBuf::as_path));
    }
    let port = |(udp, number)| Port { transport: if udp { Transport::Udp } else { Transport::Tcp }, number };
    let owned = |paths: BTreeSet<&Path>| paths.into_iter().map(Path::to_owned).collect();
    let mut whole = Needs::none();
    whole.ports = ports.into_iter().map(port).collect();
    (whole.files, whole.removes) = (owned(files), owned(removes));
    (whole.sockets, whole.programs) = (owned(sockets), owned(programs));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_holds_each_need_once_and_covers_every_part() {
        let parts = [Needs::none().tcp(25).udp(53).read("/a"), Needs::none().tcp(53).tcp(25).read("/b").program("/bin/p")];
        let needs = union(&parts);
        assert_eq!((needs.ports.len(), needs.files.len(), needs.programs.len()), (3, 2, 1));
        let whole = Confinement { needs, ..Confinement::default() };
        assert!(parts.iter().all(|part| whole.covers(part)));
        let wider = [Needs::none().tcp(26), Needs::none().udp(25), Needs::none().read("/c"), Needs::none().remove_in("/a")];
        assert!(wider.iter().all(|needs| !whole.covers(needs) && Confinement { sandbox: false, ..whole.clone() }.covers(needs)));
    }

    #[test]
    fn what_keeps_a_path_from_being_granted_is_known_by_each_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("data/journal")).unwrap();
        fs::write(at("secret"), "").unwrap();
        fs::hard_link(at("secret"), at("other-name")).unwrap();
        std::os::unix::fs::symlink(at("secret"), at("link")).unwrap();
        let (data, secret) = (at("data"), at("secret"));
        let forbidden = Forbidden::of([data.as_path(), secret.as_path()]);
        let holds = |path: &Path| forbidden.holds(path);
        for name in ["secret", "other-name", "link"] {
            assert_eq!(holds(&at(name)), Some(secret.as_path()), "{name}");
        }
        for name in ["data", "data/journal", "data/not-there-yet"] {
            assert_eq!(holds(&at(name)), Some(data.as_path()), "{name}");
        }
        assert_eq!((holds(folder.path()), holds(&at("database"))), (None, None));
    }

    #[test]
    fn a_file_that_took_anothers_name_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let (log, new) = (folder.path().join("log"), folder.path().join("new"));
        let confinement = Confinement { needs: Needs::none().read(&log), ..Confinement::default() };
        let missing = confinement.fingerprint();
        fs::write(&log, "a").unwrap();
        let there = confinement.fingerprint();
        fs::write(&log, "longer").unwrap();
        assert_eq!(confinement.fingerprint(), there, "it is still the same file");
        fs::write(&new, "a").unwrap();
        fs::rename(&new, &log).unwrap();
        assert!(confinement.fingerprint() != there && there != missing);
    }
}
