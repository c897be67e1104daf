//! What hyper reads and writes: a connection with a clock at it, and a bound on what a server may send before its answer.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fault::TooLong;
use crate::stream::Io;

/// Bytes of all heads that precede the body of one answer; those of 1xx answers count.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// A connection as hyper has it.
pub(crate) struct Wire {
    io: Io,
    tap: Tap,
    /// Where a piece is read on its way to hyper, whose own room may hold anything.
    room: Box<[u8]>,
}

/// What is known of a connection from outside of hyper, begun anew with each request.
#[derive(Clone, Default)]
pub(crate) struct Tap(Arc<Mutex<Seen>>);

/// What was seen of one request and its answer.
#[derive(Default)]
pub(crate) struct Seen {
    /// The last piece of the request was written.
    pub(crate) sent: Option<Instant>,
    /// The first piece of the answer was read.
    pub(crate) first: Option<Instant>,
    /// What the server sent until its answer was understood: the head, and perhaps more.
    pub(crate) bytes: Vec<u8>,
    /// Whether the head has been understood.
    done: bool,
}

impl Tap {
    /// Begins a request.
    pub(crate) fn begin(&self) {
        *self.seen() = Seen::default();
    }

    /// Ends the head, and gives what was seen of it.
    pub(crate) fn end_of_head(&self) -> Seen {
        std::mem::replace(&mut *self.seen(), Seen { done: true, ..Seen::default() })
    }

    /// Whether nothing of an answer has come.
    pub(crate) fn is_silent(&self) -> bool {
        self.seen().first.is_none()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    pub(crate) fn new(io: Io, tap: Tap) -> Self {
        Self { io, tap, room: vec![0; PIECE_BYTES].into() }
    }
}

impl Seen {
    /// Takes what was read.
    fn take(&mut self, bytes: &[u8]) {
        if self.done || bytes.is_empty() {
            return;
        }
        self.first.get_or_insert_with(Instant::now);
        self.bytes.extend_from_slice(bytes);
    }
}

impl Read for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.tap.seen().bytes.len() >= HEAD_BYTES_MAX {
            return Poll::Ready(Err(io::Error::other(TooLong)));
        }
        let wanted = cursor.remaining().min(this.room.len());
        let mut piece = ReadBuf::new(&mut this.room[..wanted]);
        ready!(Pin::new(&mut this.io).poll_read(cx, &mut piece))?;
        this.tap.seen().take(piece.filled());
        cursor.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, bytes))?;
        this.io.acknowledge_at_once();
        let mut seen = this.tap.seen();
        if seen.first.is_none() {
            seen.sent = Some(Instant::now());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
