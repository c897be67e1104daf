//! Reading records in order, across segments, gaps and damage.

use crate::record::{Salt, Step, step};
use crate::segment::HEADER_BYTES;
use crate::source::{Extent, Source, choose};
use crate::window::Window;
use crate::{OpenError, Position, directory, format, source};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no next record to give.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Records that were acknowledged are not there: damaged, gone, or dropped. Told once; the next call goes on at `to`.
    #[error("records {from} to {to} (exclusive) are lost")]
    Lost {
        /// The first one.
        from: Position,
        /// The one after the last.
        to: Position,
    },
    /// The folder cannot be listed; the next call tries again.
    #[error("cannot list segments in {dir}")]
    List {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment cannot be read; the next call tries again.
    #[error("cannot read segment {path}")]
    Read {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

struct Open {
    extent: Extent,
    window: Window,
    at: u64,
}

/// Gives the records of a journal in order, each once.
pub struct Reader {
    source: Source,
    salt: Salt,
    next: Position,
    open: Option<Open>,
}

/// What the open segment holds next.
enum Found {
    /// The record asked for, its payload from there on in the file.
    Record(Position, u64, usize),
    /// A record behind the one asked for.
    Beyond(Position),
    Exhausted,
}

impl Reader {
    pub(crate) fn new(source: Source, salt: Salt, next: Position) -> Self {
        Self { source, salt, next, open: None }
    }

    /// Reads the journal in `dir` from `from` on while nobody writes it, or another process does.
    ///
    /// Shape: stops where a write is under way and goes on there later. It may give a record shortly
    /// before it is acknowledged; only [`crate::Journal::reader`] knows what is durable.
    /// Errors: [`OpenError::NoJournal`] if there is none.
    pub fn offline(dir: &Path, from: Position) -> Result<Self, OpenError> {
        let read = |source| OpenError::Read { path: dir.to_owned(), source };
        let headers: Vec<_> = source::on_disk(dir).map_err(read)?.into_iter().filter_map(|(_, header)| header).collect();
        let Some((salt, _)) = format::find(dir, &headers)? else {
            return Err(OpenError::NoJournal { dir: dir.to_owned() });
        };
        Ok(Self::new(Source::Offline(dir.to_owned()), salt, from))
    }

    /// The lowest position that may come next: everything below was given, or told as lost.
    pub fn position(&self) -> Position {
        self.next
    }

    /// Gives the next record, or [`None`] if there is none yet.
    #[expect(clippy::should_implement_trait, reason = "an iterator ends at its first None; this goes on when more is durable")]
    pub fn next(&mut self) -> Result<Option<(Position, Vec<u8>)>, ReadError> {
        Ok(self.next_in_place()?.map(|(position, payload)| (position, payload.to_vec())))
    }

    /// Gives the next record as [`Self::next`] does, its payload where it was read, for as long as nothing else is read.
    pub fn next_in_place(&mut self) -> Result<Option<(Position, &[u8])>, ReadError> {
        let (position, at, length) = loop {
            match self.find()? {
                Found::Record(position, at, length) => break (position, at, length),
                Found::Beyond(position) => return Err(self.lost(position)),
                Found::Exhausted => {
                    if !self.advance()? {
                        return Ok(None);
                    }
                }
            }
        };
        self.next = position.next();
        let payload = self.open.as_ref().map(|open| open.window.held(at, length)).unwrap_or_default();
        Ok(Some((position, payload)))
    }

    fn find(&mut self) -> Result<Found, ReadError> {
        let Some(open) = &mut self.open else {
            return Ok(Found::Exhausted);
        };
        let found = open.find(self.next, self.salt);
        let path = || directory::segment_path(self.source.dir(), open.extent.first);
        found.map_err(|source| ReadError::Read { path: path(), source })
    }

    /// Looks for more to read; says whether there may be.
    fn advance(&mut self) -> Result<bool, ReadError> {
        let list = self.source.extents();
        let list = list.map_err(|source| ReadError::List { dir: self.source.dir().to_owned(), source })?;
        let Some(extent) = choose(&list, self.next) else {
            return Ok(false);
        };
        match &mut self.open {
            Some(open) if open.extent.first == extent.first => {
                let grown = extent.bytes > open.extent.bytes;
                open.extent = extent;
                match extent.end {
                    _ if grown => Ok(true),
                    Some(end) if end > self.next => Err(self.lost(end)),
                    _ => Ok(false),
                }
            }
            _ => self.enter(extent),
        }
    }

    fn enter(&mut self, extent: Extent) -> Result<bool, ReadError> {
        let path = directory::segment_path(self.source.dir(), extent.first);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.vanished(extent, path, error),
            file => file.map_err(|source| ReadError::Read { path, source })?,
        };
        self.open = Some(Open { extent, window: Window::new(file), at: HEADER_BYTES as u64 });
        let (from, to) = (self.next, extent.previous_end);
        self.next = from.max(extent.first);
        if from < to {
            return Err(ReadError::Lost { from, to });
        }
        Ok(true)
    }

    /// A listed segment is not there: dropped since, which a new list shows, or removed by a stranger.
    fn vanished(&mut self, extent: Extent, path: PathBuf, source: io::Error) -> Result<bool, ReadError> {
        let list = self.source.extents().unwrap_or_default();
        match extent.end {
            _ if choose(&list, self.next) != Some(extent) => Ok(true),
            Some(end) if end > self.next => Err(self.lost(end)),
            _ => Err(ReadError::Read { path, source }),
        }
    }

    fn lost(&mut self, to: Position) -> ReadError {
        let from = self.next;
        self.next = to;
        ReadError::Lost { from, to }
    }
}

impl Open {
    /// Finds the record at `next` or the first one after it, and steps over it if it is the one.
    fn find(&mut self, next: Position, salt: Salt) -> io::Result<Found> {
        let mut wanted = crate::record::HEADER_BYTES;
        let mut sure = self.at;
        loop {
            let bytes = self.window.get(self.at, wanted, self.extent.bytes)?;
            match step(bytes, salt) {
                Step::Incomplete { bytes: needed } if bytes.len() < wanted || needed <= wanted => {
                    self.look_again_from(sure);
                    return Ok(Found::Exhausted);
                }
                Step::Incomplete { bytes: needed } => wanted = needed,
                Step::Damaged { bytes } => self.at += bytes as u64,
                Step::Record { position, .. } if self.extent.end.is_some_and(|end| position >= end) => {
                    return Ok(Found::Exhausted); // refused when it was written
                }
                Step::Record { position, .. } if position > next => return Ok(Found::Beyond(position)),
                Step::Record { position, payload, bytes } => {
                    self.at += bytes as u64;
                    sure = self.at;
                    if position == next {
                        return Ok(Found::Record(position, self.at - payload.len() as u64, payload.len()));
                    }
                }
            }
        }
    }

    /// Where another process may be writing, what looks damaged may be a record by the next call.
    fn look_again_from(&mut self, sure: u64) {
        if self.extent.end.is_none() {
            self.at = sure;
            self.window.forget();
        }
    }
}
