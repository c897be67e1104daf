//! The view that keeps the sums of service levels.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use watchpost_journal::Position;

use super::view::{View, complain};
use crate::{
    alarm::maintenance::Announced,
    config::Config,
    database::DatabaseError,
    job::Job,
    log::trouble::Trouble,
    objective::{count::Watched, tally::Tally},
    reading::Record,
};

/// Names this view's place in the journal.
pub(super) const NAME: &str = "objectives";

/// What of the configuration in force counts for service levels.
#[derive(Clone)]
pub(super) struct Watching {
    watched: Arc<RwLock<Arc<Watched>>>,
    announced: Announced,
}

impl Watching {
    /// Nothing yet; maintenance is as it is announced from now on, and was before.
    pub(super) fn new(announced: Announced) -> Self {
        Self { watched: Arc::default(), announced }
    }

    /// Takes what is in force from now on.
    pub(super) fn set(&self, config: &Config, jobs: &[Job]) {
        let facts = |job: &Job| (job.name().to_owned(), (job.shape.clone(), job.config.timing.timetable.clone()));
        let objectives = config.objectives.clone();
        // Without a promise nothing is looked at.
        let jobs = if objectives.is_empty() { HashMap::new() } else { jobs.iter().map(facts).collect() };
        let (windows, announced) = (config.maintenance.clone(), self.announced.clone());
        *self.watched.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Watched { objectives, jobs, windows, announced });
    }

    fn now(&self) -> Arc<Watched> {
        self.watched.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Feeds the sums from the journal.
pub(super) struct ObjectiveView {
    tally: Tally,
    watching: Watching,
    unkept: Trouble,
}

impl ObjectiveView {
    pub(super) fn new(data: &Path, watching: Watching) -> Result<Self, DatabaseError> {
        Ok(Self { tally: Tally::open(data)?, watching, unkept: Trouble::new() })
    }

    /// Writes what waits; false if it cannot be written now.
    fn flush(&mut self) -> bool {
        match self.tally.flush() {
            Ok(()) => {
                self.unkept.is_over(Instant::now());
                true
            }
            Err(error) => {
                let what = format!("sums of service levels cannot be stored; the journal holds them: {}", crate::chain(&error));
                complain(&mut self.unkept, &what);
                false
            }
        }
    }
}

impl View for ObjectiveView {
    fn take(&mut self, _: Position, record: Record) -> bool {
        let watched = self.watching.now();
        let reading = match record {
            Record::Reading(reading) => reading,
            Record::Silence(silence) => {
                self.tally.fall_silent(&watched, &silence);
                return true;
            }
            Record::Shape(_) | Record::Event(_) | Record::Upkeep(_) => return true,
        };
        self.tally.take(&watched, &reading) || self.flush() && self.tally.take(&watched, &reading)
    }

    fn settle(&mut self) {}

    fn checkpoint(&mut self, taken: Position) -> Option<Position> {
        self.flush().then_some(taken)
    }
}
