//! An operator brings a library, or takes one away: whole, or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::task::spawn_blocking;
use watchpost_plugin_api::Severity;

use super::{
    super::Daemon,
    arrive::{counted, told},
};
use crate::plugin::is_library;

impl Daemon {
    /// Copies a library into a plugin folder, the first of the configuration unless another of them is named, and has it loaded or take over.
    ///
    /// Errors: why it is not used; then the folder is as it was.
    pub(in crate::daemon) async fn install(self: &Arc<Self>, file: &Path, folder: Option<&Path>) -> Result<(PathBuf, String), String> {
        fs::metadata(file).map_err(|error| format!("cannot copy {}: {}", file.display(), crate::chain(&error)))?;
        let path = self.place_for(file, folder)?;
        let draft = Draft::copy(file.to_owned(), &path).await?;
        let new = self.plugins().start(&draft.path, &path).await?;
        let _one_at_a_time = self.reloading.lock().await;
        let put = |draft: Draft| draft.put(&path).map_err(|error| format!("cannot put it in place: {}", crate::chain(&error)));
        if self.plugins().at(&path).is_some() {
            let prepared = match self.prepare(new.clone()).await.and_then(|prepared| put(draft).map(|()| prepared)) {
                Ok(prepared) => prepared,
                Err(why) => {
                    tokio::spawn(async move { new.retire().await });
                    return Err(why);
                }
            };
            return Ok((path, self.take_over(prepared).await));
        }
        if let Some((agent, other)) = self.plugins().clash(&new) {
            let why = format!("it carries agent {agent}, which {} carries already", other.display());
            tokio::spawn(async move { new.retire().await });
            return Err(why);
        }
        put(draft)?;
        let what = self.admit(new)?;
        Ok((path, what))
    }

    /// Takes a library out of its folder, unless a job needs it.
    ///
    /// Errors: why it stays.
    pub(in crate::daemon) async fn remove(&self, name: &str) -> Result<PathBuf, String> {
        let _one_at_a_time = self.reloading.lock().await;
        let plugins = self.plugins();
        let Some(plugin) = plugins.named(name) else { return Err("no plugin is called so; `watchpost plugins` lists all".into()) };
        let jobs = self.jobs_of(plugin).await;
        if !jobs.is_empty() {
            let (need, them) = if jobs.len() == 1 { ("needs", "it") } else { ("need", "them") };
            let why = format!("{} {need} it: {}; take {them} out of the schedules first", counted(jobs.len()), told(&jobs));
            return Err(why);
        }
        let path = plugin.path().to_owned();
        let cannot = |error: io::Error| format!("cannot remove {}: {}", path.display(), crate::chain(&error));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => sync_folder(&path).map_err(cannot)?,
        }
        self.tell_library(Severity::Indeterminate, "library_removed", &path, "removed, its worker ends");
        self.unload(plugin);
        Ok(path)
    }

    /// Where a file is to be installed.
    fn place_for(&self, file: &Path, folder: Option<&Path>) -> Result<PathBuf, String> {
        let name = file.file_name().filter(|_| is_library(file)).ok_or("a library is called lib….so")?;
        let folders = self.config().plugin_folders();
        let into = match folder {
            None => folders.first().ok_or("the configuration names no plugin folder")?,
            Some(named) => {
                let canonical = |path: &Path| path.canonicalize().ok();
                let known = folders.iter().find(|known| canonical(known).is_some_and(|known| Some(known) == canonical(named)));
                known.ok_or_else(|| format!("{} is no plugin folder of the configuration", named.display()))?
            }
        };
        Ok(into.join(name))
    }
}

/// A library beside its place; removed when it is dropped. It is locked as long as it is somebody's.
struct Draft {
    path: PathBuf,
    held: File,
}

impl Draft {
    async fn copy(file: PathBuf, place: &Path) -> Result<Self, String> {
        let place = place.to_owned();
        let copied = spawn_blocking(move || {
            let done = copy(&file, &place);
            done.map_err(|error| format!("cannot copy {}: {}", file.display(), crate::chain(&error)))
        });
        copied.await.map_err(|error| error.to_string())?
    }

    /// Begins an empty one. No name that the folder is searched for, and none of another who brings the same library at the same time, be it
    /// by another daemon.
    fn begin(place: &Path) -> io::Result<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let (begin, end) = ends_of_names(place);
        remove_left(place)?;
        loop {
            let number = LAST.fetch_add(1, Ordering::Relaxed);
            let path = place.with_file_name(format!("{begin}{}-{number}{end}", std::process::id()));
            let held = match OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            held.lock()?;
            // Whoever looked for what is left may have come before the lock.
            if fs::metadata(&path).is_ok_and(|there| held.metadata().is_ok_and(|own| own.ino() == there.ino())) {
                return Ok(Self { path, held });
            }
        }
    }

    /// Puts it in its place, in one step.
    fn put(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        sync_folder(place)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _in_its_place = fs::remove_file(&self.path);
    }
}

/// How the names of all drafts of a library begin and end.
fn ends_of_names(place: &Path) -> (String, &'static str) {
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (format!(".{name}."), ".installing")
}

/// Removes drafts of a library that daemons left which were killed meanwhile.
fn remove_left(place: &Path) -> io::Result<()> {
    let (begin, end) = ends_of_names(place);
    for entry in fs::read_dir(place.parent().unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(&begin) && name.ends_with(end)) {
            continue;
        }
        if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            // Another daemon may have removed it meanwhile; one that stays is nobody's, and harms nobody.
            let _gone = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn copy(from: &Path, place: &Path) -> io::Result<Draft> {
    let mut source = File::open(from)?;
    if !source.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut draft = Draft::begin(place)?;
    io::copy(&mut source, &mut draft.held)?;
    draft.held.sync_all()?;
    Ok(draft)
}

fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_of_the_dead_are_removed_and_those_of_the_living_are_left() {
        let folder = tempfile::tempdir().unwrap();
        let (from, place) = (folder.path().join("from"), folder.path().join("libone.so"));
        fs::write(&from, b"library").unwrap();
        // A daemon that was killed has left one, of another library another one.
        let left = folder.path().join(".libone.so.7-0.installing");
        let others = folder.path().join(".libtwo.so.7-0.installing");
        fs::write(&left, b"half").unwrap();
        fs::write(&others, b"half").unwrap();
        let first = copy(&from, &place).unwrap();
        let second = copy(&from, &place).unwrap();
        assert!(!left.exists() && others.exists());
        assert!(first.path.exists() && second.path.exists() && first.path != second.path);
        first.put(&place).unwrap();
        assert_eq!((fs::read(&place).unwrap(), fs::read(&second.path).unwrap()), (b"library".to_vec(), b"library".to_vec()));
        let path = second.path.clone();
        drop(second);
        assert!(!path.exists() && place.exists());
    }
}
