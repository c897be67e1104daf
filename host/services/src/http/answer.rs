//! The body of an answer, lent to an agent as a stream that is only read.

use std::{
    mem::take,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Incoming};
use watchpost_plugin_api::{
    AgentError, Ends,
    abi::{BorrowingFfiFuture, FfiContext, FfiError, FfiPoll, FfiResult, HostStream, RErr, RSlice, RSliceMut, RStr, RString, host_fenced},
};

use super::{fault::told, link::Link, pool::Pool};
use crate::{
    dialogue::Dialogue,
    stream::{polled, told as ends_told},
};

/// A body lent to an agent.
pub(crate) struct Answer {
    body: Incoming,
    /// What has come and was not yet read.
    piece: Bytes,
    /// The connection, until the body has ended.
    link: Option<Link>,
    /// Where the connection goes then.
    keeping: Option<(Arc<Pool>, String)>,
    ends: Ends,
    bytes: u64,
    dialogue: Arc<Dialogue>,
}

impl Answer {
    pub(crate) fn new(body: Incoming, link: Link, keeping: Option<(Arc<Pool>, String)>, dialogue: Arc<Dialogue>) -> Self {
        let ends = link.ends;
        let mut answer = Self { body, piece: Bytes::new(), link: Some(link), keeping, ends, bytes: 0, dialogue };
        if answer.body.is_end_stream() {
            answer.end();
        }
        answer
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, FfiError>> {
        while self.piece.is_empty() && !buf.is_empty() {
            let Some(link) = &mut self.link else { return Poll::Ready(Ok(0)) };
            match ready!(link.poll_frame(&mut self.body, cx)) {
                // Trailers are frames without data.
                Some(Ok(frame)) => self.piece = frame.into_data().unwrap_or_default(),
                None => self.end(),
                Some(Err(error)) => {
                    self.link = None;
                    return Poll::Ready(Err(told(&error, false).into()));
                }
            }
            self.bytes += self.piece.len() as u64;
        }
        let read = self.piece.split_to(buf.len().min(self.piece.len()));
        buf[..read.len()].copy_from_slice(&read);
        Poll::Ready(Ok(read.len()))
    }

    /// The body is whole: its connection is free for the next request.
    fn end(&mut self) {
        if let (Some(link), Some((pool, key))) = (self.link.take(), self.keeping.take()) {
            pool.put(key, link);
        }
        self.note();
    }

    fn note(&mut self) {
        if self.bytes > 0 {
            self.dialogue.note(&format!("received a body of {} bytes", take(&mut self.bytes)));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.note();
    }
}

fn only_read<T>() -> FfiResult<T> {
    RErr(AgentError::local("the body of an answer is only read").into())
}

impl HostStream for Answer {
    fn poll_read(&mut self, cx: &mut FfiContext<'_>, mut buf: RSliceMut<'_, u8>) -> FfiPoll<FfiResult<usize>> {
        polled(cx, |cx| Self::poll_read(self, cx, &mut buf))
    }

    fn poll_write(&mut self, _: &mut FfiContext<'_>, _: RSlice<'_, u8>) -> FfiPoll<FfiResult<usize>> {
        FfiPoll::Ready(only_read())
    }

    fn poll_flush(&mut self, _: &mut FfiContext<'_>) -> FfiPoll<FfiResult<()>> {
        FfiPoll::Ready(only_read())
    }

    fn poll_shutdown(&mut self, _: &mut FfiContext<'_>) -> FfiPoll<FfiResult<()>> {
        FfiPoll::Ready(only_read())
    }

    fn start_tls<'a>(&'a mut self, _: RStr<'a>) -> BorrowingFfiFuture<'a, FfiResult<RString>> {
        BorrowingFfiFuture::new(async { only_read() })
    }

    fn set_binary(&mut self) {}

    fn ends(&self) -> FfiResult<RString> {
        host_fenced(|| ends_told(&self.ends))
    }
}
