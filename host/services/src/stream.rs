//! Sockets lent to agents, with or without TLS over them; what passes is noted in the job's dialogue.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::io::Errno;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpStream, UnixStream, unix::pipe},
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use watchpost_plugin_api::{
    AgentError, Endpoint, Ends, Tls, TlsFacts,
    abi::{
        BorrowingFfiFuture, FfiContext, FfiError, FfiPoll, FfiResult, HostStream, RErr, ROk, RSlice, RSliceMut, RStr, RString, host_fenced,
    },
};

use crate::{
    dialogue::{Dialogue, Speaker},
    network,
    refusal::broken,
    tls::TlsClients,
};

/// A connection lent to an agent.
pub(crate) struct Connection {
    io: Io,
    /// What passes is no text: its size is noted, not its lines.
    binary: bool,
    dialogue: Arc<Dialogue>,
    tls: Arc<TlsClients>,
}

/// Where the bytes go. Boxed under TLS, because a stream becomes a TLS one in place.
pub(crate) enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// To a server within a test.
    Test {
        io: DuplexStream,
        ends: Ends,
    },
    Tls(Box<TlsStream<Io>>),
    /// What a program writes.
    From(pipe::Receiver),
    /// What a program reads; closed by shutdown.
    Into(Option<pipe::Sender>),
    /// A handshake was begun and not finished.
    Lost,
}

impl Connection {
    /// Opens a connection before `within` has passed.
    pub(crate) async fn open(
        endpoint: Endpoint,
        within: Duration,
        dialogue: Arc<Dialogue>,
        tls: Arc<TlsClients>,
    ) -> Result<Self, AgentError> {
        let io = match endpoint {
            Endpoint::Tcp(addresses) => first_of(&addresses, within, &dialogue).await?,
            Endpoint::Unix(path) => {
                let connected = unix(&path).await?;
                dialogue.reaches(format!("the connection to {}", path.display()));
                Io::Unix(connected)
            }
            other => return Err(AgentError::local(format!("this host cannot connect to {other:?}"))),
        };
        Ok(Self { io, binary: false, dialogue, tls })
    }

    /// Lends an end of a program's.
    pub(crate) fn of(io: Io, dialogue: Arc<Dialogue>, tls: Arc<TlsClients>) -> Self {
        Self { io, binary: false, dialogue, tls }
    }

    /// Gives away what is below.
    pub(crate) fn into_io(self) -> Io {
        self.io
    }

    fn note_received(&self, bytes: &[u8]) {
        match self.binary {
            false => self.dialogue.heard(Speaker::Target, bytes),
            true => self.dialogue.counted(Speaker::Target, bytes.len()),
        }
    }

    fn note_sent(&self, bytes: &[u8]) {
        match self.binary {
            false => self.dialogue.heard(Speaker::Agent, bytes),
            true => self.dialogue.counted(Speaker::Agent, bytes.len()),
        }
    }

    /// Does a TLS handshake, and goes on encrypted.
    pub(crate) async fn start_tls(&mut self, wanted: &Tls) -> Result<TlsFacts, AgentError> {
        let plain = std::mem::replace(&mut self.io, Io::Lost);
        let handshake = format!("the TLS handshake with {}", wanted.server_name);
        self.dialogue.begins(handshake.as_str());
        let (stream, facts) = self.tls.handshake(wanted, plain).await.inspect_err(|_| self.dialogue.ends())?;
        self.dialogue.reaches(handshake);
        self.io = Io::Tls(Box::new(stream));
        self.io.acknowledge_at_once();
        self.dialogue.note(&format!("{} {} for {}", facts.version, facts.cipher, wanted.server_name));
        Ok(facts)
    }
}

/// Whether this machine let nobody ask, for its rules or for want of descriptors, ports or memory: whether the target is up is unknown.
fn is_ours(error: &io::Error) -> bool {
    const WANTS: [Errno; 5] = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::ADDRNOTAVAIL];
    error.kind() == io::ErrorKind::PermissionDenied || Errno::from_io_error(error).is_some_and(|errno| WANTS.contains(&errno))
}

