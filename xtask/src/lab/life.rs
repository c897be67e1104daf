//! A server's life: down, up, gone without being asked, and who else holds its ports.

use super::Lab;
use super::server::{Server, answers};
use crate::error::{Error, Outcome, doing};
use crate::process::{self, Record};
use crate::{progress, signal};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long a server may take to end by itself.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// What a server is doing.
#[derive(Debug, PartialEq)]
pub(crate) enum State {
    /// Runs and answers on every port.
    Up(u32),
    /// Runs but does not answer on every port.
    Silent(u32),
    /// Runs and is held: its ports are open, and nobody answers on them.
    Stalled(u32),
    /// Was started, and ended without being asked to.
    Died,
    /// Was not started; its ports are free.
    Down,
    /// Was not started; another program holds this port.
    Taken(u16),
}

/// What a server was doing when it was stopped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stopped {
    Ran,
    HadDied,
    WasDown,
}

impl Stopped {
    /// Says it after the server's name.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Stopped::Ran => "is down",
            Stopped::HadDied => "had died",
            Stopped::WasDown => "was down",
        }
    }
}

impl State {
    /// Says the state in a word or two.
    pub(crate) fn word(&self) -> String {
        match self {
            State::Up(_) => "up".into(),
            State::Silent(_) => "silent".into(),
            State::Stalled(_) => "stalled".into(),
            State::Died => "died".into(),
            State::Down => "down".into(),
            State::Taken(port) => format!("port {port} is another's"),
        }
    }

    /// Gives the process that was started, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            State::Up(pid) | State::Silent(pid) | State::Stalled(pid) => Some(*pid),
            _ => None,
        }
    }
}

/// Looks what a server is doing.
pub(crate) fn state(lab: &Lab, server: &dyn Server) -> State {
    match Record::read(&lab.record(server.name())) {
        Some(record) if record.is_stalled() => State::Stalled(record.pid),
        Some(record) if record.is_alive() && server.is_ready(lab) => State::Up(record.pid),
        Some(record) if record.is_alive() => State::Silent(record.pid),
        Some(_) => State::Died,
        None => {
            let mut ports = server.ports().iter().map(|port| lab.port(port));
            ports.find(|&port| answers(port)).map_or(State::Down, State::Taken)
        }
    }
}

/// Starts a server and waits until it answers; tells whether it had to be started. One that is stalled goes on.
///
/// Errors: the port is another's, the server ended or stayed silent; its log's end is shown.
pub(crate) fn start(lab: &Lab, server: &dyn Server) -> Outcome<bool> {
    match state(lab, server) {
        State::Up(_) => return Ok(false),
        State::Stalled(_) if resume(lab, server)? => return Ok(false),
        State::Stalled(_) | State::Silent(_) | State::Died => drop(stop(lab, server)?),
        State::Down | State::Taken(_) => {}
    }
    if let State::Taken(port) = state(lab, server) {
        let name = server.name();
        return Err(Error::Refused(format!("{name}: port {port} is taken by another program")));
    }
    let command = server.prepare(lab)?;
    let record = lead_a_session(lab, server, &command)?;
    record.write(&lab.record(server.name()))?;
    let begun = process::wait_until(READY_WITHIN, || signal::caught() || !record.is_alive() || server.is_ready(lab));
    if begun && record.is_alive() && !signal::caught() {
        return Ok(true);
    }
    let why = match (signal::caught(), record.is_alive()) {
        (true, _) => Error::Interrupted,
        (false, false) => silent(lab, server, "ended"),
        (false, true) => silent(lab, server, &format!("gave no answer within {} s", READY_WITHIN.as_secs())),
    };
    stop(lab, server)?;
    Err(why)
}

/// Ends a server and all it started; tells what there was to end.
///
/// It does not knock on the ports: a login process that starts for a knock delays Dovecot's end.
pub(crate) fn stop(lab: &Lab, server: &dyn Server) -> Outcome<Stopped> {
    let path = lab.record(server.name());
    let Some(record) = Record::read(&path) else {
        forget(&path)?;
        return Ok(Stopped::WasDown);
    };
    let stopped = if record.is_alive() { Stopped::Ran } else { Stopped::HadDied };
    record.stop(STOP_WITHIN)?;
    forget(&path)?;
    Ok(stopped)
}

/// Holds a server and all it started, as if its machine were stuck.
///
/// Errors: [`Error::Refused`] if it does not run.
pub(crate) fn stall(lab: &Lab, server: &dyn Server) -> Outcome {
    running(lab, server)?.stall()
}

/// Lets a server that was held go on; tells whether it answers.
///
/// Errors: [`Error::Refused`] if it does not run.
pub(crate) fn resume(lab: &Lab, server: &dyn Server) -> Outcome<bool> {
    let record = running(lab, server)?;
    record.resume();
    Ok(process::wait_until(READY_WITHIN, || !record.is_stalled() && server.is_ready(lab)))
}

fn running(lab: &Lab, server: &dyn Server) -> Outcome<Record> {
    let record = Record::read(&lab.record(server.name())).filter(Record::is_alive);
    record.ok_or_else(|| Error::Refused(format!("{} does not run", server.name())))
}

fn forget(record: &Path) -> Outcome {
    match fs::remove_file(record) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(doing(format!("remove {}", record.display()))(error)),
        _ => Ok(()),
    }
}

/// Starts the command in the place of setsid(1), so that the recorded pid is the session's leader.
fn lead_a_session(lab: &Lab, server: &dyn Server, command: &Command) -> Outcome<Record> {
    let output = progress::append(&lab.made(server.name())?.join("output"))?;
    let twin = output.try_clone().map_err(doing("share the log"))?;
    let mut session = Command::new("setsid");
    session.arg(command.get_program()).args(command.get_args());
    session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    session.current_dir("/").stdin(Stdio::null()).stdout(output).stderr(twin);
    let child = process::spawn(&mut session)?;
    Record::of(child.id()).ok_or_else(|| silent(lab, server, "ended at once"))
}

fn silent(lab: &Lab, server: &dyn Server, what: &str) -> Error {
    let output = progress::tail(&lab.folder(server.name()).join("output"));
    let log = progress::tail(&server.log(lab));
    Error::Program { program: server.name().into(), why: format!("{what}\n{output}\n{log}") }
}
