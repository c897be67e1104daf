//! Directories that are read piece by piece: a million entries neither hold up the other jobs nor fill the memory.

use std::{
    fs::{DirEntry, ReadDir},
    io,
    mem::replace,
    path::PathBuf,
    time::{Duration, Instant},
};

use watchpost_plugin_api::{
    AgentError,
    abi::{BorrowingFfiFuture, FfiError, FfiResult, HostScan, RString},
    wire::{Named, Scan, Scanned},
};

use super::{off_thread, told, unreadable};
use crate::answers::json;

/// Entries of one piece: some 80 KiB of JSON, which the worker's one thread reads in under a millisecond.
const PIECE_ENTRIES_MAX: usize = 512;
/// How long a piece is gathered; a disk that is slow gives fewer at a time.
const PIECE_TIME_MAX: Duration = Duration::from_millis(100);

/// A directory lent to an agent.
pub(crate) struct Directory {
    path: PathBuf,
    names_only: bool,
    state: State,
}

enum State {
    Reading(ReadDir),
    /// A piece was asked for and not waited for: what it held is gone.
    Lost,
    Ended,
}

impl Directory {
    /// Begins to read a directory.
    pub(crate) async fn open(scan: Scan) -> Result<Self, AgentError> {
        let Scan { path, names_only } = scan;
        let opened = off_thread({
            let path = path.clone();
            move || std::fs::read_dir(path)
        });
        let listing = opened.await?.map_err(|error| unreadable(&path, &error))?;
        Ok(Self { path, names_only, state: State::Reading(listing) })
    }

    /// The next piece, as JSON.
    async fn next(&mut self) -> Result<String, AgentError> {
        let mut listing = match replace(&mut self.state, State::Lost) {
            State::Reading(listing) => listing,
            State::Lost => return Err(AgentError::local(format!("the listing of {} was broken off", self.path.display()))),
            State::Ended => {
                self.state = State::Ended;
                return json(&Scanned::<Named> { entries: Vec::new(), last: true });
            }
        };
        let names_only = self.names_only;
        let read = off_thread(move || {
            // Put into JSON here as well: the worker's thread has other jobs.
            let piece = match names_only {
                true => piece(&mut listing, |entry| Ok(Some(Named { name: name(entry) }))).map(|piece| (piece.last, json(&piece))),
                false => piece(&mut listing, whole).map(|piece| (piece.last, json(&piece))),
            };
            (piece, listing)
        });
        let (piece, listing) = read.await?;
        let (last, piece) = piece.map_err(|error| unreadable(&self.path, &error))?;
        self.state = if last { State::Ended } else { State::Reading(listing) };
        piece
    }
}

/// The next entries of a directory, each as `told` makes it.
fn piece<T>(listing: &mut ReadDir, told: impl Fn(&DirEntry) -> io::Result<Option<T>>) -> io::Result<Scanned<T>> {
    let began = Instant::now();
    let mut entries = Vec::new();
    while entries.len() < PIECE_ENTRIES_MAX && began.elapsed() < PIECE_TIME_MAX {
        let Some(entry) = listing.next() else { return Ok(Scanned { entries, last: true }) };
        entries.extend(told(&entry?)?);
    }
    Ok(Scanned { entries, last: false })
}

fn name(entry: &DirEntry) -> String {
    entry.file_name().to_string_lossy().into_owned()
}

