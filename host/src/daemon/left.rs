//! What an ended daemon left of the present: the last readings, as they stood when it measured last.

use watchpost_journal::{Position, Reader};

use super::{
    DataFolder,
    cursors::{Cursors, CursorsError},
    records,
};
use crate::{
    latest::{JobView, Latest, Snapshot},
    reading::{Reading, Record, Shape},
    series::{catalogue::Job, store::SeriesStore},
};

/// Why what an ended daemon left cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LeftError(#[from] CursorsError);

/// Shows every job that was ever measured, at the instant of the last measurement.
///
/// Shape: `store` has taken what is left in the journal.
pub fn left(folder: &DataFolder, store: &SeriesStore) -> Result<Snapshot, LeftError> {
    let latest = Latest::default();
    // Whether a job was paused is not asked.
    latest.set_jobs(store.catalogue().jobs().iter().map(|(name, job)| JobView { shape: shape(name, job), next_due_ns: Some(0) }));
    let cursors = Cursors::load(folder.path())?;
    for (job, stood) in cursors.standings() {
        if latest.job(job).is_some_and(|state| stood.is_of(&state.shape)) {
            latest.restore_standing(job, stood.standing);
        }
    }
    let mut now_ns = 0;
    let mut take = |reading: &Reading| {
        let duration = i64::try_from(reading.outcome.duration_ns).unwrap_or(i64::MAX);
        now_ns = now_ns.max(reading.outcome.started_ns.saturating_add(duration));
        latest.restore(reading);
    };
    cursors.readings().for_each(&mut take);
    // Without a journal nothing more is left.
    let reader = Reader::offline(&folder.path().join("journal"), Position::START).ok();
    for (_, record) in reader.into_iter().flat_map(records) {
        if let Record::Reading(reading) = record {
            take(&reading);
        }
    }
    Ok(latest.snapshot(now_ns))
}

fn shape(name: &str, job: &Job) -> Shape {
    Shape {
        job: name.to_owned(),
        agent: job.agent.clone(),
        target: job.target.clone(),
        labels: job.labels.clone(),
        step_s: job.step,
        metrics: job.metrics.iter().map(|metric| metric.spec.clone()).collect(),
    }
}
