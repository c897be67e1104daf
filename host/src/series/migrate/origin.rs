//! Where a file begins that goes on from others: the state that it would have, had it always been there.
//!
//! Source of the fields: `rrdtool dump`, "pdp_prep" and "cdp_prep"; places as in `header`.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Pair, Source};
use crate::series::archive::Consolidation;
use crate::series::header::{self, Accumulated};
use crate::series::row::{Datum, Row};
use crate::series::shape::FileShape;

/// The row that the first reading of `slot` goes on from in a file of this shape.
///
/// Shape: the old file's last row; where that lies within the new slot, its totals as of the slot's begin, by what was counted since.
pub(in crate::series) fn continued(source: &Source, pairs: &[Pair], shape: &FileShape, slot: i64) -> Row {
    let last = &source.head().last;
    let stamp = last.stamp.min(slot - i64::from(shape.step));
    let cell = |column: usize| {
        let (old, _) = pairs.iter().find(|(_, new)| *new == column)?;
        let total = last.cells.get(*old)?.as_total()?;
        let (mut counted, mut from) = (0.0, stamp);
        while from < last.stamp {
            let to = last.stamp.min(from + i64::from(source.head().shape.step));
            counted += source.value(*old, (from, to), Consolidation::Average)? * seconds(to - from);
            from = to;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of what a total has counted")]
        Some(Datum::Total(total.checked_sub(counted.round() as u64)?))
    };
    Row { stamp, cells: (0..shape.sources.len()).map(|column| cell(column).unwrap_or(Datum::Unknown)).collect() }
}

/// Gives a new file that begins with `row` the totals of it, and what sources know of the rows that are not over then.
///
/// Shape: sources with the columns that each of them gives, no column twice.
pub(in crate::series) fn seed(path: &Path, shape: &FileShape, row: &Row, sources: &[(Source, Vec<Pair>)]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    for (column, cell) in row.cells.iter().enumerate() {
        if let Datum::Total(total) = cell {
            let (at, text) = header::last_total(shape, column, *total);
            file.write_all_at(&text, at)?;
        }
    }
    let step = i64::from(shape.step);
    let rest = row.stamp.rem_euclid(step);
    let slot_begin = row.stamp - rest;
    for (source, pairs) in sources {
        for (old, new) in pairs {
            if rest > 0 {
                let of_slot = steps((slot_begin, row.stamp), i64::from(source.head().shape.step));
                let known = of_slot.filter_map(|span| Some((source.value(*old, span, Consolidation::Average)?, seconds(span.1 - span.0))));
                let (sum, time) = known.fold((0.0, 0.0), |(sum, time), (value, seconds)| (sum + value * seconds, time + seconds));
                #[expect(clippy::cast_possible_truncation, reason = "seconds of one slot")]
                let unknown = rest - time as i64;
                let part = Accumulated { value: Some(sum).filter(|_| time > 0.0), unknown: unknown.unsigned_abs() };
                let (at, bytes) = header::accumulated_slot(shape, *new, part);
                file.write_all_at(&bytes, at)?;
            }
            for (index, archive) in shape.archives.iter().enumerate().filter(|(_, archive)| archive.steps > 1) {
                let whole = step * i64::from(archive.steps);
                let begin = slot_begin - slot_begin.rem_euclid(whole);
                let how = archive.consolidation;
                let mut part = Accumulated { value: None, unknown: 0 };
                for span in steps((begin, slot_begin), step) {
                    match source.value(*old, span, how) {
                        None => part.unknown += 1,
                        Some(value) => part.value = Some(part.value.map_or(value, |before| together(before, value, how))),
                    }
                }
                if begin < slot_begin {
                    let (at, bytes) = header::accumulated_row(shape, index, *new, part);
                    file.write_all_at(&bytes, at)?;
                }
            }
        }
    }
    Ok(())
}

/// What two steps of a row come to: of averages the sum, which is divided when the row is over.
pub(super) fn together(one: f64, other: f64, how: Consolidation) -> f64 {
    match how {
        Consolidation::Average => one + other,
        Consolidation::Min => one.min(other),
        Consolidation::Max => one.max(other),
        Consolidation::Last => other,
    }
}

/// Cuts time into steps; the last may be shorter.
pub(super) fn steps((from, to): (i64, i64), step: i64) -> impl Iterator<Item = (i64, i64)> {
    (from..to).step_by(usize::try_from(step.max(1)).unwrap_or(usize::MAX)).map(move |begin| (begin, to.min(begin + step)))
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a range are exact")]
pub(super) fn seconds(count: i64) -> f64 {
    count as f64
}
