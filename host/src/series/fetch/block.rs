//! Rows of one archive, read as they lie in the file.
//!
//! Without librrd: it hands out a copy of every column, and takes a lock that another program may hold. Source of the layout: as
//! `header`; the row that the archive's pointer names is the one that ended last, those before it go round the ring.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::resolution::Resolution;
use crate::series::archive::Consolidation;
use crate::series::gate;
use crate::series::header::{self, Header};
use crate::series::writer::WriteError;

const CELL_BYTES: u64 = 8;

/// Rows of one archive over a range.
#[derive(Debug, PartialEq)]
pub(in crate::series) struct Block {
    /// Seconds between rows.
    step: i64,
    /// The time of the first row.
    first: i64,
    /// Columns of a row.
    width: usize,
    /// Row after row; unknown is not a number.
    cells: Vec<f64>,
}

impl Block {
    /// Reads the rows that share time with the range after `from`, up to `to`; nothing if there is no file any more.
    pub(in crate::series) fn read(path: &Path, found: &Resolution, from: i64, to: i64) -> Result<Option<Self>, WriteError> {
        let fault = |source| WriteError::Header { path: path.into(), source };
        let _open = gate::reading(path);
        let Some(header) = header::read(path).map_err(fault)? else { return Ok(None) };
        let block = Self::of(path, &header, found, from, to);
        block.map(Some).map_err(|error| fault(error.into()))
    }

    /// The same, of a file with this header that nobody writes meanwhile.
    pub(in crate::series) fn of(path: &Path, header: &Header, found: &Resolution, from: i64, to: i64) -> io::Result<Self> {
        let (step, width) = (i64::from(found.archive_step), header.shape.sources.len());
        let empty = Self { step, first: 0, width, cells: Vec::new() };
        let (Some(archive), Some(pointer)) = (header.shape.archives.get(found.index), header.current_rows.get(found.index)) else {
            return Ok(empty); // another file lies there now
        };
        let newest = header.last.stamp - header.last.stamp.rem_euclid(step);
        let oldest = newest - step * (i64::from(archive.rows) - 1);
        let first = (from - from.rem_euclid(step) + step).max(oldest);
        let last = (to + (-to).rem_euclid(step)).min(newest);
        if first > last {
            return Ok(empty);
        }
        let rows_before = |count: &[crate::series::archive::Archive]| count.iter().map(|archive| u64::from(archive.rows)).sum::<u64>();
        let row_bytes = width as u64 * CELL_BYTES;
        let begin = header.bytes() + rows_before(header.shape.archives.get(..found.index).unwrap_or_default()) * row_bytes;
        // Places in the ring: of the first row, and how many rows come from it on before the ring begins anew.
        let back = (newest - first) / step;
        let place = (i64::from(*pointer) - back).rem_euclid(i64::from(archive.rows));
        let count = (last - first) / step + 1;
        let until_end = (i64::from(archive.rows) - place).min(count);
        let file = File::open(path)?;
        let mut cells = Vec::new();
        for (place, rows) in [(place, until_end), (0, count - until_end)] {
            let [place, rows] = [place, rows].map(|count| u64::try_from(count).unwrap_or(0));
            let mut bytes = vec![0; usize::try_from(rows * row_bytes).unwrap_or(0)];
            file.read_exact_at(&mut bytes, begin + place * row_bytes)?;
            let (whole, _) = bytes.as_chunks();
            cells.extend(whole.iter().map(|cell| f64::from_ne_bytes(*cell)));
        }
        Ok(Self { step, first, width, cells })
    }

    /// What one column is worth after `from`, up to `to`.
    ///
    /// Unknown: a row of which nothing is known; an average is that of the known time.
    pub(in crate::series) fn value(&self, column: usize, from: i64, to: i64, how: Consolidation) -> Option<f64> {
        let index = (from - self.first).div_euclid(self.step) + 1;
        let at = |index: i64| {
            let cell = usize::try_from(index).ok()?.checked_mul(self.width)?.checked_add(column)?;
            self.cells.get(cell).copied().filter(|value| !value.is_nan())
        };
        let time = |index: i64| self.first + index * self.step;
        if time(index) >= to {
            return at(index);
        }
        let count = (to - time(index) + self.step - 1) / self.step + 1;
        let known = (index.max(0)..index + count).filter_map(|index| Some((index, at(index)?)));
        match how {
            Consolidation::Average => mean(known.map(|(index, value)| (value, time(index).min(to) - (time(index) - self.step).max(from)))),
            Consolidation::Min => known.map(|(_, value)| value).reduce(f64::min),
            Consolidation::Max => known.map(|(_, value)| value).reduce(f64::max),
            Consolidation::Last => known.map(|(_, value)| value).next_back(),
        }
    }
}

/// The mean of values, each over so many seconds.
#[expect(clippy::cast_precision_loss, reason = "seconds of a range are exact")]
fn mean(mut values: impl Iterator<Item = (f64, i64)>) -> Option<f64> {
    let first = values.next()?;
    let Some(second) = values.next() else { return Some(first.0) };
    let (mut sum, mut known) = (0.0, 0.0);
    for (value, seconds) in [first, second].into_iter().chain(values) {
        sum += value * seconds as f64;
        known += seconds as f64;
    }
    Some(sum / known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_made_of_what_is_known_of_their_time() {
        let cells = [1.0, f64::NAN, 4.0, 7.0].into_iter().flat_map(|value| [0.0, value]).collect();
        let block = Block { step: 60, first: 60, width: 2, cells };
        let all = [Consolidation::Average, Consolidation::Min, Consolidation::Max, Consolidation::Last];
        let row = |from, to| all.map(|how| block.value(1, from, to, how));
        assert_eq!(row(0, 60), [Some(1.0); 4]);
        assert_eq!(row(60, 120), [None; 4]);
        assert_eq!(row(0, 180), [Some(2.5), Some(1.0), Some(4.0), Some(4.0)]);
        assert_eq!(row(0, 300), [Some(4.0), Some(1.0), Some(7.0), Some(7.0)]);
        assert_eq!(row(150, 210), [Some(5.5), Some(4.0), Some(7.0), Some(7.0)]);
        assert_eq!(row(170, 180), [Some(4.0); 4], "a row within one that is kept");
        assert_eq!(row(-600, 60), [Some(1.0); 4]);
        assert_eq!([row(240, 600), row(-60, 0), row(300, 900)], [[None; 4]; 3]);
    }
}
