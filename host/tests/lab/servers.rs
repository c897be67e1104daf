//! A lab of real servers: started for a test by `cargo xtask lab`, and gone with it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::until;

/// How long the lab may take to come up, and to go down.
const LAB_TIMEOUT: Duration = Duration::from_secs(60);
/// What the stories need: servers, and how the names of their Debian packages begin.
const NEEDED: [(&str, &str); 4] = [("postfix", "postfix"), ("dovecot", "dovecot-"), ("named", "bind9"), ("slapd", "slapd")];
/// Instruments whose packages begin like a server's.
const INSTRUMENTS: [&str; 2] = ["bind9-utils", "bind9-dnsutils"];

/// Real servers on free ports of loopback, until this is dropped.
pub(crate) struct Lab {
    /// The program that made it.
    pub(crate) xtask: PathBuf,
    /// Its folder.
    pub(crate) dir: PathBuf,
    holder: Child,
    facts: Value,
    /// What it said of its servers as they came up.
    said: Vec<String>,
    _folder: TempDir,
}

impl Lab {
    /// Starts the servers; `None`, and a line that says why, where they cannot be had.
    pub(crate) fn up() -> Option<Self> {
        Self::of(&NEEDED, &[])
    }

    /// Starts servers of these names, or the usual ones; those that are needed are given with how the names of their packages begin.
    pub(crate) fn of(needed: &[(&str, &str)], names: &[&str]) -> Option<Self> {
        if let Some(package) = missing(needed) {
            eprintln!("left out: there is no {package}");
            return None;
        }
        // The servers' own users pass through it.
        let folder = tempfile::Builder::new().prefix("lab").permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let (xtask, dir) = (xtask(), folder.path().join("lab"));
        let mut command = Command::new(&xtask);
        command.args(["lab", "up"]).args(names).args(["--hold", "--wipe", "--port-base", "free", "--dir"]).arg(&dir);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = wait_for_ready(&mut holder);
        let facts = fs::read_to_string(dir.join("lab.json")).expect("the lab leaves its facts");
        let facts = serde_json::from_str(&facts).unwrap();
        let lab = Self { xtask, dir: dir.clone(), holder, facts, said, _folder: folder };
        for &(server, _) in needed {
            if lab.said.iter().any(|line| line.starts_with(&format!("{server} is left out: it needs root"))) {
                eprintln!("left out: {server} needs root");
                return None;
            }
            assert!(lab.runs(server), "{:?}", lab.said);
        }
        Some(lab)
    }

    /// Whether a server came up that not every machine has.
    pub(crate) fn runs(&self, server: &str) -> bool {
        self.said.iter().any(|line| line.starts_with(&format!("{server} is up")))
    }

    /// Stops one server, as an operator would.
    pub(crate) fn stop(&self, server: &str) {
        self.command(&["stop", server]);
    }

    /// Starts it again, on the same ports.
    pub(crate) fn start(&self, server: &str) {
        self.command(&["start", server]);
    }

    /// Holds one server still: its ports stay open, and nobody answers.
    pub(crate) fn stall(&self, server: &str) {
        self.command(&["stall", server]);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self, server: &str) {
        self.command(&["resume", server]);
    }

    /// A schedule we ship, with the ports and the folder of this lab.
    pub(crate) fn schedule(&self, file: &str) -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schedules").join(file);
        self.command(&[OsStr::new("schedule"), file.as_os_str()])
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> u16 {
        let port = self.facts["ports"][service].as_u64().unwrap_or_else(|| panic!("the lab has no {service}"));
        port.try_into().unwrap()
    }

    /// The address at which this is wrong; ports are the usual ones.
    pub(crate) fn faulty(&self, fault: &str) -> &str {
        self.facts["faulty"][fault].as_str().unwrap_or_else(|| panic!("the lab has no fault {fault}"))
    }

    /// The file of the authority that vouches for the servers.
    pub(crate) fn ca_file(&self) -> &str {
        self.facts["ca_file"].as_str().unwrap()
    }

    /// The file that holds doveadm's key.
    pub(crate) fn doveadm_key_file(&self) -> &str {
        self.facts["doveadm_key_file"].as_str().unwrap()
    }

    /// The file that holds the password of a user.
    pub(crate) fn password_file(&self, user: &str) -> &str {
        self.facts["users"][user]["password_file"].as_str().unwrap()
    }

    /// The password of a user.
    pub(crate) fn password(&self, user: &str) -> String {
        fs::read_to_string(self.password_file(user)).unwrap().trim().to_owned()
    }

    fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> String {
        let output = Command::new(&self.xtask).arg("lab").args(words).arg("--dir").arg(&self.dir).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.holder.stdin.take()); // the sign to end
        if until(LAB_TIMEOUT, || self.holder.try_wait().unwrap()).is_none() {
            eprintln!("the lab in {} does not end", self.dir.display());
        }
    }
}

/// A package that `cargo xtask test` looked for in vain.
fn missing(needed: &[(&str, &str)]) -> Option<String> {
    let without = std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
    let is_server = |package: &&str| needed.iter().any(|(_, begins)| package.starts_with(begins)) && !INSTRUMENTS.contains(package);
    without.split_whitespace().find(is_server).map(str::to_owned)
}

/// The program that makes labs: the one that runs these tests, or one built now.
fn xtask() -> PathBuf {
    if let Some(program) = std::env::var_os("WATCHPOST_XTASK") {
        return program.into();
    }
    let ours = std::env::current_exe().unwrap();
    let target = ours.ancestors().nth(3).expect("tests are built into target/PROFILE/deps");
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "xtask", "--target-dir"]).arg(target).status().unwrap();
    assert!(built.success(), "xtask is not built");
    target.join("debug/xtask")
}

/// Waits until the lab says that it is ready; gives what it said before.
fn wait_for_ready(holder: &mut Child) -> Vec<String> {
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(holder.stdout.take().expect("it is piped"));
    // On a thread: the lab talks until its end, and must never wait for a reader.
    thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    let (begun, mut said) = (Instant::now(), Vec::new());
    loop {
        match lines.recv_timeout(LAB_TIMEOUT.saturating_sub(begun.elapsed())) {
            Ok(line) if line == "lab: ready" => return said,
            Ok(line) => said.push(line),
            Err(RecvTimeoutError::Timeout) => panic!("the lab is not up after {LAB_TIMEOUT:?}: {said:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the lab did not come up: {said:?}"),
        }
    }
}
