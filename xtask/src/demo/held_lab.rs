//! The lab for as long as the demo lives: a process of its own that ends the lab when we are gone.

use crate::error::{Error, Outcome};
use crate::lab::{Lab, READY};
use crate::privilege;
use crate::process;
use crate::signal;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long the lab may take to come up; a Postfix that is unpacked is downloaded first.
const UP_WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long the lab may take to go down.
const DOWN_WITHIN: Duration = Duration::from_secs(90);
/// How often waiting looks whether we were asked to end.
const LOOK: Duration = Duration::from_millis(100);

/// A lab that goes down when this is dropped, or when we die; servers that ran before stay up.
pub(crate) struct HeldLab(Child);

impl HeldLab {
    /// Starts the lab and waits until it is up; a lab that was made for this is removed afterwards.
    pub(crate) fn start(lab: &Lab, keep: bool) -> Outcome<Self> {
        let root = privilege::root("the lab of real mail servers");
        let root = match root {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            // What can run without root is decided in there, and why it is so little is said there.
            Err(_) => privilege::Root::Already,
            Ok(root) => root,
        };
        let mut arguments = vec!["lab".into(), "up".into(), "--hold".into()];
        arguments.extend(lab.options());
        if !keep && !lab.dir.exists() {
            arguments.push("--wipe".into());
        }
        let mut command = root.xtask(&arguments)?;
        // A group of its own: Ctrl-C reaches us alone, and the daemon ends before the lab.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut held = Self(process::spawn(&mut command)?);
        let said = held.0.stdout.take().map(lines);
        match said {
            Some(said) => wait_for_ready(&said).map(|()| held),
            None => Err(Error::Refused("the lab says nothing".into())),
        }
    }
}

impl Drop for HeldLab {
    fn drop(&mut self) {
        drop(self.0.stdin.take()); // the sign to end
        if !process::wait_until(DOWN_WITHIN, || !matches!(self.0.try_wait(), Ok(None))) {
            eprintln!("the lab does not end; see `cargo xtask lab status`");
        }
    }
}

/// Passes on what the lab says, until it says that it is ready.
fn wait_for_ready(said: &Receiver<String>) -> Outcome {
    let begun = Instant::now();
    while begun.elapsed() < UP_WITHIN {
        if signal::caught() {
            return Err(Error::Interrupted);
        }
        match said.recv_timeout(LOOK) {
            Ok(line) if line == READY => return Ok(()),
            Ok(line) => println!("{line}"),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Refused("the lab did not come up".into()));
            }
        }
    }
    Err(Error::Refused("the lab did not come up in time".into()))
}

/// Reads lines on a thread of its own, so that waiting for one can have an end.
fn lines(from: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line.clone()).is_err() {
                println!("{line}"); // nobody waits any more: the lab is going down
            }
        }
    });
    receiver
}
