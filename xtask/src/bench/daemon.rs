//! A daemon of the release build that is measured: what it and its worker cost, and what it says of its jobs.

use super::cost;
use crate::error::{Error, Outcome, doing};
use crate::{place, process};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A program that is ended when dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon with a data folder of its own; both are gone when dropped.
pub(super) struct Daemon {
    running: Option<Running>,
    listen: SocketAddr,
    data: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.running = None;
        // Left behind in the temporary folder at worst.
        let _ = fs::remove_dir_all(&self.data);
    }
}

impl Daemon {
    /// Starts it in a folder, with these jobs.
    pub(super) fn start(folder: &Path, jobs: &str) -> Outcome<Self> {
        Self::start_with(folder, &place::built("release")?, jobs)
    }

    /// Starts it in a folder, with the libraries of that other folder.
    pub(super) fn start_with(folder: &Path, plugins: &Path, jobs: &str) -> Outcome<Self> {
        let (release, listen, data) = (place::built("release")?, free()?, folder.join("data"));
        let plugins = plugins.display();
        let config = format!("data = \"data\"\nplugins = [\"{plugins}\"]\nschedules = [\"jobs.toml\"]\nlisten = \"{listen}\"\n");
        fs::write(folder.join("watchpost.toml"), config).map_err(doing("write watchpost.toml"))?;
        fs::write(folder.join("jobs.toml"), jobs).map_err(doing("write jobs.toml"))?;
        let mut command = Command::new(release.join("watchpost"));
        command.args(["run", "--log-level", "error", "--config"]).arg(folder.join("watchpost.toml"));
        let child = process::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()))?;
        Ok(Self { running: Some(Running(child)), listen, data })
    }

    /// Where it keeps what it measured.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn metrics(&self) -> Outcome<String> {
        ask(self.listen, "/metrics")
    }

    /// Seconds of CPU of its worker (of all that it started, and what those did), and its own.
    pub(super) fn used(&self) -> Outcome<(f64, f64)> {
        let pid = self.running.as_ref().map_or(0, |running| running.0.id());
        let workers = cost::below(pid);
        let own = cost::used_by(pid).filter(|_| !workers.is_empty());
        let own = own.ok_or_else(|| Error::Refused("the daemon or its worker is gone".into()))?;
        Ok((workers.into_iter().filter_map(cost::used_by).sum(), own))
    }
}

/// Finds a port that nobody listens on.
pub(super) fn free() -> Outcome<SocketAddr> {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(doing("find a free port"))
}

/// Asks by HTTP/1.0: the answer ends with the connection.
pub(super) fn ask(address: SocketAddr, path: &str) -> Outcome<String> {
    let asking = || doing(format!("ask http://{address}"));
    let mut stream = TcpStream::connect(address).map_err(asking())?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(asking())?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).map_err(asking())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(asking())?;
    Ok(answer)
}
