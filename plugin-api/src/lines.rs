//! Line-based protocols: commands out, lines in, with a bound on what a hostile server may send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{AgentError, Stream, Tls, TlsFacts};

/// Longest line taken where a protocol asks for no other, its end included. RFC 5321 4.5.3.1.5 asks for 512; servers send some kilobytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Lines read before the worker's other jobs have their turn: an answer without an end always has the next line ready.
const LINES_A_TURN: u32 = 64;
/// Bytes that have room at first: thousands of sessions wait at once, and an answer is a few short lines.
const ROOM_BYTES: usize = 512;
/// Bytes that have room where a server sends more than that at once.
const ROOM_BYTES_MAX: usize = 16 * 1024;

/// A stream read line by line.
pub struct Lines {
    stream: Stream,
    /// What has arrived; up to `taken` it was taken.
    arrived: Vec<u8>,
    taken: usize,
    read: u32,
}

impl Lines {
    /// Reads that stream line by line.
    pub fn new(stream: Stream) -> Self {
        Self { stream, arrived: Vec::new(), taken: 0, read: 0 }
    }

    /// Reads one line, without its end; bytes that are no UTF-8 are replaced.
    ///
    /// Errors: kind `protocol` when the connection ends first or the line has no end within 64 KiB.
    pub async fn read(&mut self) -> Result<String, AgentError> {
        self.read_within(LINE_BYTES_MAX).await
    }

    /// Reads one line as [`read`](Lines::read) does, of at most so many bytes: for protocols that put a whole list into one line.
    pub async fn read_within(&mut self, bytes_max: u64) -> Result<String, AgentError> {
        self.read = self.read.wrapping_add(1);
        if self.read.is_multiple_of(LINES_A_TURN) {
            turn().await;
        }
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        // What has come of a line whose end has not; a line that arrives whole is taken from where it lies.
        let mut begun = Vec::new();
        while begun.len() < bytes_max {
            let arrived = self.arrived().await?;
            let within = &arrived[..arrived.len().min(bytes_max - begun.len())];
            if within.is_empty() {
                let middle = if begun.is_empty() { "" } else { " in the middle of a line" };
                return Err(AgentError::protocol(format!("connection closed by the other side{middle}")));
            }
            let end = within.iter().position(|&byte| byte == b'\n');
            let piece = &within[..end.map_or(within.len(), |end| end + 1)];
            let length = piece.len();
            let line = match (end, begun.is_empty()) {
                (Some(_), true) => Some(text(piece)),
                _ => {
                    begun.extend_from_slice(piece);
                    end.map(|_| text(&begun))
                }
            };
            self.consume(length);
            if let Some(line) = line {
                return Ok(line);
            }
        }
        Err(AgentError::protocol(format!("a line without an end: more than {} KiB", bytes_max / 1024)))
    }

    /// What has arrived and was not taken; waits for some if there is none. Nothing at all is the end.
    async fn arrived(&mut self) -> Result<&[u8], AgentError> {
        if self.taken == self.arrived.len() {
            // Where all the room was taken there is more to come.
            let (room, full) = (self.arrived.capacity(), self.arrived.len() == self.arrived.capacity());
            self.taken = 0;
            self.arrived.clear();
            self.arrived.reserve(if full { (2 * room).clamp(ROOM_BYTES, ROOM_BYTES_MAX) } else { room });
            self.stream.read_buf(&mut self.arrived).await?;
        }
        Ok(&self.arrived[self.taken..])
    }

    /// Lends what has arrived, at least one byte, waiting for it if need be: for bodies that are no lines, or whose lines know no bound.
    /// It stays until it is [taken](Lines::consume).
    ///
    /// Errors: kind `protocol` when the connection ends first.
    pub async fn peek(&mut self) -> Result<&[u8], AgentError> {
        match self.arrived().await? {
            [] => Err(AgentError::protocol("connection closed by the other side")),
            arrived => Ok(arrived),
        }
    }

    /// Takes that many of the bytes that [`peek`](Lines::peek) lent.
    pub fn consume(&mut self, bytes: usize) {
        self.taken = self.arrived.len().min(self.taken + bytes);
    }

    /// Writes a line and its end, at once.
    ///
    /// Errors: kind `config` when the text would smuggle in a second line.
    pub async fn write(&mut self, line: &str) -> Result<(), AgentError> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(AgentError::config("", "a command cannot contain line ends"));
        }
        self.write_raw(&[line.as_bytes(), b"\r\n"].concat()).await
    }

    /// Writes bytes as they are, at once.
    pub async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), AgentError> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// Has what passes from now on noted in the dialogue by its size, not as lines, as [`Stream::binary`] does: for a body that nobody is
    /// to read there. What was read ahead has been noted already.
    pub fn binary(&mut self) {
        self.stream.set_binary();
    }

    /// Does a TLS handshake and goes on encrypted.
    ///
    /// Errors: kind `protocol` if the server sent something before it: what came in the clear must not count
    /// as said under TLS (RFC 3207 4.2).
    pub async fn start_tls(&mut self, tls: &Tls) -> Result<TlsFacts, AgentError> {
        if self.taken < self.arrived.len() {
            return Err(AgentError::protocol("the server sent more before the TLS handshake; it may have been put there by another"));
        }
        self.stream.start_tls(tls).await
    }
}

/// A line without its end.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

/// Lets whatever else the thread has to do go first, once.
async fn turn() {
    let mut was_polled = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut was_polled, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Context, task::Waker};

    use super::turn;

    #[test]
    fn a_turn_is_given_once() {
        let mut turn = pin!(turn());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(turn.as_mut().poll(&mut cx).is_pending());
        assert!(turn.as_mut().poll(&mut cx).is_ready());
    }
}
