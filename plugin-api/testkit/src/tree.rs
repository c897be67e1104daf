//! A folder of files made for a test.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use crate::server::StoryError;

/// A folder of its own; it is gone, with all that is in it, when this is dropped. Paths are relative to it, and folders made as needed.
///
/// ```
/// # fn story() -> Result<(), watchpost_testkit::StoryError> {
/// use std::time::Duration;
/// let tree = watchpost_testkit::Tree::new()?;
/// let message = tree.file("Maildir/new/1700.a.host", "Subject: hello\n\n")?;
/// tree.aged("Maildir/new/1700.a.host", Duration::from_secs(3600))?;
/// tree.append("log", "one line\n")?;
/// tree.rename("log", "log.1")?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Tree(TempDir);

impl Tree {
    /// Makes an empty folder.
    pub fn new() -> Result<Self, StoryError> {
        Ok(Self(tempfile::tempdir()?))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where something in it is, or would be.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path().join(path)
    }

    /// Makes a file of these contents, in place of one that is there.
    pub fn file(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> Result<PathBuf, StoryError> {
        let path = self.ready(path)?;
        fs::write(&path, contents)?;
        Ok(path)
    }

    /// Makes a folder.
    pub fn folder(&self, path: impl AsRef<Path>) -> Result<PathBuf, StoryError> {
        let path = self.at(path);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Makes a program of a shell's script.
    pub fn program(&self, path: impl AsRef<Path>, script: &str) -> Result<PathBuf, StoryError> {
        let path = self.file(path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Writes at the end of a file, which is made if need be.
    pub fn append(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Result<(), StoryError> {
        let path = self.ready(path)?;
        Ok(fs::File::options().create(true).append(true).open(path)?.write_all(text.as_ref())?)
    }

    /// Cuts a file to nothing, as copytruncate does.
    pub fn truncate(&self, path: impl AsRef<Path>) -> Result<(), StoryError> {
        Ok(fs::File::options().write(true).open(self.at(path))?.set_len(0)?)
    }

    /// Gives something another name, as the rotation of a log does.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), StoryError> {
        let to = self.ready(to)?;
        Ok(fs::rename(self.at(from), to)?)
    }

    /// Removes a file.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<(), StoryError> {
        Ok(fs::remove_file(self.at(path))?)
    }

    /// Has a file, or a folder, be last changed so long ago.
    pub fn aged(&self, path: impl AsRef<Path>, age: Duration) -> Result<(), StoryError> {
        let then = SystemTime::now().checked_sub(age).ok_or_else(|| io::Error::other("no such time"))?;
        Ok(fs::File::open(self.at(path))?.set_modified(then)?)
    }

    /// Names of what is in a folder, sorted.
    pub fn names(&self, folder: impl AsRef<Path>) -> Result<Vec<String>, StoryError> {
        let names = fs::read_dir(self.at(folder))?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn ready(&self, path: impl AsRef<Path>) -> Result<PathBuf, StoryError> {
        let path = self.at(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_holds_what_it_is_told_and_is_gone_with_its_owner() {
        let tree = Tree::new().unwrap();
        let file = tree.file("a/b/file", "one").unwrap();
        tree.append("a/b/file", "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "onetwo");
        tree.aged("a/b/file", Duration::from_secs(100)).unwrap();
        let age = fs::metadata(&file).unwrap().modified().unwrap().elapsed().unwrap();
        assert!(age >= Duration::from_secs(100) && age < Duration::from_secs(160), "{age:?}");
        tree.rename("a/b/file", "a/c/other").unwrap();
        tree.truncate("a/c/other").unwrap();
        assert_eq!(fs::read(tree.at("a/c/other")).unwrap(), b"");
        tree.folder("a/d").unwrap();
        assert_eq!(tree.names("a").unwrap(), ["b", "c", "d"]);
        tree.remove("a/c/other").unwrap();
        assert!(tree.remove("a/c/other").is_err());
        let program = tree.program("bin/say", "echo said").unwrap();
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
        let path = tree.path().to_owned();
        drop(tree);
        assert!(!path.exists());
    }
}
