//! Who comes from a confined worker: the socket of the daemon's API is no agent's to use, and no kernel that we know how to ask keeps one
//! from a socket that has a path.
//!
//! A worker of ours leads a session of its own, which neither it nor any program that it starts can leave: by that each of them is known, also
//! after the worker is dead. One that somebody else started, `watchpost measure` for one, is known by the mark that its confinement leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use watchpost_worker::confine::is_marked;

/// The sessions of confined workers, by the pid of the worker, which leads it; and whether it lives.
static SESSIONS: Mutex<BTreeMap<i32, bool>> = Mutex::new(BTreeMap::new());

fn sessions() -> MutexGuard<'static, BTreeMap<i32, bool>> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The session of a confined worker, for as long as that lives.
pub(super) struct Session(i32);

impl Session {
    /// That of a worker that was just started.
    pub(super) fn of(pid: u32) -> Self {
        let leader = pid.cast_signed();
        sessions().insert(leader, true);
        Self(leader)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What it started may live on, in a session of that number.
        sessions().insert(self.0, false);
    }
}

/// Ends whatever a worker that is dead or dying has started and left behind: its programs, and what those started.
///
/// A session keeps its number as long as nobody has waited for its leader, which `is_kept` says: after that it may be another's.
pub(super) fn end_members(leader: u32, is_kept: impl Fn() -> bool) {
    /// Looks, at most: what is being ended may start one more.
    const LOOKS_MAX: usize = 10;
    let leader = leader.cast_signed();
    let mut ended = BTreeSet::new();
    for _ in 0..LOOKS_MAX {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<NonZero<i32>>().ok());
        let members: Vec<_> = pids.filter(|pid| pid.get() != leader && !ended.contains(pid) && session_of(*pid) == Some(leader)).collect();
        if members.is_empty() || !is_kept() {
            return;
        }
        for pid in members {
            ended.insert(pid);
            let held = Pid::from_raw(pid.get()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            // Its number may have become another's before it was held.
            if let Some(held) = held.filter(|_| session_of(pid) == Some(leader) && is_kept()) {
                // A setuid program may be out of our reach.
                let _gone_or_not_ours = pidfd_send_signal(held, Signal::KILL);
            }
        }
    }
}

/// Whether a process comes from a confined worker; one that has ended already may have.
pub fn is_confined(pid: Option<i32>) -> bool {
    let Some((pid, session)) = pid.and_then(|pid| Some((pid, session_of(NonZero::new(pid)?)?))) else { return true };
    match is_marked(pid) {
        Ok(true) => return true,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return true,
        // Another user's.
        Ok(false) | Err(_) => {}
    }
    let mut sessions = sessions();
    match sessions.get(&session) {
        None => false,
        Some(true) => true,
        // A pid is given again only once no session has it for its number.
        Some(false) if Path::new(&format!("/proc/{session}")).exists() => {
            sessions.remove(&session);
            false
        }
        Some(false) => true,
    }
}

/// The session of a process: 0 where its leader is outside our namespace, as for a daemon in a container, and no worker's.
fn session_of(process: NonZero<i32>) -> Option<i32> {
    // SAFETY: a plain getsid. That of rustix holds every session for a number above 0.
    let session = unsafe { libc::getsid(process.get()) };
    (session >= 0).then_some(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_session_are_ended_as_long_as_its_number_is_kept() {
        use std::{io::Read, os::unix::process::ExitStatusExt, process::Command};
        let mut leader = Command::new("setsid");
        leader.args(["--wait", "sh", "-c", "sleep 1000 & echo $$ $!; exec 1>&-; read end"]);
        let mut session = leader.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        // The sleeper holds it as well: what is there is read, and no more.
        let mut chunk = [0; 64];
        let out = session.stdout.as_mut().unwrap();
        while !said.ends_with('\n') {
            let read = out.read(&mut chunk).unwrap();
            said.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
        }
        let pids: Vec<u32> = said.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let lives = |pid: u32| stat(pid).rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'));
        assert!(lives(pids[0]) && lives(pids[1]));
        end_members(pids[0], || false);
        assert!(lives(pids[1]), "the number may be another's");
        end_members(pids[0], || true);
        let begun = std::time::Instant::now();
        while lives(pids[1]) {
            assert!(begun.elapsed() < std::time::Duration::from_secs(30), "it is ended");
            std::thread::yield_now();
        }
        assert!(lives(pids[0]), "whoever leads it has an end of its own");
        drop(session.stdin.take());
        assert_eq!(session.wait().unwrap().signal(), None);
    }

    #[test]
    fn who_comes_from_a_worker_is_known_by_its_session() {
        let ours = std::process::id().cast_signed();
        let leader = session_of(NonZero::new(ours).unwrap()).unwrap();
        assert!(!is_confined(Some(ours)), "nobody is, yet");
        let session = Session::of(leader.cast_unsigned());
        assert!(is_confined(Some(ours)) && is_confined(None));
        drop(session);
        // The leader of our session is no worker that died: its number is another's again.
        let leads = Path::new(&format!("/proc/{leader}")).exists();
        assert_eq!(is_confined(Some(ours)), !leads);
    }
}
