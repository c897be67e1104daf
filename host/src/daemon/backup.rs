//! A copy of the whole data folder while the daemon runs: what a crash at that moment would have left, in a place of its own.
//!
//! Places in the journal are copied first and the journal last, so that it has all that the rest lacks; nothing of it is dropped meanwhile.
//! Whoever starts on the copy goes on from there as after a crash.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use tracing::info;
use watchpost_plugin_api::Severity;

use super::{
    Daemon,
    series_view::{SharedStore, lend},
};
use crate::series::{catalogue, checkpoint, error::SeriesError, store};

/// How often it is begun anew because files got other names meanwhile.
const ATTEMPTS: usize = 5;
/// How long another program may hold a file of SQLite's.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// Folder of the journal and of its consumers' places.
const JOURNAL: &str = "journal";
const CONSUMERS: &str = "consumers";

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Where it is now.
    pub folder: PathBuf,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Why there is no copy; then nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The place is taken.
    #[error("{0} is there and not empty; a backup goes into a folder of its own")]
    Taken(PathBuf),
    /// It would lie in what it is a copy of.
    #[error("{0} lies in the data folder itself")]
    Within(PathBuf),
    /// There is too little room.
    #[error("{folder} has room for {free} MiB, and this takes {needed}")]
    NoRoom {
        /// Where it was to be.
        folder: PathBuf,
        /// MiB that are free there.
        free: u64,
        /// MiB that it takes.
        needed: u64,
    },
    /// Files got other names each time.
    #[error("series files got other names {ATTEMPTS} times while they were copied; try again once the configuration is at rest")]
    Restless,
    /// A file was not copied.
    #[error("cannot copy {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A database was not copied.
    #[error("cannot copy {path}")]
    Database {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rusqlite::Error,
    },
    /// The series were not copied.
    #[error("cannot copy the series")]
    Series(#[from] SeriesError),
}

impl BackupError {
    /// Whether another place would do.
    pub fn is_asked_wrong(&self) -> bool {
        matches!(self, Self::Taken(_) | Self::Within(_))
    }
}

impl Daemon {
    /// Copies the data folder.
    pub(super) fn backup(&self, to: &Path) -> Result<Copied, BackupError> {
        let began = Instant::now();
        let _kept = self.keeping.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let copied = backup(&self.config().data.value, &self.store, to)?;
        info!(folder = %copied.folder.display(), files = copied.files, bytes = copied.bytes, took_s = began.elapsed().as_secs_f64(), "backed up");
        let text = format!("{} files, {} bytes in {}", copied.files, copied.bytes, copied.folder.display());
        self.report(Severity::Indeterminate, "backed_up", text);
        Ok(copied)
    }
}

/// Copies a data folder whose store is this one. The folder has its name once all of it is there, durably.
///
/// Errors: nothing is left where it was to be.
pub fn backup(data: &Path, store: &SharedStore, to: &Path) -> Result<Copied, BackupError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| BackupError::File { path, source }
    };
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (parent, name) = (parent.canonicalize().map_err(fault(parent))?, to.file_name().unwrap_or_default());
    let to = parent.join(name);
    let data = data.canonicalize().map_err(fault(data))?;
    if to.starts_with(&data) {
        return Err(BackupError::Within(to));
    }
    match fs::read_dir(&to).map(|mut entries| entries.next().is_some()) {
        Ok(false) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(true) => return Err(BackupError::Taken(to)),
        Err(error) => return Err(fault(&to)(error)),
    }
    refuse_without_room(&data, &parent)?;
    let mut draft = name.to_owned();
    draft.push(format!(".{}.tmp", std::process::id()));
    let draft = Draft(parent.join(draft));
    for _ in 0..ATTEMPTS {
        let _left_by_another = fs::remove_dir_all(&draft.0);
        DirBuilder::new().mode(0o700).create(&draft.0).map_err(fault(&draft.0))?;
        if let Some(mut copied) = copy(&data, store, &draft.0)? {
            let settle = || {
                rustix::fs::syncfs(File::open(&draft.0)?)?;
                // Empty, as was seen, or not there.
                let _empty = fs::remove_dir(&to);
                fs::rename(&draft.0, &to)?;
                File::open(&parent)?.sync_all()
            };
            settle().map_err(fault(&to))?;
            copied.folder = to;
            return Ok(copied);
        }
    }
    Err(BackupError::Restless)
}

