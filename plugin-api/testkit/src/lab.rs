//! Real servers on loopback: started for a test by `cargo xtask lab`, and gone with it.

use std::{
    env, fs, io,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::server::StoryError;

/// What the lab says when all of its servers answer.
const READY: &str = "lab: ready";

/// Servers on free ports of loopback, until this is dropped.
pub struct Lab {
    holder: Child,
    facts: Value,
    folder: TempDir,
}

impl Lab {
    /// Starts these servers; `None`, and a line that says why, where `cargo xtask test` looked in vain for one of these packages.
    ///
    /// Errors: a lab that cannot be built or does not come up; it has deadlines of its own.
    pub fn up(servers: &[&str], packages: &[&str]) -> Result<Option<Self>, StoryError> {
        let without = env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default();
        if let Some(package) = packages.iter().find(|package| without.split_whitespace().any(|missing| missing == **package)) {
            eprintln!("left out: there is no {package}");
            return Ok(None);
        }
        // The servers' own users pass through it.
        let folder = tempfile::Builder::new().prefix("lab").permissions(fs::Permissions::from_mode(0o755)).tempdir()?;
        let dir = folder.path().join("lab");
        let mut command = Command::new(xtask()?);
        command.args(["lab", "up"]).args(servers).args(["--hold", "--wipe", "--port-base", "free", "--dir"]).arg(&dir);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = holder.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
        if !said.map_while(Result::ok).any(|line| line == READY) {
            return Err(io::Error::other("the lab did not come up").into());
        }
        let facts = serde_json::from_str(&fs::read_to_string(dir.join("lab.json"))?).map_err(io::Error::other)?;
        Ok(Some(Self { holder, facts, folder }))
    }

    /// Its folder.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    /// The port of a service, at 127.0.0.1 and at each faulty address; 0 where there is none, which nobody can connect to.
    pub fn port(&self, service: &str) -> u16 {
        self.facts["ports"][service].as_u64().and_then(|port| port.try_into().ok()).unwrap_or_default()
    }

    /// The address at which this is wrong; empty where there is none.
    pub fn faulty(&self, fault: &str) -> &str {
        self.facts["faulty"][fault].as_str().unwrap_or_default()
    }

    /// The file of the authority that vouches for the servers.
    pub fn ca_file(&self) -> PathBuf {
        self.dir().join("ca/ca.pem")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.holder.stdin.take()); // the sign to end
        // It ends what it started, or gives up: either within a deadline of its own.
        if let Err(error) = self.holder.wait() {
            eprintln!("the lab in {} does not end: {error}", self.dir().display());
        }
    }
}

/// The program that makes labs: the one that runs these tests, or one built now.
fn xtask() -> Result<PathBuf, StoryError> {
    if let Some(program) = env::var_os("WATCHPOST_XTASK") {
        return Ok(program.into());
    }
    let ours = env::current_exe()?;
    let target = ours.ancestors().nth(3).unwrap_or(Path::new("target")); // tests are built into target/PROFILE/deps
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "xtask", "--target-dir"]).arg(target).status()?;
    match built.success() {
        true => Ok(target.join("debug/xtask")),
        false => Err(io::Error::other("xtask is not built").into()),
    }
}
