//! One series file while readings come in for it.

use std::path::PathBuf;

use crate::series::plan::{Plan, Span, plan};
use crate::series::row::{Datum, Row};
use crate::series::shape::FileShape;

/// One series file and the rows that are not in it yet.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Its number in the catalogue.
    pub(super) id: i64,
    /// Where it lies, below the series folder.
    pub(super) name: String,
    /// The same from the root.
    pub(super) path: PathBuf,
    /// Whether it was made.
    pub(super) exists: bool,
    /// What it is made of.
    pub(super) shape: FileShape,
    /// The last row planned; nothing before the first.
    pub(super) last: Option<Row>,
    /// Rows not in the file yet.
    pub(super) held: Vec<Row>,
    /// What their slots are worth.
    pub(super) held_spans: Vec<Span>,
    /// The slot of the last reading since the last checkpoint.
    pub(super) seen: Option<i64>,
}

impl OpenFile {
    /// Whether a row of that slot comes after all rows.
    pub(super) fn is_free(&self, slot: i64) -> bool {
        self.last.as_ref().is_none_or(|last| slot > last.stamp)
    }

    /// Holds the rows of a reading. Gives how many rows that were.
    pub(super) fn hold(&mut self, slot: i64, cells: Vec<Datum>) -> usize {
        let Plan { rows, spans } = plan(self.last.as_ref(), slot, cells, self.shape.step);
        let count = rows.len();
        self.last = rows.last().cloned();
        self.held.extend(rows);
        self.held_spans.extend(spans);
        self.seen = Some(slot);
        count
    }

    /// Forgets held rows, now that the file has them. Gives how many they were.
    pub(super) fn release(&mut self) -> usize {
        self.held_spans.clear();
        let count = self.held.len();
        self.held.clear();
        count
    }

    /// The instant that a new file begins at: one step before its first row.
    pub(super) fn start(&self) -> Option<i64> {
        self.held.first().map(|row| row.stamp - i64::from(self.shape.step))
    }
}
