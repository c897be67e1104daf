//! A server's end of a connection, read line by line, in the clear or under TLS.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

use crate::authority::ServerTls;

/// Bytes that a flood sends at once, about.
const FLOOD_BYTES: usize = 4096;
/// Bytes of a line that a script reads.
const LINE_BYTES_MAX: usize = 1024 * 1024;

pub(crate) struct Wire {
    end: End,
    /// What was read and not yet taken as a line.
    unread: Vec<u8>,
}

pub(crate) enum End {
    Clear(TcpStream),
    Unix(UnixStream),
    Memory(DuplexStream),
    Tls(Box<TlsStream<TcpStream>>),
    TlsInMemory(Box<TlsStream<DuplexStream>>),
    /// Closed, or lost in a handshake.
    Gone,
}

impl From<TcpStream> for End {
    fn from(stream: TcpStream) -> Self {
        Self::Clear(stream)
    }
}

impl From<UnixStream> for End {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(stream)
    }
}

impl From<DuplexStream> for End {
    fn from(stream: DuplexStream) -> Self {
        Self::Memory(stream)
    }
}

impl Wire {
    pub(crate) fn new(end: impl Into<End>) -> Self {
        Self { end: end.into(), unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.end {
            End::Clear(stream) => stream.write_all(bytes).await,
            End::Unix(stream) => stream.write_all(bytes).await,
            End::Memory(stream) => stream.write_all(bytes).await,
            End::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            End::TlsInMemory(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            End::Gone => Err(gone()),
        }
    }

    pub(crate) async fn trickle(&mut self, bytes: &[u8], every: Duration) -> io::Result<()> {
        for byte in bytes {
            tokio::time::sleep(every).await;
            self.send(&[*byte]).await?;
        }
        Ok(())
    }

    /// Sends the same again and again until the client goes.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) {
        let block = bytes.repeat(FLOOD_BYTES / bytes.len().max(1) + 1);
        while self.send(&block).await.is_ok() {}
    }

    /// Reads a line without its end.
    pub(crate) async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(io::Error::other("the client's line has no end"));
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads so many bytes.
    pub(crate) async fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > LINE_BYTES_MAX * 64 {
            return Err(io::Error::other("the client sends too much"));
        }
        while self.unread.len() < length {
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Reads a message whose length is in the two bytes before it.
    pub(crate) async fn message(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let [high, low, rest @ ..] = self.unread.as_slice()
                && let Some(message) = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))
            {
                let message = message.to_vec();
                self.unread.drain(..2 + message.len());
                return Ok(message);
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads a message whose length can be told from its beginning.
    pub(crate) async fn message_of(&mut self, length: fn(&[u8]) -> Option<usize>) -> io::Result<Vec<u8>> {
        loop {
            if let Some(length) = length(&self.unread)
                && self.unread.len() >= length
            {
                return Ok(self.unread.drain(..length).collect());
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(io::Error::other("the client's message has no end"));
            }
            if !self.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits until the client goes.
    pub(crate) async fn gone(&mut self) {
        while matches!(self.fill().await, Ok(true)) {
            self.unread.clear();
        }
    }

    /// Closes in order, under TLS with its own end.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.end, End::Gone) {
            End::Clear(mut stream) => stream.shutdown().await,
            End::Unix(mut stream) => stream.shutdown().await,
            End::Memory(mut stream) => stream.shutdown().await,
            End::Tls(mut stream) => stream.shutdown().await,
            End::TlsInMemory(mut stream) => stream.shutdown().await,
            End::Gone => Ok(()),
        }
    }

    /// Closes so that the client gets a reset.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.end, End::Gone) {
            End::Clear(stream) => stream.set_zero_linger(),
            // What is unread resets it.
            End::Unix(_) => Ok(()),
            // There is no reset in memory: it closes, which is as sudden.
            End::Memory(_) | End::TlsInMemory(_) => Ok(()),
            End::Tls(stream) => stream.get_ref().0.set_zero_linger(),
            End::Gone => Ok(()),
        }
    }

    pub(crate) async fn start_tls(&mut self, tls: &ServerTls) -> io::Result<()> {
        let end = std::mem::replace(&mut self.end, End::Gone);
        self.unread.clear();
        self.end = match end {
            End::Clear(stream) => End::Tls(Box::new(tls.acceptor()?.accept(stream).await?)),
            End::Memory(stream) => End::TlsInMemory(Box::new(tls.acceptor()?.accept(stream).await?)),
            _ => return Err(gone()),
        };
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<bool> {
        let mut block = [0; 4096];
        let read = match &mut self.end {
            End::Clear(stream) => stream.read(&mut block).await?,
            End::Unix(stream) => stream.read(&mut block).await?,
            End::Memory(stream) => stream.read(&mut block).await?,
            End::TlsInMemory(stream) => stream.read(&mut block).await?,
            End::Tls(stream) => stream.read(&mut block).await?,
            End::Gone => 0,
        };
        self.unread.extend_from_slice(&block[..read]);
        Ok(read > 0)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection was closed by the script")
}
