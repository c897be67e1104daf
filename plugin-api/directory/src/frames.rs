//! A stream cut into messages (RFC 4511 5.2), with a bound on what a hostile server may send.

use watchpost_plugin_api::prelude::{AsyncReadExt, AsyncWriteExt};
use watchpost_plugin_api::{AgentError, Stream, Tls, TlsFacts, quoted};

use crate::ber::{Head, SEQUENCE};

/// Longest message taken: groups of a hundred thousand members have some ten.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes read at once.
const BLOCK_BYTES: usize = 16 * 1024;
/// Bytes of something else than LDAP that an error message quotes.
const QUOTED_BYTES_MAX: usize = 60;

/// A stream read message by message.
pub struct Frames {
    stream: Stream,
    /// What was read: the message that is lent, and what came after it.
    bytes: Vec<u8>,
    /// Where the message that is lent ends.
    end: usize,
}

impl Frames {
    /// Reads that stream message by message.
    pub fn new(stream: Stream) -> Self {
        Self { stream, bytes: Vec::new(), end: 0 }
    }

    /// Waits for the next message.
    ///
    /// Errors: kind `protocol` when the connection ends first, for what is none, and for one that is too long.
    pub async fn next(&mut self) -> Result<(), AgentError> {
        self.bytes.drain(..self.end);
        self.end = 0;
        loop {
            if let Some(length) = self.length()?
                && length <= self.bytes.len()
            {
                self.end = length;
                return Ok(());
            }
            // No room is made for what was merely announced.
            self.bytes.reserve(BLOCK_BYTES);
            let read = (&mut self.stream).take(BLOCK_BYTES as u64).read_buf(&mut self.bytes).await?;
            if read == 0 {
                let when = if self.bytes.is_empty() { "" } else { " in the middle of a message" };
                return Err(AgentError::protocol(format!("connection closed by the other side{when}")));
            }
        }
    }

    /// Lends the contents of the message that has come.
    pub fn message(&self) -> &[u8] {
        match Head::read(&self.bytes[..self.end]) {
            Ok(Some(head)) => &self.bytes[head.bytes..self.end],
            _ => &[],
        }
    }

    /// How long the message is that begins the bytes; `None` while that has not come.
    fn length(&self) -> Result<Option<usize>, AgentError> {
        match self.bytes.first() {
            None => return Ok(None),
            Some(&SEQUENCE) => {}
            Some(_) => return Err(AgentError::protocol(format!("no LDAP message: \"{}\"", self.shown()))),
        }
        let Some(head) = Head::read(&self.bytes)? else { return Ok(None) };
        if head.length > MESSAGE_BYTES_MAX {
            return Err(AgentError::protocol(format!("a message of {} bytes; at most 16 MiB are taken", head.length)));
        }
        Ok(Some(head.bytes + head.length))
    }

    /// The beginning of what is no LDAP.
    fn shown(&self) -> String {
        let line = self.bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        quoted(String::from_utf8_lossy(&line[..line.len().min(QUOTED_BYTES_MAX)]).trim_end())
    }

    /// Writes bytes, at once.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Does a TLS handshake and goes on encrypted.
    ///
    /// Errors: kind `protocol` if the server sent something before it: what came in the clear must not count as said under TLS.
    pub async fn start_tls(&mut self, tls: &Tls) -> Result<TlsFacts, AgentError> {
        if self.bytes.len() > self.end {
            return Err(AgentError::protocol("the server sent more before the TLS handshake; it may have been put there by another"));
        }
        self.stream.start_tls(tls).await
    }
}
