//! One series file while readings come in for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::held::Held;
use crate::series::plan::{Span, plan, spans};
use crate::series::row::{Datum, Row};
use crate::series::shape::FileShape;

/// Rows of one file that wait, at most; so many are written well at once.
const ROWS_HELD: usize = 60;

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
    pub(super) shape: Arc<FileShape>,
    /// Seconds between totals of its counters beyond which the growth between them is unknown.
    pub(super) reach: u32,
    /// The last row of the file, or that it goes on from; nothing before the first.
    pub(super) before: Option<Row>,
    /// Rows after it that are not in the file yet.
    pub(super) held: Held,
    /// When they are to be in the file.
    pub(super) due: Option<Instant>,
    /// The slot of the last reading since the last checkpoint.
    pub(super) seen: Option<i64>,
}

impl OpenFile {
    /// The last row planned; nothing before the first.
    pub(super) fn last(&self) -> Option<Row> {
        self.held.last().or_else(|| self.before.clone())
    }

    /// The stamp of that row.
    pub(super) fn last_stamp(&self) -> Option<i64> {
        self.held.last_stamp().or_else(|| self.before.as_ref().map(|before| before.stamp))
    }

    /// Whether a row of that slot comes after all rows.
    pub(super) fn is_free(&self, slot: i64) -> bool {
        self.last_stamp().is_none_or(|last| slot > last)
    }

    /// Holds the rows of a reading, with room for the last one of those before. Gives how many rows that were.
    pub(super) fn hold(&mut self, slot: i64, cells: &mut [Datum], room: &mut Row) -> usize {
        let last = if self.held.last_into(room) { Some(&*room) } else { self.before.as_ref() };
        let before = plan(last, slot, cells, self.shape.step, self.reach);
        let count = 1 + usize::from(before.is_some());
        before.into_iter().for_each(|row| self.held.push(row.stamp, &row.cells));
        self.held.push(slot, cells);
        self.seen = Some(slot);
        count
    }

    /// Forgets held rows, now that the file has them. Gives how many they were.
    pub(super) fn release(&mut self) -> usize {
        let count = self.held.len();
        self.before = self.held.clear().or(self.before.take());
        self.due = None;
        count
    }

    /// Says whether it is time to write what is held.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.held.is_empty() && (self.held.len() >= ROWS_HELD || self.due.is_none_or(|due| due <= now))
    }

    /// What the slots of held rows are worth.
    pub(super) fn held_spans(&self) -> Vec<Span> {
        spans(self.before.as_ref(), &self.held.rows(), self.shape.step)
    }

    /// The instant that a new file begins at: that of the row that it goes on from, else one step before its first row.
    pub(super) fn start(&self) -> Option<i64> {
        let first = self.held.first_stamp()? - i64::from(self.shape.step);
        Some(self.before.as_ref().map_or(first, |before| before.stamp))
    }
}
