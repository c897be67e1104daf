//! Phases of a run, timed by one clock: what they add up to is the total, to the nanosecond.

use std::time::Duration;

use crate::{Cx, Metric};

/// A running clock whose laps are phases. A lap begins where the last one ended, so no time falls between two.
#[derive(Debug)]
pub struct Laps<'a> {
    cx: &'a Cx,
    start: Duration,
    last: Duration,
}

impl<'a> Laps<'a> {
    pub(crate) fn start(cx: &'a Cx) -> Self {
        let start = cx.elapsed();
        Self { cx, start, last: start }
    }

    /// Ends a phase, records its time, and begins the next one.
    pub fn lap(&mut self, phase: Metric) -> Duration {
        let now = self.cx.elapsed();
        let time = now - self.last;
        self.last = now;
        self.cx.record(phase, time);
        time
    }

    /// Where the last lap ended; the start of a span that covers several laps.
    pub fn mark(&self) -> Duration {
        self.last
    }

    /// Records the time between a [`mark`](Laps::mark) and the end of the last lap.
    pub fn span(&self, metric: Metric, from: Duration) {
        self.cx.record(metric, self.last.saturating_sub(from));
    }

    /// Records the sum of all laps.
    pub fn total(self, metric: Metric) {
        self.cx.record(metric, self.last - self.start);
    }
}
