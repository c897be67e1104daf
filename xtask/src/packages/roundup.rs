//! roundup, which Debian has no package of: as its authors publish it, beside what cargo built.

use crate::error::{Outcome, doing};
use crate::{place, progress};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Its name in the table.
pub(crate) const ROUNDUP: &str = "roundup";
/// The interpreter of Debian: another one may lack pip.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// The release, and what its file has to be.
const REQUIREMENT: &str = "roundup==2.6.0 --hash=sha256:12fd8fb806047415f22131f965c6ab4026a28dc63f7054e055c8f891950591d4\n";
const INSTALL_WITHIN: Duration = Duration::from_secs(10 * 60);
/// What a whole tree has.
const TEMPLATE: &str = "share/roundup/templates/classic/schema.py";

/// Gives the folder that holds it, if it is there whole.
pub(crate) fn tree() -> Option<PathBuf> {
    place_of_it().ok().filter(|tree| tree.join(TEMPLATE).exists())
}

/// Puts it where [`tree`] finds it.
pub(crate) fn fetch(log: &Path) -> Outcome {
    let tree = place_of_it()?;
    let twin = tree.with_extension(std::process::id().to_string());
    fs::create_dir_all(&twin).map_err(doing(format!("make {}", twin.display())))?;
    let wanted = twin.join("wanted");
    fs::write(&wanted, REQUIREMENT).map_err(doing("write what is wanted"))?;
    let mut pip = Command::new(PYTHON);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--no-build-isolation"]);
    pip.args(["--no-binary", ":all:", "--root-user-action", "ignore", "--require-hashes", "--target"]).arg(&twin).arg("-r").arg(&wanted);
    let installed = progress::run("installing roundup", &mut pip, log, INSTALL_WITHIN);
    if installed.is_ok() && !tree.exists() {
        fs::rename(&twin, &tree).map_err(doing("put roundup into its place"))?;
    }
    fs::remove_dir_all(&twin).ok(); // it is in its place, or of no use
    installed
}

fn place_of_it() -> Outcome<PathBuf> {
    place::built("unpacked/roundup")
}
