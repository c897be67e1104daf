//! What each job left for its next run, and the last readings of slow jobs: a view of the journal, kept in one file of the data folder.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::reading::Reading;

/// A reading that stands for the present for less than this is measured anew before anybody misses it, nanoseconds.
const FRESH_NS_MIN: i64 = 300 * 1_000_000_000;
/// First bytes of the file: what it is, and its version.
const MAGIC: &[u8; 8] = b"wpcurs\0\x01";

/// The cursor of every job that left one.
pub(super) struct Cursors {
    path: PathBuf,
    kept: Kept,
    changed: bool,
}

/// What is written down.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    cursors: HashMap<String, Vec<u8>>,
    /// The last reading of each slow job: the journal drops its segments long before it is stale.
    readings: HashMap<String, Reading>,
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
        let kept = match fs::read(&path) {
            Ok(bytes) => decode(&bytes).ok_or_else(|| CursorsError::Damaged { path: path.clone() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(source) => return Err(CursorsError::Read { path, source }),
        };
        Ok(Self { path, kept, changed: false })
    }

    /// Takes what a run left.
    pub(super) fn apply(&mut self, reading: &Reading) {
        let (job, outcome) = (&reading.job, &reading.outcome);
        if let Some(cursor) = &outcome.cursor {
            self.kept.cursors.insert(job.clone(), cursor.clone());
            self.changed = true;
        }
        if reading.stale_ns.saturating_sub(outcome.started_ns) >= FRESH_NS_MIN {
            self.kept.readings.insert(job.clone(), reading.clone());
            self.changed = true;
        } else {
            self.changed |= self.kept.readings.remove(job).is_some();
        }
    }

    /// Lends the last readings of slow jobs.
    pub(super) fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.kept.readings.values()
    }

    /// Lends every cursor.
    pub(super) fn all(&self) -> &HashMap<String, Vec<u8>> {
        &self.kept.cursors
    }

    /// Writes down what changed, durably.
    pub(super) fn store(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let draft = self.path.with_extension("tmp");
        let mut file = File::create(&draft)?;
        file.write_all(&encode(&self.kept)?)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        self.changed = false;
        Ok(())
    }
}

fn encode(kept: &Kept) -> io::Result<Vec<u8>> {
    let body = postcard::to_stdvec(kept).map_err(io::Error::other)?;
    let sum = crc32c::crc32c(&body);
    Ok([MAGIC.as_slice(), &sum.to_le_bytes(), &body].concat())
}

fn decode(bytes: &[u8]) -> Option<Kept> {
    let (sum, body) = bytes.strip_prefix(MAGIC.as_slice())?.split_first_chunk::<4>()?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*sum)).then(|| postcard::from_bytes(body).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Cause;
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::{Outcome, Status};

    fn left(cursor: &[u8], fresh_s: i64) -> Reading {
        let outcome = Outcome { status: Status::Ok, cursor: Some(cursor.into()), ..Outcome::failed(ErrorKind::LOCAL, "", 0) };
        Reading { job: "log".into(), cause: Cause::Schedule, slot: 0, due_ns: 0, stale_ns: fresh_s * 1_000_000_000, outcome }
    }

    #[test]
    fn cursors_outlive_a_restart() {
        let data = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::load(data.path()).unwrap();
        cursors.apply(&left(b"line 7", 3600));
        cursors.store().unwrap();
        let mut again = Cursors::load(data.path()).unwrap();
        assert_eq!(again.all()["log"], b"line 7");
        assert_eq!(again.readings().collect::<Vec<_>>(), [&left(b"line 7", 3600)], "an hourly job shows its last values after a restart");
        again.apply(&left(b"line 8", 30));
        assert_eq!(again.readings().count(), 0, "a job that runs often needs no such memory");
    }

    #[test]
    fn a_damaged_file_is_told_and_not_taken_for_an_empty_one() {
        let data = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::load(data.path()).unwrap();
        cursors.apply(&left(b"line 7", 3600));
        cursors.store().unwrap();
        let path = data.path().join("cursors");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Cursors::load(data.path()), Err(CursorsError::Damaged { .. })));
    }
}
