//! The part of a file that every row changes, and what says how.
//!
//! Source: the layout that `header` reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::series::archive::Consolidation;
use crate::series::header::{self, CDP_BYTES, LIVE_BYTES, PDP_BYTES, POINTER_BYTES};
use crate::series::row::{Datum, Row};

/// Bytes that hold most heads whole.
const HEAD_BYTES: usize = 8_192;
/// Characters of the last value of a data source, the end among them, and where the numbers follow.
const GIVEN_CHARS: usize = 30;
const NUMBERS: usize = 32;
/// Where a part of a row has what is written when the row is over, and what of those after it that are over too.
const PRIMARY: usize = 64;
const SECONDARY: usize = 72;

/// What time passes over.
pub(super) struct Live {
    head: Vec<u8>,
    /// Where the live part begins.
    begin: usize,
    pub(super) step: i64,
    /// The stamp of the last row.
    pub(super) last: i64,
    pub(super) columns: Vec<Column>,
    pub(super) archives: Vec<Archive>,
    /// What was since the row before, and what the slots that ended last are worth.
    pub(super) amounts: Vec<f64>,
    pub(super) slots: Vec<f64>,
}

/// One data source.
pub(super) struct Column {
    pub(super) heartbeat: i64,
    /// The last total of a counter.
    pub(super) total: Option<u64>,
    /// Seconds of the slot under way that are unknown.
    pub(super) unknown: i64,
    /// Value times seconds of the others; not a number where there are none.
    pub(super) sum: f64,
}

/// One archive.
pub(super) struct Archive {
    pub(super) consolidation: Consolidation,
    pub(super) steps: i64,
    /// Slots until the row under way is over.
    pub(super) left: i64,
    pub(super) xff: f64,
    /// Of each data source.
    pub(super) parts: Vec<Part>,
    pub(super) ring: Ring,
}

/// The rows of an archive.
pub(super) struct Ring {
    rows: i64,
    /// Where they begin, and how many bytes each has.
    at: u64,
    row_bytes: u64,
    /// The row that ended last.
    current: i64,
    /// Rows that are to be written, and where.
    pub(super) fresh: Vec<(u64, Vec<u8>)>,
}

/// What is known of the row under way of one data source.
pub(super) struct Part {
    pub(super) value: f64,
    /// Slots that are unknown.
    pub(super) unknown: i64,
    /// The row that ended last, and what those after it were that ended with it.
    pub(super) primary: f64,
    pub(super) secondary: f64,
}

impl Live {
    /// Reads it; nothing if the file is not of the kind that is written here, or is damaged.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut head = vec![0; HEAD_BYTES];
        let read = file.read_at(&mut head, 0)?;
        head.truncate(read);
        let Ok((sources, archives, step)) = header::checked_counts(&head) else { return Ok(None) };
        let bytes = header::bytes(sources, archives);
        let (whole, length) = (usize::try_from(bytes).unwrap_or(usize::MAX), file.metadata()?.len());
        if length < bytes {
            return Ok(None);
        }
        if head.len() < whole {
            head = vec![0; whole];
            match file.read_exact_at(&mut head, 0) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                done => done?,
            }
        }
        head.truncate(whole);
        let fields = Fields { head: &head, sources, archives };
        Ok(fields.live(step, length, bytes).map(|(begin, last, columns, archives)| Self {
            begin,
            step: i64::from(step),
            last,
            amounts: Vec::with_capacity(columns.len()),
            slots: Vec::with_capacity(columns.len()),
            columns,
            archives,
            head,
        }))
    }

    /// Keeps what the last row gave, as text.
    pub(super) fn keep_given(&mut self, row: &Row) {
        let texts = row.cells.iter().map(|cell| match cell {
            Datum::Unknown => "U".to_owned(),
            Datum::Gauge(value) => value.to_string(),
            Datum::Total(total) => total.to_string(),
        });
        let slots = self.head.get_mut(self.begin + LIVE_BYTES as usize..).unwrap_or_default();
        for (slot, text) in slots.chunks_exact_mut(PDP_BYTES as usize).zip(texts) {
            let given = slot.iter_mut().take(GIVEN_CHARS);
            let text = text.bytes().take(GIVEN_CHARS - 1).chain(std::iter::repeat(0));
            given.zip(text).for_each(|(place, byte)| *place = byte);
        }
    }

    /// The live part as it was read.
    pub(super) fn as_read(&self) -> Vec<u8> {
        self.head.get(self.begin..).unwrap_or_default().to_vec()
    }

    /// The live part as it is to be, and where.
    pub(super) fn bytes(&mut self) -> (u64, &[u8]) {
        let (begin, width) = (self.begin, self.columns.len());
        put(&mut self.head, begin, self.last.to_ne_bytes());
        let mut at = begin + LIVE_BYTES as usize;
        for column in &self.columns {
            put(&mut self.head, at + NUMBERS, column.unknown.to_ne_bytes());
            put(&mut self.head, at + NUMBERS + 8, column.sum.to_ne_bytes());
            at += PDP_BYTES as usize;
        }
        for archive in &self.archives {
            for part in &archive.parts {
                put(&mut self.head, at, part.value.to_ne_bytes());
                put(&mut self.head, at + 8, part.unknown.to_ne_bytes());
                put(&mut self.head, at + PRIMARY, part.primary.to_ne_bytes());
                put(&mut self.head, at + SECONDARY, part.secondary.to_ne_bytes());
                at += CDP_BYTES as usize;
            }
        }
        debug_assert_eq!(at, begin + LIVE_BYTES as usize + width * (PDP_BYTES as usize + self.archives.len() * CDP_BYTES as usize));
        for archive in &self.archives {
            put(&mut self.head, at, archive.ring.current.to_ne_bytes());
            at += POINTER_BYTES as usize;
        }
        (begin as u64, self.head.get(begin..).unwrap_or_default())
    }
}

