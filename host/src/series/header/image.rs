//! The part of a file's head that every row changes, kept and put back.
//!
//! librrd changes it in several steps. Of a process that is killed between two of them, no later row repairs the file; its image of a
//! quiet moment does, together with all rows since.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{CDP_BYTES, LIVE_BYTES, PDP_BYTES, POINTER_BYTES, bytes, bytes_at, live_offset};
use crate::series::shape::FileShape;

/// Characters of the last value of a data source, the end among them.
const LAST_CHARS: usize = 30;

/// The live part of a head, and what tells the file that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Bytes of the file before the live part.
    fixed_bytes: u64,
    /// Checksum of the part that never changes: step, data sources, archives.
    fixed_sum: u32,
    /// The part that every row changes.
    #[serde(serialize_with = "in_one_piece")]
    live: Vec<u8>,
}

/// Writes bytes as such, and not one by one; postcard has both alike.
fn in_one_piece<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

/// Takes the image of a file of this shape; nothing if there is no such file.
pub fn image(path: &Path, shape: &FileShape) -> io::Result<Option<Image>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (sources, archives) = (shape.sources.len() as u64, shape.archives.len() as u64);
    let (begin, end) = (live_offset(sources, archives), bytes(sources, archives));
    if file.metadata()?.len() < end {
        return Ok(None);
    }
    let head = bytes_at(&file, 0, end)?;
    let (fixed, live) = head.split_at(usize::try_from(begin).unwrap_or(head.len()).min(head.len()));
    Ok(Some(Image { fixed_bytes: begin, fixed_sum: crc32c::crc32c(fixed), live: live.to_vec() }))
}

/// Puts the image back, where the file is still the one it was taken of. Says whether it is.
pub fn put_back(path: &Path, image: &Image) -> io::Result<bool> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    if length < image.fixed_bytes + image.live.len() as u64 || crc32c::crc32c(&bytes_at(&file, 0, image.fixed_bytes)?) != image.fixed_sum {
        return Ok(false);
    }
    if bytes_at(&file, image.fixed_bytes, image.live.len() as u64)? != image.live {
        file.write_all_at(&image.live, image.fixed_bytes)?;
    }
    Ok(true)
}

/// Sets the row that each archive of a new file begins with. librrd draws it by lot, so that not all files need a fresh page at
/// the same time; the same lot for the same file makes a replay give the same bytes.
pub fn scatter(path: &Path, shape: &FileShape, lot: &str) -> io::Result<()> {
    let (sources, archives) = (shape.sources.len() as u64, shape.archives.len() as u64);
    let pointers = live_offset(sources, archives) + LIVE_BYTES + sources * (PDP_BYTES + archives * CDP_BYTES);
    let digest = Sha256::digest(lot.as_bytes());
    let drawn = digest.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    let rows = shape.archives.iter().map(|archive| u64::from(archive.rows.max(1)));
    let table: Vec<u8> = rows.flat_map(|rows| (drawn % rows).to_ne_bytes()).collect();
    OpenOptions::new().write(true).open(path)?.write_all_at(&table, pointers)
}

const _: () = assert!(POINTER_BYTES == 8, "a pointer is a word");

/// What is known so far of a slot or a row that is not over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accumulated {
    /// Of a slot: value times seconds. Of a row: the sum, the least or the greatest of its slots. Nothing if none is known.
    pub value: Option<f64>,
    /// Of a slot: seconds that are unknown. Of a row: slots.
    pub unknown: u64,
}

/// Where the last total of a data source stands in a file, and how.
pub fn last_total(shape: &FileShape, source: usize, total: u64) -> (u64, Vec<u8>) {
    let mut text = total.to_string().into_bytes();
    text.resize(LAST_CHARS, 0);
    (slot_offset(shape, source), text)
}

/// Where a file keeps what is known of the slot that is not over, and how.
pub fn accumulated_slot(shape: &FileShape, source: usize, part: Accumulated) -> (u64, Vec<u8>) {
    // Unknown seconds, value; after 30 characters of the last value, aligned.
    let bytes = [part.unknown.to_ne_bytes(), part.value.unwrap_or(f64::NAN).to_ne_bytes()].concat();
    (slot_offset(shape, source) + 32, bytes)
}

/// Where a file keeps what is known of an archive's row that is not over, and how.
pub fn accumulated_row(shape: &FileShape, archive: usize, source: usize, part: Accumulated) -> (u64, Vec<u8>) {
    let (sources, archives) = (shape.sources.len() as u64, shape.archives.len() as u64);
    let rows = live_offset(sources, archives) + LIVE_BYTES + sources * PDP_BYTES;
    let bytes = [part.value.unwrap_or(f64::NAN).to_ne_bytes(), part.unknown.to_ne_bytes()].concat();
    (rows + (archive as u64 * sources + source as u64) * CDP_BYTES, bytes)
}

fn slot_offset(shape: &FileShape, source: usize) -> u64 {
    live_offset(shape.sources.len() as u64, shape.archives.len() as u64) + LIVE_BYTES + source as u64 * PDP_BYTES
}
