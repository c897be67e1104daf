//! Rows that wait for their file, packed: there are many of them in a large store.

use crate::series::row::{Datum, Row};

/// Bits that tell what a cell is, and cells whose bits share a word.
const TAG_BITS: usize = 2;
const TAGS: usize = 64 / TAG_BITS;
const GAUGE: u64 = 1;
const TOTAL: u64 = 2;
/// Rows that room is made for at once.
const GROWTH: usize = 12;

/// Rows of one file, by rising stamp, each of as many cells.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Of each row: its stamp, what its cells are, their bits.
    words: Vec<u64>,
    count: usize,
    /// Cells of each.
    width: usize,
}

impl Held {
    /// Takes rows, all of as many cells.
    pub(super) fn of(rows: Vec<Row>) -> Self {
        let mut held = Self::default();
        rows.iter().for_each(|row| held.push(row.stamp, &row.cells));
        held
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Takes one more row.
    pub(super) fn push(&mut self, stamp: i64, cells: &[Datum]) {
        let words = 1 + cells.len().div_ceil(TAGS) + cells.len();
        if self.words.capacity() - self.words.len() < words {
            self.words.reserve_exact(words * GROWTH);
        }
        self.words.push(stamp.cast_unsigned());
        let tag = |cell: &Datum| match cell {
            Datum::Unknown => 0,
            Datum::Gauge(_) => GAUGE,
            Datum::Total(_) => TOTAL,
        };
        let tags = |cells: &[Datum]| cells.iter().rev().fold(0, |tags, cell| tags << TAG_BITS | tag(cell));
        self.words.extend(cells.chunks(TAGS).map(tags));
        self.words.extend(cells.iter().map(|cell| match cell {
            Datum::Unknown => 0,
            Datum::Gauge(value) => value.to_bits(),
            Datum::Total(total) => *total,
        }));
        self.count += 1;
        self.width = cells.len();
    }

    /// Words of each row.
    fn row_words(&self) -> usize {
        1 + self.width.div_ceil(TAGS) + self.width
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<Row> {
        let mut row = Row { stamp: 0, cells: Vec::with_capacity(self.width) };
        self.last_into(&mut row).then_some(row)
    }

    /// The same in the place of another row, whose room is used again; says whether there is one.
    pub(super) fn last_into(&self, row: &mut Row) -> bool {
        let Some(words) = self.words.len().checked_sub(self.row_words()).and_then(|at| self.words.get(at..)) else { return false };
        self.read(words, row);
        self.count > 0
    }

    /// The stamp of the last one.
    pub(super) fn last_stamp(&self) -> Option<i64> {
        let at = self.words.len().checked_sub(self.row_words())?;
        self.words.get(at).map(|stamp| stamp.cast_signed())
    }

    /// The stamp of the first one.
    pub(super) fn first_stamp(&self) -> Option<i64> {
        self.words.first().map(|stamp| stamp.cast_signed())
    }

    /// All of them, as they were given.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.count);
        self.rows_into(&mut rows);
        rows
    }

    /// The same in the place of other rows, whose room is used again.
    pub(super) fn rows_into(&self, rows: &mut Vec<Row>) {
        rows.truncate(self.count);
        for (n, words) in self.words.chunks_exact(self.row_words()).take(self.count).enumerate() {
            if rows.len() == n {
                rows.push(Row { stamp: 0, cells: Vec::with_capacity(self.width) });
            }
            if let Some(row) = rows.get_mut(n) {
                self.read(words, row);
            }
        }
    }

    /// Takes a row from its words.
    fn read(&self, words: &[u64], row: &mut Row) {
        let Some((stamp, words)) = words.split_first() else { return };
        let (tags, bits) = words.split_at_checked(self.width.div_ceil(TAGS)).unwrap_or_default();
        row.stamp = stamp.cast_signed();
        row.cells.clear();
        for (bits, tags) in bits.chunks(TAGS).zip(tags) {
            row.cells.extend(cells(bits, *tags));
        }
    }

    /// Forgets all; gives the last one.
    pub(super) fn clear(&mut self) -> Option<Row> {
        let last = self.last();
        *self = Self::default();
        last
    }
}

/// Cells of their bits, of which a word tells what they are.
fn cells(bits: &[u64], mut tags: u64) -> impl Iterator<Item = Datum> {
    bits.iter().map(move |bits| {
        let tag = tags & ((1 << TAG_BITS) - 1);
        tags >>= TAG_BITS;
        match tag {
            GAUGE => Datum::Gauge(f64::from_bits(*bits)),
            TOTAL => Datum::Total(*bits),
            _ => Datum::Unknown,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_given() {
        for width in [1, 8, 31, 32, 33, 100] {
            let cell = |row: usize, n: usize| match (row * 7 + n) % 5 {
                0 => Datum::Unknown,
                1 => Datum::Gauge(-0.0),
                2 => Datum::Gauge(n as f64 / 3.0),
                3 => Datum::Total(u64::MAX - n as u64),
                _ => Datum::Total(0),
            };
            let rows: Vec<_> =
                (0..70_usize).map(|row| Row { stamp: row as i64 * 10 - 300, cells: (0..width).map(|n| cell(row, n)).collect() }).collect();
            let mut held = Held::of(rows.clone());
            assert_eq!((held.rows(), held.len(), held.first_stamp(), held.last()), (rows.clone(), 70, Some(-300), rows.last().cloned()));
            assert_eq!((held.last_stamp(), Held::default().last_stamp(), Held::default().last()), (Some(390), None, None));
            for mut others in [rows[..3].to_vec(), Held::of(rows.iter().cloned().chain(rows.clone()).collect()).rows()] {
                held.rows_into(&mut others);
                assert_eq!(others, rows, "in the place of others");
            }
            assert_eq!((held.clear(), held.is_empty(), held.rows()), (rows.last().cloned(), true, Vec::new()));
        }
    }
}
