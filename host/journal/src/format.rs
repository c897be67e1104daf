//! The file `format`: version and salt of the journal, as one line of text.
//!
//! ```text
//! watchpost-journal 1 89abcdef 01234567       version, salt, CRC32C of what stands before
//! ```

use crate::record::Salt;
use crate::segment::{SegmentHeader, VERSION};
use crate::{OpenError, directory};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Longest version line worth reading; a longer file is none of ours.
const FORMAT_BYTES_MAX: usize = 256;

/// What the file said.
enum Format {
    Absent,
    Damaged,
    Known(Salt),
}

/// Finds the salt of a journal; [`None`] where there is no journal yet.
///
/// A lost or damaged format file is no reason to refuse: every segment repeats what it says.
/// Shape: the salt, and whether the file must be written anew.
/// Errors: [`OpenError::Newer`] if the file or a segment comes from a later version.
pub(crate) fn find(dir: &Path, headers: &[SegmentHeader]) -> Result<Option<(Salt, bool)>, OpenError> {
    headers.iter().try_for_each(|header| refuse_newer(header.version))?;
    match read(dir)? {
        Format::Known(salt) => Ok(Some((salt, false))),
        Format::Absent | Format::Damaged => Ok(headers.first().map(|header| (header.salt, true))),
    }
}

/// Writes the file, durably.
pub(crate) fn write(dir: &Path, salt: Salt) -> Result<(), OpenError> {
    let path = path(dir);
    let text = sealed(&format!("watchpost-journal {VERSION} {:08x}", salt.0));
    directory::replace(&path, text.as_bytes()).map_err(|source| OpenError::Write { path, source })
}

/// Appends the CRC of a line, and ends it.
pub(crate) fn sealed(line: &str) -> String {
    format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes()))
}

/// Takes a line apart if its CRC is right.
pub(crate) fn unsealed(bytes: &[u8]) -> Option<&str> {
    let (line, sum) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.rsplit_once(' ')?;
    (sum == format!("{:08x}", crc32c::crc32c(line.as_bytes()))).then_some(line)
}

fn path(dir: &Path) -> PathBuf {
    dir.join("format")
}

fn read(dir: &Path) -> Result<Format, OpenError> {
    let path = path(dir);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Format::Absent),
        Err(source) => return Err(OpenError::Read { path, source }),
    };
    if bytes.len() > FORMAT_BYTES_MAX {
        return Ok(Format::Damaged);
    }
    let Some(line) = unsealed(&bytes) else {
        return Ok(Format::Damaged);
    };
    let mut words = line.split(' ');
    let (Some("watchpost-journal"), Some(version)) = (words.next(), words.next()) else {
        return Ok(Format::Damaged);
    };
    let Ok(version) = version.parse() else {
        return Ok(Format::Damaged);
    };
    refuse_newer(version)?;
    let salt = words.next().and_then(|salt| u32::from_str_radix(salt, 16).ok());
    Ok(salt.map_or(Format::Damaged, |salt| Format::Known(Salt(salt))))
}

fn refuse_newer(found: u32) -> Result<(), OpenError> {
    if found > VERSION {
        return Err(OpenError::Newer { found, known: VERSION });
    }
    Ok(())
}
