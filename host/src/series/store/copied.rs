//! A copy of all series while they are written, as good as the folder itself after a crash at that moment.
//!
//! Catalogue and checkpoint belong together and are copied in one go; each file is copied while nobody writes it. What was written to a file
//! after the catalogue was copied is made again when the copy is opened, from the copy of the journal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SeriesStore;
use crate::series::checkpoint;
use crate::series::error::SeriesError;

/// The files of a store as they were named at one moment, by their number in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named(Vec<(i64, String)>);

impl Named {
    /// Their names, within the folder of series.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| name.as_str())
    }
}

impl SeriesStore {
    /// Copies catalogue and checkpoint into a data folder to be, and says which files belong to them.
    pub fn copy_heads(&self, to: &Path) -> Result<Named, SeriesError> {
        self.catalogue.copy_to(to)?;
        let fault = |source| SeriesError::Folder { path: to.into(), source };
        checkpoint::copy(&self.data, to).map_err(fault)?;
        Ok(self.named())
    }

    /// The files as they are named now.
    pub fn named(&self) -> Named {
        let files = self.catalogue.jobs().values().flat_map(|job| &job.files);
        let mut named: Vec<_> = files.map(|file| (file.id, file.path.clone())).collect();
        named.sort_unstable();
        Named(named)
    }

    /// Says whether each of these files is still called so; new ones do not matter.
    pub fn are_still(&self, named: &Named) -> bool {
        let now = self.named();
        named.0.iter().all(|file| now.0.binary_search(file).is_ok())
    }

    /// Copies one file, which nobody writes meanwhile. Gives its bytes; a file that is not there yet has none.
    pub fn copy_file(&self, name: &str, to: &Path) -> io::Result<u64> {
        let target: PathBuf = to.join(super::FOLDER).join(name);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        match fs::copy(self.folder.join(name), &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            copied => copied,
        }
    }
}
