//! What stands at the head of an RRD file, read and checked before librrd sees the file.
//!
//! librrd follows counts in the header without checking them, and crashes on a corrupt one. Source of the layout: RRD format
//! 0003 on 64 bit, as `rrdtool info` and measured file sizes show it; the float cookie tells another word size or byte order.

mod foreign;
mod image;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub use foreign::{Foreign, ForeignArchive, ForeignSource};
pub use image::{Accumulated, Image, accumulated_row, accumulated_slot, image, last_total, put_back, scatter};
use watchpost_plugin_api::Kind;

use super::archive::{Archive, Consolidation};
use super::row::{Datum, Row};
use super::shape::{FileShape, Source};

/// Data sources and archives beyond which a header is taken for corrupt.
const COUNT_MAX: u64 = 4_096;

pub(super) const STATIC_BYTES: u64 = 128;
pub(super) const SOURCE_BYTES: u64 = 120;
pub(super) const ARCHIVE_BYTES: u64 = 120;
pub(super) const LIVE_BYTES: u64 = 16;
pub(super) const PDP_BYTES: u64 = 112;
pub(super) const CDP_BYTES: u64 = 80;
pub(super) const POINTER_BYTES: u64 = 8;
const FLOAT_COOKIE: f64 = 8.642_135E130;

/// The head of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// What the file is made of.
    pub shape: FileShape,
    /// The last row: totals as they were given, gauges unknown (they never reach back).
    pub last: Row,
    /// The last value of every data source as it was given, gauges too.
    pub given: Vec<Option<f64>>,
    /// Of each archive, the row that ended last.
    pub current_rows: Vec<u32>,
}

impl Header {
    /// Counts the bytes before the first row.
    pub fn bytes(&self) -> u64 {
        bytes(self.shape.sources.len() as u64, self.shape.archives.len() as u64)
    }
}

/// Why a file is none of ours.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// It cannot be read.
    #[error("cannot read its header")]
    Read(#[from] io::Error),
    /// It is no RRD file of this machine, or a damaged one.
    #[error("{0}")]
    Corrupt(&'static str),
}

/// Counts the bytes before the first row.
pub fn bytes(sources: u64, archives: u64) -> u64 {
    STATIC_BYTES
        + sources * (SOURCE_BYTES + PDP_BYTES)
        + archives * (ARCHIVE_BYTES + POINTER_BYTES)
        + sources * archives * CDP_BYTES
        + LIVE_BYTES
}

/// Where the part begins that every row changes.
pub(super) fn live_offset(sources: u64, archives: u64) -> u64 {
    STATIC_BYTES + sources * SOURCE_BYTES + archives * ARCHIVE_BYTES
}

/// Reads and checks the head of a file; nothing if there is no file.
pub fn read(path: &Path) -> Result<Option<Header>, HeaderError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len();
    if length < STATIC_BYTES {
        return Err(HeaderError::Corrupt("shorter than a header"));
    }
    let head = bytes_at(&file, 0, STATIC_BYTES)?;
    let (sources, archives, step) = checked_counts(&head)?;
    let head_bytes = bytes(sources, archives);
    if length < head_bytes {
        return Err(HeaderError::Corrupt("shorter than its header says"));
    }
    let body = bytes_at(&file, 0, head_bytes)?;
    let header = Fields { body: &body, sources, archives }.parse(step)?;
    let rows: u64 = header.shape.archives.iter().map(|archive| u64::from(archive.rows)).sum();
    if length < head_bytes + rows * sources * 8 {
        return Err(HeaderError::Corrupt("shorter than its archives"));
    }
    Ok(Some(header))
}

fn bytes_at(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer)
}

