//! The daemon: started as an ordinary user, ended with SIGTERM.

use super::folder::Folder;
use crate::error::{Error, Outcome, doing};
use crate::process;
use crate::progress;
use crate::signal::{self, Signal};
use crate::user::{self, Account};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long the daemon may take to end: it promises 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running daemon; ended when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `watchpost run` as the account, with its words in the folder's log.
    pub(crate) fn start(folder: &Folder, account: &Account) -> Outcome<Self> {
        let log = folder.log();
        let output = progress::append(&log)?;
        let twin = output.try_clone().map_err(doing("share the log"))?;
        let mut command = Command::new(folder.program("watchpost"));
        command.arg("run").arg("--config").arg(folder.config());
        command.current_dir("/").stdin(Stdio::null()).stdout(output).stderr(twin);
        // A group of its own: Ctrl-C is ours, we end the daemon in its turn.
        command.process_group(0);
        if user::is_root() {
            command.uid(account.uid).gid(account.gid); // drops root's other groups, too
            command.env("HOME", "/nonexistent").env("USER", &account.name);
        }
        let child = process::spawn(&mut command)?;
        Ok(Self { child, log })
    }

    /// Checks that it still runs.
    ///
    /// Errors: how it ended, and the end of its log.
    pub(crate) fn check(&mut self) -> Outcome {
        match self.child.try_wait().map_err(doing("look after watchpost"))? {
            None => Ok(()),
            Some(status) => Err(self.complain(&format!("ended, {status}"))),
        }
    }

    fn ended_within(&mut self, time: Duration) -> bool {
        process::wait_until(time, || !matches!(self.child.try_wait(), Ok(None)))
    }

    /// Says what is wrong with it, and the end of its log.
    pub(crate) fn complain(&self, what: &str) -> Error {
        let why = format!("{what}; the end of its log:\n{}", progress::tail(&self.log));
        Error::Program { program: "watchpost".into(), why }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended_within(Duration::ZERO) {
            return;
        }
        signal::send(self.child.id(), Signal::Terminate);
        if !self.ended_within(STOP_WITHIN) {
            eprintln!("watchpost did not end within {} s and is killed", STOP_WITHIN.as_secs());
            signal::send(self.child.id(), Signal::Kill);
            self.ended_within(STOP_WITHIN);
        }
    }
}
