//! The runner's clock: labels of wall time on a clock that cannot be turned.

use std::time::{Duration, Instant, SystemTime};

use crate::schedule::{ClockStep, Clocks, DueClock, UnixTime};

/// What the runner looks at to know what is due.
pub(super) struct Clock {
    due: DueClock,
    turned: Option<ClockStep>,
    began: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        let began = Instant::now();
        Self { due: DueClock::start(clocks(began)), turned: None, began }
    }

    /// What it shows. A turn of it is kept until somebody takes it, whoever looked first.
    pub(super) fn label(&mut self) -> Duration {
        let (label, step) = self.due.observe(clocks(self.began));
        self.turned = step.or(self.turned);
        label
    }

    /// The turn that nobody was told of yet.
    pub(super) fn turned(&mut self) -> Option<ClockStep> {
        self.turned.take()
    }

    /// The instant that will carry a label, as far as the clock is known today.
    pub(super) fn instant_of(&self, label: Duration) -> Instant {
        let monotonic = self.due.monotonic_at(UnixTime::from_duration(label)) + Duration::from_nanos(label.subsec_nanos().into());
        self.began + monotonic
    }
}

fn clocks(began: Instant) -> Clocks {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Clocks { monotonic: began.elapsed(), wall }
}
