//! A job under the runner's eyes.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::LabelSets;
use crate::{
    job::Job,
    reading::Cause,
    schedule::{Slot, Ticker, UnixTime},
};

/// A run this near to its deadline is as good as over.
const ENDING: Duration = Duration::from_millis(100);

/// A job with its next due times and the run that is under way.
pub(super) struct Scheduled {
    pub(super) job: Arc<Job>,
    pub(super) ticker: Ticker,
    /// The run that is under way.
    pub(super) running: Option<Running>,
    /// A run that became due while the one before was as good as over: it starts when that one is.
    pub(super) next: Option<Due>,
    /// How much later than the whole second its runs start, so that jobs of one second do not start as one.
    pub(super) spread: Duration,
    pub(super) cursor: Option<Vec<u8>>,
    pub(super) label_sets: Arc<Mutex<LabelSets>>,
}

/// A run that is under way.
#[derive(Clone)]
pub(super) struct Running {
    /// The job that it is a run of: as it was when the run began, if it was changed meanwhile, or its library was.
    pub(super) job: Arc<Job>,
    pub(super) deadline: Instant,
}

impl Running {
    /// Whether it is a run of the job of this number.
    pub(super) fn is_of(&self, number: u64) -> bool {
        self.job.number == number
    }

    /// Has it end as interrupted, in the library that it runs in.
    pub(super) fn cancel(&self) {
        self.job.plugin.cancel(self.job.number);
    }
}

/// A run that is to be started.
#[derive(Clone, Copy)]
pub(in crate::daemon) struct Due {
    pub(super) cause: Cause,
    pub(super) slot: Slot,
    pub(super) due: UnixTime,
}

impl Scheduled {
    pub(super) fn new(job: Arc<Job>, ticker: Ticker, running: Option<Running>) -> Self {
        let spread = job.config.timing.timetable.spread(job.name());
        Self { job, ticker, running, next: None, spread, cursor: None, label_sets: Arc::default() }
    }

    /// The job that this one becomes: it goes on where this one stands, with the run that is under way and the one that waits for it.
    /// Says whether one waited that is not to be, for the job is due at other times now.
    pub(super) fn changed_to(self, job: Job, label: Duration) -> (Self, bool) {
        let timing = &job.config.timing;
        let spread = timing.timetable.spread(job.name());
        let ticker = self.ticker.go_on_as(timing.timetable.clone(), timing.rhythm.step(), label.saturating_sub(spread));
        let scheduled = Self { cursor: self.cursor, label_sets: self.label_sets, ..Self::new(Arc::new(job), ticker, self.running) };
        let next = self.next.filter(|_| scheduled.keeps(&self.job));
        let dropped = self.next.is_some() && next.is_none();
        (Self { next, ..scheduled }, dropped)
    }

    /// Whether a run of what the job was before can stand for one of what it is now.
    pub(super) fn keeps(&self, before: &Job) -> bool {
        before.config.timing == self.job.config.timing
    }

    /// When its next run starts, as a label of the clock.
    pub(super) fn starts(&self) -> Option<Duration> {
        let due = self.ticker.next_due()?.as_secs().max(0).unsigned_abs();
        Some(Duration::from_secs(due) + self.spread)
    }

    /// The label by which its ticker goes.
    pub(super) fn ticks_at(&self, label: Duration) -> Duration {
        label.saturating_sub(self.spread)
    }

    /// Whether a run that is due now may wait for the one that is under way: a timeout as long as the interval must not cost every
    /// second run, nor a change of the job the first run of what it became.
    pub(super) fn may_wait(&self, running: &Running) -> bool {
        let ends = running.deadline <= Instant::now() + ENDING || !running.is_of(self.job.number);
        ends && self.next.is_none()
    }
}
