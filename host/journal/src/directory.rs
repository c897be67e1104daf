//! The folder: names in it, and how they become durable.

use crate::Position;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const SEGMENT_SUFFIX: &str = ".segment";
const UNFINISHED_SUFFIX: &str = ".tmp";

/// Path of the segment that begins at `first`; names sort as positions do.
pub(crate) fn segment_path(dir: &Path, first: Position) -> PathBuf {
    dir.join(format!("{:016x}{SEGMENT_SUFFIX}", u64::from(first)))
}

/// Path of the copy of some bytes of the segment that begins at `first`.
pub(crate) fn quarantine_path(dir: &Path, name: &str) -> PathBuf {
    dir.join("quarantine").join(name)
}

pub(crate) fn consumers_path(dir: &Path) -> PathBuf {
    dir.join("consumers")
}

/// First positions of all segments, rising. Other files are nobody's business.
pub(crate) fn segments(dir: &Path) -> io::Result<Vec<Position>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(entry?.file_name().to_str().and_then(first_of));
    }
    found.sort_unstable();
    Ok(found)
}

fn first_of(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let canonical = digits.len() == 16 && !digits.contains(|c: char| !matches!(c, '0'..='9' | 'a'..='f'));
    canonical.then(|| u64::from_str_radix(digits, 16).ok().map(Position::from))?
}

/// Makes the names in a folder durable.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes a folder, and its own name durable; one that exists is left alone.
pub(crate) fn create(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        made => made?,
    }
    dir.parent().map_or(Ok(()), |parent| sync(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }))
}

/// Puts `bytes` at `path` so that a crash leaves the old file or the new one, whole; durable on return.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = unfinished(path);
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), sync)
}

/// Where a file is written before it gets its name.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED_SUFFIX);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_names_are_segments() {
        assert_eq!(first_of("00000000000000ff.segment"), Some(Position::from(255)));
        for other in ["ff.segment", "00000000000000FF.segment", "00000000000000ff.segment.tmp", "+000000000000000.segment"] {
            assert_eq!(first_of(other), None, "{other}");
        }
    }
}