/// A copy in the making: gone when it is dropped before it has its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _has_its_name = fs::remove_dir_all(&self.0);
    }
}

/// Copies all of it; nothing if series files got other names meanwhile.
fn copy(data: &Path, store: &SharedStore, to: &Path) -> Result<Option<Copied>, BackupError> {
    let mut copied = Copied::default();
    let consumers = Path::new(JOURNAL).join(CONSUMERS);
    copied.folder(data, &consumers, to, |_| true)?;
    let is_ours = |name: &Path| {
        let later = [JOURNAL, store::FOLDER, catalogue::FILE_NAME, checkpoint::FILE_NAME, "lock"];
        !later.iter().any(|later| name == Path::new(later))
    };
    copied.folder(data, Path::new(""), to, is_ours)?;
    let named = lend(store).copy_heads(to)?;
    copied.files += 2;
    for name in named.names() {
        let bytes =
            lend(store).copy_file(name, to).map_err(|source| BackupError::File { path: data.join(store::FOLDER).join(name), source })?;
        copied.files += u64::from(bytes > 0);
        copied.bytes += bytes;
    }
    if !lend(store).are_still(&named) {
        return Ok(None);
    }
    copied.folder(data, Path::new(JOURNAL), to, |name| name.file_name().is_some_and(|file| file != CONSUMERS && file != "lock"))?;
    Ok(Some(copied))
}

impl Copied {
    /// Copies what a folder holds, by names within the data folder; what is taken away meanwhile, and what only a running daemon needs, is
    /// left out.
    fn folder(&mut self, data: &Path, folder: &Path, to: &Path, wanted: impl Fn(&Path) -> bool + Copy) -> Result<(), BackupError> {
        let from = data.join(folder);
        let fault = |path: &Path, source| BackupError::File { path: path.into(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(to.join(folder)).map_err(|error| fault(&to.join(folder), error))?;
        let mut names: Vec<_> = match fs::read_dir(&from) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(|error| fault(&from, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fault(&from, error)),
        };
        // Segments of the journal in their order: the last is the one that grows.
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            let name = folder.join(entry.file_name());
            if !wanted(&name) || is_passing(&name) {
                continue;
            }
            let kind = entry.file_type().map_err(|error| fault(&entry.path(), error))?;
            if kind.is_dir() {
                self.folder(data, &name, to, wanted)?;
            } else if kind.is_file() && name.extension().is_some_and(|extension| extension == "sqlite") {
                self.database(&entry.path(), &to.join(&name))?;
            } else if kind.is_file() {
                match fs::copy(entry.path(), to.join(&name)) {
                    Ok(bytes) => {
                        self.files += 1;
                        self.bytes += bytes;
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(fault(&entry.path(), error)),
                }
            } else if !kind.is_socket() {
                // Nothing else is ours.
                info!(path = %entry.path().display(), "neither file nor folder, left out of the backup");
            }
        }
        Ok(())
    }

    fn database(&mut self, from: &Path, to: &Path) -> Result<(), BackupError> {
        let copy = || -> rusqlite::Result<()> {
            let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_timeout(BUSY_MAX)?;
            connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]).map(drop)
        };
        copy().map_err(|source| BackupError::Database { path: from.into(), source })?;
        self.files += 1;
        self.bytes += fs::metadata(to).map_or(0, |facts| facts.len());
        Ok(())
    }
}

/// What a process leaves beside a file for as long as it writes it.
fn is_passing(name: &Path) -> bool {
    let name = name.to_string_lossy();
    ["-wal", "-shm", "-journal", ".tmp", ".sock"].iter().any(|ending| name.ends_with(ending))
}

fn refuse_without_room(data: &Path, parent: &Path) -> Result<(), BackupError> {
    // Where nothing is known of the room, copying tells.
    let Ok(facts) = rustix::fs::statvfs(parent) else { return Ok(()) };
    let (needed, free) = (bytes_of(data) >> 20, facts.f_bavail.saturating_mul(facts.f_frsize) >> 20);
    if needed < free {
        return Ok(());
    }
    Err(BackupError::NoRoom { folder: parent.into(), free, needed: needed + 1 })
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => bytes_of(&entry.path()),
        Ok(facts) => facts.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}
