//! What lies in the folder when the journal is opened, and what of it counts.
//!
//! Nothing is cut or deleted here. Damaged bytes are copied to `quarantine/` and stay where they are;
//! a torn tail ends to count when the next segment's header says where the records before it end.

use crate::record::{self, Salt};
use crate::segment::{ParsedSegment, SegmentHeader, parse_segment_salted};
use crate::source::{self, Extent};
use crate::{ConsumerError, ConsumerPosition, OpenError, Position, directory, format};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What was found when the journal was opened.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Records that count.
    pub records: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Segments.
    pub segments: usize,
    /// The end of the newest segment, if it is no record: a write that a crash cut short, or damage.
    pub torn_tail: Option<Quarantined>,
    /// Damaged bytes elsewhere. Found again at each start until their segment is dropped.
    pub damaged: Vec<Quarantined>,
    /// Segments that could not be read, so nobody knows what is in them. Readers are told the error, too.
    pub unreadable: Vec<Unreadable>,
    /// Acknowledged records that are not there: damaged, or in a segment that is missing.
    pub lost: Vec<Loss>,
    /// Consumers whose stored position cannot be read.
    pub consumers: Vec<ConsumerError>,
    /// The format file was lost or damaged and has been written anew from a segment.
    pub format_rebuilt: bool,
}

/// Bytes that are no record, left in place and copied.
#[derive(Debug)]
pub struct Quarantined {
    /// The segment.
    pub segment: PathBuf,
    /// Where in it.
    pub bytes: Range<u64>,
    /// The copy, or why there is none.
    pub copy: Result<PathBuf, io::Error>,
}

/// A segment that could not be read.
#[derive(Debug)]
pub struct Unreadable {
    /// The segment.
    pub segment: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// Positions whose records are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The first one.
    pub from: Position,
    /// The one after the last.
    pub to: Position,
}

/// All that opening needs to know.
pub(crate) struct Scan {
    pub(crate) recovery: Recovery,
    pub(crate) salt: Salt,
    pub(crate) extents: Vec<Extent>,
    /// After the last record that counts.
    pub(crate) end: Position,
    /// Above every position that anybody may have seen.
    pub(crate) next: Position,
}

/// Reads all of the folder, and makes what counts durable before anybody sees it.
///
/// Shape: `seen_end` is above all that consumers outside the folder have seen.
pub(crate) fn scan(dir: &Path, seen_end: Position) -> Result<Scan, OpenError> {
    remove_unfinished(dir)?;
    let found = source::on_disk(dir).map_err(|source| OpenError::Read { path: dir.to_owned(), source })?;
    let headers: Vec<SegmentHeader> = found.iter().filter_map(|(_, header)| *header).collect();
    let (salt, write) = format::find(dir, &headers)?.unwrap_or_else(|| (Salt::random(), true));
    if write {
        format::write(dir, salt)?;
    }
    let begin = found.first().map_or(Position::START, |(extent, _)| extent.previous_end);
    let mut scan = Scan {
        recovery: Recovery { segments: found.len(), format_rebuilt: write && !found.is_empty(), ..Recovery::default() },
        salt,
        extents: found.into_iter().map(|(extent, _)| extent).collect(),
        end: begin,
        next: begin,
    };
    for extent in scan.extents.clone() {
        scan.segment(dir, extent);
    }
    scan.consumers(dir)?;
    scan.lost_until(seen_end);
    if let Some(newest) = scan.extents.last_mut() {
        newest.end = Some(scan.end);
        make_durable(&directory::segment_path(dir, newest.first))?;
    }
    make_durable(dir)?;
    Ok(scan)
}

impl Scan {
    fn segment(&mut self, dir: &Path, extent: Extent) {
        self.lost_until(extent.previous_end);
        self.end = self.end.max(extent.previous_end);
        self.next = self.next.max(extent.first);
        let segment = directory::segment_path(dir, extent.first);
        let bytes = match fs::read(&segment) {
            Ok(bytes) => bytes,
            Err(error) => {
                // One bad sector must not keep the daemon down; whatever was in there keeps its positions.
                self.recovery.unreadable.push(Unreadable { segment, error });
                self.next = extent.end.unwrap_or(self.next.plus(records_max(extent.bytes)));
                self.end = self.next;
                return;
            }
        };
        let parsed = parse_segment_salted(&bytes, Some(self.salt));
        let counted_bytes = self.count(&parsed, extent);
        self.quarantine(dir, extent, &parsed, &bytes, counted_bytes);
    }

