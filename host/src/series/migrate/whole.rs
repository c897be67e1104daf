//! Rows that began before a file did: made again of their slots, once another file has given it those before its first.
//!
//! A file that began within an hour knows that hour by halves, and what a file knows is never filled in. So [`complete`] makes the row of
//! each archive that the first slot lies in of all slots that the file has by then, whether that row is over or under way: as librrd would
//! have it, had it been given all of them. It rests on slots alone: done twice, or after a crash, it comes to the same.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::origin::{seconds, steps, together};
use super::{CELL_BYTES, Pair, Source};
use crate::series::archive::{Archive, Consolidation};
use crate::series::fetch::block::Block;
use crate::series::fetch::resolution::Resolution;
use crate::series::gate;
use crate::series::header::{self, Accumulated};
use crate::series::shape::FileShape;
use crate::series::writer::WriteError;

/// Makes the rows anew that the first slot of a file lies in, where the source knows any of the time before it.
///
/// Shape: `shape` is the file's, which has what it lacked of the source's slots; `pairs` have each column of it once at most.
pub(in crate::series) fn complete(
    path: &Path,
    shape: &FileShape,
    source: &Source,
    pairs: &[Pair],
    first_slot: i64,
) -> Result<(), WriteError> {
    let fault = |source| WriteError::Header { path: path.into(), source };
    let io_fault = |error: io::Error| fault(error.into());
    let _alone = gate::writing(path);
    let Some(head) = header::read(path).map_err(fault)? else { return Err(WriteError::Missing { path: path.into() }) };
    let Some(base) = shape.archives.iter().position(|archive| archive.steps == 1) else { return Ok(()) };
    if head.shape != *shape {
        return Ok(()); // another file lies there by now
    }
    let (step, width) = (i64::from(shape.step), shape.sources.len());
    let (began, last) = (first_slot - step, head.last.stamp - head.last.stamp.rem_euclid(step));
    let slots = Resolution { index: base, archive_step: shape.step, step: shape.step };
    let oldest = last - step * shape.archives.get(base).map_or(0, |archive| i64::from(archive.rows));
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_fault)?;
    let mut rows_at = head.bytes();
    for (index, (archive, pointer)) in shape.archives.iter().zip(&head.current_rows).enumerate() {
        let at = rows_at;
        rows_at += u64::from(archive.rows) * (width * CELL_BYTES) as u64;
        let whole = step * i64::from(archive.steps);
        let begin = began - began.rem_euclid(whole);
        if begin == began || begin < oldest {
            continue;
        }
        let block = Block::of(path, &head, &slots, begin, last.min(begin + whole)).map_err(io_fault)?;
        for (old, new) in pairs {
            let gives = |span| source.value(*old, span, Consolidation::Average).is_some();
            if !steps((begin, began), step).any(gives) {
                continue;
            }
            let part = accumulated(&block, *new, steps((begin, last.min(begin + whole)), step), archive.consolidation);
            let written = match place(archive, *pointer, (last - begin - whole).div_euclid(whole)) {
                _ if begin + whole > last => Some(header::accumulated_row(shape, index, *new, part)),
                Some(place) => value(part, archive)
                    .map(|value| (at + (place * width as u64 + *new as u64) * CELL_BYTES as u64, value.to_ne_bytes().to_vec())),
                None => None,
            };
            if let Some((at, bytes)) = written {
                file.write_all_at(&bytes, at).map_err(io_fault)?;
            }
        }
    }
    Ok(())
}

/// What slots of a column come to, one after another.
fn accumulated(block: &Block, column: usize, slots: impl Iterator<Item = (i64, i64)>, how: Consolidation) -> Accumulated {
    let mut part = Accumulated { value: None, unknown: 0 };
    for (from, to) in slots {
        match block.value(column, from, to, Consolidation::Average) {
            None => part.unknown += 1,
            Some(value) => part.value = Some(part.value.map_or(value, |before| together(before, value, how))),
        }
    }
    part
}

/// What a row is that is over.
fn value(part: Accumulated, archive: &Archive) -> Option<f64> {
    let known = i64::from(archive.steps) - i64::try_from(part.unknown).unwrap_or(i64::MAX);
    match archive.consolidation {
        Consolidation::Average => part.value.map(|sum| sum / seconds(known)),
        _ => part.value,
    }
}

/// Where the row lies in its ring that ended so many rows before the newest one; nothing if it is no more.
fn place(archive: &Archive, pointer: u32, back: i64) -> Option<u64> {
    let rows = i64::from(archive.rows);
    (0..rows).contains(&back).then(|| (i64::from(pointer) - back).rem_euclid(rows).unsigned_abs())
}
