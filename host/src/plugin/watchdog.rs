//! Sees an agent that blocks its worker's one thread: one piece of work that takes too long.

use std::{
    fs,
    time::{Duration, Instant},
};

use watchpost_worker::page::{Page, Work};

/// One poll, or the making of one agent, may take so much processor time of the worker's thread …
const CPU_MAX: Duration = Duration::from_secs(1);
/// … and so much time by the clock, which a machine under load stretches.
const WALL_MAX: Duration = Duration::from_secs(5);
/// A process that somebody stopped, and for which somebody waits, may stay so for this long.
const STOPPED_MAX: Duration = Duration::from_secs(2);

/// Looks at a worker's page from time to time.
pub(super) struct Watchdog {
    schedstat: String,
    stat: String,
    last: Option<Look>,
    stopped_since: Option<Instant>,
}

/// Work that was under way when it was first seen.
struct Look {
    work: Work,
    began: Instant,
    cpu: Option<Duration>,
}

impl Watchdog {
    pub(super) fn new(pid: u32) -> Self {
        Self { schedstat: format!("/proc/{pid}/task/{pid}/schedstat"), stat: format!("/proc/{pid}/stat"), last: None, stopped_since: None }
    }

    /// Says what blocks the worker's thread, and how, if something does.
    pub(super) fn blocked(&mut self, page: &Page, now: Instant) -> Option<(Work, String)> {
        self.exceeds(page, now).filter(|_| !self.is_stopped())
    }

    /// Whether somebody stopped the process (a debugger, `kill -STOP`): then its page names nobody who is to blame for its silence.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.state(), Some('T' | 't'))
    }

    /// Whether the process has been stopped for too long, while somebody waits for it; one with a debugger is left alone.
    pub(super) fn stands_still(&mut self, waits: bool, now: Instant) -> bool {
        if !waits || self.state() != Some('T') {
            self.stopped_since = None;
            return false;
        }
        now.duration_since(*self.stopped_since.get_or_insert(now)) > STOPPED_MAX
    }

    fn state(&self) -> Option<char> {
        // proc_pid_stat(5): pid (comm) state …; the name may hold anything.
        fs::read_to_string(&self.stat).ok()?.rsplit_once(") ")?.1.chars().next()
    }

    fn exceeds(&mut self, page: &Page, now: Instant) -> Option<(Work, String)> {
        let Some((work, taken)) = page.under_way() else {
            self.last = None;
            return None;
        };
        let began = now.checked_sub(taken).unwrap_or(now);
        let same = self.last.as_ref().filter(|last| last.work == work && began.abs_diff(last.began) < Duration::from_millis(100));
        let Some(look) = same else {
            self.last = Some(Look { work, began, cpu: self.cpu() });
            return (taken > WALL_MAX).then(|| (work, format!("blocked its thread for {:.1} s", taken.as_secs_f64())));
        };
        let spent = look.cpu.zip(self.cpu()).map(|(before, now)| now.saturating_sub(before)).unwrap_or_default();
        if spent > CPU_MAX {
            return Some((work, format!("kept its thread busy for {:.1} s without a pause", spent.as_secs_f64())));
        }
        (taken > WALL_MAX).then(|| (work, format!("blocked its thread for {:.1} s", taken.as_secs_f64())))
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
