//! Removes a file for an agent that said beforehand where it would.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat2, statat, unlinkat},
    io::Errno,
};
use watchpost_plugin_api::AgentError;

use super::off_thread;
use crate::stream::reason;

/// Removes a regular file below one of these folders; says whether it was there.
pub(crate) async fn remove(path: PathBuf, folders: &[PathBuf]) -> Result<bool, AgentError> {
    let shown = path.display().to_string();
    let failed = |why: &str| AgentError::local(format!("cannot remove {shown}: {why}"));
    let declared = folders.iter().find_map(|folder| Some((folder.clone(), within(&path, folder)?)));
    let (folder, inside) = declared.ok_or_else(|| failed("it is in no folder of which the agent said that it removes files there"))?;
    off_thread(move || remove_in(&folder, &inside)).await?.map_err(|error| failed(&reason(&error)))
}

/// The path below the folder, if it is below it as written.
fn within(path: &Path, folder: &Path) -> Option<PathBuf> {
    let inside = path.strip_prefix(folder).ok()?;
    let plain = inside.components().all(|component| matches!(component, Component::Normal(_)));
    (plain && inside.file_name().is_some()).then(|| inside.to_owned())
}

fn remove_in(folder: &Path, inside: &Path) -> io::Result<bool> {
    let (Some(name), parent) = (inside.file_name(), inside.parent().filter(|parent| !parent.as_os_str().is_empty())) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // The folder is the operator's word, links and all. What is below it may be another user's, who could put a link there.
    let only_below = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(folder, flags, Mode::empty())?;
    let parent = openat2(top, parent.unwrap_or(Path::new(".")), flags, Mode::empty(), only_below);
    let removed = parent.and_then(|parent| match FileType::from_raw_mode(statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
        FileType::RegularFile => unlinkat(&parent, name, AtFlags::empty()).map(|()| None),
        other => Ok(Some(other)),
    });
    match removed {
        Ok(None) => Ok(true),
        Ok(Some(_)) => Err(io::Error::other("it is no regular file")),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::LOOP) => Err(io::Error::other("a symbolic link is on the way")),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tempfile::tempdir;

    use super::*;

    #[tokio::test]
    async fn a_file_is_removed_where_the_agent_said_so_and_nowhere_else() {
        let (ours, theirs) = (tempdir().unwrap(), tempdir().unwrap());
        let (inside, outside) = (ours.path().join("new"), theirs.path().join("precious"));
        fs::create_dir(&inside).unwrap();
        fs::write(&outside, "").unwrap();
        symlink(theirs.path(), ours.path().join("link")).unwrap();
        symlink(&outside, inside.join("shortcut")).unwrap();
        let folders = [inside.clone(), ours.path().to_owned()];
        let check = async |path: PathBuf, expected: Result<bool, &str>| {
            let expected = expected.map_err(|why| AgentError::local(format!("cannot remove {}: {why}", path.display())));
            assert_eq!(remove(path, &folders).await, expected);
        };
        let undeclared = "it is in no folder of which the agent said that it removes files there";
        for _ in 0..2 {
            fs::write(inside.join("1700.token.host"), "").unwrap();
            check(inside.join("1700.token.host"), Ok(true)).await;
            check(inside.join("1700.token.host"), Ok(false)).await;
        }
        fs::write(ours.path().join("top"), "").unwrap();
        check(ours.path().join("top"), Ok(true)).await;
        check(inside.join("gone/with/it"), Ok(false)).await;
        check(outside.clone(), Err(undeclared)).await;
        check(ours.path().join("../").join(theirs.path().file_name().unwrap()).join("precious"), Err(undeclared)).await;
        check(ours.path().to_owned(), Err(undeclared)).await;
        check(inside.clone(), Err("it is no regular file")).await;
        check(inside.join("shortcut"), Err("it is no regular file")).await;
        check(ours.path().join("link/precious"), Err("a symbolic link is on the way")).await;
        assert!(outside.exists() && inside.join("shortcut").is_symlink());
    }
}
