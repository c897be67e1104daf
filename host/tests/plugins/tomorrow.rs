//! Builds changed copies of our own crates with the dependencies that cargo has built already, by rustc alone: seconds instead of minutes, and
//! nothing of it lands where today's programs are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

/// Something written into a copy: behind which words of which file, and what.
pub(crate) struct Change {
    pub(crate) file: &'static str,
    pub(crate) at: &'static str,
    pub(crate) more: &'static str,
}

/// A crate that was built.
pub(crate) struct Built {
    name: &'static str,
    file: PathBuf,
}

/// A folder of copies, and what cargo has built.
pub(crate) struct Tomorrow {
    folder: TempDir,
    /// Every library that cargo built for programs: name and version → file.
    known: BTreeMap<(String, String), PathBuf>,
    /// The versions that the workspace asks for.
    wanted: toml::Table,
}

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn manifest(folder: &Path) -> toml::Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

impl Tomorrow {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("tomorrow").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let wanted = manifest(house())["workspace"]["dependencies"].as_table().unwrap().clone();
        Self { folder, known: known(), wanted }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Builds a changed copy of a library of ours.
    pub(crate) fn library(&self, name: &'static str, from: &str, changes: &[Change], version: &str, with: &[&Built]) -> Built {
        let mut rustc = self.rustc(name, from, changes, with);
        rustc.args(["--crate-type", "rlib"]).envs([("CARGO_PKG_NAME", name.replace('_', "-").as_str()), ("CARGO_PKG_VERSION", version)]);
        for (key, part) in ["CARGO_PKG_VERSION_MAJOR", "CARGO_PKG_VERSION_MINOR", "CARGO_PKG_VERSION_PATCH"].iter().zip(version.split('.'))
        {
            rustc.env(key, part);
        }
        self.run(rustc, &self.copy_of(from).join("src/lib.rs"));
        Built { name, file: self.folder().join(format!("lib{name}.rlib")) }
    }

    /// Builds a changed copy of a library of agents.
    pub(crate) fn plugin(&self, name: &'static str, from: &str, changes: &[Change], with: &[&Built]) -> PathBuf {
        let mut rustc = self.rustc(name, from, changes, with);
        rustc.args(["--crate-type", "cdylib"]);
        rustc.envs([("CARGO_PKG_NAME", name), ("CARGO_PKG_VERSION", "2.0.0"), ("CARGO_PKG_DESCRIPTION", "Of tomorrow")]);
        self.run(rustc, &self.copy_of(from).join("src/lib.rs"));
        self.folder().join(format!("lib{name}.so"))
    }

    /// Builds the program of a crate whose library was built.
    pub(crate) fn program(&self, from: &str, with: &[&Built]) -> PathBuf {
        let name = "worker_of_tomorrow";
        let mut rustc = self.rustc(name, from, &[], with);
        rustc.args(["--crate-type", "bin"]);
        self.run(rustc, &self.copy_of(from).join("src/main.rs"));
        self.folder().join(name)
    }

    fn copy_of(&self, from: &str) -> PathBuf {
        self.folder().join(from.replace('/', "-"))
    }

    /// What is common to all: the copy, changed, and everything that it depends on.
    fn rustc(&self, name: &str, from: &str, changes: &[Change], with: &[&Built]) -> Command {
        let copy = self.copy_of(from);
        if !copy.exists() {
            copy_sources(&house().join(from).join("src"), &copy.join("src"));
        }
        for Change { file, at, more } in changes {
            let path = copy.join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.matches(at).count(), 1, "{from}/{file}: {at}");
            fs::write(&path, text.replace(at, &format!("{at}{more}"))).unwrap();
        }
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "--cap-lints", "allow", "-C", "prefer-dynamic=no", "--crate-name", name, "--out-dir"]);
        rustc.arg(self.folder()).arg("-L").arg(format!("dependency={}", deps().display())).arg("-L").arg(self.folder());
        for dependency in manifest(&house().join(from))["dependencies"].as_table().unwrap().keys() {
            let ours = dependency.replace('-', "_");
            let built = with.iter().find(|built| built.name == ours).map(|built| built.file.clone());
            let file =
                built.or_else(|| self.known(dependency)).unwrap_or_else(|| panic!("{from} depends on {dependency}, which is not built"));
            rustc.arg("--extern").arg(format!("{}={}", crate_name(dependency), file.display()));
        }
        for built in with {
            rustc.arg("--extern").arg(format!("{}={}", built.name, built.file.display()));
        }
        rustc
    }

    /// What cargo has built of a dependency, in the version that the workspace asks for.
    fn known(&self, dependency: &str) -> Option<PathBuf> {
        let wanted = match self.wanted.get(dependency)? {
            toml::Value::String(version) => version,
            table => table.get("version")?.as_str()?,
        };
        let mut parts = wanted.split('.');
        // The part that may not change: the first that is not 0.
        let first = parts.next()?;
        let compatible = if first == "0" { format!("0.{}.", parts.next()?) } else { format!("{first}.") };
        let fits = |(name, version): &&(String, String)| *name == crate_name(dependency) && version.starts_with(&compatible);
        self.known.keys().find(fits).map(|key| self.known[key].clone())
    }

    fn run(&self, mut rustc: Command, source: &Path) {
        let output = rustc.arg(source).output().unwrap();
        assert!(output.status.success(), "{}: {}", source.display(), String::from_utf8_lossy(&output.stderr));
    }
}

/// A crate's name as its users write it.
fn crate_name(package: &str) -> String {
    if package == "md-5" { "md5".into() } else { package.replace('-', "_") }
}

/// Where cargo builds libraries: beside this test.
fn deps() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Asks cargo where everything is that it has built.
fn known() -> BTreeMap<(String, String), PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--workspace", "--offline", "--quiet", "--message-format", "json"]).current_dir(house());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| artifact(&serde_json::from_str(line).ok()?)).collect()
}

fn artifact(message: &Value) -> Option<((String, String), PathBuf)> {
    // What is built for build scripts and macros has no debug information, and other features.
    if message["reason"] != "compiler-artifact" || message["profile"]["debuginfo"] == 0 {
        return None;
    }
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
    let file = files.map(PathBuf::from).find(|file| file.extension().is_some_and(|extension| extension == "rlib"))?;
    let version = message["package_id"].as_str()?.rsplit(['#', '@']).next()?;
    Some(((message["target"]["name"].as_str()?.replace('-', "_"), version.to_owned()), file))
}

fn copy_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, there) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_sources(&path, &there);
        } else {
            fs::copy(&path, &there).unwrap();
        }
    }
}
