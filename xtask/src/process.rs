//! Processes that we started: known by pid, start time and boot, so that no other is ever ended.
//!
//! A server runs as the leader of a session of its own; whatever it starts belongs to that
//! session, and is found by it even after the leader was killed.

use crate::error::{Error, Outcome, doing};
use crate::signal::{self, Signal};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a waiting loop looks again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long a short program may take.
const SHORT: Duration = Duration::from_secs(60);
/// How long the leader of a session may end its members by itself.
const LEADERS_TURN: Duration = Duration::from_millis(1500);
/// How long the kernel gets to take away what was killed.
const KILLED_GRACE: Duration = Duration::from_secs(5);

/// How long the kernel gets to hold every process of a session.
const STALL_WITHIN: Duration = Duration::from_secs(5);
/// The state of a process that SIGSTOP holds. Source: proc(5), `/proc/PID/stat` field 3.
const STALLED: char = 'T';

/// A process known beyond doubt: a pid alone is reused, pid, start time and boot are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) pid: u32,
    /// Clock ticks between boot and its start. Source: proc(5), `/proc/PID/stat` field 22.
    start: u64,
    boot: String,
}

/// What `/proc/PID/stat` tells of one process.
struct Stat {
    state: char,
    session: u32,
    start: u64,
}

impl Record {
    /// Records a running process; `None` if it is gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let start = stat(pid)?.start;
        let boot = boot_id();
        Some(Self { pid, start, boot })
    }

    /// Reads a record; `None` if there is none or it is of another boot.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let record = Self::parse(&fs::read_to_string(path).ok()?)?;
        (record.boot == boot_id()).then_some(record)
    }

    /// Writes the record for a later command.
    pub(crate) fn write(&self, path: &Path) -> Outcome {
        let text = format!("{} {} {}\n", self.pid, self.start, self.boot);
        fs::write(path, text).map_err(doing(format!("write {}", path.display())))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Some(Self { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()?, boot: words.next()?.to_owned() })
    }

    /// Tells whether exactly this process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|now| now.start == self.start && now.state != 'Z')
    }

    /// Tells whether this process is held by SIGSTOP.
    pub(crate) fn is_stalled(&self) -> bool {
        stat(self.pid).is_some_and(|now| now.start == self.start && now.state == STALLED)
    }

    /// Holds the process and its session: its sockets stay open, and nobody answers on them.
    ///
    /// Errors: [`Error::Refused`] if something goes on even then.
    pub(crate) fn stall(&self) -> Outcome {
        signal::send(self.pid, Signal::Stop); // the leader first: it starts the others
        let held = wait_until(STALL_WITHIN, || {
            let running: Vec<u32> = self.members().into_iter().filter(|&pid| stat(pid).is_some_and(|now| now.state != STALLED)).collect();
            running.iter().for_each(|&pid| signal::send(pid, Signal::Stop));
            running.is_empty()
        });
        if held { Ok(()) } else { Err(Error::Refused(format!("processes of the session {} do not stop", self.pid))) }
    }

    /// Lets the process and its session go on.
    pub(crate) fn resume(&self) {
        self.members().into_iter().for_each(|pid| signal::send(pid, Signal::Continue));
    }

    /// Lists what still runs of the session that this process leads, itself included.
    pub(crate) fn members(&self) -> Vec<u32> {
        if stat(self.pid).is_some_and(|now| now.start != self.start) {
            return Vec::new(); // the pid was reused, so nothing of the session was left
        }
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| stat(pid).is_some_and(|it| self.leads(&it))).collect()
    }

    fn leads(&self, member: &Stat) -> bool {
        member.session == self.pid && member.start >= self.start && member.state != 'Z'
    }

    /// Ends the process and its session: SIGTERM to the leader, soon to the rest, SIGKILL after `grace`.
    ///
    /// Errors: [`Error::Refused`] if something is left even then.
    pub(crate) fn stop(&self, grace: Duration) -> Outcome {
        self.resume(); // a process that is held does not see SIGTERM
        if self.is_alive() {
            signal::send(self.pid, Signal::Terminate);
            // A leader that is gone ends nobody any more.
            wait_until(LEADERS_TURN, || !self.is_alive() || self.members().is_empty());
        }
        for (signal, patience) in [(Signal::Terminate, grace), (Signal::Kill, KILLED_GRACE)] {
            self.members().into_iter().for_each(|pid| signal::send(pid, signal));
            if wait_until(patience, || self.members().is_empty()) {
                return Ok(());
            }
        }
        Err(Error::Refused(format!("processes {:?} do not end", self.members())))
    }
}

