//! The checkpoint file: the heads of the files that are written to, as they were when every file stood still.
//!
//! ```text
//! series.checkpoint        watchpost-checkpoint 1\n, then parts: length, postcard, CRC32C of the postcard
//! series.checkpoint.next   the same, until the catalogue says that it is the one
//! ```
//!
//! The catalogue's commit decides which of the two counts: it names the mark that the file begins with. Neither is ever written over
//! while it counts.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::header::Image;
use super::name::LabelSet;
use super::row::Row;
use crate::reading::wire;

/// Name of the file in the data folder.
pub const FILE_NAME: &str = "series.checkpoint";

const NEXT_NAME: &str = "series.checkpoint.next";
const FORMAT: &str = "watchpost-checkpoint ";
const VERSION: u32 = 1;
/// Longest part worth reading; a longer one is damage.
const PART_BYTES_MAX: u32 = 64 << 20;

/// Bytes that most parts have.
const PART_BYTES: usize = 16 << 10;

/// One part of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    /// The first one: what tells this file from others.
    Mark(u64),
    /// A series file.
    File(Still),
    /// The last one: how many parts lie between.
    End(u64),
}

/// A series file that stands still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Still {
    /// Of this job.
    pub job: String,
    /// Of these labels.
    pub labels: LabelSet,
    /// Where it lies, below the series folder.
    pub path: String,
    /// Its head; nothing if it is not made yet.
    pub image: Option<Image>,
    /// The last row planned, if rows wait.
    pub last: Option<Row>,
    /// Rows that are not in the file yet.
    pub held: Vec<Row>,
    /// The row before them.
    pub before: Option<Row>,
}

/// Why there is no checkpoint to go back to.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A newer program wrote it.
    #[error("{path} has format {found}, this program knows up to {VERSION}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It is not there, damaged, or another one than the catalogue speaks of.
    #[error("{path} does not have what the catalogue speaks of")]
    Unfit {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes the next checkpoint file, durable on return; it counts for nothing before the catalogue names its mark.
pub fn write(data: &Path, mark: u64, files: impl Iterator<Item = io::Result<Still>>) -> Result<(), CheckpointError> {
    let path = data.join(NEXT_NAME);
    let written = || -> io::Result<()> {
        let mut out = BufWriter::new(File::create(&path)?);
        writeln!(out, "{FORMAT}{VERSION}")?;
        put(&mut out, &Part::Mark(mark))?;
        let mut count = 0;
        for file in files {
            put(&mut out, &Part::File(file?))?;
            count += 1;
        }
        put(&mut out, &Part::End(count))?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    written().map_err(|source| CheckpointError::Io { path: path.clone(), source })
}

/// Gives the next file its name, now that it counts; durable on return, so that the one after it is never written over this one.
pub fn settle(data: &Path) -> Result<(), CheckpointError> {
    let path = data.join(NEXT_NAME);
    let named = fs::rename(&path, data.join(FILE_NAME)).and_then(|()| File::open(data)?.sync_all());
    named.map_err(|source| CheckpointError::Io { path, source })
}

/// Reads the file with this mark, and gives it its name if the process ended before that.
pub fn read(data: &Path, mark: u64) -> Result<Vec<Still>, CheckpointError> {
    let settled = data.join(FILE_NAME);
    match read_file(&data.join(NEXT_NAME), mark) {
        Ok(found) => {
            settle(data)?;
            Ok(found)
        }
        Err(newer @ CheckpointError::Newer { .. }) => Err(newer),
        Err(_) => read_file(&settled, mark),
    }
}

/// Copies the checkpoint that stands, if there is one; its mark says whether it is that of a catalogue.
pub fn copy(data: &Path, to: &Path) -> io::Result<()> {
    for name in [FILE_NAME, NEXT_NAME] {
        match fs::copy(data.join(name), to.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => drop(copied?),
        }
    }
    Ok(())
}

/// Refuses a checkpoint file of a newer program; whatever else there is to say of it, reading says.
pub fn refuse_newer(data: &Path) -> Result<(), CheckpointError> {
    for name in [FILE_NAME, NEXT_NAME] {
        if let Err(newer @ CheckpointError::Newer { .. }) = open(&data.join(name)) {
            return Err(newer);
        }
    }
    Ok(())
}

fn open(path: &Path) -> Result<BufReader<File>, CheckpointError> {
    let unfit = || CheckpointError::Unfit { path: path.into() };
    let mut file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(unfit()),
        Err(source) => return Err(CheckpointError::Io { path: path.into(), source }),
    };
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 64 && file.read_exact(&mut byte).is_ok() && byte != *b"\n" {
        line.push(byte[0]);
    }
    let version = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix(FORMAT)?.parse().ok());
    match version {
        Some(found) if found > VERSION => Err(CheckpointError::Newer { path: path.into(), found }),
        Some(VERSION) => Ok(file),
        _ => Err(unfit()),
    }
}

