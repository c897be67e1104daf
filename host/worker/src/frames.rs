//! What daemon and worker say to each other: postcard behind a length, over a socket pair.
//!
//! The daemon's first frame is the worker's [`Task`]; all others are [`ToWorker`]. Those of the worker are
//! [`numbered`].

pub mod numbered;

use std::io::{self, Read};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc::UnboundedReceiver,
};
use watchpost_plugin_api::{AgentError, Level, wire::Examined};
use watchpost_services::{dialogue::Said, outcome::Outcome};

use crate::confine::Confinement;

/// Longest frame: 10,000 samples with labels fit many times.
pub const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes that are read or written at once where frames come fast: a hundred and more of them.
pub const PIECE_BYTES: usize = 16 * 1024;

/// What the daemon says first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Task {
    /// The file that is read, bytes of its path: another one than the library that the worker is started for while that is being installed.
    pub file: Vec<u8>,
    /// What the worker may touch.
    pub confinement: Confinement,
}

/// What the daemon says.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToWorker {
    /// Check a configuration without opening a job.
    Examine {
        /// Names the answer.
        id: u64,
        /// The agent's name.
        agent: String,
        /// The job's configuration, JSON, secrets in it.
        config: String,
    },
    /// Make the agent of a job; one that is open under this number is replaced.
    Open {
        /// The job's number.
        job: u64,
        /// The agent's name.
        agent: String,
        /// The job's configuration, JSON, secrets in it.
        config: String,
        /// The secrets alone, to keep them out of what is shown.
        secrets: Vec<String>,
    },
    /// Drop the agent of a job.
    Close {
        /// The job's number.
        job: u64,
    },
    /// Measure once.
    Run {
        /// Names the answer; never 0.
        run: u64,
        /// The job's number.
        job: u64,
        /// How long it may take, nanoseconds.
        timeout_ns: u64,
        /// What the last run left.
        cursor: Option<Vec<u8>>,
        /// Whether the dialogue is wanted.
        explain: bool,
    },
    /// End a run that is under way; it is answered as interrupted, with what it recorded forgotten.
    Cancel {
        /// Its name.
        run: u64,
    },
}

/// What the worker says.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromWorker {
    /// The library is loaded.
    Ready {
        /// Its [`LibraryDescriptor`](watchpost_plugin_api::LibraryDescriptor), JSON.
        descriptor: String,
    },
    /// The library is not loaded; the worker ends.
    Refused {
        /// Why.
        reason: String,
    },
    /// The answer to `Examine`.
    Examined {
        /// Its name.
        id: u64,
        /// What the configuration says, or its fault.
        result: Result<Examined, AgentError>,
    },
    /// The answer to `Open`, if it failed; the job's runs will fail likewise.
    NotOpened {
        /// The job's number.
        job: u64,
        /// Why.
        error: AgentError,
    },
    /// A run has ended.
    Done {
        /// Its name.
        run: u64,
        /// What it gave.
        outcome: Outcome,
        /// What was said, if it was wanted.
        dialogue: Vec<Said>,
    },
    /// An agent logs.
    Log {
        /// The job's number.
        job: u64,
        /// How loud.
        level: Level,
        /// One line, masked.
        text: String,
    },
}

/// Reads one frame; `None` when the other side has closed. One that has arrived whole, as most do, is decoded where it lies.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<T>> {
    let arrived = from.fill_buf().await?;
    if let Some((length, rest)) = arrived.split_first_chunk()
        && let length = checked(*length)?
        && let Some(frame) = rest.get(..length)
    {
        let decoded = decode(frame)?;
        from.consume(4 + length);
        return Ok(Some(decoded));
    }
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let mut frame = vec![0; checked(length)?];
    from.read_exact(&mut frame).await?;
    decode(&frame).map(Some)
}

fn checked(length: [u8; 4]) -> io::Result<usize> {
    match u32::from_le_bytes(length) as usize {
        length if length > FRAME_BYTES_MAX => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes"))),
        length => Ok(length),
    }
}

fn decode<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    postcard::from_bytes(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads one frame, and no byte behind it, before there is anything else to do; `None` when the other side has closed.
pub fn read_first<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut frame = vec![0; checked(length)?];
    from.read_exact(&mut frame)?;
    decode(&frame).map(Some)
}

