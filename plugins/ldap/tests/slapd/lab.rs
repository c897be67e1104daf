//! The lab's slapd: started for these tests by `cargo xtask lab`, and gone with them.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::USER;

/// What a test here needs of the system.
const PACKAGES: [&str; 2] = ["slapd", "ldap-utils"];

/// A slapd on free ports of loopback, until this is dropped.
pub(crate) struct Lab {
    holder: Child,
    facts: Value,
    folder: TempDir,
}

impl Lab {
    /// Starts slapd; `None`, and a line that says why, where `cargo xtask test` looked for it in vain.
    pub(crate) fn up() -> Option<Self> {
        let without = std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
        if let Some(package) = PACKAGES.iter().find(|package| without.split_whitespace().any(|missing| missing == **package)) {
            eprintln!("left out: there is no {package}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("lab").permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let dir = folder.path().join("lab");
        let mut command = Command::new(xtask());
        command.args(["lab", "up", "slapd", "--hold", "--wipe", "--port-base", "free", "--dir"]).arg(&dir);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
        // It says so, or ends: either within a deadline of its own.
        assert!(said.any(|line| line.unwrap() == "lab: ready"), "the lab did not come up");
        let facts = fs::read_to_string(dir.join("lab.json")).unwrap();
        Some(Self { holder, facts: serde_json::from_str(&facts).unwrap(), folder })
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    pub(crate) fn port(&self, name: &str) -> u16 {
        self.facts["ports"][name].as_u64().unwrap().try_into().unwrap()
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir().join("ca/ca.pem")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir().join("slapd/ldapi")
    }

    pub(crate) fn password(&self) -> String {
        fs::read_to_string(self.facts["users"]["probe"]["password_file"].as_str().unwrap()).unwrap().trim().to_owned()
    }

    /// What slapd has written of connections and operations.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir().join("slapd/log")).unwrap()
    }

    /// Sends slapd a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let record = fs::read_to_string(self.dir().join("running/slapd")).unwrap();
        let pid = record.split(' ').next().unwrap();
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
    }

    /// The configuration that logs in as probe in the clear.
    pub(crate) fn plain(&self) -> Value {
        json!({ "host": "127.0.0.1", "port": self.port("ldap"), "user": USER, "password": self.password() })
    }

    /// Has `ldapsearch` do the same search; gives how many entries and how many referrals it prints.
    pub(crate) fn ldapsearch(&self, base: &str, scope: &str, filter: &str) -> (usize, usize) {
        let mut command = Command::new("ldapsearch");
        command.args(["-x", "-LLL", "-o", "ldif-wrap=no", "-D", USER, "-w", &self.password(), "-b", base, "-s", scope, filter, "1.1"]);
        let output = command.arg("-H").arg(format!("ldap://127.0.0.1:{}", self.port("ldap"))).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let count = |prefix: &str| text.lines().filter(|line| line.starts_with(prefix)).count();
        (count("dn:"), count("# refldap:"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.signal("-CONT");
        drop(self.holder.stdin.take()); // the sign to end
        // It ends what it started, or gives up: either within a deadline of its own.
        if let Err(error) = self.holder.wait() {
            eprintln!("the lab in {} does not end: {error}", self.dir().display());
        }
    }
}

/// The program that makes labs: the one that runs these tests, or one built now.
fn xtask() -> PathBuf {
    if let Some(program) = std::env::var_os("WATCHPOST_XTASK") {
        return program.into();
    }
    let ours = std::env::current_exe().unwrap();
    let target: &Path = ours.ancestors().nth(3).unwrap();
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "xtask", "--target-dir"]).arg(target).status().unwrap();
    assert!(built.success(), "xtask is not built");
    target.join("debug/xtask")
}
