//! A byte stream to the target; the host owns the socket.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    AgentError, ErrorKind, Tls, TlsFacts,
    abi::{ContextExt, FfiError, FfiPoll, FfiResult, HostStreamBox, RErr, ROk},
    cx::{from_json, to_json},
};

/// What a stream leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Endpoint {
    /// The first of these addresses that answers, in this order.
    Tcp(Vec<SocketAddr>),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Endpoint {
    /// Leads to that port of whichever address answers first.
    pub fn tcp(addresses: &[IpAddr], port: u16) -> Self {
        Self::Tcp(addresses.iter().map(|&address| SocketAddr::new(address, port)).collect())
    }

    /// Leads to a Unix socket.
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self::Unix(path.as_ref().to_owned())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(vec![address])
    }
}

/// Both ends of a stream; a Unix socket has no addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ends {
    /// Ours.
    pub local: Option<SocketAddr>,
    /// The target's: the one of its addresses that answered.
    pub peer: Option<SocketAddr>,
}

impl Ends {
    /// Says whether what passes goes over a network; of a stream that has no addresses it is taken to.
    pub fn leave_this_machine(&self) -> bool {
        self.peer.is_none_or(|peer| !peer.ip().to_canonical().is_loopback() && self.local.map(|local| local.ip()) != Some(peer.ip()))
    }
}

/// An open connection. Reads and writes as any tokio stream; [`start_tls`](Stream::start_tls) turns it into a TLS one in place.
pub struct Stream {
    inner: HostStreamBox,
}

impl Stream {
    pub(crate) fn new(inner: HostStreamBox) -> Self {
        Self { inner }
    }

    /// Does a TLS handshake over what is there, and goes on encrypted.
    ///
    /// Errors: kind `tls` with the server's alert or the certificate's fault.
    pub async fn start_tls(&mut self, tls: &Tls) -> Result<TlsFacts, AgentError> {
        let tls = to_json(tls)?;
        let answer = self.inner.start_tls(tls.as_str().into()).await;
        from_json(answer)
    }

    /// Has what passes noted in the dialogue by its size, not as lines: for protocols that are no text, which then say in words
    /// what went by with [`Cx::note_sent`](crate::Cx::note_sent) and [`Cx::note_received`](crate::Cx::note_received).
    pub fn binary(mut self) -> Self {
        self.set_binary();
        self
    }

    pub(crate) fn set_binary(&mut self) {
        self.inner.set_binary();
    }

    /// Tells between which addresses it runs.
    pub fn ends(&self) -> Result<Ends, AgentError> {
        from_json(self.inner.ends())
    }
}

/// An I/O error with the host's number where it has one, else with the host's error in it: the kind survives the crossing either way.
fn io_error(error: FfiError) -> io::Error {
    if error.errno != 0 {
        return io::Error::from_raw_os_error(error.errno);
    }
    match ErrorKind(error.kind) {
        ErrorKind::TIMEOUT => io::Error::new(io::ErrorKind::TimedOut, error.message.into_string()),
        _ => io::Error::other(AgentError::from(error)),
    }
}

fn poll<T>(answer: FfiPoll<FfiResult<T>>) -> Poll<io::Result<T>> {
    match answer {
        FfiPoll::Pending => Poll::Pending,
        FfiPoll::Ready(ROk(value)) => Poll::Ready(Ok(value)),
        FfiPoll::Ready(RErr(error)) => Poll::Ready(Err(io_error(error))),
        FfiPoll::Panicked => Poll::Ready(Err(io::Error::other("the host's stream panicked"))),
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let free = buf.initialize_unfilled();
        let len = free.len();
        let answer = cx.with_ffi_context(|cx| self.inner.poll_read(cx, free.into()));
        poll(answer).map_ok(|read| buf.advance(read.min(len)))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        poll(cx.with_ffi_context(|cx| self.inner.poll_write(cx, buf.into())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll(cx.with_ffi_context(|cx| self.inner.poll_flush(cx)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll(cx.with_ffi_context(|cx| self.inner.poll_shutdown(cx)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_within_this_machine_keeps_off_the_network() {
        let check = |local: &str, peer: &str, expected| {
            let ends = Ends { local: local.parse().ok(), peer: peer.parse().ok() };
            assert_eq!(ends.leave_this_machine(), expected, "{local} to {peer}");
        };
        check("127.0.0.1:40000", "127.0.0.1:25", false);
        check("[::1]:40000", "[::1]:25", false);
        check("[::ffff:127.0.0.2]:40000", "[::ffff:127.0.0.1]:25", false);
        check("192.0.2.1:40000", "192.0.2.1:25", false);
        check("192.0.2.1:40000", "192.0.2.25:25", true);
        check("", "", true);
    }
}
