//! Frames of the worker's, numbered: what a library writes to the connection behind its worker's back is none of them, and where it began to is
//! known to the byte.

use std::{io, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc::UnboundedReceiver,
};

use super::{PIECE_BYTES, checked, decode, gather, payload};
use crate::page::Page;

/// The number of the first frame: none that a stray write is likely to hold.
const FIRST: u32 = 0x7761_7463;
/// Bytes before each: its length and its number.
const HEAD_BYTES: usize = 8;

/// Writes numbered frames.
pub struct Numbering(u32);

impl Default for Numbering {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Numbering {
    /// Puts the next frame behind what `buffer` holds.
    pub fn encode<T: Serialize>(&mut self, frame: &T, buffer: &mut Vec<u8>) -> io::Result<()> {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; HEAD_BYTES]);
        let length = payload(frame, buffer, start + HEAD_BYTES).inspect_err(|_| buffer.truncate(start))?;
        buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
        buffer[start + 4..start + HEAD_BYTES].copy_from_slice(&self.0.to_le_bytes());
        self.0 = self.0.wrapping_add(1);
        Ok(())
    }
}

/// Writes the first frame where it is the only one.
pub async fn write_only<T: Serialize>(frame: &T, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut buffer = Vec::new();
    Numbering::default().encode(frame, &mut buffer)?;
    to.write_all(&buffer).await
}

/// Writes what is said, as [`write_all`](super::write_all) does, and notes on the page what was written by then.
pub async fn write_all<T: Serialize>(
    mut queue: UnboundedReceiver<T>,
    page: Arc<Page>,
    mut to: impl AsyncWrite + Unpin,
    unsaid: impl Fn(io::Error),
) {
    let (mut buffer, mut numbering, mut written) = (Vec::with_capacity(PIECE_BYTES), Numbering::default(), 0);
    while gather(&mut queue, &mut buffer, |said, buffer| numbering.encode(said, buffer), &unsaid).await {
        if write(&buffer, &page, &mut written, &mut to).await.is_err() {
            return;
        }
        buffer.clear();
        buffer.shrink_to(PIECE_BYTES);
    }
}

/// Writes all of a buffer, and notes on the page what was `written` by then.
async fn write(buffer: &[u8], page: &Page, written: &mut u64, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let took = to.write(rest).await?;
        if took == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        rest = &rest[took..];
        if !rest.is_empty() {
            page.tear();
        }
        *written += took as u64;
        if rest.is_empty() {
            page.wrote(*written, took < buffer.len());
        }
    }
    Ok(())
}

/// Reads numbered frames.
pub struct Numbered<R> {
    from: R,
    number: u32,
    /// Bytes of the frames that were read.
    read: u64,
}

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The other side has closed, or died in the middle of a frame.
    #[error("the connection is closed")]
    Closed,
    /// What came is no frame of the worker's.
    #[error("{why}")]
    Foreign {
        /// Bytes that the worker had written when somebody else began to.
        behind: u64,
        /// What came.
        why: String,
    },
    /// A frame of the worker's is not understood.
    #[error("a frame that is not understood")]
    Broken(#[source] io::Error),
}

impl<R: AsyncBufRead + Unpin> Numbered<R> {
    /// Begins with the first frame.
    pub fn new(from: R) -> Self {
        Self { from, number: FIRST, read: 0 }
    }

    /// Reads one frame. Somebody else's words are seen with the first eight bytes, however long they claim to be. One that has arrived whole,
    /// as most do, is decoded where it lies.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<T, Unread> {
        let arrived = self.from.fill_buf().await.map_err(|_| Unread::Closed)?;
        if let Some((&head, rest)) = arrived.split_first_chunk::<HEAD_BYTES>()
            && let length = known(head, self.number, self.read)?
            && let Some(frame) = rest.get(..length)
        {
            let decoded = decode(frame);
            self.from.consume(HEAD_BYTES + length);
            self.passed(length);
            return decoded.map_err(Unread::Broken);
        }
        let mut head = [0; HEAD_BYTES];
        self.fill(&mut head[..4]).await?;
        // A length that cannot be is somebody else's without a number.
        known_length(&head, self.read)?;
        self.fill(&mut head[4..]).await?;
        let length = known(head, self.number, self.read)?;
        let mut frame = vec![0; length];
        self.fill(&mut frame).await?;
        self.passed(length);
        decode(&frame).map_err(Unread::Broken)
    }

    fn passed(&mut self, length: usize) {
        self.number = self.number.wrapping_add(1);
        self.read += (HEAD_BYTES + length) as u64;
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Unread> {
        self.from.read_exact(buffer).await.map(drop).map_err(|_| Unread::Closed)
    }
}

fn known_length(head: &[u8; HEAD_BYTES], behind: u64) -> Result<usize, Unread> {
    let [a, b, c, d, ..] = *head;
    checked([a, b, c, d]).map_err(|error| Unread::Foreign { behind, why: error.to_string() })
}

/// The length of a frame that has this head, if it is the worker's.
fn known(head: [u8; HEAD_BYTES], number: u32, behind: u64) -> Result<usize, Unread> {
    let length = known_length(&head, behind)?;
    match head[4..] == number.to_le_bytes() {
        true => Ok(length),
        false => Err(Unread::Foreign { behind, why: format!("{length} bytes that are none of the worker's own") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of these bytes, and why there is no more.
    async fn read(bytes: &[u8]) -> (Vec<String>, Unread) {
        let (mut numbered, mut frames) = (Numbered::new(bytes), Vec::new());
        loop {
            match numbered.next::<String>().await {
                Ok(frame) => frames.push(frame),
                Err(why) => return (frames, why),
            }
        }
    }

    fn frames(words: &[&str]) -> Vec<u8> {
        let (mut numbering, mut buffer) = (Numbering::default(), Vec::new());
        words.iter().for_each(|word| numbering.encode(word, &mut buffer).unwrap());
        buffer
    }

    #[tokio::test]
    async fn what_the_worker_writes_is_read_frame_by_frame() {
        let (said, end) = read(&frames(&["a", "bc"])).await;
        assert_eq!(said, ["a", "bc"]);
        assert!(matches!(end, Unread::Closed));
    }

    #[tokio::test]
    async fn what_somebody_else_writes_is_found_where_it_begins() {
        let whole = frames(&["a", "bc"]);
        // Noise, half a frame, half a long one, a forged one, and one that the worker said before.
        let forged = [2, 0, 0, 0, 0, 0, 0, 0, 1, b'x'];
        for foreign in [&[0xff; 64][..], &[20, 0, 0, 0, 0xff, 0xff, 0xff], &[0, 0, 16, 0], &forged, &whole[..10]] {
            let (said, end) = read(&[&whole[..10], foreign, &whole[10..]].concat()).await;
            assert_eq!(said, ["a"], "{foreign:?}");
            assert!(matches!(end, Unread::Foreign { behind: 10, .. }), "{foreign:?}: {end:?}");
        }
    }
}
