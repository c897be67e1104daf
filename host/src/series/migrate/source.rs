//! What a file knows of any time, each row as it is kept or of the finest rows that reach so far back.

use std::ops::Range;
use std::path::Path;

use super::{CELL_BYTES, Pair};
use crate::series::archive::Consolidation;
use crate::series::fetch::block::Block;
use crate::series::fetch::resolution::Resolution;
use crate::series::header::{self, Header};
use crate::series::writer::WriteError;

/// All rows of a file that is not written to any more.
pub(in crate::series) struct Source {
    head: Header,
    /// The earliest instant that it may know of.
    since: i64,
    /// The archives by rising step; those of base rows stand for every consolidation.
    archives: Vec<Kept>,
}

struct Kept {
    consolidation: Consolidation,
    is_base: bool,
    step: i64,
    /// Before its first row, and the end of its last one.
    begin: i64,
    newest: i64,
    block: Block,
}

impl Source {
    /// Reads a file; nothing if it is not there. `since`: nothing was given to it before.
    pub(in crate::series) fn read(path: &Path, since: i64) -> Result<Option<Self>, WriteError> {
        let head = header::read(path).map_err(|source| WriteError::Header { path: path.into(), source })?;
        let Some(head) = head else { return Ok(None) };
        let mut archives = Vec::new();
        for (index, archive) in head.shape.archives.iter().enumerate() {
            let archive_step = archive.steps.saturating_mul(head.shape.step);
            let (step, rows) = (i64::from(archive_step), i64::from(archive.rows));
            let newest = head.last.stamp - head.last.stamp.rem_euclid(step);
            let begin = newest - step * rows;
            let found = Resolution { index, archive_step, step: archive_step };
            let Some(block) = Block::read(path, &found, begin.max(since), newest)? else { return Ok(None) };
            archives.push(Kept { consolidation: archive.consolidation, is_base: archive.steps == 1, step, begin, newest, block });
        }
        archives.sort_by_key(|kept| kept.step);
        Ok(Some(Self { head, since, archives }))
    }

    /// The head of the file.
    pub(in crate::series) fn head(&self) -> &Header {
        &self.head
    }

    /// The time that it may know of: after the first instant, up to the second.
    pub(super) fn span(&self) -> Range<i64> {
        let oldest = self.archives.iter().map(|kept| kept.begin).min().unwrap_or(self.head.last.stamp);
        oldest.max(self.since)..self.head.last.stamp
    }

    /// What a column is worth after `from`, up to `to`.
    ///
    /// Unknown: time that the rows which answer do not know, whatever coarser rows say of it; without rows of that consolidation all.
    pub(super) fn value(&self, column: usize, (from, to): (i64, i64), how: Consolidation) -> Option<f64> {
        let candidates = || self.archives.iter().filter(|kept| kept.consolidation == how || kept.is_base);
        // A row that is kept as it is asked for is that row, to the last digit.
        let same = || candidates().find(|kept| kept.step == to - from && kept.begin <= from && to <= kept.newest && to % kept.step == 0);
        let fine = || candidates().find(|kept| kept.begin <= from);
        let kept = same().or_else(fine).or_else(|| candidates().min_by_key(|kept| kept.begin))?;
        kept.block.value(column, from, to, how)
    }

    /// Fills what is unknown in a row of another file; gives how many cells that were.
    pub(super) fn fill(&self, cells: &mut [u8], pairs: &[Pair], how: Consolidation, span: (i64, i64)) -> u64 {
        let mut filled = 0;
        for (old, new) in pairs {
            let Some(cell) = cells.get_mut(new * CELL_BYTES..).and_then(|rest| rest.first_chunk_mut()) else { continue };
            let known = Some(f64::from_ne_bytes(*cell)).filter(|value| value.is_nan()).and_then(|_| self.value(*old, span, how));
            if let Some(value) = known {
                *cell = value.to_ne_bytes();
                filled += 1;
            }
        }
        filled
    }
}
