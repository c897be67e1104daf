//! Phases of a run, timed by one clock: what they add up to is the total, to the nanosecond.

use std::time::Duration;

use crate::{Cx, Named};

/// A running clock whose laps are phases. A lap begins where the last one ended, so no time falls between two.
///
/// A phase that comes twice (EHLO before and after STARTTLS) is still one phase: its laps add up.
#[derive(Debug)]
pub struct Laps<'a> {
    cx: &'a Cx,
    start: Duration,
    last: Duration,
    /// Whether laps are recorded as they end.
    recorded: bool,
    /// What each phase has taken so far; a handful, so a list is enough.
    phases: Vec<(String, Duration)>,
}

impl<'a> Laps<'a> {
    pub(crate) fn start(cx: &'a Cx) -> Self {
        let start = cx.elapsed();
        Self { cx, start, last: start, recorded: true, phases: Vec::new() }
    }

    /// Starts a clock whose laps are given back and not recorded: for a second session of a run, whose phases would be taken for those of
    /// the first.
    pub fn unrecorded(cx: &'a Cx) -> Self {
        Self { recorded: false, ..Self::start(cx) }
    }

    /// Ends a lap, records what its phase has taken so far, and begins the next one; gives the time of this lap.
    ///
    /// A phase is a [`Metric`](crate::Metric), or one that was [declared](Cx::declare).
    pub fn lap(&mut self, phase: impl Named) -> Duration {
        self.lap_at(phase, self.cx.elapsed())
    }

    /// Ends a lap at a moment that has passed, as [`HttpTimes`](crate::HttpTimes) has them; one before the last lap's end makes a lap of
    /// no time.
    pub fn lap_at(&mut self, phase: impl Named, at: Duration) -> Duration {
        let time = at.saturating_sub(self.last);
        self.last += time;
        let taken = self.add(phase.name(), time);
        if self.recorded {
            self.cx.record(phase, taken);
        }
        time
    }

    /// Leaves out the time since the last lap: it belongs to no phase, and not to the sum.
    pub fn skip(&mut self) {
        let now = self.cx.elapsed();
        self.start += now - self.last;
        self.last = now;
    }

    /// Where the last lap ended; the start of a span that covers several laps.
    pub fn mark(&self) -> Duration {
        self.last
    }

    /// Records the time between a [`mark`](Laps::mark) and the end of the last lap.
    pub fn span(&self, metric: impl Named, from: Duration) {
        self.cx.record(metric, self.last.saturating_sub(from));
    }

    /// Records the sum of all laps. What was begun after the last one belongs to no phase and not to the sum.
    pub fn total(self, metric: impl Named) {
        self.cx.record(metric, self.last - self.start);
    }

    fn add(&mut self, phase: &str, time: Duration) -> Duration {
        if let Some((_, taken)) = self.phases.iter_mut().find(|(known, _)| known == phase) {
            *taken += time;
            return *taken;
        }
        self.phases.push((phase.to_owned(), time));
        time
    }
}
