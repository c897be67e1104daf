//! What daemon and worker say to each other: postcard behind a length, over a socket pair.
//!
//! The daemon's first frame is the worker's [`Confinement`](crate::confine::Confinement); all others are [`ToWorker`].

use std::io::{self, Read};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use watchpost_plugin_api::{AgentError, Level, wire::Examined};
use watchpost_services::{dialogue::Said, outcome::Outcome};

/// Longest frame: 10,000 samples with labels fit many times.
pub const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

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

/// Reads one frame; `None` when the other side has closed.
pub async fn read<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
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

/// Puts a frame behind what `buffer` holds.
pub fn encode<T: Serialize>(frame: &T, buffer: &mut Vec<u8>) -> io::Result<()> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    let encoded = postcard::to_extend(frame, std::mem::take(buffer)).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    *buffer = encoded?;
    let length = u32::try_from(buffer.len() - start - 4).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Writes one frame.
pub async fn write<T: Serialize>(frame: &T, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut buffer = Vec::new();
    encode(frame, &mut buffer)?;
    to.write_all(&buffer).await
}
