//! Where a reader learns which segments there are and how far each may be read.

use crate::durable::Horizon;
use crate::segment::{HEADER_BYTES, SegmentHeader};
use crate::{Position, directory};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// One segment as a reader may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: Position,
    /// Records of earlier segments count only below this position.
    pub(crate) previous_end: Position,
    /// How far the file may be read.
    pub(crate) bytes: u64,
    /// Its records count only below this position; [`None`]: nobody knows yet.
    pub(crate) end: Option<Position>,
}

/// The one that tells.
pub(crate) enum Source {
    /// The writer of this process: what it says is durable.
    Live(Horizon),
    /// The folder: another process may be writing.
    Offline(PathBuf),
}

impl Source {
    pub(crate) fn dir(&self) -> &Path {
        match self {
            Self::Live(horizon) => horizon.dir(),
            Self::Offline(dir) => dir,
        }
    }

    /// All segments, by rising position.
    pub(crate) fn extents(&self) -> io::Result<Vec<Extent>> {
        match self {
            Self::Live(horizon) => Ok(horizon.extents()),
            Self::Offline(dir) => Ok(on_disk(dir)?.into_iter().map(|(extent, _)| extent).collect()),
        }
    }
}

/// The segment in which to look for the record at `next`, or for the first one after it.
pub(crate) fn choose(extents: &[Extent], next: Position) -> Option<Extent> {
    let reaches = |extent: &&Extent| extent.end.is_none_or(|end| end > next);
    extents.iter().find(reaches).or(extents.last()).copied()
}

/// The segments in a folder with their headers, unless damaged; the newest has no known end.
///
/// Names are listed before sizes are asked for: a segment with a successor in the list has its full size.
pub(crate) fn on_disk(dir: &Path) -> io::Result<Vec<(Extent, Option<SegmentHeader>)>> {
    let mut found: Vec<(Extent, Option<SegmentHeader>)> = Vec::new();
    for first in directory::segments(dir)? {
        let (bytes, header) = match inspect(&directory::segment_path(dir, first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // dropped meanwhile
            inspected => inspected?,
        };
        let header = header.filter(|header| header.first == first);
        let previous_end = header.map_or(first, |header| header.previous_end);
        if let Some((previous, _)) = found.last_mut() {
            previous.end = Some(previous_end);
        }
        found.push((Extent { first, previous_end, bytes, end: None }, header));
    }
    Ok(found)
}

fn inspect(path: &Path) -> io::Result<(u64, Option<SegmentHeader>)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut head = [0; HEADER_BYTES];
    if bytes < HEADER_BYTES as u64 {
        return Ok((bytes, None));
    }
    let read = file.read_exact_at(&mut head, 0); // who reads on is told the error
    Ok((bytes, read.ok().and_then(|()| SegmentHeader::decode(&head))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(first: u64, previous_end: u64, end: u64) -> Extent {
        let (first, previous_end) = (first.into(), previous_end.into());
        Extent { first, previous_end, bytes: 0, end: Some(end.into()) }
    }

    #[test]
    fn a_position_is_looked_for_where_it_can_be() {
        let extents = [extent(5, 5, 10), extent(10, 10, 20), extent(25, 20, 30)];
        for (next, first) in [(0, 5), (5, 5), (9, 5), (10, 10), (19, 10), (20, 25), (22, 25), (29, 25), (40, 25)] {
            let chosen = choose(&extents, Position::from(next)).map(|extent| extent.first);
            assert_eq!(chosen, Some(Position::from(first)), "{next}");
        }
        assert_eq!(choose(&[], Position::START), None);
    }
}
