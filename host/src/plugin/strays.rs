//! What programs of agents leave behind: a process that took itself out of its program's group, and those of a daemon that was killed.
//!
//! Every process that comes of a program bears the program's birthmark. It is astray once its program has ended, or its worker has: nothing that
//! a program starts outlives it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::warn;
use watchpost_services::birthmark::Birthmark;

/// How often it is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(5);

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
        // Seen twice: what its program has just left is about to be ended with its group.
        let seen = spawn_blocking(|| astray(&members())).await.unwrap_or_default();
        for stray in seen.intersection(&before) {
            end(stray);
        }
        before = seen;
    }
}

fn end(stray: &Member) {
    // The number may be another's by now.
    if member(stray.pid).as_ref() == Some(stray)
        && let Some(pid) = Pid::from_raw(stray.pid)
    {
        // It may have ended, or be another user's.
        if kill_process(pid, Signal::KILL).is_ok() {
            warn!(process = stray.pid, name = stray.name, "ended what a program of an agent had left behind");
        }
    }
}

fn members() -> Vec<Member> {
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

/// Those whose program is no longer its worker's child: it has ended, or the worker has.
fn astray(members: &[Member]) -> BTreeSet<Member> {
    let mut programs: BTreeMap<Birthmark, bool> = BTreeMap::new();
    for Member { parent, birthmark, .. } in members {
        *programs.entry(*birthmark).or_default() |= *parent == birthmark.worker;
    }
    members.iter().filter(|member| !programs[&member.birthmark]).cloned().collect()
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
        let found: Vec<i32> = astray(&members).into_iter().map(|member| member.pid).collect();
        assert_eq!(found, [13, 14, 21]);
    }
}
