//! Readings on their way into the journal.

use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::error;
use watchpost_journal::{Journal, Position};

use crate::reading::{Reading, Record, Shape};

/// Puts records into the journal; cheap to clone.
#[derive(Clone)]
pub(super) struct Appender {
    journal: Arc<Journal>,
}

impl Appender {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal }
    }

    /// Puts a record into the journal; the answer comes once it is durable, or says that it is lost.
    pub(super) fn append(&self, record: &Record) -> oneshot::Receiver<Option<Position>> {
        let (done, durable) = oneshot::channel();
        let payload = match postcard::to_stdvec(record) {
            Ok(payload) => payload,
            Err(error) => {
                let (Record::Shape(Shape { job, .. }) | Record::Reading(Reading { job, .. })) = record;
                error!(job, "what a run gave cannot be written down: {error}");
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
