//! Readings on their way into the journal.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::oneshot;
use tracing::error;
use watchpost_journal::{Done, Journal, Position};
use watchpost_plugin_api::Severity;

use super::now_ns;
use crate::reading::{HostEvent, Reading, Reason, Record, Shape, Silence, Upkeep};

/// Puts records into the journal; cheap to clone.
#[derive(Clone)]
pub(super) struct Appender {
    journal: Arc<Journal>,
    /// Jobs that are called otherwise now: a run of theirs may be under way still.
    heirs: Arc<RwLock<HashMap<String, String>>>,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender").finish_non_exhaustive()
    }
}

impl Appender {
    pub(super) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, heirs: Arc::default() }
    }

    /// Writes down what the host has to report, of a job or of itself.
    pub(super) fn report(&self, job: Option<&str>, severity: Severity, code: &str, text: String) {
        let event = HostEvent { time_ns: now_ns(), job: job.map(Into::into), severity, code: code.into(), text };
        // Nobody waits: it is durable with what comes after it.
        self.hand_in(&Record::Event(event));
    }

    /// Writes down why a job gives no readings from a slot on.
    pub(super) fn silent(&self, job: &str, from: i64, reason: Reason) {
        self.hand_in(&Record::Silence(Silence { time_ns: now_ns(), job: job.into(), from, reason }));
    }

    /// Writes down that a job is measured from now on, as this and kept like that. Runs of the job that it was before give its readings.
    pub(super) fn begin(&self, shape: Shape, upkeep: Upkeep) {
        // Nobody's reading comes between: it would be of a job that has no series any more, or not yet.
        let mut heirs = self.heirs.write().unwrap_or_else(PoisonError::into_inner);
        heirs.remove(&shape.job);
        if let Some(was) = &upkeep.was {
            heirs.values_mut().filter(|heir| *heir == was).for_each(|heir| heir.clone_from(&shape.job));
            heirs.insert(was.clone(), shape.job.clone());
        }
        // Nobody waits: in the journal they are before any reading that relies on them, for the queue keeps the order.
        self.put(&Record::Shape(shape), None);
        self.put(&Record::Upkeep(upkeep), None);
    }

    /// Puts a record into the journal; the answer comes once it is durable, or says that it is lost.
    pub(super) fn append(&self, record: &Record) -> oneshot::Receiver<Option<Position>> {
        let (done, durable) = oneshot::channel();
        let answer = move |written: Result<Position, _>| {
            let _nobody_waits = done.send(written.ok());
        };
        self.put_as_named(record, Some(Box::new(answer)));
        durable
    }

    /// Puts a record into the journal that nobody waits for, as most are.
    pub(super) fn hand_in(&self, record: &Record) {
        self.put_as_named(record, None);
    }

    fn put_as_named(&self, record: &Record, done: Option<Done>) {
        let heirs = self.heirs.read().unwrap_or_else(PoisonError::into_inner);
        match record {
            Record::Reading(reading) => match heirs.get(&reading.job) {
                Some(heir) => self.put(&Record::Reading(Reading { job: heir.clone(), ..reading.clone() }), done),
                None => self.put(record, done),
            },
            _ => self.put(record, done),
        }
    }

    fn put(&self, record: &Record, done: Option<Done>) {
        let payload = match record.to_bytes() {
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
                return;
            }
        };
        let taken = match done {
            Some(done) => self.journal.append_with(&payload, done),
            None => self.journal.put(&payload),
        };
        // What the journal does not take is counted by it, and whoever waits sees that no answer comes.
        if let Err(error) = taken {
            tracing::debug!("the journal does not take a record: {}", crate::chain(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use watchpost_journal::Options;
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::Outcome;

    use super::*;
    use crate::{reading::Cause, series::keeping::Keeping};

    fn begin(appender: &Appender, job: &str, was: Option<&str>) {
        let shape =
            Shape { job: job.into(), agent: "smtp".into(), target: "t".into(), labels: Vec::new(), step_s: 60, metrics: Vec::new() };
        let upkeep = Upkeep { job: job.into(), was: was.map(Into::into), keeping: Keeping::default(), heartbeat_s: None };
        appender.begin(shape, upkeep);
    }

    #[tokio::test]
    async fn a_run_of_a_job_that_was_renamed_meanwhile_gives_a_reading_of_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&folder.path().join("journal"), Options::default()).unwrap();
        let journal = Arc::new(journal);
        let appender = Appender::new(Arc::clone(&journal));
        let read = async |job: &str| {
            let outcome = Outcome::failed(ErrorKind::TIMEOUT, "", 0);
            let reading = Reading { job: job.into(), cause: Cause::Schedule, slot: 60, due_ns: 0, stale_ns: 0, outcome };
            let position = appender.append(&Record::Reading(reading)).await.unwrap().unwrap();
            let (_, payload) = journal.reader(position).next().unwrap().unwrap();
            Record::job_of_reading(&payload).unwrap().to_owned()
        };
        begin(&appender, "mx", None);
        assert_eq!(read("mx").await, "mx");
        begin(&appender, "mx-paris", Some("mx"));
        assert_eq!((read("mx").await, read("mx-paris").await, read("other").await), ("mx-paris".into(), "mx-paris".into(), "other".into()));
        begin(&appender, "paris", Some("mx-paris"));
        assert_eq!((read("mx").await, read("mx-paris").await), ("paris".into(), "paris".into()));
        // A job of the old name is another one.
        begin(&appender, "mx", None);
        assert_eq!((read("mx").await, read("mx-paris").await), ("mx".into(), "paris".into()));
    }
}
