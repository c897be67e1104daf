//! Where jobs go on that are not scheduled: stored before this daemon started, or removed since.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::LabelSets;
use super::scheduled::{Running, Scheduled};
use crate::{
    job::Job,
    schedule::{Slot, Ticker, UnixTime},
};

/// What jobs left, by name.
#[derive(Default)]
pub(in crate::daemon) struct Past(HashMap<String, Left>);

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
    ) -> Self {
        let mut past = Self::default();
        for (job, slot) in slots {
            past.0.entry(job).or_default().slot = Some(Slot::at(UnixTime::from_secs(slot)));
        }
        for (job, cursor) in cursors {
            past.0.entry(job).or_default().cursor = Some(cursor);
        }
        for (job, sets) in label_sets {
            past.0.entry(job).or_default().label_sets = Arc::new(Mutex::new(sets));
        }
        past
    }

    /// Keeps what a job leaves that is removed.
    pub(super) fn keep(&mut self, name: String, gone: Scheduled) {
        self.0.insert(name, Left { slot: gone.ticker.taken(), cursor: gone.cursor, label_sets: gone.label_sets, running: gone.running });
    }

    /// The label sets of a job that is not scheduled.
    pub(super) fn label_sets(&self, name: &str) -> Option<&Arc<Mutex<LabelSets>>> {
        self.0.get(name).map(|left| &left.label_sets)
    }

    /// Gives what a job left that comes, or comes back.
    pub(super) fn take(&mut self, name: &str) -> Left {
        self.0.remove(name).unwrap_or_default()
    }

    /// A run of a job that is gone has ended.
    pub(super) fn ended(&mut self, name: &str, number: u64, cursor: Option<Vec<u8>>) {
        if let Some(left) = self.0.get_mut(name).filter(|left| left.running.as_ref().is_some_and(|running| running.is_of(number))) {
            left.running = None;
            left.cursor = cursor.or(left.cursor.take());
        }
    }
}
