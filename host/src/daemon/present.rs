//! The view that shows the present: latest values, counters, what the next daemon goes on from, and what the log tells of jobs.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tracing::{error, info};
use watchpost_journal::Position;

use super::{
    carriers::Carriers,
    cursors::{Cursors, Stood},
    told::{Told, Whose},
    view::View,
};
use crate::{
    expose::host_metrics::HostMetrics,
    latest::Latest,
    log::{seconds, trouble::Trouble},
    reading::{Reading, Record, Shape},
};

/// Names this view's place in the journal.
pub(super) const NAME: &str = "present";

/// Takes readings as they become durable.
pub(super) struct Present {
    latest: Arc<Latest>,
    metrics: Arc<HostMetrics>,
    cursors: Arc<Mutex<Cursors>>,
    carriers: Carriers,
    /// Whether what comes was measured by this daemon; before, it is what an earlier one left.
    live: Arc<AtomicBool>,
    /// Agent and target of each job, as the journal has them.
    measured: HashMap<String, (String, String)>,
    told: Told,
    unwritten: Trouble,
}

impl Present {
    pub(super) fn new(
        latest: Arc<Latest>,
        metrics: Arc<HostMetrics>,
        cursors: Arc<Mutex<Cursors>>,
        carriers: Carriers,
        live: Arc<AtomicBool>,
    ) -> Self {
        let mut present = Self {
            latest,
            metrics,
            cursors,
            carriers,
            live,
            measured: HashMap::new(),
            told: Told::default(),
            unwritten: Trouble::default(),
        };
        present.begin_with_what_was_kept();
        present
    }

    /// What an earlier daemon wrote down of jobs that measure the same today.
    fn begin_with_what_was_kept(&mut self) {
        let cursors = self.cursors.clone();
        let cursors = cursors.lock().unwrap_or_else(PoisonError::into_inner);
        for (job, stood) in cursors.standings() {
            self.measured.insert(job.to_owned(), (stood.agent.clone(), stood.target.clone()));
            if self.latest.job(job).is_some_and(|state| stood.is_of(&state.shape)) {
                self.latest.restore_standing(job, stood.standing);
            }
        }
        cursors.readings().for_each(|reading| self.restore(reading));
    }

    /// Takes what an earlier daemon measured, if that is what the job measures today.
    fn restore(&mut self, reading: &Reading) {
        let Some(state) = self.latest.job(&reading.job) else { return };
        let Shape { agent, target, .. } = &*state.shape;
        if self.measured.get(&reading.job).is_some_and(|measured| (&measured.0, &measured.1) != (agent, target)) {
            return;
        }
        self.latest.restore(reading);
        if let Some(state) = self.latest.job(&reading.job) {
            self.told.remember(reading, &state);
        }
    }

    fn reading(&mut self, reading: &Reading) {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner).apply(reading);
        if !self.live.load(Ordering::Acquire) {
            return self.restore(reading);
        }
        self.latest.apply(reading);
        if let Some((agent, _)) = self.measured.get(&reading.job) {
            self.metrics.run_ended(agent, &reading.outcome.status);
            self.metrics.samples_refused(agent, reading.outcome.refused);
        }
        if let Some(whose) = whose(&self.latest, &self.carriers, &reading.job) {
            self.told.tell(reading, &whose, Instant::now());
        }
    }

    /// How every job of the configuration stands.
    fn standings(&self) -> HashMap<String, Stood> {
        let jobs = self.latest.snapshot(0).jobs;
        let stood = jobs.iter().filter_map(|job| {
            let Shape { job: name, agent, target, .. } = &*job.shape;
            Some((name.clone(), Stood { agent: agent.clone(), target: target.clone(), standing: job.standing()? }))
        });
        stood.collect()
    }
}

impl View for Present {
    fn take(&mut self, _: Position, record: Record) -> bool {
        match record {
            Record::Shape(shape) => drop(self.measured.insert(shape.job, (shape.agent, shape.target))),
            Record::Reading(reading) => self.reading(&reading),
            Record::Event(_) | Record::Silence(_) | Record::Upkeep(_) => {}
        }
        true
    }

    fn settle(&mut self) {
        self.told.settle(|job| whose(&self.latest, &self.carriers, job), Instant::now());
    }

    fn checkpoint(&mut self, taken: Position) -> Option<Position> {
        self.told.forget(|job| self.latest.job(job).is_none());
        let standings = self.standings();
        let mut cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner);
        cursors.stand(standings);
        if let Err(why) = cursors.store() {
            if let Some(told) = self.unwritten.met(&crate::chain(&why), Instant::now()) {
                error!(lasted_s = seconds(told.lasted), "cannot keep what jobs left for the next daemon: {}", crate::chain(&why));
            }
            return None;
        }
        if let Some(told) = self.unwritten.is_over(Instant::now()) {
            info!(lasted_s = seconds(told.lasted), "what jobs left for the next daemon is kept again");
        }
        Some(taken)
    }
}

fn whose(latest: &Latest, carriers: &Carriers, job: &str) -> Option<Whose> {
    let state = latest.job(job)?;
    let plugin = carriers.of(&state.shape.agent);
    Some(Whose { state, plugin })
}
