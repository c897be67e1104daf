//! How time passes for what is awaited: as that of this process, which no clock moves, or as whoever tells of a test or of the past says.

use std::time::{Duration, Instant};

/// How time passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passing(Option<Said>);

/// Time as it is said.
#[derive(Clone, Copy, Debug)]
struct Said {
    began: Instant,
    began_ns: i64,
    now_ns: i64,
}

impl Passing {
    /// Time that passes as it is said, from an instant on: nanoseconds since 1970.
    pub fn said(now_ns: i64) -> Self {
        Self(Some(Said { began: Instant::now(), began_ns: now_ns, now_ns }))
    }

    /// It is so late by now, where that is said; never earlier than it was.
    pub fn reach(&mut self, now_ns: i64) {
        if let Some(said) = &mut self.0 {
            said.now_ns = said.now_ns.max(now_ns);
        }
    }

    /// Now.
    pub fn now(&self) -> Instant {
        self.0.map_or_else(Instant::now, |said| said.began + since(said.now_ns, said.began_ns))
    }

    /// When so much more time will have passed, nanoseconds since 1970; nothing where time is not said.
    pub fn after(&self, rest: Duration) -> Option<i64> {
        self.0.map(|said| said.now_ns.saturating_add(i64::try_from(rest.as_nanos()).unwrap_or(i64::MAX)))
    }
}

fn since(now_ns: i64, began_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(now_ns.saturating_sub(began_ns)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_said_passes_as_it_is_said_and_never_back() {
        let mut passing = Passing::said(5_000);
        let began = passing.now();
        passing.reach(5_000 + 3_600_000_000_000);
        passing.reach(7_000);
        assert_eq!(passing.now() - began, Duration::from_secs(3_600));
        assert_eq!(passing.after(Duration::from_nanos(1)), Some(5_001 + 3_600_000_000_000));
        assert_eq!(Passing::default().after(Duration::ZERO), None);
    }
}
