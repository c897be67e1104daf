//! An operator brings a library, or takes one away: whole, or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
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
        let new = self.plugins().start(&draft.0, &path).await?;
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

/// A library beside its place; removed when it is dropped.
struct Draft(PathBuf);

impl Draft {
    async fn copy(file: PathBuf, place: &Path) -> Result<Self, String> {
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // No name that the folder is searched for, and none of another who brings the same library at the same time.
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let draft = Self(place.with_file_name(format!(".{name}.{number}.installing")));
        let copied = spawn_blocking(move || {
            let done = copy(&file, &draft.0);
            done.map(|()| draft).map_err(|error| format!("cannot copy {}: {}", file.display(), crate::chain(&error)))
        });
        copied.await.map_err(|error| error.to_string())?
    }

    /// Puts it in its place, in one step.
    fn put(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.0, place)?;
        sync_folder(place)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _in_its_place = fs::remove_file(&self.0);
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    if !source.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    // Left by a daemon that was killed meanwhile.
    let _none = fs::remove_file(to);
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o755).open(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new(".")))?.sync_all()
}
