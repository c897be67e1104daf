//! The view that shows the present: latest values, counters, and the cursors that the next daemon goes on from.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{error, info, warn};
use watchpost_journal::Position;
use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::Status;

use super::{cursors::Cursors, view::View};
use crate::{
    expose::host_metrics::HostMetrics,
    latest::Latest,
    plain,
    reading::{Reading, Record},
};

/// Names this view's place in the journal.
pub(super) const NAME: &str = "present";

/// Takes readings as they become durable.
pub(super) struct Present {
    latest: Arc<Latest>,
    metrics: Arc<HostMetrics>,
    cursors: Arc<Mutex<Cursors>>,
    /// Whether what comes was measured by this daemon; before, it is what an earlier one left.
    live: Arc<AtomicBool>,
    /// The agent of each job, for the counters.
    agents: HashMap<String, String>,
    /// How each job's last run ended: the log tells changes, not runs.
    told: HashMap<String, String>,
}

impl Present {
    pub(super) fn new(latest: Arc<Latest>, metrics: Arc<HostMetrics>, cursors: Arc<Mutex<Cursors>>, live: Arc<AtomicBool>) -> Self {
        Self { latest, metrics, cursors, live, agents: HashMap::new(), told: HashMap::new() }
    }

    fn reading(&mut self, reading: &Reading) {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).apply(reading);
        if !self.live.load(Ordering::Acquire) {
            return self.latest.restore(reading);
        }
        self.latest.apply(reading);
        if let Some(agent) = self.agents.get(&reading.job) {
            self.metrics.run_ended(agent, &reading.outcome.status);
        }
        self.tell(reading);
    }

    /// Logs a change of state: one line when a job begins to fail, fails otherwise, or recovers.
    fn tell(&mut self, reading: &Reading) {
        let job = reading.job.as_str();
        let state = match &reading.outcome.status {
            Status::Ok => "ok",
            // Counted, and no news of the target.
            Status::Failed { kind, .. } if *kind == ErrorKind::SKIPPED => return,
            Status::Failed { kind, .. } => kind.name(),
        };
        let before = self.told.insert(job.to_owned(), state.to_owned());
        if before.as_deref() == Some(state) {
            return;
        }
        match (&reading.outcome.status, before) {
            (Status::Ok, None) => {}
            (Status::Ok, Some(before)) => info!(job, before, "recovered"),
            (Status::Failed { kind, message }, _) => warn!(job, kind = kind.name(), "failing: {}", plain(message)),
        }
        if let Some(why) = &reading.outcome.refusal {
            warn!(job, refused = reading.outcome.refused, "samples refused: {}", plain(why));
        }
    }
}

impl View for Present {
    fn take(&mut self, _: Position, record: Record) -> bool {
        match record {
            Record::Shape(shape) => drop(self.agents.insert(shape.job, shape.agent)),
            Record::Reading(reading) => self.reading(&reading),
            Record::Event(_) => {}
        }
        true
    }

    fn settle(&mut self) {}

    fn checkpoint(&mut self, taken: Position) -> Option<Position> {
        let stored = self.cursors.lock().unwrap_or_else(PoisonError::into_inner).store();
        stored.map_err(|error| error!(%error, "cannot keep the jobs' cursors")).ok()?;
        Some(taken)
    }
}
