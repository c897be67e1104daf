//! The host's one sense of time: wall-clock labels on a clock that cannot be turned.
//!
//! Due times are labels of Unix time, but what passes is monotonic time: [`DueClock`] holds the distance between the
//! two and keeps it while the wall clock stays within a second of it, so that runs do not drift and small corrections
//! move nothing. A larger difference is a clock step: the distance is taken anew, once, and reported.
//!
//! How the runner uses it: one `DueClock`; whoever wakes calls [`DueClock::observe`] with both clocks read together and
//! polls its [`Ticker`](super::Ticker) with the answer; then sleeps until [`DueClock::monotonic_at`] the next due time,
//! but no longer than [`LOOK_AT_LEAST_EVERY`], because a sleep does not notice that the wall clock was turned. A
//! reported step is one host event; each ticker copes with it by itself when next polled.

use std::time::Duration;

use super::unix_time::UnixTime;

/// The longest a sleeper may go without looking at the clock.
pub const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// Differences up to this are corrections, not steps; a leap second is one.
const CORRECTION_MAX: i128 = NANOS;

const NANOS: i128 = 1_000_000_000;

/// Both clocks, read one right after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Time since any fixed instant; never goes back.
    pub monotonic: Duration,
    /// Time since 1970 as the wall clock has it; zero where that shows an earlier year.
    pub wall: Duration,
}

/// What the wall clock was turned by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// How far.
    pub by: Duration,
    /// Which way.
    pub direction: Direction,
}

/// Which way a clock was turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Time was left out; what was due in it is missed.
    Forward,
    /// Time comes again.
    Backward,
}

/// Monotonic time with wall-clock labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueClock {
    /// Wall minus monotonic, in nanoseconds.
    ahead: i128,
}

impl DueClock {
    /// Starts from what both clocks show.
    pub fn start(clocks: Clocks) -> Self {
        Self { ahead: ahead(clocks) }
    }

    /// Gives the label of the monotonic instant, and the clock step if one happened since the last look.
    pub fn observe(&mut self, clocks: Clocks) -> (Duration, Option<ClockStep>) {
        let by = ahead(clocks) - self.ahead;
        let stepped = by.abs() > CORRECTION_MAX;
        if stepped {
            self.ahead += by;
        }
        let label = duration(nanos(clocks.monotonic) + self.ahead);
        (label, stepped.then(|| ClockStep::of(by)))
    }

    /// Gives the monotonic instant that will carry a label, as far as the clock is known today.
    pub fn monotonic_at(&self, due: UnixTime) -> Duration {
        duration(i128::from(due.as_secs()) * NANOS - self.ahead)
    }
}

impl ClockStep {
    fn of(nanoseconds: i128) -> Self {
        let direction = if nanoseconds < 0 { Direction::Backward } else { Direction::Forward };
        Self { by: duration(nanoseconds.abs()), direction }
    }
}

fn ahead(clocks: Clocks) -> i128 {
    nanos(clocks.wall) - nanos(clocks.monotonic)
}

fn nanos(time: Duration) -> i128 {
    i128::from(time.as_secs()) * NANOS + i128::from(time.subsec_nanos())
}

/// Takes nanoseconds back into a duration, negative ones as zero.
fn duration(nanoseconds: i128) -> Duration {
    let seconds = u64::try_from(nanoseconds.max(0) / NANOS).unwrap_or(u64::MAX);
    Duration::new(seconds, (nanoseconds.max(0) % NANOS) as u32)
}
