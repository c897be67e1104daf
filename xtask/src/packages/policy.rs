//! `policy-rc.d`: while we install, no package starts its service.
//!
//! Source: Debian's `/usr/share/doc/init-system-helpers/README.policy-rc.d.gz`.

use crate::error::{Outcome, doing};
use crate::place;
use crate::process::Record;
use std::fs;
use std::io::ErrorKind;
use std::io::Write;
use std::path::{Path, PathBuf};

const PATH: &str = "/usr/sbin/policy-rc.d";
/// Marks a file as ours; the process that wrote it follows.
const MARK: &str = "# laid down by watchpost's xtask while it installs, process ";

/// Our `policy-rc.d`, gone when this is dropped; nothing if the machine has one of its own.
pub(crate) struct Policy(Option<PathBuf>);

impl Policy {
    /// Forbids starting services, unless the machine has a policy of its own.
    pub(crate) fn lay_down() -> Outcome<Self> {
        Self::at(Path::new(PATH))
    }

    fn at(path: &Path) -> Outcome<Self> {
        remove_forgotten(path);
        let what = format!("write {}", path.display());
        let mut file = match fs::File::create_new(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(Self(None)),
            Err(error) => return Err(doing(what)(error)),
        };
        let ours = Self(Some(path.to_owned()));
        let text = format!("#!/bin/sh\n{MARK}{}\nexit 101\n", std::process::id());
        file.write_all(text.as_bytes()).map_err(doing(what))?;
        place::set_mode(path, 0o755)?;
        Ok(ours)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
        {
            eprintln!("cannot remove {}: {error}; services will not start until it is", path.display());
        }
    }
}

/// Removes what an earlier run of ours left because it was killed.
fn remove_forgotten(path: &Path) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let writer = text.lines().find_map(|line| line.strip_prefix(MARK));
    let writer = writer.and_then(|pid| pid.trim().parse().ok());
    if writer.is_some_and(|pid| Record::of(pid).is_none()) {
        fs::remove_file(path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy-rc.d");
        (folder, path)
    }

    #[test]
    fn our_policy_forbids_and_goes_away() {
        let (_folder, path) = path();
        let policy = Policy::at(&path).unwrap();
        let status = std::process::Command::new(&path).status().unwrap();
        assert_eq!(status.code(), Some(101));
        drop(policy);
        assert!(!path.exists());
    }

    #[test]
    fn the_machines_own_policy_stays_untouched() {
        let (_folder, path) = path();
        fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();
        drop(Policy::at(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\nexit 0\n");
    }

    #[test]
    fn a_policy_left_by_a_killed_run_is_cleared_and_one_in_use_is_not() {
        let (_folder, path) = path();
        fs::write(&path, format!("{MARK}{}\n", u32::MAX)).unwrap();
        drop(Policy::at(&path).unwrap());
        assert!(!path.exists());
        fs::write(&path, format!("{MARK}{}\n", std::process::id())).unwrap();
        drop(Policy::at(&path).unwrap());
        assert!(path.exists());
    }
}