/// Connects to the first address that answers; each gets its share of the time left, so that a dead first one leaves time for the next.
async fn first_of(addresses: &[SocketAddr], within: Duration, dialogue: &Dialogue) -> Result<Io, AgentError> {
    let mut last = AgentError::connect("no address to connect to");
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let connection = format!("the connection to {address}");
        dialogue.begins(connection.as_str());
        match timeout(within / left, dial(*address)).await {
            Ok(Ok(stream)) => {
                dialogue.reaches(connection);
                dialogue.note(&format!("connected to {address}"));
                return Ok(stream);
            }
            Ok(Err(error)) => {
                let message = format!("cannot connect to {address}: {}", reason(&error));
                last = if is_ours(&error) { AgentError::local(message) } else { AgentError::connect(message) };
            }
            Err(_) => last = AgentError::connect(format!("cannot connect to {address}: no answer")),
        }
        dialogue.ends();
        dialogue.note(last.message());
    }
    Err(last)
}

async fn dial(address: SocketAddr) -> io::Result<Io> {
    if let Some(network) = network::here() {
        let (io, local) = network.connect(address).await?;
        return Ok(Io::Test { io, ends: Ends { local: Some(local), peer: Some(address) } });
    }
    let stream = TcpStream::connect(address).await?;
    // Probes send small commands and wait: Nagle's algorithm would time itself, not the server.
    stream.set_nodelay(true)?;
    Ok(Io::Tcp(stream))
}

async fn unix(path: &Path) -> Result<UnixStream, AgentError> {
    UnixStream::connect(path).await.map_err(|error| {
        let message = format!("cannot connect to {}: {}", path.display(), reason(&error));
        if is_ours(&error) { AgentError::local(message) } else { AgentError::connect(message) }
    })
}

/// An I/O error without its number, which tells a reader nothing.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(said, _)| said).to_owned()
}

impl Io {
    pub(crate) fn ends(&self) -> Ends {
        match self {
            Self::Tcp(io) => Ends { local: io.local_addr().ok(), peer: io.peer_addr().ok() },
            Self::Tls(io) => io.get_ref().0.ends(),
            Self::Test { ends, .. } => *ends,
            _ => Ends::default(),
        }
    }

    /// Has what comes next acknowledged without the usual wait of 40 ms, which the kernel takes up again at its own will.
    ///
    /// A server that has written twice (session tickets, then its banner) holds the second back until the first is acknowledged:
    /// the wait would be counted as the server's.
    pub(crate) fn acknowledge_at_once(&self) {
        // A kernel that does not is one that measures worse; the connection is fine.
        let _ = match self {
            Self::Tcp(io) => io.set_quickack(true),
            Self::Tls(io) => return io.get_ref().0.acknowledge_at_once(),
            _ => return,
        };
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_read(cx, buf),
            Self::Unix(io) => Pin::new(io).poll_read(cx, buf),
            Self::Test { io, .. } => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(&mut **io).poll_read(cx, buf),
            Self::From(io) => Pin::new(io).poll_read(cx, buf),
            Self::Into(_) => Poll::Ready(Err(one_way("only written to"))),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write(cx, buf),
            Self::Unix(io) => Pin::new(io).poll_write(cx, buf),
            Self::Test { io, .. } => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(&mut **io).poll_write(cx, buf),
            Self::Into(Some(io)) => Pin::new(io).poll_write(cx, buf),
            Self::Into(None) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Self::From(_) => Poll::Ready(Err(one_way("only read"))),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_flush(cx),
            Self::Unix(io) => Pin::new(io).poll_flush(cx),
            Self::Test { io, .. } => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(&mut **io).poll_flush(cx),
            Self::Into(Some(io)) => Pin::new(io).poll_flush(cx),
            Self::Into(None) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Self::From(_) => Poll::Ready(Err(one_way("only read"))),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Self::Unix(io) => Pin::new(io).poll_shutdown(cx),
            Self::Test { io, .. } => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(&mut **io).poll_shutdown(cx),
            Self::Into(io) => {
                *io = None;
                Poll::Ready(Ok(()))
            }
            Self::From(_) => Poll::Ready(Err(one_way("only read"))),
            Self::Lost => Poll::Ready(Err(lost())),
        }
    }
}

