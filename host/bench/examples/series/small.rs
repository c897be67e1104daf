//! Files with fewer rows: thousands of them fit on a disk, and a sample touches the same parts of each.

use std::path::Path;

use watchpost::series::{
    archive::Archive,
    header::Header,
    librrd::Librrd,
    row::Row,
    shape::FileShape,
    writer::{Fetched, SeriesWriter, Wanted, WriteError},
};

/// Rows of an archive, at least.
const ROWS_MIN: u32 = 8;

/// Makes files whose archives have a part of their rows.
pub(crate) struct Small {
    writer: Librrd,
    /// One of so many rows.
    of: u32,
    /// What was asked for last: all files are of one shape.
    asked: std::sync::Mutex<Option<FileShape>>,
}

impl Small {
    pub(crate) fn new(of: u32, asked: Option<FileShape>) -> Self {
        Self { writer: Librrd::new(), of, asked: std::sync::Mutex::new(asked) }
    }
}

impl SeriesWriter for Small {
    fn create(&self, path: &Path, shape: &FileShape, start: i64) -> Result<(), WriteError> {
        *self.asked.lock().unwrap() = Some(shape.clone());
        let fewer = |archive: &Archive| Archive { rows: (archive.rows / self.of).max(ROWS_MIN), ..*archive };
        self.writer.create(path, &FileShape { archives: shape.archives.iter().map(fewer).collect(), ..shape.clone() }, start)
    }

    fn append(&self, path: &Path, rows: &[Row]) -> Result<(), WriteError> {
        self.writer.append(path, rows)
    }

    fn fetch(&self, path: &Path, wanted: &Wanted) -> Result<Fetched, WriteError> {
        self.writer.fetch(path, wanted)
    }

    fn info(&self, path: &Path) -> Result<Option<Header>, WriteError> {
        let found = self.writer.info(path)?;
        let asked = self.asked.lock().unwrap();
        Ok(found.map(|header| Header { shape: asked.clone().unwrap_or(header.shape), ..header }))
    }
}
