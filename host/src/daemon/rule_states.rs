//! How many rules and series are well, in trouble or unknown, for `/metrics`: counted now and then, a job at a time, so that no alarm waits for it.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::sleep};
use tracing::warn;

use super::Daemon;
use crate::alarm::ledger::standing::{Census, GivenOfLate, OF_LATE_S};

/// How long it is counted anew after, at least.
const EVERY: Duration = Duration::from_secs(5);
/// Counting takes one part of so many of the time.
const SHARE: u32 = 100;

/// Counts until the daemon ends.
pub(super) async fn lead(daemon: Arc<Daemon>) {
    loop {
        let (owner, began) = (daemon.clone(), Instant::now());
        match spawn_blocking(move || owner.count_rules()).await {
            Ok(census) => daemon.metrics.rules_stand(&census),
            Err(error) => warn!("rules cannot be counted: {error}"),
        }
        sleep(EVERY.max(began.elapsed().saturating_mul(SHARE))).await;
    }
}

impl Daemon {
    /// The series that a job gave within the last day.
    pub(super) fn given_of_late(&self, job: &str, now_ns: i64) -> Vec<GivenOfLate> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).given_since(job, now_ns.div_euclid(1_000_000_000) - OF_LATE_S)
    }

    fn count_rules(&self) -> Census {
        let (snapshot, mut census) = (self.snapshot(), Census::default());
        for job in &snapshot.jobs {
            let given = self.given_of_late(&job.shape.job, snapshot.now_ns);
            self.ledger.lend().count_job(job, &given, snapshot.now_ns, &mut census);
        }
        self.ledger.lend().count_rest(&snapshot, &mut census);
        census
    }
}