fn one_way(way: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("this end of a program is {way}"))
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the stream was lost in an unfinished TLS handshake")
}

impl HostStream for Connection {
    fn poll_read(&mut self, cx: &mut FfiContext<'_>, mut buf: RSliceMut<'_, u8>) -> FfiPoll<FfiResult<usize>> {
        polled(cx, |cx| {
            let mut buf = ReadBuf::new(&mut buf);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf)).map_err(crossing)?;
            self.note_received(buf.filled());
            Poll::Ready(Ok(buf.filled().len()))
        })
    }

    fn poll_write(&mut self, cx: &mut FfiContext<'_>, buf: RSlice<'_, u8>) -> FfiPoll<FfiResult<usize>> {
        polled(cx, |cx| {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &buf)).map_err(crossing)?;
            self.io.acknowledge_at_once();
            self.note_sent(&buf[..written]);
            Poll::Ready(Ok(written))
        })
    }

    fn poll_flush(&mut self, cx: &mut FfiContext<'_>) -> FfiPoll<FfiResult<()>> {
        polled(cx, |cx| Pin::new(&mut self.io).poll_flush(cx).map_err(crossing))
    }

    fn poll_shutdown(&mut self, cx: &mut FfiContext<'_>) -> FfiPoll<FfiResult<()>> {
        polled(cx, |cx| Pin::new(&mut self.io).poll_shutdown(cx).map_err(crossing))
    }

    fn start_tls<'a>(&'a mut self, tls: RStr<'a>) -> BorrowingFfiFuture<'a, FfiResult<RString>> {
        BorrowingFfiFuture::new(async move {
            let done = async {
                let wanted = serde_json::from_str(tls.as_str()).map_err(|error| AgentError::local(error.to_string()))?;
                let facts = self.start_tls(&wanted).await?;
                serde_json::to_string(&facts).map_err(|error| AgentError::local(error.to_string()))
            };
            done.await.map(RString::from).map_err(FfiError::from).into()
        })
    }

    fn set_binary(&mut self) {
        self.binary = true;
    }

    fn ends(&self) -> FfiResult<RString> {
        host_fenced(|| told(&self.io.ends()))
    }
}

/// Puts both ends into what crosses.
pub(crate) fn told(ends: &Ends) -> FfiResult<RString> {
    let told = serde_json::to_string(ends).map_err(|error| AgentError::local(error.to_string()));
    told.map(RString::from).map_err(FfiError::from).into()
}

/// Polls behind a fence and puts the answer into what crosses.
pub(crate) fn polled<T>(
    cx: &mut FfiContext<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<Result<T, FfiError>>,
) -> FfiPoll<FfiResult<T>> {
    let answer = host_fenced(|| {
        ROk(cx.with_context(|cx| match poll(cx) {
            Poll::Pending => FfiPoll::Pending,
            Poll::Ready(answer) => FfiPoll::Ready(answer.into()),
        }))
    });
    match answer {
        ROk(answer) => answer,
        RErr(error) => FfiPoll::Ready(RErr(error)),
    }
}

fn crossing(error: io::Error) -> FfiError {
    if let Some(error) = broken(&error) {
        return error.into();
    }
    let errno = error.raw_os_error().unwrap_or(0);
    let message = match error.kind() {
        // rustls sends a reader to its manual; what the reader has to know is who ended it.
        io::ErrorKind::UnexpectedEof => "connection closed by the other side without an end of TLS".into(),
        _ => reason(&error),
    };
    FfiError { errno, ..AgentError::protocol(message).into() }
}
