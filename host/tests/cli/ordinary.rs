//! What an ordinary user may not read is told of, with what can be done; what it may read is checked all the same.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::getuid;
use tempfile::TempDir;

use crate::harness::install;

/// Who runs the check where the tests run as root.
const SOMEBODY: &str = "nobody";

const JOBS: &str = r#"[[job]]
name = "open"
agent = "smtp"
every = "30s"
config = { host = "mx1", prot = 25 }

[[job]]
name = "closed"
agent = "smtp"
every = "30s"
config = { host = "mx1", user = "alice", password = { file = "closed-secret" }, from = "alice@example.org" }
"#;

/// A house in the temporary folder, programs and all: whoever runs the check reaches it.
struct Open(TempDir);

impl Open {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        house.allow("", 0o755);
        fs::create_dir(house.path("plugins")).unwrap();
        install(&house.path(""), &house.path("plugins"));
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn allow(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Checks as a user who is not root.
    fn check(&self) -> (Option<i32>, String) {
        let program = self.path("watchpost");
        let mut command = if getuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", SOMEBODY, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let output = command.args(["check", "--config", "watchpost.toml"]).current_dir(self.0.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for folder in ["closed-plugins", "closed-schedules"] {
            if Path::new(&self.path(folder)).exists() {
                self.allow(folder, 0o755);
            }
        }
    }
}

#[test]
fn what_an_ordinary_user_may_not_read_hides_nothing_of_the_rest() {
    let house = Open::new();
    for folder in ["closed-plugins", "closed-schedules"] {
        fs::create_dir(house.path(folder)).unwrap();
        house.allow(folder, 0o000);
    }
    let main = "plugins = [\"plugins\", \"closed-plugins\"]\nschedules = [\"jobs.toml\", \"closed-schedules\"]\n";
    fs::write(house.path("watchpost.toml"), main).unwrap();
    fs::write(house.path("jobs.toml"), JOBS).unwrap();
    fs::write(house.path("closed-secret"), "geheim-17\n").unwrap();
    house.allow("closed-secret", 0o000);
    let (code, said) = house.check();
    let expected = "\
error: `prot`: unknown key of agent `smtp`
  --> jobs.toml:5:26
  = did you mean `port`?
error: `password`: cannot read secret file closed-secret: Permission denied
  --> jobs.toml:11:62
error: `from`: needs `to` beside it
  --> jobs.toml:11:88
error: `plugins`: cannot read folder closed-plugins: Permission denied
  --> watchpost.toml:1:23
error: `schedules`: cannot read closed-schedules: Permission denied
  --> watchpost.toml:2:27
";
    assert_eq!((code, said.as_str()), (Some(2), expected));
}

#[test]
fn an_ordinary_user_takes_a_secret_of_its_own_and_none_of_a_stranger() {
    let house = Open::new();
    fs::write(house.path("watchpost.toml"), "plugins = [\"plugins\"]\nschedules = [\"jobs.toml\"]\n").unwrap();
    let config = "{ host = \"mx1\", user = \"alice\", password = { file = \"secret\" } }";
    fs::write(house.path("jobs.toml"), format!("[[job]]\nname = \"a\"\nagent = \"smtp\"\nevery = \"30s\"\nconfig = {config}\n")).unwrap();
    fs::write(house.path("secret"), "geheim-17\n").unwrap();
    house.allow("secret", 0o600);
    if getuid().is_root() {
        // Readable to root alone: the check cannot even open it.
        assert!(house.check().1.contains("cannot read secret file secret: Permission denied"));
        let uid = Command::new("id").args(["-u", SOMEBODY]).output().unwrap().stdout;
        let uid = String::from_utf8(uid).unwrap().trim().parse().unwrap();
        chown(house.path("secret"), Some(uid), None).unwrap();
    }
    assert_eq!(house.check(), (Some(0), String::new()));
    house.allow("secret", 0o604);
    let (code, said) = house.check();
    assert!(code == Some(2) && said.contains("secret file secret is open to others, mode 0604\n"), "{said}");
    assert!(!said.contains("geheim-17"), "{said}");
}
