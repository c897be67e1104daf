//! How a dead worker comes back: after a wait, from a start that takes its time.

use std::{
    future::pending,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep_until;
use watchpost_plugin_api::LibraryDescriptor;
use watchpost_worker::confine::Confinement;

use super::{live::Live, source::Source};

/// First and longest wait before a worker is started again when no job is to blame.
const AFTER: Duration = Duration::from_millis(100);
const AFTER_MAX: Duration = Duration::from_secs(30);

/// How long one is waited for that takes over from another: jobs are opened many at a time.
const SOON: Duration = Duration::from_millis(5);

/// A worker that was started, or why there is none.
pub(super) type Started = Result<(Live, LibraryDescriptor), String>;

type Starting = Pin<Box<dyn Future<Output = Started> + Send>>;

/// The next worker, while it is waited for.
pub(super) struct Comeback {
    /// When it is started.
    at: Option<Instant>,
    /// Dropped, it is ended.
    starting: Option<Starting>,
    /// How long to wait the next time nobody is to blame.
    after: Duration,
}

impl Comeback {
    pub(super) fn new() -> Self {
        Self { at: None, starting: None, after: AFTER }
    }

    /// With somebody to blame, who is held back, the others need not wait.
    pub(super) fn at_once(&mut self) -> Duration {
        self.at = Some(Instant::now());
        Duration::ZERO
    }

    /// As [`at_once`](Self::at_once), unless it is being started already.
    pub(super) fn now(&mut self) {
        if self.starting.is_none() {
            self.at_once();
        }
    }

    /// Has it started after a while, longer each time; gives after how long.
    pub(super) fn later(&mut self, shortest_interval: Option<Duration>) -> Duration {
        // DESIGN "Plugins": at most five intervals; those of the job that would miss them first.
        let five_intervals = shortest_interval.map_or(AFTER_MAX, |interval| interval * 5);
        let longest = AFTER_MAX.min(five_intervals).max(AFTER);
        let wait = self.after.min(longest);
        self.after = (wait * 2).min(longest);
        self.at = Some(Instant::now() + wait);
        wait
    }

    /// Has it started in a moment, so that whatever else is to change may change with it; not while one is being started.
    pub(super) fn soon(&mut self) {
        if self.starting.is_none() && self.at.is_none_or(|at| at > Instant::now() + SOON) {
            self.at = Some(Instant::now() + SOON);
        }
    }

    /// The worker has put its past behind it.
    pub(super) fn forgive(&mut self) {
        self.after = AFTER;
    }

    /// Whether no worker is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.at.is_none() && self.starting.is_none()
    }

    /// Nobody waits for it any more.
    pub(super) fn cancel(&mut self) {
        (self.at, self.starting) = (None, None);
    }

    /// Waits for the next step: `None` once it is being started, then what came of it; without a worker to come there is no step.
    ///
    /// Nothing is lost when this is dropped before it ends.
    pub(super) async fn step(&mut self, source: &Arc<Source>, confinement: impl Fn() -> Confinement) -> Option<Started> {
        match (&mut self.starting, self.at) {
            (Some(starting), _) => {
                let started = starting.await;
                self.starting = None;
                Some(started)
            }
            (None, Some(at)) => {
                sleep_until(at.into()).await;
                let (source, confinement) = (source.clone(), confinement());
                let starting: Starting = Box::pin(async move { Live::start(&source, &confinement).await });
                (self.at, self.starting) = (None, Some(starting));
                None
            }
            (None, None) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(interval: Option<u64>, expected_ms: &[u128]) {
        let mut comeback = Comeback::new();
        let waits: Vec<u128> = expected_ms.iter().map(|_| comeback.later(interval.map(Duration::from_secs)).as_millis()).collect();
        assert_eq!(waits, expected_ms, "interval {interval:?}");
        comeback.forgive();
        assert_eq!(comeback.later(None), AFTER);
    }

    #[test]
    fn waits_double_up_to_five_intervals_of_the_job_that_runs_most_often() {
        check(Some(1), &[100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        check(Some(3600), &[100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
        check(None, &[100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
    }
}
