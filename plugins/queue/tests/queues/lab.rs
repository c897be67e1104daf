//! The lab's Postfix, and Exim where a test asks for it: started for these tests by `cargo xtask lab`, and gone with them. Without Dovecot
//! mail for the lab's users is deferred.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};

use crate::*;

/// How the names of each server's Debian packages begin.
const PACKAGES: [(&str, &str); 3] = [("postfix", "postfix"), ("dovecot", "dovecot-"), ("exim", "exim4-daemon-light")];

/// A Postfix, and perhaps an Exim before it, on free ports of loopback, until this is dropped.
pub(crate) struct Lab {
    holder: Child,
    folder: TempDir,
}

impl Lab {
    /// Starts Postfix; `None`, and a line that says why, where `cargo xtask test` looked for it in vain.
    pub(crate) fn up() -> Option<Self> {
        Self::of(&["postfix"])
    }

    /// As [`up`](Lab::up), with Exim, and with Dovecot, without whose AUTH Postfix takes nothing from Exim.
    pub(crate) fn with_exim() -> Option<Self> {
        Self::of(&["dovecot", "postfix", "exim"])
    }

    fn of(servers: &[&str]) -> Option<Self> {
        let without = std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
        let is_needed = |package: &&str| PACKAGES.iter().any(|(server, begins)| servers.contains(server) && package.starts_with(begins));
        if let Some(package) = without.split_whitespace().find(is_needed) {
            eprintln!("left out: there is no {package}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("lab").permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let dir = folder.path().join("lab");
        let mut command = Command::new(xtask());
        command.args(["lab", "up"]).args(servers).args(["--hold", "--wipe", "--port-base", "free", "--dir"]).arg(&dir);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
        // It says so, or ends: either within a deadline of its own.
        assert!(said.any(|line| line.unwrap() == "lab: ready"), "the lab did not come up; `cargo xtask packages lab` gets what it needs");
        let lab = Self { holder, folder };
        // Its ports answer a moment before all of its sockets are there.
        let deadline = Instant::now() + Duration::from_secs(20);
        while !lab.queue().join("public/showq").exists() {
            assert!(Instant::now() < deadline, "Postfix has no showq");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(lab)
    }

    fn etc(&self) -> PathBuf {
        self.folder.path().join("lab/postfix/etc")
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.folder.path().join("lab/postfix/queue")
    }

    /// Hands in a message as a program of this machine does.
    pub(crate) fn send(&self, to: &[&str], text: &str) {
        let mut command = Command::new("sendmail");
        command.arg("-C").arg(self.etc()).args(["-i", "-f", "bob@lab.test"]).args(to).stdin(Stdio::piped());
        let mut sendmail = command.spawn().unwrap();
        sendmail.stdin.take().unwrap().write_all(format!("Subject: lab\n\n{text}\n").as_bytes()).unwrap();
        assert!(sendmail.wait().unwrap().success());
    }

    /// Runs `postsuper` with these arguments.
    pub(crate) fn postsuper(&self, arguments: &[&str]) {
        let output = Command::new("postsuper").arg("-c").arg(self.etc()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    /// Asks Postfix to look at its queues now.
    pub(crate) fn flush(&self) {
        assert!(Command::new("postqueue").arg("-c").arg(self.etc()).arg("-f").status().unwrap().success());
    }

    /// What `postqueue -j` says, one object for each message.
    pub(crate) fn postqueue(&self) -> Vec<Value> {
        let output = Command::new("postqueue").arg("-c").arg(self.etc()).arg("-j").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Sends Postfix's first process a signal.
    pub(crate) fn signal(&self, signal: &str) {
        kill(signal, &self.pid("postfix"));
    }

    /// Sends one of Postfix's own processes a signal.
    pub(crate) fn signal_to(&self, program: &str, signal: &str) {
        let parent = self.pid("postfix");
        let is_it = |pid: &String| {
            // proc_pid_stat(5): pid (comm) state ppid …
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.split_once(&format!("({program}) ")).is_some_and(|(_, rest)| rest.split(' ').nth(1) == Some(&parent))
        };
        let mut pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        kill(signal, &pids.find(is_it).unwrap_or_else(|| panic!("there is no {program}")));
    }

    fn pid(&self, server: &str) -> String {
        let record = fs::read_to_string(self.folder.path().join("lab/running").join(server)).unwrap();
        record.split(' ').next().unwrap().to_owned()
    }

    /// The port of a service.
    pub(crate) fn port(&self, service: &str) -> u16 {
        let facts: Value = serde_json::from_slice(&fs::read(self.folder.path().join("lab/lab.json")).unwrap()).unwrap();
        facts["ports"][service].as_u64().unwrap().try_into().unwrap()
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.folder.path().join("lab/exim/spool")
    }

    /// Sends Exim's daemon a signal.
    pub(crate) fn signal_exim(&self, signal: &str) {
        kill(signal, &self.pid("exim"));
    }

    /// Runs Exim with these words, fed with a message; gives what it says.
    pub(crate) fn exim(&self, words: &[&str], text: &str) -> String {
        let folder = self.folder.path().join("lab/exim");
        let mut command = Command::new(folder.join("exim4"));
        command.env("LD_LIBRARY_PATH", folder.join("lib")).arg("-C").arg(folder.join("exim.conf")).args(words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn kill(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.holder.stdin.take()); // the sign to end
        // It ends what it started, or gives up: either within a deadline of its own.
        if let Err(error) = self.holder.wait() {
            eprintln!("the lab in {} does not end: {error}", self.folder.path().display());
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
