//! Copies data sources of another program's file into one of ours, row by row: archives keep their step and their length.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::plan::Group;
use crate::series::archive::Archive;
use crate::series::catalogue::Column;
use crate::series::header::{self, Foreign, ForeignArchive};
use crate::series::librrd::Librrd;
use crate::series::shape::{FileShape, Source};
use crate::series::writer::{SeriesWriter, WriteError};

const CELL_BYTES: usize = 8;

/// Writes the copy, durably; gives its columns, the earliest slot that it has anything of, and the last one.
pub(super) fn write(group: &Group, draft: &Path) -> Result<(Vec<Column>, i64, i64), WriteError> {
    let fault = |source| WriteError::Header { path: group.file.clone(), source };
    let foreign = Foreign::read(&group.file).map_err(fault)?;
    let columns = group.columns();
    let heartbeat = foreign.step.saturating_mul(2);
    let source = |column: &Column| Source { name: column.source.clone(), kind: column.kind, heartbeat };
    let archive = |archive: &ForeignArchive| Archive { consolidation: archive.consolidation, steps: archive.steps, rows: archive.rows };
    let (sources, archives) = (columns.iter().map(source).collect(), foreign.archives.iter().map(archive).collect());
    let shape = FileShape { step: foreign.step, sources, archives };
    Librrd::new().create(draft, &shape, foreign.last)?;
    let io_fault = |error: io::Error| WriteError::Header { path: draft.into(), source: error.into() };
    let head = header::read(draft).map_err(|source| WriteError::Header { path: draft.into(), source })?;
    let head = head.ok_or_else(|| WriteError::Missing { path: draft.into() })?;
    let file = OpenOptions::new().write(true).open(draft).map_err(io_fault)?;
    let mut begin = head.bytes();
    for (archive, pointer) in foreign.archives.iter().zip(&head.current_rows) {
        let rows = filled(group, &foreign, archive, *pointer);
        file.write_all_at(&rows, begin).map_err(io_fault)?;
        begin += rows.len() as u64;
    }
    file.sync_all().map_err(io_fault)?;
    let step = i64::from(foreign.step);
    let (since, last) = group.span().unwrap_or((foreign.last, foreign.last));
    Ok((columns, since + step, last))
}

/// The rows of one archive, as they lie in the copy.
fn filled(group: &Group, foreign: &Foreign, archive: &ForeignArchive, pointer: u32) -> Vec<u8> {
    let width = group.takes.len();
    let mut rows = f64::NAN.to_ne_bytes().repeat(archive.rows as usize * width);
    for (column, take) in group.takes.iter().enumerate() {
        // It may be another file by now.
        let Some(source) = foreign.sources.iter().position(|source| source.name == take.source) else { continue };
        for ((_, value), back) in foreign.values(archive, source).zip(0_u32..) {
            let place = (pointer + archive.rows - back) % archive.rows;
            let at = (place as usize * width + column) * CELL_BYTES;
            let value = value.map(|value| if take.factor == 1.0 { value } else { value * take.factor });
            if let (Some(value), Some(cell)) = (value, rows.get_mut(at..at + CELL_BYTES)) {
                cell.copy_from_slice(&value.to_ne_bytes());
            }
        }
    }
    rows
}
