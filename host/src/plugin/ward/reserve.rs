//! Libraries that were gone back to, over restarts: a copy of each lies in the data folder, and is loaded for as long as the file in the plugin
//! folder is the very one that was sent back.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::plugin::source::{Source, digest};

/// The file that says what is used in place of what.
const BOOK: &str = "instead.json";
/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// The folder of the copies.
pub(super) struct Reserve(PathBuf);

/// What is used in place of a file.
#[derive(Serialize, Deserialize)]
struct Instead {
    /// SHA-256 of the file that was sent back.
    of: String,
    /// The copy's name.
    copy: String,
    /// Why it was sent back.
    why: String,
}

impl Reserve {
    pub(super) fn of(data: &Path) -> Self {
        Self(data.join("libraries"))
    }

    /// Keeps a library, to be used in place of the one that was sent back.
    pub(super) fn keep(&self, library: &Source, sent_back: &Source, why: &str) -> io::Result<()> {
        let (Some(ours), Some(of)) = (library.digest(), sent_back.digest()) else { return Err(io::ErrorKind::NotFound.into()) };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let copy = format!("{ours}.so");
        self.write(&copy, |file| {
            let (mut chunk, mut at) = (vec![0; CHUNK_BYTES], 0);
            loop {
                let read = library.snapshot.file().read_at(&mut chunk, at)?;
                if read == 0 {
                    return Ok(());
                }
                file.write_all(&chunk[..read])?;
                at += read as u64;
            }
        })?;
        let mut book = self.book();
        book.insert(library.path.clone(), Instead { of: of.to_owned(), copy, why: why.to_owned() });
        self.note(&book)
    }

    /// Keeps nothing in place of this file any more.
    pub(super) fn forget(&self, path: &Path) -> io::Result<()> {
        let mut book = self.book();
        if book.remove(path).is_none() {
            return Ok(());
        }
        self.note(&book)?;
        let known = |name: &str| name == BOOK || book.values().any(|instead| instead.copy == name);
        let names = fs::read_dir(&self.0)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| !known(name)).try_for_each(|name| fs::remove_file(self.0.join(name)))
    }

    /// What to load in place of a file, and why.
    pub(super) fn instead_of(&self, path: &Path) -> Option<(PathBuf, String)> {
        let Instead { of, copy, why } = self.book().remove(path)?;
        let copy = self.0.join(copy);
        let is_it = File::open(path).and_then(|file| digest(&file)).is_ok_and(|found| found == of);
        (is_it && copy.is_file()).then_some((copy, why))
    }

    /// What is not understood says nothing: then the files of the plugin folders are used.
    fn book(&self) -> BTreeMap<PathBuf, Instead> {
        fs::read(self.0.join(BOOK)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn note(&self, book: &BTreeMap<PathBuf, Instead>) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(book).map_err(io::Error::other)?;
        self.write(BOOK, |file| file.write_all(&text))
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let draft = self.0.join("draft");
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(&draft, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }
}
