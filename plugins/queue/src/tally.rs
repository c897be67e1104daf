//! Messages counted by queue.

use std::{
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use watchpost_plugin_api::{AgentError, Cx, standard};

use crate::WAITING;

/// Every message that waits.
pub(crate) const ALL: &str = "all";
/// What needs somebody to see to it.
const ERROR: &str = "error";
/// What is no message any more.
pub(crate) const CORRUPT: &str = "corrupt";
/// Messages that the server has given up, and keeps.
pub(crate) const FROZEN: &str = "frozen";

const HOUR: u64 = 3600;
/// Age classes, youngest first: the name, and the age in seconds at which the next one begins. The first is what a healthy queue holds, the
/// last ends where servers give a message up (RFC 5321 4.5.4.1: at least 4 to 5 days).
const AGES: [(&str, u64); 6] = [("5m", 300), ("1h", HOUR), ("6h", 6 * HOUR), ("1d", 24 * HOUR), ("3d", 72 * HOUR), ("older", u64::MAX)];

/// Messages counted by queue.
pub(crate) struct Tally {
    now: SystemTime,
    entries_max: u32,
    entries: u32,
    /// The queues that the server has, in its own order; a handful.
    queues: Vec<(&'static str, Sum)>,
}

/// What is known of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    size: u64,
    /// Unknown as soon as one message's is.
    bytes: Option<u64>,
    oldest: Duration,
    ages: [u64; AGES.len()],
}

impl Sum {
    const ZERO: Self = Self { size: 0, bytes: Some(0), oldest: Duration::ZERO, ages: [0; AGES.len()] };

    fn add(&mut self, bytes: Option<u64>, age: Duration) {
        self.size += 1;
        self.bytes = self.bytes.zip(bytes).map(|(sum, more)| sum.saturating_add(more));
        self.oldest = self.oldest.max(age);
        self.ages[class_of(age)] += 1;
    }

    fn join(self, other: Self) -> Self {
        let mut ages = self.ages;
        ages.iter_mut().zip(other.ages).for_each(|(sum, more)| *sum += more);
        let bytes = self.bytes.zip(other.bytes).map(|(sum, more)| sum.saturating_add(more));
        Self { size: self.size + other.size, bytes, oldest: self.oldest.max(other.oldest), ages }
    }
}

impl Tally {
    pub(crate) fn new(now: SystemTime, entries_max: NonZeroU32) -> Self {
        Self { now, entries_max: entries_max.get(), entries: 0, queues: Vec::new() }
    }

    /// Says that the server tells of these queues: one in which nothing waits is known to be empty.
    pub(crate) fn has(&mut self, queues: &[&'static str]) {
        for &queue in queues {
            self.sum_of(queue);
        }
    }

    /// Says that a queue cannot be known after all.
    pub(crate) fn lost(&mut self, queue: &str) {
        self.queues.retain(|(name, _)| *name != queue);
    }

    /// Counts a message.
    ///
    /// Errors: kind `limit` when there are too many.
    pub(crate) fn add(&mut self, queue: &'static str, bytes: Option<u64>, since: SystemTime) -> Result<(), AgentError> {
        if self.entries == self.entries_max {
            return Err(AgentError::limit("entries_max"));
        }
        self.entries += 1;
        // A stamp that lies ahead is of a clock that was set: it came just now.
        let age = self.now.duration_since(since).unwrap_or_default();
        self.sum_of(queue).add(bytes, age);
        Ok(())
    }

    /// Says whether that many more messages may be listed before they are counted.
    ///
    /// Errors: kind `limit`.
    pub(crate) fn has_room_for(&self, listed: usize) -> Result<(), AgentError> {
        let room = self.entries_max - self.entries;
        if listed < room as usize { Ok(()) } else { Err(AgentError::limit("entries_max")) }
    }

    fn sum_of(&mut self, queue: &'static str) -> &mut Sum {
        let at = match self.queues.iter().position(|(name, _)| *name == queue) {
            Some(at) => at,
            None => {
                self.queues.push((queue, Sum::ZERO));
                self.queues.len() - 1
            }
        };
        &mut self.queues[at].1
    }

    /// The queues, and those made of several.
    fn told(&self) -> Vec<(&'static str, Sum)> {
        let joined = |of: &dyn Fn(&str) -> bool| {
            let sums = self.queues.iter().filter(|(name, _)| of(name)).map(|&(_, sum)| sum);
            sums.fold(Sum::ZERO, Sum::join)
        };
        let mut told: Vec<_> = self.queues.iter().copied().filter(|(name, _)| *name != ALL).collect();
        if self.queues.iter().any(|(name, _)| *name == CORRUPT) {
            told.push((ERROR, joined(&|name| name == CORRUPT || name == FROZEN)));
        }
        told.push((ALL, joined(&|name| name != CORRUPT)));
        told
    }

    /// Records what was counted.
    pub(crate) fn record(&self, cx: &Cx) {
        for (queue, sum) in self.told() {
            cx.record_with(standard::QUEUE_SIZE, &[("queue", queue)], sum.size);
            if let Some(bytes) = sum.bytes {
                cx.record_with(standard::QUEUE_BYTES, &[("queue", queue)], bytes);
            }
            cx.record_with(standard::QUEUE_OLDEST_AGE, &[("queue", queue)], sum.oldest);
            for ((age, _), count) in AGES.iter().zip(sum.ages) {
                cx.record_with(WAITING, &[("queue", queue), ("age", age)], count);
            }
        }
    }
}

/// The class of an age, as its place in [`AGES`].
fn class_of(age: Duration) -> usize {
    AGES.iter().position(|(_, end)| age.as_secs() < *end).unwrap_or(AGES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn tally(entries_max: u32) -> Tally {
        Tally::new(SystemTime::UNIX_EPOCH + NOW, NonZeroU32::new(entries_max).unwrap())
    }

    fn ago(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + NOW - Duration::from_secs(seconds)
    }

    fn sum(tally: &Tally, queue: &str) -> Option<(u64, Option<u64>, u64)> {
        let told = tally.told();
        let sum = told.iter().find(|(name, _)| *name == queue).map(|(_, sum)| sum)?;
        assert_eq!(sum.ages.iter().sum::<u64>(), sum.size, "each message is in one class");
        Some((sum.size, sum.bytes, sum.oldest.as_secs()))
    }

    #[test]
    fn an_age_is_in_the_class_that_it_has_not_outgrown() {
        let check = |seconds, expected| assert_eq!(AGES[class_of(Duration::from_secs(seconds))].0, expected, "{seconds}");
        check(0, "5m");
        check(299, "5m");
        check(300, "1h");
        check(3599, "1h");
        check(3600, "6h");
        check(6 * 3600, "1d");
        check(86_399, "1d");
        check(86_400, "3d");
        check(3 * 86_400, "older");
        check(u64::MAX, "older");
    }

    #[test]
    fn sums_are_of_all_that_wait_and_of_what_needs_a_hand() {
        let mut tally = tally(10);
        tally.has(&["incoming", CORRUPT]);
        tally.add("deferred", Some(10), ago(50)).unwrap();
        tally.add("deferred", Some(20), ago(70)).unwrap();
        tally.add(FROZEN, Some(300), ago(900)).unwrap();
        tally.add(CORRUPT, Some(4000), ago(90_000)).unwrap();
        assert_eq!(sum(&tally, "incoming"), Some((0, Some(0), 0)));
        assert_eq!(sum(&tally, "deferred"), Some((2, Some(30), 70)));
        assert_eq!(sum(&tally, "error"), Some((2, Some(4300), 90_000)));
        assert_eq!(sum(&tally, "all"), Some((3, Some(330), 900)));
        assert_eq!(sum(&tally, "hold"), None, "a queue that the server does not have is unknown");
    }

    #[test]
    fn what_is_not_known_is_no_part_of_a_sum() {
        let mut tally = tally(10);
        tally.has(&["deferred", CORRUPT]);
        tally.add("deferred", Some(10), ago(1)).unwrap();
        tally.add("deferred", None, ago(2)).unwrap();
        tally.lost(CORRUPT);
        assert_eq!(sum(&tally, "deferred"), Some((2, None, 2)), "of one the size is unknown, so of all");
        assert_eq!(sum(&tally, "all"), Some((2, None, 2)));
        assert_eq!(sum(&tally, "error"), None);
        assert_eq!(sum(&tally, CORRUPT), None);
    }

    #[test]
    fn a_message_more_than_allowed_is_an_error_and_not_left_out() {
        let mut tally = tally(2);
        tally.add("active", Some(1), ago(0)).unwrap();
        tally.add(CORRUPT, Some(1), ago(0)).unwrap();
        let error = tally.add("hold", Some(1), ago(0)).unwrap_err();
        assert_eq!((error.kind().name(), error.message()), ("limit", "more than entries_max allows"));
    }

    #[test]
    fn what_lies_ahead_came_just_now_and_volumes_do_not_wrap() {
        let mut tally = tally(3);
        tally.add("active", Some(u64::MAX), SystemTime::UNIX_EPOCH + NOW * 2).unwrap();
        tally.add("active", Some(u64::MAX), ago(0)).unwrap();
        assert_eq!(sum(&tally, "active"), Some((2, Some(u64::MAX), 0)));
    }
}
