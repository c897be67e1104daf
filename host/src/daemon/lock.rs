//! The data folder belongs to one daemon.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, statfs};

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
    /// It is on another machine's disk.
    #[error("the data folder {} is on {kind}: who locks it and what is synced there is for another machine to say", path.display())]
    Remote {
        /// The folder.
        path: PathBuf,
        /// The protocol that reaches it.
        kind: &'static str,
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
        if let Some(kind) = path.ancestors().find_map(|folder| statfs(if folder == Path::new("") { Path::new(".") } else { folder }).ok()) {
            // What cannot be asked is found out by using it.
            if let Some(kind) = remote_kind(u64::try_from(kind.f_type).unwrap_or(0)) {
                return Err(LockError::Remote { path: path.to_owned(), kind });
            }
        }
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

/// Names the protocol by which a file system reaches another machine. Source: statfs(2), `f_type`.
fn remote_kind(file_system: u64) -> Option<&'static str> {
    match file_system & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_of_another_machine_is_known_by_its_kind() {
        assert_eq!([0x6969, 0xff53_4d42, 0xffff_ffff_fe53_4d42].map(remote_kind), [Some("NFS"), Some("SMB"), Some("SMB")]);
        // ext4, xfs, btrfs, tmpfs, overlay
        assert_eq!([0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630].map(remote_kind), [None; 5]);
        let path = PathBuf::from("/mnt/data");
        let told = LockError::Remote { path, kind: "NFS" }.to_string();
        assert!(told.starts_with("the data folder /mnt/data is on NFS: "), "{told}");
    }

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
