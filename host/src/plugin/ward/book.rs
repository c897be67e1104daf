//! Which jobs are quarantined, and why: a file of the data folder, remembered over restarts.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A job that is gone is forgotten after so many seconds: a month.
const KEPT_S: u64 = 30 * 86_400;

/// Why a job is quarantined. It is of this library and of this configuration: with another one the job begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugin) struct Kept {
    /// How it brought its worker down the last time; fits behind "the worker".
    pub(in crate::plugin) how: String,
    /// Deaths without ten good runs in between.
    pub(in crate::plugin) crashes: u32,
    /// Probations that it failed.
    pub(in crate::plugin) failed: u32,
    /// Since when, seconds since 1970.
    pub(in crate::plugin) since: u64,
    /// When it may run on probation, seconds since 1970.
    pub(in crate::plugin) next: u64,
    /// SHA-256 of the library.
    pub(in crate::plugin) library: String,
    /// SHA-256 of the configuration, secrets taken out.
    pub(in crate::plugin) config: String,
}

/// The file.
pub(super) struct Book(PathBuf);

impl Book {
    /// Reads who is quarantined; a missing file is nobody.
    pub(super) fn open(data: &Path) -> io::Result<(Self, BTreeMap<String, Kept>)> {
        let path = data.join("quarantined.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Self(path), BTreeMap::new())),
            Err(error) => return Err(error),
        };
        // What is not understood frees everybody: who still crashes is back here soon.
        let mut quarantined: BTreeMap<String, Kept> = serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), "which jobs were quarantined is not understood: {error}");
            BTreeMap::new()
        });
        let now = super::super::seconds_now();
        quarantined.retain(|_, kept| kept.next.saturating_add(KEPT_S) > now);
        Ok((Self(path), quarantined))
    }

    pub(super) fn write(&self, quarantined: &BTreeMap<String, Kept>) -> io::Result<()> {
        let draft = self.0.with_extension("tmp");
        let text = serde_json::to_vec_pretty(quarantined).map_err(io::Error::other)?;
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, &self.0)?;
        File::open(self.0.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_quarantined_is_remembered_and_who_is_long_gone_is_not() {
        let data = tempfile::tempdir().unwrap();
        let (book, nobody) = Book::open(data.path()).unwrap();
        assert!(nobody.is_empty());
        let kept = |next| Kept {
            how: "died of signal 6".into(),
            crashes: 5,
            failed: 1,
            since: 7,
            next,
            library: "aa".into(),
            config: "bb".into(),
        };
        let now = super::super::super::seconds_now();
        book.write(&BTreeMap::from([("a".to_owned(), kept(now)), ("gone".to_owned(), kept(now - KEPT_S - 1))])).unwrap();
        assert_eq!(Book::open(data.path()).unwrap().1, BTreeMap::from([("a".to_owned(), kept(now))]));
        fs::write(data.path().join("quarantined.json"), "{").unwrap();
        assert!(Book::open(data.path()).unwrap().1.is_empty());
    }
}
