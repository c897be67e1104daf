//! What a file of another shape takes over from the ones before it.
//!
//! Nothing is rewritten: the new file is written to from its first reading on, and has room for the past in its archives. [`origin`] gives
//! it the state that it would have, had it always been there: the total that each counter goes on from, and what is known of the rows
//! that span the change. [`pour`] fills in the rows before. A row of an archive has one place in the file for as long as it is kept, and
//! what is known is never written over: poured once, twice, before a crash or after, the file comes out the same, byte for byte. Of a file
//! that was taken in from elsewhere [`complete`] makes the rows whole that the other one began within.

mod origin;
mod source;
mod whole;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub(in crate::series) use origin::{continued, seed};
pub(in crate::series) use source::Source;
pub(in crate::series) use whole::complete;

use super::gate;
use super::header;
use super::shape::FileShape;
use super::writer::WriteError;

const CELL_BYTES: usize = 8;

/// A column of the old file, and the one of the new file that goes on with it.
pub(in crate::series) type Pair = (usize, usize);

/// Fills the rows of a file that end by `until` with what a source knows of them; gives how many cells that were.
///
/// Shape: `shape` is the file's; `pairs` have each column of it once at most. With `rewrites` rows are written also where they are there
/// already, for a disk that may lack them.
/// Unknown: what the source does not know stays so, and what the file knows stays as it is.
pub(in crate::series) fn pour(
    path: &Path,
    shape: &FileShape,
    source: &Source,
    pairs: &[Pair],
    until: i64,
    rewrites: bool,
) -> Result<u64, WriteError> {
    let fault = |source| WriteError::Header { path: path.into(), source };
    let _alone = gate::writing(path);
    let Some(head) = header::read(path).map_err(fault)? else { return Err(WriteError::Missing { path: path.into() }) };
    if head.shape != *shape {
        // Another file lies there by now; whoever put it there has this one filled before.
        return Ok(0);
    }
    let io_fault = |error: io::Error| fault(error.into());
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_fault)?;
    let (mut filled, width) = (0, shape.sources.len());
    let mut begin = head.bytes();
    for (archive, pointer) in shape.archives.iter().zip(&head.current_rows) {
        let (step, rows) = (i64::from(archive.steps) * i64::from(shape.step), i64::from(archive.rows));
        let row_bytes = width * CELL_BYTES;
        let newest = head.last.stamp - head.last.stamp.rem_euclid(step);
        let oldest = newest - step * (rows - 1);
        let known = source.span();
        let first = (known.start.div_euclid(step) * step + step).max(oldest);
        let last = (known.end + (-known.end).rem_euclid(step)).min(newest).min(until - until.rem_euclid(step));
        let mut time = first;
        while time <= last {
            // As many rows as lie beside each other in the ring.
            let place = (i64::from(*pointer) - (newest - time) / step).rem_euclid(rows);
            let count = ((last - time) / step + 1).min(rows - place);
            let at = begin + place.unsigned_abs() * row_bytes as u64;
            let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * row_bytes];
            file.read_exact_at(&mut bytes, at).map_err(io_fault)?;
            let mut changed: Option<(usize, usize)> = None;
            for (row, cells) in bytes.chunks_exact_mut(row_bytes).enumerate() {
                let end = time + step * i64::try_from(row).unwrap_or(0);
                let new = source.fill(cells, pairs, archive.consolidation, (end - step, end));
                filled += new;
                if new > 0 || rewrites {
                    changed = Some((changed.map_or(row, |(first, _)| first), row + 1));
                }
            }
            if let Some((from, to)) = changed {
                let part = bytes.get(from * row_bytes..to * row_bytes).unwrap_or_default();
                file.write_all_at(part, at + (from * row_bytes) as u64).map_err(io_fault)?;
            }
            time += step * count;
        }
        begin += rows.unsigned_abs() * row_bytes as u64;
    }
    Ok(filled)
}