impl Archive {
    /// Ends so many rows, of which the first is the primary one.
    pub(super) fn turn(&mut self, rows: i64) {
        // Of more rows than there is room for, the last ones stay. librrd may begin such a round elsewhere in the ring, and dates the first of them
        // so late that it stays; what is read of the others is the same.
        let over = (rows - self.ring.rows).max(0);
        if over > 0 {
            self.ring.current = (self.ring.current + over) % self.ring.rows;
        }
        for row in over..rows {
            let values = self.parts.iter().map(|part| if row == 0 { part.primary } else { part.secondary });
            self.ring.put(values, 1);
        }
    }

    /// Ends a row with each slot, of which each data source has so many.
    pub(super) fn turn_each(&mut self, slots: &[f64], count: usize) {
        for row in 0..count {
            let values = slots.chunks_exact(count).filter_map(|slots| slots.get(row).copied());
            self.ring.put(values, count - row);
        }
        for (part, slots) in self.parts.iter_mut().zip(slots.chunks_exact(count)) {
            part.primary = slots.last().copied().unwrap_or(part.primary);
        }
    }
}

impl Ring {
    /// Takes the row that follows; so many may come, this one among them.
    fn put(&mut self, values: impl Iterator<Item = f64>, coming: usize) {
        self.current = if self.current + 1 < self.rows { self.current + 1 } else { 0 };
        let at = self.at + self.current.unsigned_abs() * self.row_bytes;
        let is_next = self.fresh.last().is_some_and(|(begin, bytes)| begin + bytes.len() as u64 == at);
        if !is_next {
            let room = self.row_bytes.saturating_mul((coming as u64).min((self.rows - self.current).unsigned_abs()));
            self.fresh.push((at, Vec::with_capacity(usize::try_from(room).unwrap_or(0))));
        }
        if let Some((_, bytes)) = self.fresh.last_mut() {
            values.for_each(|value| bytes.extend_from_slice(&value.to_ne_bytes()));
        }
    }
}

struct Fields<'a> {
    head: &'a [u8],
    sources: u64,
    archives: u64,
}

