//! A file that another program made: any data sources and archives that rrdtool knows, read at one moment.
//!
//! Source of the words: rrdcreate(1), "DS" and "RRA".

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Fields, HeaderError, STATIC_BYTES, bytes, bytes_at, checked_counts, live_offset, word};
use crate::series::archive::Consolidation;

/// Bytes of a file that is read, at most.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Times that a file is read anew which was written to meanwhile.
const READS_MAX: u32 = 5;
const CELL_BYTES: usize = 8;

/// A file that another program made, with all its rows.
#[derive(Debug)]
pub struct Foreign {
    /// Seconds between slots.
    pub step: u32,
    /// When it was written to last, seconds since 1970.
    pub last: i64,
    /// Its data sources, in order.
    pub sources: Vec<ForeignSource>,
    /// Archives of plain consolidations, in order; those of predictions are left out.
    pub archives: Vec<ForeignArchive>,
    bytes: Vec<u8>,
}

/// One data source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignSource {
    /// Its name in the file.
    pub name: String,
    /// Its type in RRD's words: GAUGE, COUNTER, DERIVE.
    pub kind: String,
}

impl ForeignSource {
    /// Whether its rows are growth per second, not values as they were given.
    pub fn is_rate(&self) -> bool {
        ["COUNTER", "DERIVE", "ABSOLUTE", "DCOUNTER", "DDERIVE"].contains(&self.kind.as_str())
    }
}

/// One archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignArchive {
    /// How base rows became one of its rows.
    pub consolidation: Consolidation,
    /// Base rows in one row.
    pub steps: u32,
    /// Rows it holds.
    pub rows: u32,
    /// The row that ended last.
    current_row: u32,
    /// Where its rows begin in the file.
    begin: usize,
}

impl Foreign {
    /// Reads a file; one that is written to meanwhile is read anew.
    ///
    /// Errors: it cannot be read, or is no RRD file of this machine.
    pub fn read(path: &Path) -> Result<Self, HeaderError> {
        for _ in 0..READS_MAX {
            // A pipe that nobody writes to would keep whoever opens it.
            let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
            if !file.metadata()?.is_file() {
                return Err(HeaderError::Corrupt("not a file"));
            }
            let mut all = Vec::new();
            (&file).take(FILE_BYTES_MAX + 1).read_to_end(&mut all)?;
            if all.len() as u64 > FILE_BYTES_MAX {
                return Err(HeaderError::Corrupt("longer than a gigabyte"));
            }
            let (live, foreign) = Self::of(all)?;
            let now = bytes_at(&file, live.start as u64, live.len() as u64)?;
            if foreign.bytes.get(live) == Some(now.as_slice()) {
                return Ok(foreign);
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "it is written to all the time").into())
    }

    /// Takes a file apart; also gives where its head stands that every row changes.
    fn of(all: Vec<u8>) -> Result<(Range<usize>, Self), HeaderError> {
        if all.len() < usize::try_from(STATIC_BYTES).unwrap_or(usize::MAX) {
            return Err(HeaderError::Corrupt("not an RRD file"));
        }
        let (sources_count, archives_count, step) = checked_counts(&all)?;
        let head_bytes = bytes(sources_count, archives_count);
        if (all.len() as u64) < head_bytes {
            return Err(HeaderError::Corrupt("shorter than its header says"));
        }
        let fields = Fields { body: &all, sources: sources_count, archives: archives_count };
        let unread = HeaderError::Corrupt("a header that cannot be read");
        let sources: Option<Vec<_>> = (0..sources_count).map(|n| fields.any_source(n)).collect();
        let (Some(sources), Some(last)) = (sources, fields.stamp()) else { return Err(unread) };
        let [mut begin, live] =
            [head_bytes, live_offset(sources_count, archives_count)].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        let live = live..begin;
        let mut archives = Vec::new();
        for n in 0..archives_count {
            let Some((name, rows, steps, current_row)) = fields.any_archive(n) else { return Err(unread) };
            let own = sources.len().saturating_mul(rows as usize).saturating_mul(CELL_BYTES);
            if begin.checked_add(own).is_none_or(|end| end > all.len()) {
                return Err(HeaderError::Corrupt("shorter than its archives"));
            }
            if let Some(consolidation) = Consolidation::from_name(name) {
                archives.push(ForeignArchive { consolidation, steps, rows, current_row, begin });
            }
            begin += own;
        }
        Ok((live, Self { step, last, sources, archives, bytes: all }))
    }

    /// Seconds between rows of an archive.
    pub fn step_of(&self, archive: &ForeignArchive) -> i64 {
        i64::from(archive.steps) * i64::from(self.step)
    }

    /// The value of a data source in each row of an archive, the newest first.
    ///
    /// Unknown: rows that nothing is known of.
    pub fn values<'a>(&'a self, archive: &'a ForeignArchive, source: usize) -> impl Iterator<Item = (i64, Option<f64>)> + 'a {
        let (step, width) = (self.step_of(archive), self.sources.len());
        let newest = self.last - self.last.rem_euclid(step);
        (0..archive.rows).map(move |back| {
            let place = (archive.current_row + archive.rows - back) % archive.rows;
            let at = archive.begin + (place as usize * width + source) * CELL_BYTES;
            let cell = word(&self.bytes, at).map(f64::from_bits).filter(|value| value.is_finite());
            (newest - i64::from(back) * step, cell)
        })
    }
}

impl Fields<'_> {
    fn any_source(&self, n: u64) -> Option<ForeignSource> {
        let at = STATIC_BYTES + n * super::SOURCE_BYTES;
        Some(ForeignSource { name: self.text(at, 20)?.into(), kind: self.text(at + 20, 20)?.into() })
    }

    /// Name, rows, base rows in a row, and the row that ended last.
    fn any_archive(&self, n: u64) -> Option<(&str, u32, u32, u32)> {
        let at = STATIC_BYTES + self.sources * super::SOURCE_BYTES + n * super::ARCHIVE_BYTES;
        let [rows, steps] = [self.word(at + 24)?, self.word(at + 32)?].map(|count| u32::try_from(count).ok().filter(|count| *count > 0));
        let current = u32::try_from(self.current_row(n)?).ok()?;
        Some((self.text(at, 20)?, rows.filter(|rows| current < *rows)?, steps?, current))
    }
}

#[cfg(test)]
mod tests {
    use std::{process::Command, sync::mpsc, thread, time::Duration};

    use super::*;

    #[test]
    fn a_pipe_is_no_file_and_keeps_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("f.rrd");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (said, heard) = mpsc::channel();
        thread::spawn(move || said.send(Foreign::read(&pipe).unwrap_err().to_string()));
        assert!(heard.recv_timeout(Duration::from_secs(20)).expect("an answer").contains("not a file"));
    }
}