    /// Counts the records; returns where the last one ends in the file.
    fn count(&mut self, parsed: &ParsedSegment, extent: Extent) -> usize {
        let mut counted_bytes = 0;
        let refused = |position| extent.end.is_some_and(|end| position >= end);
        for record in parsed.records.iter().take_while(|record| !refused(record.position)) {
            if record.position < self.next {
                continue;
            }
            self.lost_until(record.position);
            self.next = record.position.next();
            self.end = self.next;
            self.recovery.records += 1;
            self.recovery.bytes += record.bytes.len() as u64;
            counted_bytes = record.bytes.end;
        }
        counted_bytes
    }

    fn lost_until(&mut self, to: Position) {
        if self.next < to {
            self.recovery.lost.push(Loss { from: self.next, to });
            self.next = to;
            self.end = to;
        }
    }

    fn quarantine(&mut self, dir: &Path, extent: Extent, parsed: &ParsedSegment, bytes: &[u8], counted_bytes: usize) {
        // Behind the last record that counts lies what a failed write left: refused then, no damage now.
        let complete = extent.end.is_some_and(|end| self.next >= end);
        let copied = |range: &Range<usize>| quarantined(dir, extent.first, range, bytes);
        let matters = |range: &&Range<usize>| !complete || range.start < counted_bytes;
        self.recovery.damaged.extend(parsed.damaged.iter().filter(matters).map(copied));
        if parsed.tail.is_empty() || complete {
            return;
        }
        let tail = copied(&parsed.tail);
        if extent.end.is_some() {
            self.recovery.damaged.push(tail);
            return;
        }
        self.recovery.torn_tail = Some(tail);
        // As many records as could have been there may have been seen, so their positions are not given again.
        self.next = self.next.plus(records_max(parsed.tail.len() as u64));
    }

    /// What consumers have seen was there: positions below theirs are taken, with or without their records.
    fn consumers(&mut self, dir: &Path) -> Result<(), OpenError> {
        let path = || directory::consumers_path(dir);
        let all = ConsumerPosition::all(dir).map_err(|source| OpenError::Read { path: path(), source })?;
        for position in all {
            match position {
                Ok(position) => self.lost_until(position.unwrap_or_default()),
                Err(error) => self.recovery.consumers.push(error),
            }
        }
        Ok(())
    }
}

/// As many records as can have lain in so many bytes.
fn records_max(bytes: u64) -> u64 {
    bytes.div_ceil(record::HEADER_BYTES as u64)
}

fn quarantined(dir: &Path, first: Position, range: &Range<usize>, bytes: &[u8]) -> Quarantined {
    let name = format!("{:016x}-{}-{}.bytes", u64::from(first), range.start, range.end);
    Quarantined {
        segment: directory::segment_path(dir, first),
        bytes: range.start as u64..range.end as u64,
        copy: keep_copy(dir, &name, bytes.get(range.clone()).unwrap_or_default()),
    }
}

fn keep_copy(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let path = directory::quarantine_path(dir, name);
    if fs::read(&path).is_ok_and(|copy| copy == bytes) {
        return Ok(path);
    }
    path.parent().map_or(Ok(()), directory::create)?;
    directory::replace(&path, bytes)?;
    Ok(path)
}

/// A crash between writing a segment's header and naming it leaves an unnamed file with nothing in it.
fn remove_unfinished(dir: &Path) -> Result<(), OpenError> {
    let read = |source| OpenError::Read { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.to_string_lossy().ends_with(".segment.tmp") {
            fs::remove_file(&path).map_err(|source| OpenError::Write { path, source })?;
        }
    }
    Ok(())
}

fn make_durable(path: &Path) -> Result<(), OpenError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| OpenError::Write { path: path.to_owned(), source })
}