/// Puts a frame behind what `buffer` holds; one that cannot be said leaves it as it was.
pub fn encode<T: Serialize>(frame: &T, buffer: &mut Vec<u8>) -> io::Result<()> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    let length = payload(frame, buffer, start + 4);
    match length {
        Ok(length) => buffer[start..start + 4].copy_from_slice(&length.to_le_bytes()),
        Err(_) => buffer.truncate(start),
    }
    length.map(drop)
}

/// Puts what a frame says behind what `buffer` holds; gives its length from `start` on.
fn payload<T: Serialize>(frame: &T, buffer: &mut Vec<u8>, start: usize) -> io::Result<u32> {
    postcard::to_io(frame, &mut *buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    u32::try_from(buffer.len() - start).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes one frame.
pub async fn write<T: Serialize>(frame: &T, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut buffer = Vec::new();
    encode(frame, &mut buffer)?;
    to.write_all(&buffer).await
}

/// Writes what is said until nobody says anything any more, several frames at once when they come fast; `unsaid` hears of those
/// that cannot be said.
pub async fn write_all<T: Serialize>(mut queue: UnboundedReceiver<T>, mut to: impl AsyncWrite + Unpin, unsaid: impl Fn(io::Error)) {
    let mut buffer = Vec::with_capacity(PIECE_BYTES);
    while gather(&mut queue, &mut buffer, encode, &unsaid).await {
        if to.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
        buffer.shrink_to(PIECE_BYTES);
    }
}

/// Puts what is said next into an empty buffer, and what was said by then; false once nobody says anything any more.
async fn gather<T>(
    queue: &mut UnboundedReceiver<T>,
    buffer: &mut Vec<u8>,
    mut encode: impl FnMut(&T, &mut Vec<u8>) -> io::Result<()>,
    unsaid: impl Fn(io::Error),
) -> bool {
    let mut next = queue.recv().await;
    let more = next.is_some();
    while let Some(said) = next {
        if let Err(error) = encode(&said, buffer) {
            unsaid(error);
        }
        next = if buffer.len() < PIECE_BYTES { queue.try_recv().ok() } else { None };
    }
    more
}

#[cfg(test)]
mod tests {
    use serde::{Serializer, ser::Error as _};
    use tokio::{io::BufReader, sync::mpsc::unbounded_channel};

    use super::*;

    fn question(job: u64) -> ToWorker {
        match job % 2 {
            0 => ToWorker::Close { job },
            _ => ToWorker::Open { job, agent: "smtp".into(), config: "x".repeat(100), secrets: Vec::new() },
        }
    }

    #[tokio::test]
    async fn frames_are_the_same_however_they_come() {
        let mut bytes = Vec::new();
        (0..9).for_each(|job| encode(&question(job), &mut bytes).unwrap());
        for room in [1, 4, 5, 7, 64, 110, 4096] {
            let mut from = BufReader::with_capacity(room, &bytes[..]);
            for job in 0..9 {
                let frame = read::<ToWorker>(&mut from).await.unwrap().unwrap();
                assert_eq!(format!("{frame:?}"), format!("{:?}", question(job)), "with room for {room}");
            }
            assert!(read::<ToWorker>(&mut from).await.unwrap().is_none());
        }
        let cut = BufReader::new(&bytes[..bytes.len() - 1]);
        let read_on = async |mut from: BufReader<&[u8]>| loop {
            match read::<ToWorker>(&mut from).await {
                Ok(Some(_)) => {}
                other => return other.map(|_| ()),
            }
        };
        assert!(read_on(cut).await.is_err(), "closed within a frame");
    }

    /// What cannot be said where it is odd.
    struct Even(u8);

    impl Serialize for Even {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0.is_multiple_of(2) { serializer.serialize_u8(self.0) } else { Err(S::Error::custom("odd")) }
        }
    }

    #[tokio::test]
    async fn a_frame_that_cannot_be_said_costs_no_other_frame() {
        let (to, queue) = unbounded_channel();
        (0..5).for_each(|number| to.send(Even(number)).unwrap());
        drop(to);
        let (mut written, unsaid) = (Vec::new(), std::cell::Cell::new(0));
        write_all(queue, &mut written, |_| unsaid.set(unsaid.get() + 1)).await;
        let mut from = &written[..];
        let mut read = Vec::new();
        while let Some(number) = super::read::<u8>(&mut from).await.unwrap() {
            read.push(number);
        }
        assert_eq!((read, unsaid.get()), (vec![0, 2, 4], 2));
    }
}