impl Fields<'_> {
    /// Takes all of it apart; nothing if any of it is not what is written here.
    fn live(&self, step: u32, length: u64, rows_at: u64) -> Option<(usize, i64, Vec<Column>, Vec<Archive>)> {
        // Other versions mean other things by the same bytes.
        let is_ours = self.head.get(4..9) == Some(b"0003\0") && step > 0;
        let begin = usize::try_from(header::live_offset(self.sources, self.archives)).ok()?;
        let (last, microseconds) = (self.number(begin)?, self.number(begin + 8)?);
        if !is_ours || microseconds != 0 || last < 0 {
            return None;
        }
        let slots = begin + LIVE_BYTES as usize;
        let columns = (0..self.sources as usize).map(|n| self.column(n, slots + n * PDP_BYTES as usize));
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let parts = slots + columns.len() * PDP_BYTES as usize;
        let pointers = parts + columns.len() * self.archives as usize * CDP_BYTES as usize;
        let (mut archives, mut at) = (Vec::with_capacity(self.archives as usize), rows_at);
        for n in 0..self.archives as usize {
            let part = |column: usize| self.part(parts + (n * columns.len() + column) * CDP_BYTES as usize);
            let all = (0..columns.len()).map(part).collect::<Option<Vec<_>>>()?;
            let archive = self.archive(n, at, pointers + n * POINTER_BYTES as usize, (last / i64::from(step), all))?;
            at = at.checked_add(archive.ring.rows.unsigned_abs().checked_mul(archive.ring.row_bytes)?)?;
            archives.push(archive);
        }
        (length >= at).then_some((begin, last, columns, archives))
    }

    fn column(&self, n: usize, at: usize) -> Option<Column> {
        let definition = header::STATIC_BYTES as usize + n * header::SOURCE_BYTES as usize;
        let is_counter = match self.text(definition + 20, 20)? {
            "GAUGE" => false,
            "COUNTER" => true,
            _ => return None,
        };
        let bounds = [definition + 48, definition + 56].map(|at| self.real(at));
        if bounds.iter().any(|bound| bound.is_none_or(|bound| !bound.is_nan())) {
            return None;
        }
        let heartbeat = self.number(definition + 40).filter(|heartbeat| *heartbeat > 0)?;
        let total = self.text(at, GIVEN_CHARS).filter(|_| is_counter).and_then(|text| text.parse().ok());
        Some(Column { heartbeat, total, unknown: self.count(at + NUMBERS)?, sum: self.real(at + NUMBERS + 8)? })
    }

    /// The archive with this number, after so many slots since 1970.
    fn archive(&self, n: usize, at: u64, pointer: usize, (slots, parts): (i64, Vec<Part>)) -> Option<Archive> {
        let definition = (header::STATIC_BYTES + self.sources * header::SOURCE_BYTES) as usize + n * header::ARCHIVE_BYTES as usize;
        let consolidation = Consolidation::from_name(self.text(definition, 20)?)?;
        let [rows, steps] = [24, 32].map(|field| self.number(definition + field).filter(|count| (1..=i64::from(u32::MAX)).contains(count)));
        let (rows, steps, xff) = (rows?, steps?, self.real(definition + 40)?);
        let current = self.number(pointer).filter(|current| (0..rows).contains(current))?;
        let left = steps - slots.rem_euclid(steps);
        let ring = Ring { rows, at, row_bytes: self.sources * 8, current, fresh: Vec::new() };
        Some(Archive { consolidation, steps, left, xff, parts, ring })
    }

    fn part(&self, at: usize) -> Option<Part> {
        Some(Part {
            value: self.real(at)?,
            unknown: self.count(at + 8)?,
            primary: self.real(at + PRIMARY)?,
            secondary: self.real(at + SECONDARY)?,
        })
    }

    fn number(&self, at: usize) -> Option<i64> {
        self.head.get(at..)?.first_chunk().map(|bytes| i64::from_ne_bytes(*bytes))
    }

    /// A number that sums of it stay far from the end of its type.
    fn count(&self, at: usize) -> Option<i64> {
        self.number(at).filter(|count| (0..=i64::from(u32::MAX)).contains(count))
    }

    fn real(&self, at: usize) -> Option<f64> {
        self.head.get(at..)?.first_chunk().map(|bytes| f64::from_ne_bytes(*bytes))
    }

    fn text(&self, at: usize, length: usize) -> Option<&str> {
        let bytes = self.head.get(at..)?.get(..length)?;
        std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
    }
}

fn put(bytes: &mut [u8], at: usize, word: [u8; 8]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = word;
    }
}
