//! Who may have written a library: nobody but root and the user we run as.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why a file is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// It cannot be looked at.
    #[error("cannot look at {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else owns it.
    #[error("{} belongs to user {owner}; it must belong to root or to the user who runs watchpost ({ours})", path.display())]
    Owner {
        /// The file or folder.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// Our number.
        ours: u32,
    },
    /// Others may write it.
    #[error("{} may be written by others (mode {mode:04o}); `chmod go-w` it", path.display())]
    Writable {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no file.
    #[error("{} is no regular file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
}

/// Checks owner and mode of a library and of every folder above it; gives its true path.
pub fn trusted(path: &Path) -> Result<PathBuf, Distrust> {
    // A file of ours under /proc belongs to the user we run as: no unsafe call is needed to ask.
    let ours = look("/proc/self".as_ref())?.uid();
    let path = fs::canonicalize(path).map_err(|source| Distrust::Unreadable { path: path.to_owned(), source })?;
    let file = look(&path)?;
    if !file.is_file() {
        return Err(Distrust::NoFile { path });
    }
    check(&path, &file, ours, false)?;
    let mut below_owned = owned(&file, ours);
    for folder in path.ancestors().skip(1) {
        let meta = look(folder)?;
        check(folder, &meta, ours, below_owned)?;
        below_owned = owned(&meta, ours);
    }
    Ok(path)
}

fn look(path: &Path) -> Result<fs::Metadata, Distrust> {
    fs::metadata(path).map_err(|source| Distrust::Unreadable { path: path.to_owned(), source })
}

fn owned(meta: &fs::Metadata, ours: u32) -> bool {
    meta.uid() == 0 || meta.uid() == ours
}

fn check(path: &Path, meta: &fs::Metadata, ours: u32, below_owned: bool) -> Result<(), Distrust> {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o002;
    const GROUP_WRITE: u32 = 0o020;
    if !owned(meta, ours) {
        return Err(Distrust::Owner { path: path.to_owned(), owner: meta.uid(), ours });
    }
    // In a sticky folder nobody but its owner replaces an entry: fine while the entry itself is trusted.
    let sticky = meta.is_dir() && meta.mode() & STICKY != 0 && below_owned;
    // Debian gives each user a group of the same number: writable by that group is writable by its owner.
    let by_group = meta.mode() & GROUP_WRITE != 0 && meta.gid() != meta.uid();
    if (meta.mode() & OTHERS_WRITE != 0 || by_group) && !sticky {
        return Err(Distrust::Writable { path: path.to_owned(), mode: meta.mode() & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn check_modes(folder: u32, file: u32) -> Result<PathBuf, Distrust> {
        let temp = tempfile::tempdir().unwrap();
        let inner = temp.path().join("plugins");
        let library = inner.join("liba.so");
        fs::create_dir(&inner).unwrap();
        fs::write(&library, "x").unwrap();
        fs::set_permissions(&library, Permissions::from_mode(file)).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(folder)).unwrap();
        trusted(&library)
    }

    #[test]
    fn a_library_that_others_may_write_is_not_trusted() {
        assert!(check_modes(0o755, 0o755).is_ok());
        assert!(matches!(check_modes(0o755, 0o757), Err(Distrust::Writable { .. })));
        assert!(matches!(check_modes(0o777, 0o755), Err(Distrust::Writable { .. })));
        assert!(check_modes(0o1777, 0o755).is_ok(), "a sticky folder holds what it holds");
    }

    #[test]
    fn a_folder_is_no_library() {
        let temp = tempfile::tempdir().unwrap();
        assert!(matches!(trusted(temp.path()), Err(Distrust::NoFile { .. })));
    }
}
