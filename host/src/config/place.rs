//! Where something is written, and how a path is read from there.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::path;

/// A character of a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The line.
    pub line: u32,
    /// The character of that line.
    pub column: u32,
}

/// A file, and the spot of it where one is meant; crosses as `file`, `line`, `column`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<Path>,
    /// The spot; none if the file itself is meant, which may not even exist.
    pub spot: Option<Spot>,
}

impl Place {
    /// Points at a file as a whole.
    pub fn whole(file: impl AsRef<Path>) -> Self {
        Self { file: file.as_ref().into(), spot: None }
    }

    /// Points at a character of a file.
    pub fn at(file: impl Into<Arc<Path>>, line: u32, column: u32) -> Self {
        Self { file: file.into(), spot: Some(Spot { line, column }) }
    }

    /// Completes a path that this file names: a relative one is relative to the file, never to the working directory.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        path::readable(&self.file.parent().unwrap_or(Path::new("")).join(path))
    }

    /// Completes a path so that it also holds in a process with another working directory.
    pub fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        path::absolute(&self.resolve(path))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.spot {
            Some(Spot { line, column }) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// A place as JSON has it.
#[derive(Serialize, Deserialize)]
struct Written {
    file: String,
    line: Option<u32>,
    column: Option<u32>,
}

impl From<Place> for Written {
    fn from(place: Place) -> Self {
        let (line, column) = place.spot.map(|spot| (spot.line, spot.column)).unzip();
        Self { file: place.file.to_string_lossy().into_owned(), line, column }
    }
}

impl From<Written> for Place {
    fn from(written: Written) -> Self {
        let spot = written.line.zip(written.column).map(|(line, column)| Spot { line, column });
        Self { file: PathBuf::from(written.file).into(), spot }
    }
}

/// A value and where it was written; two are equal when their values are.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
