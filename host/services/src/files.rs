//! Files and directories as agents see them. Whatever may wait for a disk waits beside the worker's one thread.

mod open;
mod remove;
mod scan;

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use watchpost_plugin_api::{AgentError, FileKind, FileStat};

pub(crate) use open::OpenFile;
pub(crate) use remove::remove;
pub(crate) use scan::Directory;

use crate::stream::reason;

/// Tells of the file at a path.
pub(crate) async fn stat(path: PathBuf) -> Result<FileStat, AgentError> {
    let read = off_thread({
        let path = path.clone();
        move || fs::metadata(&path)
    });
    read.await?.map(|meta| told(&meta)).map_err(|error| unreadable(&path, &error))
}

/// Runs what may wait for a disk.
async fn off_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Result<T, AgentError> {
    tokio::task::spawn_blocking(body).await.map_err(|error| AgentError::local(error.to_string()))
}

fn unreadable(path: &Path, error: &io::Error) -> AgentError {
    AgentError::local(format!("cannot read {}: {}", path.display(), reason(error)))
}

fn told(meta: &fs::Metadata) -> FileStat {
    FileStat {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.len(),
        kind: kind(meta.file_type()),
        mode: meta.mode() & 0o7777,
        user: meta.uid(),
        group: meta.gid(),
        modified: time(meta.mtime(), meta.mtime_nsec()),
    }
}

fn kind(of: fs::FileType) -> FileKind {
    use std::os::unix::fs::FileTypeExt;
    match of {
        of if of.is_file() => FileKind::File,
        of if of.is_dir() => FileKind::Directory,
        of if of.is_symlink() => FileKind::Symlink,
        of if of.is_socket() => FileKind::Socket,
        of if of.is_fifo() => FileKind::Pipe,
        _ => FileKind::Other,
    }
}

/// A stamp of a file system, which may hold any number; one that is no time becomes 1970.
fn time(seconds: i64, nanos: i64) -> SystemTime {
    let distance = Duration::new(seconds.unsigned_abs(), 0);
    let second = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
        _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
    };
    let nanos = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
    second.and_then(|second| second.checked_add(nanos)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn stat_tells_what_the_system_does() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "four").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o2640)).unwrap();
        let before = SystemTime::UNIX_EPOCH - Duration::from_nanos(1_500_000_000);
        fs::File::options().write(true).open(&file).unwrap().set_modified(before).unwrap();
        symlink("a", &link).unwrap();
        let meta = fs::metadata(&file).unwrap();
        let expected = FileStat {
            device: meta.dev(),
            inode: meta.ino(),
            size: 4,
            kind: FileKind::File,
            mode: 0o2640,
            user: meta.uid(),
            group: meta.gid(),
            modified: before,
        };
        assert_eq!(stat(file).await, Ok(expected));
        assert_eq!(stat(link).await, Ok(expected), "a link is followed");
        assert_eq!(stat(folder.path().to_owned()).await.map(|stat| stat.kind), Ok(FileKind::Directory));
        assert_eq!(stat("/dev/null".into()).await.map(|stat| stat.kind), Ok(FileKind::Other));
        assert_eq!(stat("/nowhere".into()).await, Err(AgentError::local("cannot read /nowhere: No such file or directory")));
    }
}
