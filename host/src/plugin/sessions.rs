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

use rustix::process::{Pid, Signal, kill_process};
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
/// A session keeps its number for as long as it has members, so that none of another's is met.
pub(super) fn end_members(leader: u32) {
    /// Looks, at most: what is being ended may start one more.
    const LOOKS_MAX: usize = 10;
    let leader = leader.cast_signed();
    let mut ended = BTreeSet::new();
    for _ in 0..LOOKS_MAX {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<NonZero<i32>>().ok());
        let members: Vec<_> = pids.filter(|pid| pid.get() != leader && !ended.contains(pid) && session_of(*pid) == Some(leader)).collect();
        if members.is_empty() {
            return;
        }
        for pid in members {
            ended.insert(pid);
            // A setuid program may be out of our reach.
            let _gone_or_not_ours = Pid::from_raw(pid.get()).map(|pid| kill_process(pid, Signal::KILL));
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
