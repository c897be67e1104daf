//! Processes as the kernel lists them.

use std::fs;

/// A process, told from a later one of the same number by when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    began: String,
}

/// What /proc says of a process.
struct Facts {
    name: String,
    state: String,
    parent: u32,
    began: String,
}

impl Process {
    /// Whether it still runs; one that ended and was not waited for yet does not.
    pub(crate) fn lives(&self) -> bool {
        facts(self.pid).is_some_and(|facts| facts.began == self.began && facts.state != "Z")
    }
}

/// The worker processes of a daemon.
pub(crate) fn workers_of(daemon: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let workers = pids.filter_map(|pid: u32| {
        let facts = facts(pid)?;
        // The kernel keeps the first 15 characters of a name.
        let is_worker = facts.parent == daemon && "watchpost-worker".starts_with(&facts.name) && facts.name.len() == 15;
        is_worker.then_some(Process { pid, began: facts.began })
    });
    workers.collect()
}

fn facts(pid: u32) -> Option<Facts> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc_pid_stat(5): pid (comm) state ppid …, starttime is field 22; the name may hold anything.
    let (name, rest) = text.split_once('(')?.1.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Facts {
        name: name.into(),
        state: fields.first()?.to_string(),
        parent: fields.get(1)?.parse().ok()?,
        began: fields.get(19)?.to_string(),
    })
}
