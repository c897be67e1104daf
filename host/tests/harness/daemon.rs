//! One life of a daemon, from its start to SIGTERM or SIGKILL.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    http::{self, Answer},
    process::{Process, workers_of},
    until,
};

/// A daemon is ready within this time, whatever the one before it left: five times the aim, and twice that for a debug build that loads
/// every library there is.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(10);
/// SIGTERM ends a daemon within this time (DESIGN "Command line").
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long we wait before we call it hanging; longer than what is promised, to tell late from never.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon that was started; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    begun: Instant,
    log: PathBuf,
    listen: Option<SocketAddr>,
}

/// How a daemon ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// From the signal to the end.
    pub(crate) took: Duration,
    /// All that it logged.
    pub(crate) log: String,
}

impl Daemon {
    /// Starts `command` with its log, one JSON object a line, in a new file of `folder`.
    pub(super) fn spawn(mut command: Command, folder: &Path) -> Self {
        static LIVES: AtomicU32 = AtomicU32::new(0);
        let log = folder.join(format!("log-{}", LIVES.fetch_add(1, Ordering::Relaxed)));
        command.stderr(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        Self { child, begun: Instant::now(), log, listen: None }
    }

    /// Waits until it is ready, and gives how long that took from its start; late is a failure.
    pub(crate) fn wait_ready(&mut self) -> Duration {
        let ready = until(PATIENCE, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended ({status}) instead of getting ready:\n{}", self.log_text());
            }
            self.listen = self.told_listen();
            self.get("/-/ready").ok().filter(|answer| answer.status == 200)
        });
        let took = self.begun.elapsed();
        assert!(ready.is_some() && took < READY_TIMEOUT, "not ready after {took:?}:\n{}", self.log_text());
        took
    }

    /// Where it listens; known once it is ready.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.expect("the daemon is ready")
    }

    /// What its line `ready` says, in either form of the log.
    fn told_listen(&self) -> Option<SocketAddr> {
        let in_json = self.log().iter().find(|line| line["message"] == "ready").and_then(|line| line["listen"].as_str()?.parse().ok());
        let in_text = || self.log_text().split_once(" ready ")?.1.split_once("listen=")?.1.split_whitespace().next()?.parse().ok();
        in_json.or_else(in_text)
    }

    /// Asks its listener.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, http::Failed> {
        self.listen.ok_or_else(|| "it does not listen yet".into()).and_then(|address| http::get(address, path))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its workers, as they are now.
    pub(crate) fn workers(&self) -> Vec<Process> {
        workers_of(self.pid())
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log_text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What it logged so far, as it stands.
    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it without a word.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits for its end.
    pub(crate) fn stop(mut self) -> Ended {
        let begun = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        match until(PATIENCE, || self.child.try_wait().unwrap()) {
            Some(status) => Ended { status, took: begun.elapsed(), log: self.log_text() },
            None => panic!("the daemon does not end:\n{}", self.log_text()),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already, most of the time.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
