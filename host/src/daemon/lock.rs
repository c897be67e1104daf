//! The data folder belongs to one daemon.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why the data folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error("the data folder {} is in use by another watchpost (process {owner})", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// The other's process, as it wrote it down.
        owner: String,
    },
    /// It cannot be made or written.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataFolder {
    /// Makes the folder where it is missing, readable by its owner only, and locks it.
    pub fn lock(path: &Path) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(unusable(io::ErrorKind::NotADirectory.into())),
            made => made.map_err(unusable)?,
        }
        // Else the first to write in it tells of its own file only.
        access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| unusable(error.into()))?;
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock")).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _unknown_owner = file.read_to_string(&mut owner);
                return Err(LockError::Taken { path: path.to_owned(), owner: owner.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable)?;
        let path = fs::canonicalize(path).map_err(unusable)?;
        Ok(Self { path, _lock: file })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process's user owns the folder: another user's daemon could not write files that we made in it.
    pub fn is_ours(&self) -> bool {
        let owner = |path: &Path| fs::metadata(path).map(|facts| facts.uid()).ok();
        owner(&self.path).is_some_and(|uid| owner(Path::new("/proc/self")) == Some(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_owner_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().join("data");
        let first = DataFolder::lock(&data).unwrap();
        let refused = DataFolder::lock(&data).unwrap_err();
        assert!(refused.to_string().contains(&format!("(process {})", std::process::id())), "{refused}");
        drop(first);
        DataFolder::lock(&data).unwrap();
    }
}