fn read_file(path: &Path, mark: u64) -> Result<Vec<Still>, CheckpointError> {
    let mut input = open(path)?;
    let unfit = || CheckpointError::Unfit { path: path.into() };
    let mut next = || take(&mut input).ok_or_else(unfit);
    if next()? != Part::Mark(mark) {
        return Err(unfit());
    }
    let mut files = Vec::new();
    loop {
        match next()? {
            Part::File(file) => files.push(file),
            Part::End(count) if count == files.len() as u64 => return Ok(files),
            Part::End(_) | Part::Mark(_) => return Err(unfit()),
        }
    }
}

fn put(out: &mut impl Write, part: &Part) -> io::Result<()> {
    let bytes = wire::put(part, Vec::with_capacity(PART_BYTES)).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&bytes)?;
    out.write_all(&crc32c::crc32c(&bytes).to_le_bytes())
}

fn take(input: &mut impl Read) -> Option<Part> {
    let mut word = [0; 4];
    input.read_exact(&mut word).ok()?;
    let length = Some(u32::from_le_bytes(word)).filter(|length| *length <= PART_BYTES_MAX)?;
    let mut bytes = Vec::new();
    input.take(length.into()).read_to_end(&mut bytes).ok()?;
    input.read_exact(&mut word).ok()?;
    (crc32c::crc32c(&bytes) == u32::from_le_bytes(word)).then(|| postcard::from_bytes(&bytes).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::row::Datum;

    fn still() -> Still {
        let row = Row { stamp: 60, cells: vec![Datum::Unknown, Datum::Gauge(0.5), Datum::Total(7)] };
        Still {
            job: "mx".into(),
            labels: vec![("queue".into(), "a b".into())],
            path: "mx/_.rrd".into(),
            image: None,
            last: Some(row.clone()),
            before: None,
            held: vec![row],
        }
    }

    #[test]
    fn what_was_written_is_read_under_its_mark_and_no_other() {
        let data = tempfile::tempdir().unwrap();
        write(data.path(), 7, [Ok(still()), Ok(still())].into_iter()).unwrap();
        settle(data.path()).unwrap();
        write(data.path(), 8, [Ok(still())].into_iter()).unwrap();
        assert_eq!(read(data.path(), 7).unwrap().len(), 2, "the next one does not count yet");
        assert!(matches!(read(data.path(), 9), Err(CheckpointError::Unfit { .. })));
        assert_eq!(read(data.path(), 8).unwrap(), [still()]);
        assert!(!data.path().join(NEXT_NAME).exists());
        assert_eq!(read(data.path(), 8).unwrap(), [still()]);
    }

    #[test]
    fn any_flipped_byte_or_cut_of_it_is_told_and_a_newer_one_refused() {
        let data = tempfile::tempdir().unwrap();
        write(data.path(), 7, [Ok(still())].into_iter()).unwrap();
        settle(data.path()).unwrap();
        let path = data.path().join(FILE_NAME);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for bytes in [&flipped[..], &whole[..at]] {
                fs::write(&path, bytes).unwrap();
                read(data.path(), 7).unwrap_err();
            }
        }
        fs::write(&path, "watchpost-checkpoint 2\n").unwrap();
        assert!(matches!(refuse_newer(data.path()), Err(CheckpointError::Newer { found: 2, .. })));
        assert!(matches!(read(data.path(), 7), Err(CheckpointError::Newer { found: 2, .. })));
    }
}
