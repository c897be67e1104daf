//! Where jobs go on that are not scheduled: stored before this daemon started, or removed since.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::LabelSets;
use super::scheduled::{Running, Scheduled};
use crate::{
    daemon::{appender::Appender, budgets},
    job::Job,
    reading::Reason,
    schedule::{Slot, Ticker, UnixTime},
};

/// What jobs left, by name.
#[derive(Default)]
pub(in crate::daemon) struct Past {
    jobs: HashMap<String, Left>,
    /// When the last record was made before this daemon started, seconds since 1970; nothing once its jobs are known.
    heard: Option<i64>,
}

/// What one job left.
#[derive(Default)]
pub(super) struct Left {
    /// The latest slot it took.
    pub(super) slot: Option<Slot>,
    pub(super) cursor: Option<Vec<u8>>,
    pub(super) label_sets: Arc<Mutex<LabelSets>>,
    /// A run that was under way when the job was removed.
    pub(super) running: Option<Running>,
}

impl Left {
    /// Schedules the job that comes, or comes back.
    pub(super) fn scheduled(self, job: Job, label: Duration) -> Scheduled {
        let Self { slot, cursor, label_sets, running } = self;
        let timing = &job.config.timing;
        let ticker = Ticker::start(timing.timetable.clone(), timing.rhythm.step(), label, slot);
        Scheduled { cursor, label_sets, ..Scheduled::new(Arc::new(job), ticker, running) }
    }
}

impl Past {
    /// Takes what is stored.
    pub(in crate::daemon) fn stored(
        slots: HashMap<String, i64>,
        cursors: HashMap<String, Vec<u8>>,
        label_sets: impl IntoIterator<Item = (String, LabelSets)>,
        heard: Option<i64>,
    ) -> Self {
        let mut past = Self { heard, ..Self::default() };
        for (job, slot) in slots {
            past.jobs.entry(job).or_default().slot = Some(Slot::at(UnixTime::from_secs(slot)));
        }
        for (job, cursor) in cursors {
            past.jobs.entry(job).or_default().cursor = Some(cursor);
        }
        for (job, sets) in label_sets {
            past.jobs.entry(job).or_default().label_sets = Arc::new(Mutex::new(sets));
        }
        past
    }

    /// Keeps what a job leaves that is removed.
    pub(super) fn keep(&mut self, name: String, gone: Scheduled) {
        self.jobs.insert(name, Left { slot: gone.ticker.taken(), cursor: gone.cursor, label_sets: gone.label_sets, running: gone.running });
    }

    /// The label sets of a job that is not scheduled.
    pub(super) fn label_sets(&self, name: &str) -> Option<&Arc<Mutex<LabelSets>>> {
        self.jobs.get(name).map(|left| &left.label_sets)
    }

    /// Since when no daemon ran, of a job that has series and that this daemon comes to know with its first jobs.
    pub(super) fn down_since(&self, name: &str) -> Option<UnixTime> {
        let heard = UnixTime::from_secs(self.heard?);
        self.jobs.get(name)?.slot.map(|_| heard)
    }

    /// The first jobs are known: those that have series and are not among them are not scheduled any more.
    pub(super) fn tell_removed(&mut self, appender: &Appender, label: Duration) {
        let Some(heard) = self.heard.take() else { return };
        let from = heard.min(UnixTime::from_duration(label).as_secs());
        for (name, _) in self.jobs.iter().filter(|(_, left)| left.slot.is_some() && left.running.is_none()) {
            // What the host keeps itself comes again.
            let reason = if budgets::is_of_objective(name) { Reason::HostDown } else { Reason::Removed };
            appender.silent(name, from, reason);
        }
    }

    /// Gives what a job left that comes, or comes back, maybe under another name.
    pub(super) fn take(&mut self, name: &str, was: Option<&str>) -> Left {
        self.jobs.remove(name).or_else(|| self.jobs.remove(was?)).unwrap_or_default()
    }

    /// A run of a job that is gone has ended.
    pub(super) fn ended(&mut self, name: &str, number: u64, cursor: Option<Vec<u8>>) {
        if let Some(left) = self.jobs.get_mut(name).filter(|left| left.running.as_ref().is_some_and(|running| running.is_of(number))) {
            left.running = None;
            left.cursor = cursor.or(left.cursor.take());
        }
    }
}