/// Checks magic, version and word size; gives the counts of sources and archives, and the step.
pub(super) fn checked_counts(head: &[u8]) -> Result<(u64, u64, u32), HeaderError> {
    if head.get(..4) != Some(b"RRD\0") {
        return Err(HeaderError::Corrupt("not an RRD file"));
    }
    if !matches!(head.get(4..9), Some(b"0003\0" | b"0004\0" | b"0005\0")) {
        return Err(HeaderError::Corrupt("an RRD format this program does not know"));
    }
    if word(head, 16).map(f64::from_bits) != Some(FLOAT_COOKIE) {
        return Err(HeaderError::Corrupt("written on a machine of another kind"));
    }
    let count = |at| word(head, at).filter(|count| (1..=COUNT_MAX).contains(count));
    let step = word(head, 40).and_then(|step| u32::try_from(step).ok()).filter(|step| *step > 0);
    match (count(24), count(32), step) {
        (Some(sources), Some(archives), Some(step)) => Ok((sources, archives, step)),
        _ => Err(HeaderError::Corrupt("impossible counts in its header")),
    }
}

struct Fields<'a> {
    body: &'a [u8],
    sources: u64,
    archives: u64,
}

impl Fields<'_> {
    fn parse(&self, step: u32) -> Result<Header, HeaderError> {
        let sources: Option<Vec<Source>> = (0..self.sources).map(|n| self.source(n)).collect();
        let archives: Option<Vec<Archive>> = (0..self.archives).map(|n| self.archive(n)).collect();
        let (Some(sources), Some(archives), Some(stamp)) = (sources, archives, self.stamp()) else {
            return Err(HeaderError::Corrupt("data sources or archives this program does not write"));
        };
        let cells = sources.iter().zip(0..).map(|(source, n)| self.last_cell(source.kind, n)).collect();
        let given = (0..self.sources).map(|n| self.last_given(n)?.parse().ok().filter(|value: &f64| value.is_finite())).collect();
        let current_rows = (0..self.archives).map(|n| self.current_row(n).and_then(|row| u32::try_from(row).ok()).unwrap_or(0)).collect();
        Ok(Header { shape: FileShape { step, sources, archives }, last: Row { stamp, cells }, given, current_rows })
    }

    fn source(&self, n: u64) -> Option<Source> {
        let at = STATIC_BYTES + n * SOURCE_BYTES;
        let kind = match self.text(at + 20, 20)? {
            "GAUGE" => Kind::Gauge,
            "COUNTER" => Kind::Counter,
            _ => return None,
        };
        let heartbeat = u32::try_from(self.word(at + 40)?).ok()?;
        Some(Source { name: self.text(at, 20)?.into(), kind, heartbeat })
    }

    fn archive(&self, n: u64) -> Option<Archive> {
        let at = STATIC_BYTES + self.sources * SOURCE_BYTES + n * ARCHIVE_BYTES;
        let consolidation = Consolidation::from_name(self.text(at, 20)?)?;
        let [rows, steps] = [self.word(at + 24)?, self.word(at + 32)?].map(|count| u32::try_from(count).ok().filter(|count| *count > 0));
        let current_row = self.current_row(n)?;
        let rows = rows.filter(|rows| current_row < u64::from(*rows))?;
        Some(Archive { consolidation, steps: steps?, rows })
    }

    fn current_row(&self, n: u64) -> Option<u64> {
        self.word(self.live() + LIVE_BYTES + self.sources * (PDP_BYTES + self.archives * CDP_BYTES) + n * POINTER_BYTES)
    }

    fn stamp(&self) -> Option<i64> {
        i64::try_from(self.word(self.live())?).ok()
    }

    /// The total that the last row gave; RRD keeps it as text, `U` or `UNKN` when there was none.
    fn last_cell(&self, kind: Kind, n: u64) -> Datum {
        let text = self.last_given(n).unwrap_or_default();
        match kind {
            Kind::Gauge => Datum::Unknown,
            Kind::Counter => text.parse().map_or(Datum::Unknown, Datum::Total),
        }
    }

    fn last_given(&self, n: u64) -> Option<&str> {
        self.text(self.live() + LIVE_BYTES + n * PDP_BYTES, 30)
    }

    fn live(&self) -> u64 {
        live_offset(self.sources, self.archives)
    }

    fn word(&self, at: u64) -> Option<u64> {
        word(self.body, usize::try_from(at).ok()?)
    }

    fn text(&self, at: u64, length: usize) -> Option<&str> {
        let bytes = self.body.get(usize::try_from(at).ok()?..)?.get(..length)?;
        std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_ne_bytes)
}
