//! The socket of rrdcached's readers: the daemon's user's, and a group's where one is named.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, chown},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// Where groups are known by name. Source: group(5).
const GROUPS: &str = "/etc/group";

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// There is no such group.
    #[error("{GROUPS} has no group {0}")]
    NoGroup(String),
    /// Somebody listens there.
    #[error("somebody listens at {0} already, rrdcached perhaps")]
    InUse(PathBuf),
    /// Something else has the name.
    #[error("{0} is there and no socket")]
    Occupied(PathBuf),
    /// The system refuses.
    #[error("cannot listen at {path}")]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Listens at a socket of that path, for our user and, if one is named, a group; one that somebody left behind is replaced.
pub fn listen(path: &Path, group: Option<&str>) -> Result<UnixListener, SocketError> {
    let group = group.map(|name| number_of(name).ok_or_else(|| SocketError::NoGroup(name.into()))).transpose()?;
    let refused = |source| SocketError::Refused { path: path.into(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(error)),
        Ok(there) if !there.file_type().is_socket() => return Err(SocketError::Occupied(path.into())),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(SocketError::InUse(path.into())),
        Ok(_) => fs::remove_file(path).map_err(refused)?,
    }
    // Bound under another name and renamed once its mode is right: nobody else connects in between.
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    let draft = PathBuf::from(draft);
    drop(fs::remove_file(&draft));
    let listener = UnixListener::bind(&draft).map_err(refused)?;
    let settle = || {
        fs::set_permissions(&draft, fs::Permissions::from_mode(if group.is_some() { 0o660 } else { 0o600 }))?;
        group.map_or(Ok(()), |group| chown(&draft, None, Some(group)))?;
        fs::rename(&draft, path)
    };
    settle().map_err(|error| {
        drop(fs::remove_file(&draft));
        refused(error)
    })?;
    Ok(listener)
}

fn number_of(group: &str) -> Option<u32> {
    let known = fs::read_to_string(GROUPS).unwrap_or_default();
    let mut lines = known.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rrdcached.sock");
        let first = listen(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen(&path, None), Err(SocketError::InUse(_))));
        drop(first);
        let _second = listen(&path, None).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[tokio::test]
    async fn what_is_in_the_way_is_told_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "kept").unwrap();
        assert!(matches!(listen(&path, None), Err(SocketError::Occupied(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        let nowhere = folder.path().join("none/rrdcached.sock");
        assert!(matches!(listen(&nowhere, None), Err(SocketError::Refused { .. })));
        let other = folder.path().join("other");
        assert_eq!(listen(&other, Some("no-such-group")).unwrap_err().to_string(), "/etc/group has no group no-such-group");
        assert!(!other.exists());
    }

    #[test]
    fn groups_have_numbers() {
        assert_eq!((number_of("root"), number_of("no-such-group"), number_of("")), (Some(0), None, None));
    }
}