/// An entry with its stat; none if it vanished since it was listed.
fn whole(entry: &DirEntry) -> io::Result<Option<watchpost_plugin_api::DirEntry>> {
    match entry.metadata() {
        Ok(meta) => Ok(Some(watchpost_plugin_api::DirEntry { name: name(entry), stat: told(&meta) })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl HostScan for Directory {
    fn next<'a>(&'a mut self) -> BorrowingFfiFuture<'a, FfiResult<RString>> {
        BorrowingFfiFuture::new(async move { Self::next(self).await.map(RString::from).map_err(FfiError::from).into() })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, ffi::OsStr, fs, os::unix::ffi::OsStrExt};

    use tempfile::tempdir;
    use watchpost_plugin_api::{DirEntry, FileKind};

    use super::*;

    async fn open(path: &std::path::Path, names_only: bool) -> Directory {
        Directory::open(Scan { path: path.to_owned(), names_only }).await.unwrap()
    }

    /// Every piece to the last, and one more.
    async fn pieces<T: serde::de::DeserializeOwned>(mut directory: Directory) -> Vec<Vec<T>> {
        let mut pieces = Vec::new();
        loop {
            let Scanned { entries, last } = serde_json::from_str(&directory.next().await.unwrap()).unwrap();
            pieces.push(entries);
            if last {
                let after: Scanned<T> = serde_json::from_str(&directory.next().await.unwrap()).unwrap();
                assert!(after.last && after.entries.is_empty());
                return pieces;
            }
        }
    }

    #[tokio::test]
    async fn every_entry_is_told_once_in_bounded_pieces() {
        let folder = tempdir().unwrap();
        let names: BTreeSet<String> = (0..1300).map(|n| format!("message-{n}")).collect();
        for name in &names {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let pieces_of_names = pieces::<Named>(open(folder.path(), true).await).await;
        let pieces_of_entries = pieces::<DirEntry>(open(folder.path(), false).await).await;
        assert!(pieces_of_names.len() >= 3 && pieces_of_names.iter().all(|piece| piece.len() <= PIECE_ENTRIES_MAX));
        assert!(pieces_of_entries.len() >= 3 && pieces_of_entries.iter().all(|piece| piece.len() <= PIECE_ENTRIES_MAX));
        let told: Vec<DirEntry> = pieces_of_entries.into_iter().flatten().collect();
        assert!(told.iter().all(|entry| entry.size == 1 && entry.kind == FileKind::File));
        for told in [pieces_of_names.into_iter().flatten().map(|e| e.name).collect(), told.into_iter().map(|e| e.name).collect()] {
            let told: Vec<String> = told;
            assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>()), (1300, names.clone()));
        }
    }

    #[tokio::test]
    async fn a_link_is_told_as_such_and_a_name_that_is_no_text_is_told_all_the_same() {
        let folder = tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere", folder.path().join("link")).unwrap();
        fs::create_dir(folder.path().join(OsStr::from_bytes(b"d\xff"))).unwrap();
        let told: BTreeSet<(String, bool)> = pieces::<DirEntry>(open(folder.path(), false).await)
            .await
            .into_iter()
            .flatten()
            .map(|entry| (entry.name.clone(), entry.kind == FileKind::Symlink))
            .collect();
        assert_eq!(told, BTreeSet::from([("d\u{fffd}".into(), false), ("link".into(), true)]));
    }

    #[test]
    fn a_listing_that_was_broken_off_does_not_look_like_one_that_ended() {
        let folder = tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let mut directory = open(folder.path(), false).await;
            // As long as this holds the one thread, no piece comes.
            let (done, held) = std::sync::mpsc::channel::<()>();
            let holder = tokio::task::spawn_blocking(move || held.recv());
            let mut asked = Box::pin(directory.next());
            let begun = std::future::poll_fn(|cx| std::task::Poll::Ready(asked.as_mut().poll(cx).is_pending())).await;
            drop(asked);
            assert!(begun);
            done.send(()).unwrap();
            holder.await.unwrap().unwrap();
            let expected = AgentError::local(format!("the listing of {} was broken off", folder.path().display()));
            assert_eq!(directory.next().await, Err(expected));
        });
    }

    #[tokio::test]
    async fn what_is_no_directory_is_an_error_that_names_it() {
        let opened = Directory::open(Scan { path: "/proc/self/status".into(), names_only: true }).await;
        assert_eq!(opened.err(), Some(AgentError::local("cannot read /proc/self/status: Not a directory")));
    }
}
