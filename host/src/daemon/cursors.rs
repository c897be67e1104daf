//! What each job left for its next run: a view of the journal, kept in one file of the data folder.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use watchpost_services::outcome::Outcome;

/// First bytes of the file: what it is, and its version.
const MAGIC: &[u8; 8] = b"wpcurs\0\x01";

/// The cursor of every job that left one.
pub(super) struct Cursors {
    path: PathBuf,
    cursors: HashMap<String, Vec<u8>>,
    changed: bool,
}

/// Why the cursors of before cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum CursorsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is damaged: move it away, and jobs with a cursor begin anew", path.display())]
    Damaged { path: PathBuf },
}

impl Cursors {
    /// Reads what was kept; a missing file is nothing.
    pub(super) fn load(data: &Path) -> Result<Self, CursorsError> {
        let path = data.join("cursors");
        let cursors = match fs::read(&path) {
            Ok(bytes) => decode(&bytes).ok_or_else(|| CursorsError::Damaged { path: path.clone() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            Err(source) => return Err(CursorsError::Read { path, source }),
        };
        Ok(Self { path, cursors, changed: false })
    }

    /// Takes what a run left.
    pub(super) fn apply(&mut self, job: &str, outcome: &Outcome) {
        if let Some(cursor) = &outcome.cursor {
            self.cursors.insert(job.to_owned(), cursor.clone());
            self.changed = true;
        }
    }

    /// Lends every cursor.
    pub(super) fn all(&self) -> &HashMap<String, Vec<u8>> {
        &self.cursors
    }

    /// Writes down what changed, durably.
    pub(super) fn store(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let draft = self.path.with_extension("tmp");
        let mut file = File::create(&draft)?;
        file.write_all(&encode(&self.cursors)?)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        self.changed = false;
        Ok(())
    }
}

fn encode(cursors: &HashMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let body = postcard::to_stdvec(cursors).map_err(io::Error::other)?;
    let sum = crc32c::crc32c(&body);
    Ok([MAGIC.as_slice(), &sum.to_le_bytes(), &body].concat())
}

fn decode(bytes: &[u8]) -> Option<HashMap<String, Vec<u8>>> {
    let (sum, body) = bytes.strip_prefix(MAGIC.as_slice())?.split_first_chunk::<4>()?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*sum)).then(|| postcard::from_bytes(body).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(cursor: &[u8]) -> Outcome {
        Outcome {
            status: watchpost_services::outcome::Status::Ok,
            cursor: Some(cursor.into()),
            ..Outcome::failed(watchpost_plugin_api::ErrorKind::LOCAL, "", 0)
        }
    }

    #[test]
    fn cursors_outlive_a_restart() {
        let data = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::load(data.path()).unwrap();
        cursors.apply("log", &left(b"line 7"));
        cursors.store().unwrap();
        assert_eq!(Cursors::load(data.path()).unwrap().all()["log"], b"line 7");
    }

    #[test]
    fn a_damaged_file_is_told_and_not_taken_for_an_empty_one() {
        let data = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::load(data.path()).unwrap();
        cursors.apply("log", &left(b"line 7"));
        cursors.store().unwrap();
        let path = data.path().join("cursors");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Cursors::load(data.path()), Err(CursorsError::Damaged { .. })));
    }
}
