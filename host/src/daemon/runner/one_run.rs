//! One run: measured, and stored.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;
use watchpost_services::outcome::Outcome;

use super::{super::appender::Appender, Command, LabelSets};
use crate::{
    expose::host_metrics::HostMetrics,
    job::Job,
    plugin::RunRequest,
    reading::{Cause, Reading, Record},
};

/// One run, with all it takes along.
pub(super) struct OneRun {
    pub(super) job: Arc<Job>,
    pub(super) cause: Cause,
    pub(super) slot: i64,
    pub(super) due_ns: i64,
    pub(super) stale_ns: i64,
    pub(super) cursor: Option<Vec<u8>>,
    pub(super) label_sets: Arc<Mutex<LabelSets>>,
    pub(super) metrics: Arc<HostMetrics>,
    pub(super) timeout: Duration,
}

/// A run that is over.
#[derive(Default)]
pub(super) struct Over {
    /// Its reading, if that is durable and somebody needs to know.
    pub(super) reading: Option<Reading>,
    /// Where the next run goes on.
    pub(super) cursor: Option<Vec<u8>>,
}

impl OneRun {
    /// Measures and stores; nothing, where its job was changed or removed before it began.
    pub(super) async fn measure(mut self, appender: &Appender, commands: &mpsc::UnboundedSender<Command>) -> Option<Over> {
        let request = RunRequest { job: self.job.number, timeout: self.timeout, cursor: self.cursor.take(), explain: false };
        let mut end = self.job.run(request).await;
        if commands.is_closed() && !end.outcome.status.is_ok() {
            // The daemon ends and took the worker with it: nothing was learnt of the target.
            return Some(Over::default());
        }
        if end.closed {
            return None;
        }
        self.bound_label_sets(&mut end.outcome);
        if let Some(trial) = &self.job.trial {
            trial.note(self.job.name(), &end.outcome);
        }
        let reading = Reading {
            job: self.job.name().to_owned(),
            cause: self.cause,
            slot: self.slot,
            due_ns: self.due_ns,
            stale_ns: self.stale_ns,
            outcome: end.outcome,
        };
        // Who goes on from a cursor must not go on from one that may be lost.
        let waits = reading.outcome.cursor_read || reading.outcome.cursor.is_some() || self.cause == Cause::Manual;
        let record = Record::Reading(reading);
        if !waits {
            appender.hand_in(&record);
            return Some(Over::default());
        }
        let durable = appender.append(&record);
        let Record::Reading(reading) = record else { return Some(Over::default()) };
        let outcome = &reading.outcome;
        match durable.await {
            Ok(Some(_)) => {
                let cursor = outcome.cursor.clone();
                Some(Over { reading: Some(reading), cursor })
            }
            _ => Some(Over::default()),
        }
    }

    fn bound_label_sets(&self, outcome: &mut Outcome) {
        let mut label_sets = self.label_sets.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = label_sets.admit(self.slot, &self.job.shape.metrics, self.job.config.labels_max as usize, outcome);
        self.metrics.label_sets_refused(refused as u64);
    }
}
