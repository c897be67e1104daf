//! How many rules and series are well, in trouble or unknown, for `/metrics`: counted now and then, a job at a time, so that no alarm waits for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::sleep};
use tracing::warn;

use super::Daemon;
use crate::alarm::ledger::standing::Census;

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
    fn count_rules(&self) -> Census {
        let (snapshot, mut census) = (self.snapshot(), Census::default());
        for job in &snapshot.jobs {
            self.ledger.lend().count_job(job, snapshot.now_ns, &mut census);
        }
        self.ledger.lend().count_rest(&snapshot, &mut census);
        census
    }
}
