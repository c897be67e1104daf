//! Readings on their way into the journal.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::error;
use watchpost_journal::{Journal, Position};
use watchpost_plugin_api::Severity;

use super::now_ns;
use crate::reading::{HostEvent, Reading, Reason, Record, Shape, Silence, Upkeep};

/// Puts records into the journal; cheap to clone.
#[derive(Clone)]
pub(super) struct Appender {
    journal: Arc<Journal>,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender").finish_non_exhaustive()
    }
}

impl Appender {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal }
    }

    /// Writes down what the host has to report, of a job or of itself.
    pub(super) fn report(&self, job: Option<&str>, severity: Severity, code: &str, text: String) {
        let event = HostEvent { time_ns: now_ns(), job: job.map(Into::into), severity, code: code.into(), text };
        // Nobody waits: it is durable with what comes after it.
        drop(self.append(&Record::Event(event)));
    }

    /// Writes down why a job gives no readings from a slot on.
    pub(super) fn silent(&self, job: &str, from: i64, reason: Reason) {
        drop(self.append(&Record::Silence(Silence { time_ns: now_ns(), job: job.into(), from, reason })));
    }

    /// Puts a record into the journal; the answer comes once it is durable, or says that it is lost.
    pub(super) fn append(&self, record: &Record) -> oneshot::Receiver<Option<Position>> {
        let (done, durable) = oneshot::channel();
        let payload = match postcard::to_stdvec(record) {
            Ok(payload) => payload,
            Err(error) => {
                let job = match record {
                    Record::Shape(Shape { job, .. })
                    | Record::Reading(Reading { job, .. })
                    | Record::Silence(Silence { job, .. })
                    | Record::Upkeep(Upkeep { job, .. }) => Some(job),
                    Record::Event(HostEvent { job, .. }) => job.as_ref(),
                };
                error!(job, "a record cannot be written down: {error}");
                return durable;
            }
        };
        let answer = move |written: Result<Position, _>| {
            let _nobody_waits = done.send(written.ok());
        };
        let told = self.journal.append_with(payload, Box::new(answer));
        // What the journal does not take is counted by it, and the receiver sees its sender gone.
        if let Err(error) = told {
            tracing::debug!("the journal does not take a record: {}", crate::chain(&error));
        }
        durable
    }
}
