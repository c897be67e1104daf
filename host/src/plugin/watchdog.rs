//! Sees an agent that blocks its worker's one thread: one poll that takes too long.

use std::{
    fs,
    time::{Duration, Instant},
};

use watchpost_worker::page::Page;

/// One poll may take so much processor time of the worker's thread …
const CPU_MAX: Duration = Duration::from_secs(1);
/// … and so much time by the clock, which a machine under load stretches.
const WALL_MAX: Duration = Duration::from_secs(5);

/// Looks at a worker's page from time to time.
pub(super) struct Watchdog {
    schedstat: String,
    last: Option<Look>,
}

/// A poll that was under way when it was first seen.
struct Look {
    run: u64,
    began: Instant,
    cpu: Option<Duration>,
}

impl Watchdog {
    pub(super) fn new(pid: u32) -> Self {
        Self { schedstat: format!("/proc/{pid}/task/{pid}/schedstat"), last: None }
    }

    /// Says how a run blocks the worker's thread, if one does.
    pub(super) fn blocked(&mut self, page: &Page, now: Instant) -> Option<(u64, String)> {
        let Some((run, polled_ns)) = page.polled() else {
            self.last = None;
            return None;
        };
        let polled = Duration::from_nanos(polled_ns);
        let began = now.checked_sub(polled).unwrap_or(now);
        let same = self.last.as_ref().filter(|last| last.run == run && began.abs_diff(last.began) < Duration::from_millis(100));
        let Some(look) = same else {
            self.last = Some(Look { run, began, cpu: self.cpu() });
            return (polled > WALL_MAX).then(|| (run, format!("blocked its thread for {:.1} s", polled.as_secs_f64())));
        };
        let spent = look.cpu.zip(self.cpu()).map(|(before, now)| now.saturating_sub(before)).unwrap_or_default();
        if spent > CPU_MAX {
            return Some((run, format!("kept its thread busy for {:.1} s without a pause", spent.as_secs_f64())));
        }
        (polled > WALL_MAX).then(|| (run, format!("blocked its thread for {:.1} s", polled.as_secs_f64())))
    }

    /// Processor time of the worker's main thread.
    fn cpu(&self) -> Option<Duration> {
        fs::read_to_string(&self.schedstat).ok()?.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }
}

/// The distance between two instants, whichever is first.
trait Distance {
    fn abs_diff(&self, other: Self) -> Duration;
}

impl Distance for Instant {
    fn abs_diff(&self, other: Self) -> Duration {
        self.saturating_duration_since(other).max(other.saturating_duration_since(*self))
    }
}
