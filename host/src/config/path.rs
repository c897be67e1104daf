//! Paths as people read them.

use std::path::{Component, Path, PathBuf};

/// Shortens a path that means the same: `./` goes, and so does `a/..` where `a` is a folder.
///
/// What cannot be seen to be a folder stays: behind a link `..` leads elsewhere, and what is missing may be the very thing to be told of.
pub(super) fn readable(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if ends_in_a_folder(&short) => drop(short.pop()),
            other => short.push(other),
        }
    }
    if short.as_os_str().is_empty() && !path.as_os_str().is_empty() { PathBuf::from(".") } else { short }
}

/// Completes a path so that it holds in any working directory.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).map_or_else(|_| path.to_owned(), |absolute| readable(&absolute))
}

/// Says whether the last part of a path names a folder, and is no link to one.
fn ends_in_a_folder(path: &Path) -> bool {
    let named = matches!(path.components().next_back(), Some(Component::Normal(_)));
    named && path.symlink_metadata().is_ok_and(|facts| facts.is_dir())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_detour_through_a_folder_is_left_out() {
        let house = tempfile::tempdir().unwrap();
        fs::create_dir_all(house.path().join("schedules/deeper")).unwrap();
        let check = |written: &str, read: &str| assert_eq!(readable(&house.path().join(written)), house.path().join(read), "{written}");
        check("./schedules/../target/x", "target/x");
        check("schedules/deeper/../../secrets", "secrets");
        check("schedules/./a.toml", "schedules/a.toml");
        assert_eq!((readable(Path::new("./a.toml")), readable(Path::new("."))), ("a.toml".into(), ".".into()));
        assert_eq!(readable(Path::new("../a/./b")), Path::new("../a/b"));
    }

    #[test]
    fn a_path_never_comes_to_mean_something_else() {
        let house = tempfile::tempdir().unwrap();
        let (near, far) = (house.path().join("near"), house.path().join("far/deeper"));
        fs::create_dir_all(&near).unwrap();
        fs::create_dir_all(&far).unwrap();
        symlink(&far, near.join("link")).unwrap();
        fs::write(house.path().join("far/secret"), "far").unwrap();
        fs::write(near.join("secret"), "near").unwrap();
        let written = near.join("link/../secret");
        assert_eq!(fs::read_to_string(readable(&written)).unwrap(), "far");
        assert_eq!(readable(&written), written);
        let missing = near.join("nowhere/../secret");
        assert_eq!(readable(&missing), missing);
        fs::write(near.join("file"), "").unwrap();
        assert_eq!(readable(&near.join("file/../secret")), near.join("file/../secret"));
    }
}