/// Waits until `done` or the deadline; tells whether it was `done`.
pub(crate) fn wait_until(deadline: Duration, mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if done() {
            return true;
        }
        if begun.elapsed() >= deadline {
            return false;
        }
        sleep(LOOK_AGAIN);
    }
}

/// Runs a program that shares our terminal to its end; passes on a request to end.
pub(crate) fn attend(command: &mut Command) -> Outcome<ExitStatus> {
    let mut child = spawn(command)?;
    let mut asked = false;
    loop {
        if let Some(status) = child.try_wait().map_err(doing("wait for a program"))? {
            return if signal::caught() { Err(Error::Interrupted) } else { Ok(status) };
        }
        if signal::caught() && !asked {
            signal::send(child.id(), Signal::Terminate);
            asked = true;
        }
        sleep(LOOK_AGAIN);
    }
}

/// Starts a program; the error names it.
pub(crate) fn spawn(command: &mut Command) -> Outcome<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(doing(format!("start {program}")))
}

/// Runs a short program and gives its standard output; its standard error explains a failure.
///
/// Errors: also if it takes longer than [`SHORT`].
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = spawn(command)?;
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(done) = receiver.recv_timeout(SHORT) else {
        signal::send(pid, Signal::Kill);
        return Err(Error::Program { program, why: format!("not done after {} s", SHORT.as_secs()) });
    };
    let done = done.map_err(doing(format!("read what {program} says")))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(Error::Program { program, why: format!("{}: {said}", done.status) })
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The command's name may hold blanks and brackets: count from its last bracket.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let session = fields.nth(2)?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    Some(Stat { state, session, start })
}

fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let line = "77 (a) R (b) S 1 77 66 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.state, stat.session, stat.start), ('S', 66, 4242));
    }

    #[test]
    fn a_process_with_the_same_pid_and_another_start_is_not_ours() {
        let own = Record::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let other = Record { start: own.start + 1, ..own };
        assert!(!other.is_alive());
        assert_eq!(other.members(), []);
    }

    #[test]
    fn a_session_is_held_whole_and_goes_on_or_ends_from_there() {
        let mut leader = Command::new("setsid");
        let mut leader = leader.args(["sh", "-c", "sleep 300 & wait"]).spawn().unwrap();
        let record = Record::of(leader.id()).unwrap();
        assert!(wait_until(Duration::from_secs(5), || record.members().len() == 2));
        record.stall().unwrap();
        assert!(record.is_stalled());
        assert!(record.members().iter().all(|&pid| stat(pid).unwrap().state == STALLED));
        record.resume();
        assert!(wait_until(Duration::from_secs(5), || record.members().iter().all(|&pid| stat(pid).unwrap().state != STALLED)));
        record.stall().unwrap();
        let begun = Instant::now();
        record.stop(Duration::from_secs(30)).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(15), "it had to be killed");
        assert_eq!(record.members(), []);
        leader.wait().unwrap();
    }

    #[test]
    fn a_record_of_another_boot_is_no_record() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let own = Record::of(std::process::id()).unwrap();
        own.write(path.path()).unwrap();
        assert_eq!(Record::read(path.path()), Some(own.clone()));
        let earlier = Record { boot: "another".into(), ..own };
        earlier.write(path.path()).unwrap();
        assert_eq!(Record::read(path.path()), None);
    }

    #[test]
    fn stopping_ends_a_member_that_outlived_its_leader() {
        let mut leader = Command::new("setsid");
        leader.args(["sh", "-c", "sleep 300 & wait"]);
        let mut leader = leader.spawn().unwrap();
        let record = Record::of(leader.id()).unwrap();
        assert!(wait_until(Duration::from_secs(5), || record.members().len() == 2));
        leader.kill().unwrap();
        leader.wait().unwrap();
        assert_eq!(record.members().len(), 1);
        record.stop(Duration::from_secs(1)).unwrap();
        assert_eq!(record.members(), []);
    }
}
