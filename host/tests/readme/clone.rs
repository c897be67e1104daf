//! A folder that stands for a clone, with a built release, and nothing of the workspace above it.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{harness::install, page::workspace};

/// What a fresh clone does not have, or what whoever follows the README changes.
const NOT_LINKED: [&str; 6] = [".git", "target", "data", "watchpost.toml", "own.toml", "spool"];

/// The parent of the clone; gone when dropped.
pub(crate) struct Clone(TempDir);

impl Clone {
    /// Links the workspace's files and the programs that are built for this test; `lab` is where the README looks for it.
    pub(crate) fn new(lab: &Path) -> Self {
        // Whoever runs agents must pass through; only we write.
        let parent = tempfile::Builder::new().prefix("readme").permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let clone = Self(parent);
        let release = clone.folder().join("target/release");
        fs::create_dir_all(&release).unwrap();
        for entry in fs::read_dir(workspace()).unwrap().map(Result::unwrap) {
            if NOT_LINKED.iter().all(|name| entry.file_name() != *name) {
                symlink(entry.path(), clone.folder().join(entry.file_name())).unwrap();
            }
        }
        install(&release, &release);
        symlink(lab, clone.folder().join("target/lab")).unwrap();
        clone
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.0.path().join("watchpost")
    }

    /// Gives a new agent the versions that the workspace has, and a target folder that outlives this test.
    pub(crate) fn spare_time(&self, agent: &Path) {
        let target = own_agents();
        fs::create_dir_all(&target).unwrap();
        fs::copy(workspace().join("Cargo.lock"), agent.join("Cargo.lock")).unwrap();
        symlink(target, agent.join("target")).unwrap();
    }

    /// Forgets what was built from this folder: the next test builds it from another.
    pub(crate) fn forget_built(&self, agent: &Path) -> io::Result<()> {
        let mut clean = Command::new("cargo");
        clean.args([
            "clean",
            "--quiet",
            "--offline",
            "--release",
            "-p",
            "watchpost-plugin-api",
            "-p",
            "watchpost-services",
            "-p",
            "watchpost-testkit",
            "-p",
            "spool",
        ]);
        clean.current_dir(agent).env_remove("CARGO_TARGET_DIR").status().map(drop)
    }
}

/// Where agents' dependencies stay built: in the workspace's target folder, beside the profile of this test.
fn own_agents() -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    ours.ancestors().nth(3).expect("tests are built into target/PROFILE/deps").join("own-agent")
}
