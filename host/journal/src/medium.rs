//! The calls of the writer that a disk can refuse; tests put a refusing one in its place.

use crate::directory;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// What the writer does to the disk.
pub(crate) trait Medium: Send {
    /// Makes a file that begins with `header`, its name durable with it; one of that name is replaced.
    fn create(&self, path: &Path, header: &[u8]) -> io::Result<File>;

    /// Appends to a file.
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was appended durable.
    fn sync(&self, file: &File) -> io::Result<()>;
}

/// The real one.
pub(crate) struct Disk;

impl Medium for Disk {
    fn create(&self, path: &Path, header: &[u8]) -> io::Result<File> {
        let unfinished = directory::unfinished(path);
        let mut file = File::create(&unfinished)?;
        file.write_all(header)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        path.parent().map_or(Ok(()), directory::sync)?;
        Ok(file)
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
