//! Open files lent to agents.

use std::{
    fs::{self, File},
    io,
    mem::take,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
};

use rustix::fs::OFlags;
use watchpost_plugin_api::{
    AgentError, FileStat,
    abi::{BorrowingFfiFuture, FfiError, FfiResult, HostFile, RSliceMut, RString},
};

use super::{off_thread, told, unreadable};
use crate::answers::json;

/// Bytes read at once at most, whatever room the agent gives; they pass through a buffer of our own.
const PIECE_BYTES_MAX: usize = 1024 * 1024;

/// A file lent to an agent.
pub(crate) struct OpenFile {
    file: Arc<File>,
    path: PathBuf,
    /// Where a piece is read on its way to the agent.
    room: Vec<u8>,
}

impl OpenFile {
    /// Opens a regular file. Anything else may wait for ever, or do something by being opened.
    pub(crate) async fn open(path: PathBuf) -> Result<Self, AgentError> {
        let opened = off_thread({
            let path = path.clone();
            move || open(&path)
        });
        let file = opened.await?.map_err(|error| unreadable(&path, &error))?;
        Ok(Self { file: Arc::new(file), path, room: Vec::new() })
    }

    async fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, AgentError> {
        let (file, mut room, wanted) = (self.file.clone(), take(&mut self.room), buf.len().min(PIECE_BYTES_MAX));
        let read = off_thread(move || {
            if room.len() < wanted {
                room.resize(wanted, 0);
            }
            let read = read_whole(&file, offset, &mut room[..wanted]);
            (read, room)
        });
        let (read, room) = read.await?;
        let read = read.map_err(|error| unreadable(&self.path, &error))?;
        buf[..read].copy_from_slice(&room[..read]);
        self.room = room;
        Ok(read)
    }

    async fn stat(&self) -> Result<FileStat, AgentError> {
        let file = self.file.clone();
        off_thread(move || file.metadata()).await?.map(|meta| told(&meta)).map_err(|error| unreadable(&self.path, &error))
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    // A pipe that nobody writes to would hold the opening thread for ever, were it not for this flag.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    // Asked before it is opened, because opening a device may do something; and after, because it may have become another.
    is_regular(&fs::metadata(path)?)?;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    is_regular(&file.metadata()?)?;
    Ok(file)
}

fn is_regular(meta: &fs::Metadata) -> io::Result<()> {
    match meta.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Fills the buffer unless the file ends before: files that the kernel makes up (`/proc`) give a little at a time.
fn read_whole(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let mut had = 0;
    while had < buf.len() {
        match file.read_at(&mut buf[had..], offset.saturating_add(had as u64)) {
            Ok(0) => break,
            Ok(read) => had += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What was read is good; the fault comes again with the next piece.
            Err(_) if had > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(had)
}

impl HostFile for OpenFile {
    fn read_at<'a>(&'a mut self, offset: u64, mut buf: RSliceMut<'a, u8>) -> BorrowingFfiFuture<'a, FfiResult<usize>> {
        BorrowingFfiFuture::new(async move { Self::read_at(self, offset, &mut buf).await.map_err(FfiError::from).into() })
    }

    fn stat<'a>(&'a mut self) -> BorrowingFfiFuture<'a, FfiResult<RString>> {
        BorrowingFfiFuture::new(async move {
            let told = Self::stat(self).await.and_then(|stat| json(&stat));
            told.map(RString::from).map_err(FfiError::from).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, process::Command};

    use tempfile::tempdir;

    use super::*;
    use crate::files::stat;

    #[tokio::test]
    async fn a_file_is_read_at_any_place_and_beyond_its_end_there_is_nothing() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "0123456789").unwrap();
        let mut file = OpenFile::open(path).await.unwrap();
        let mut room = [0; 4];
        for (offset, expected) in [(0, "0123"), (4, "4567"), (8, "89"), (10, ""), (99, ""), (1 << 60, "")] {
            let read = file.read_at(offset, &mut room).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&room[..read]), expected, "{offset}");
        }
        let error = file.read_at(u64::MAX, &mut room).await.unwrap_err();
        assert_eq!(error.kind().name(), "local", "{error}");
        assert_eq!(file.read_at(1, &mut room).await, Ok(4), "it is as good as before");
    }

    #[tokio::test]
    async fn a_piece_is_bounded_whatever_room_there_is() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(5 * PIECE_BYTES_MAX as u64).unwrap();
        let mut file = OpenFile::open(path).await.unwrap();
        let mut room = vec![1; 3 * PIECE_BYTES_MAX];
        assert_eq!(file.read_at(0, &mut room).await, Ok(PIECE_BYTES_MAX));
    }

    /// What a follower of logs relies upon.
    #[tokio::test]
    async fn an_open_file_keeps_its_identity_over_rotation_removal_and_truncation() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "first\n").unwrap();
        let mut file = OpenFile::open(path.clone()).await.unwrap();
        let opened = file.stat().await.unwrap();
        assert_eq!(stat(path.clone()).await, Ok(opened));

        fs::rename(&path, folder.path().join("log.1")).unwrap();
        fs::write(&path, "second, of another size\n").unwrap();
        let (here, there) = (file.stat().await.unwrap(), stat(path.clone()).await.unwrap());
        assert!(here.same_file(&opened) && !there.same_file(&opened), "{here:?} {there:?}");
        File::options().append(true).open(folder.path().join("log.1")).unwrap().write_all(b"late\n").unwrap();
        assert_eq!(file.stat().await.map(|stat| stat.size), Ok(11));
        let mut room = [0; 20];
        assert_eq!(file.read_at(6, &mut room).await, Ok(5));
        assert_eq!(&room[..5], b"late\n");

        fs::remove_file(folder.path().join("log.1")).unwrap();
        assert_eq!(file.read_at(0, &mut room).await, Ok(11), "removed, and still open");

        let second = OpenFile::open(path.clone()).await.unwrap();
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert_eq!(second.stat().await.map(|stat| (stat.size, stat.same_file(&there))), Ok((0, true)), "cut, as copytruncate does");
    }

    #[tokio::test]
    async fn what_is_no_regular_file_is_refused_and_nothing_waits() {
        let folder = tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe, folder.path().to_owned(), "/dev/zero".into()] {
            let opened = tokio::time::timeout(std::time::Duration::from_secs(10), OpenFile::open(path.clone())).await.unwrap();
            let expected = AgentError::local(format!("cannot read {}: it is no regular file", path.display()));
            assert_eq!(opened.err(), Some(expected));
        }
        let missing = OpenFile::open("/nowhere".into()).await.err();
        assert_eq!(missing, Some(AgentError::local("cannot read /nowhere: No such file or directory")));
    }

    #[tokio::test]
    async fn a_file_that_the_kernel_makes_up_is_read_whole() {
        let mut file = OpenFile::open("/proc/kallsyms".into()).await.unwrap();
        let mut room = vec![0; 64 * 1024];
        // The kernel gives a page of it at a time.
        assert_eq!(file.read_at(0, &mut room).await, Ok(room.len()));
    }

    #[tokio::test]
    async fn a_pipe_is_not_even_touched() {
        let folder = tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Waits until somebody opens the pipe to read.
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || File::options().write(true).open(pipe)
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(OpenFile::open(pipe.clone()).await.is_err());
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!writer.is_finished());
        let _reader = File::open(pipe).unwrap();
        assert!(writer.join().unwrap().is_ok());
    }
}
