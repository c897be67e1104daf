//! What programs of agents leave behind: a process that took itself out of its program's group, and those of a daemon that was killed.
//!
//! Every process that comes of a program bears the program's birthmark. It is astray once its program has ended, or its worker has: nothing that
//! a program starts outlives it. In a sandbox no program takes its mark off.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal, test_kill_process},
};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::warn;
use watchpost_services::birthmark::Birthmark;

/// How often it is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks at a time, at most: what is being ended may start one more.
const LOOKS_MAX: usize = 10;

/// A process that comes of a program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    pid: i32,
    parent: i32,
    birthmark: Birthmark,
    name: String,
}

/// Ends what is astray, until the daemon ends.
pub(crate) async fn lead() {
    let (mut before, mut ticks) = (BTreeSet::new(), interval(LOOK_EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        before = spawn_blocking(move || look(&before)).await.unwrap_or_default();
    }
}

/// Looks for what is astray and ends what has to be; gives what was astray, for the next look.
fn look(before: &BTreeSet<Birthmark>) -> BTreeSet<Birthmark> {
    let all = members();
    let astray = astray(&all);
    let doomed = doomed(&astray, before, Birthmark::of(getpid().as_raw_nonzero().get()), is_there);
    let (mut ended, mut members) = (BTreeSet::new(), all);
    for _ in 0..LOOKS_MAX {
        let found: Vec<Member> =
            members.into_iter().filter(|member| doomed.contains(&member.birthmark) && ended.insert(member.pid)).collect();
        if found.is_empty() {
            break;
        }
        found.iter().for_each(end);
        members = self::members();
    }
    astray
}

/// Those of the astray that are ended now: of a worker that is dead, and what was astray before, too. What its program has just left is about to
/// be ended with its group. Of a daemon that was itself started by an agent's program its own are not.
fn doomed(
    astray: &BTreeSet<Birthmark>,
    before: &BTreeSet<Birthmark>,
    ours: Option<Birthmark>,
    is_there: impl Fn(i32) -> bool,
) -> BTreeSet<Birthmark> {
    astray.iter().filter(|mark| Some(**mark) != ours && (before.contains(mark) || !is_there(mark.worker))).copied().collect()
}

/// Whether a process of that number is there, whoever's it is.
fn is_there(process: i32) -> bool {
    Pid::from_raw(process).is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

fn end(stray: &Member) {
    // The number may be another's by now; what is held is one process, and looked at once more.
    let held = Pid::from_raw(stray.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let is_still_it = || member(stray.pid).is_some_and(|now| now.birthmark == stray.birthmark);
    // It may have ended, or be another user's.
    if held.is_some_and(|held| is_still_it() && pidfd_send_signal(held, Signal::KILL).is_ok()) {
        warn!(process = stray.pid, name = stray.name, "ended what a program of an agent had left behind");
    }
}

fn members() -> Vec<Member> {
    // What is there may have the numbers of another namespace; then nothing that it says is of the processes that we reach by these.
    if fs::read_link("/proc/self").ok().is_none_or(|us| us.to_str() != Some(&getpid().to_string())) {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| member(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn member(pid: i32) -> Option<Member> {
    let birthmark = Birthmark::of(pid)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).map(str::trim);
    let (name, parent) = (field("Name")?.to_owned(), field("PPid")?.parse().ok()?);
    // In a container numbers are others: what is there belongs to whoever is there with it.
    let is_ours = field("NSpid")?.split_whitespace().count() == 1;
    let is_over = field("State")?.starts_with('Z');
    (is_ours && !is_over).then_some(Member { pid, parent, birthmark, name })
}

/// Programs that are no longer their worker's child, and that something is left of: they have ended, or the worker has.
fn astray(members: &[Member]) -> BTreeSet<Birthmark> {
    let mut programs: BTreeMap<Birthmark, bool> = BTreeMap::new();
    for Member { parent, birthmark, .. } in members {
        *programs.entry(*birthmark).or_default() |= *parent == birthmark.worker;
    }
    programs.into_iter().filter(|(_, runs)| !runs).map(|(birthmark, _)| birthmark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn astray_is_whatever_has_no_program_under_a_worker_any_more() {
        let member = |pid, parent, worker, program| Member { pid, parent, birthmark: Birthmark { worker, program }, name: "x".into() };
        let members = [
            // A program, and a process of it that left its group and lost its parent.
            member(11, 10, 10, 0),
            member(12, 1, 10, 0),
            // The same where the program has ended.
            member(13, 1, 10, 1),
            member(14, 13, 10, 1),
            // The worker is dead.
            member(21, 1, 20, 0),
        ];
        let mark = |worker, program| Birthmark { worker, program };
        let found = astray(&members);
        assert_eq!(found, BTreeSet::from([mark(10, 1), mark(20, 0)]));
        let none = BTreeSet::new();
        let lives = |worker| worker == 10;
        assert_eq!(doomed(&found, &none, None, lives), BTreeSet::from([mark(20, 0)]), "nobody else will end what a dead worker left");
        assert_eq!(doomed(&found, &found, None, lives), found);
        assert_eq!(doomed(&found, &found, Some(mark(20, 0)), lives), BTreeSet::from([mark(10, 1)]), "we are no stray");
        assert_eq!(doomed(&none, &found, None, lives), none, "its program was started again");
    }

    #[test]
    fn who_is_there_is_known_whoever_it_is() {
        assert!(is_there(getpid().as_raw_nonzero().get()) && is_there(1) && !is_there(i32::MAX) && !is_there(0));
    }
}
