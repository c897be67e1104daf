//! Process groups, and who ends them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::process::{Pid, Signal, kill_process_group};
use watchpost_plugin_api::{AgentError, ErrorKind};

/// Programs of one run that run at a time; of those that outlive it, as many of a job.
const PROGRAMS_MAX: usize = 32;

/// A process group. As long as its leader was not waited for, nobody else gets its number.
pub(crate) struct Group(Mutex<Option<Pid>>);

impl Group {
    /// A group that this process, which nobody has waited for, leads.
    pub(crate) fn new(leader: Pid) -> Self {
        Self(Mutex::new(Some(leader)))
    }

    /// Kills all of it.
    pub(crate) fn kill(&self) {
        if let Some(leader) = *self.leader() {
            // All of it has ended already: that is what was wanted.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }

    /// Kills all of it a last time; from now on its leader may be waited for.
    pub(crate) fn end(&self) {
        self.kill();
        *self.leader() = None;
    }

    fn leader(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Groups that run, and may end together.
#[derive(Default)]
pub(crate) struct Groups(Mutex<Vec<Weak<Group>>>);

/// Room for one group more.
pub(crate) struct Place<'a>(&'a Groups);

impl Groups {
    /// Makes room for one more.
    ///
    /// Errors: kind `limit` when there are too many already.
    pub(crate) fn place(&self) -> Result<Place<'_>, AgentError> {
        let mut groups = self.groups();
        groups.retain(|group| group.strong_count() > 0);
        match groups.len() {
            PROGRAMS_MAX.. => Err(AgentError::new(ErrorKind::LIMIT, format!("more than {PROGRAMS_MAX} programs at a time"))),
            _ => Ok(Place(self)),
        }
    }

    /// Kills all of them.
    pub(crate) fn end(&self) {
        for group in self.groups().drain(..).filter_map(|group| group.upgrade()) {
            group.kill();
        }
    }

    fn groups(&self) -> MutexGuard<'_, Vec<Weak<Group>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    pub(crate) fn take(self, group: &Arc<Group>) {
        self.0.groups().push(Arc::downgrade(group));
    }
}
