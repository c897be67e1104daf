//! The programs under test, and whether they are those of today's sources.
//!
//! Cargo builds `watchpost` and the agents' libraries for these tests, but not the program `watchpost-worker` of another package:
//! that one is taken from beside `watchpost`, and only if none of its sources is newer.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// The program under test, as cargo built it for this test.
const WATCHPOST: &str = env!("CARGO_BIN_EXE_watchpost");
/// What brings the worker up to date.
pub(crate) const DEBUG_RUN: &str = "run `cargo build --workspace` first, or `cargo xtask test`, which does";

/// Links to the programs and to one agent's library in a folder of their own: a build beside a running test changes nothing for it.
pub(super) struct Programs {
    folder: TempDir,
}

impl Programs {
    pub(super) fn new() -> Self {
        Self::within(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// As [`new`](Programs::new), where every user of this machine can run them.
    pub(super) fn for_everybody() -> Self {
        let temp = std::env::temp_dir();
        let places = [Path::new(env!("CARGO_TARGET_TMPDIR")), &temp];
        let place = places.into_iter().find(|place| is_open(place)).expect("a folder that every user can enter");
        let programs = Self::within(place);
        fs::set_permissions(programs.folder.path(), Permissions::from_mode(0o755)).unwrap();
        programs
    }

    fn within(place: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("programs").tempdir_in(place).unwrap();
        let plugins = folder.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        install(folder.path(), &plugins);
        Self { folder }
    }

    pub(super) fn watchpost(&self) -> PathBuf {
        self.folder.path().join("watchpost")
    }

    /// A folder that holds the agents we ship.
    pub(super) fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }
}

/// The agents we ship, by name: each has its folder below `plugins/`.
pub(crate) fn agents() -> Vec<String> {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("plugins")).unwrap();
    let mut names: Vec<_> = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Links `watchpost` and its worker into one folder, and the libraries of the agents into another.
pub(crate) fn install(programs: &Path, plugins: &Path) {
    let worker = Path::new(WATCHPOST).with_file_name("watchpost-worker");
    refuse_stale(&worker);
    let ours = [(Path::new(WATCHPOST).to_owned(), programs.join("watchpost")), (worker, programs.join("watchpost-worker"))];
    let libraries = agents().into_iter().map(|agent| plugin_library(&agent));
    let libraries = libraries.map(|library| (library.clone(), plugins.join(library.file_name().unwrap_or_default())));
    for (from, to) in ours.into_iter().chain(libraries) {
        link(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

/// The built library of an agent. `cargo test` puts libraries beside the test programs, and refreshes them there only.
pub(crate) fn plugin_library(agent: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name(format!("libwatchpost_{agent}.so"))
}

/// Whether every user can enter a folder.
fn is_open(folder: &Path) -> bool {
    folder.ancestors().all(|above| fs::metadata(above).is_ok_and(|facts| facts.permissions().mode() & 0o001 != 0))
}

/// A link where the file system has them: the programs are large.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

/// Panics if a program is missing, or older than one of the sources that cargo noted for it.
fn refuse_stale(program: &Path) {
    let age = |path: &Path| fs::metadata(path).and_then(|facts| facts.modified());
    let built = age(program).unwrap_or_else(|error| panic!("{}: {error}; {DEBUG_RUN}", program.display()));
    let noted = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    // make's form: the program, a colon, then its sources, where a space within a name has a backslash before it.
    let sources = noted.split_once(": ").map_or("", |(_, sources)| sources).replace("\\ ", "\0");
    for source in sources.split_whitespace().map(|source| source.replace('\0', " ")) {
        let newer = age(Path::new(&source)).is_ok_and(|changed| changed > built);
        assert!(!newer, "{} is older than {source}; {DEBUG_RUN}", program.display());
    }
}
