//! So many lines a minute, the rest counted: what changes at every run is told without filling the disk.

use std::time::{Duration, Instant};

/// What a quota is for.
const MINUTE: Duration = Duration::from_secs(60);

/// The lines that one thing may write.
#[derive(Clone, Debug)]
pub struct Quota {
    lines_max: u32,
    /// When the minute began in which lines are counted.
    minute: Option<Instant>,
    written: u32,
    held_back: u64,
}

impl Quota {
    /// Allows so many lines a minute.
    pub const fn a_minute(lines_max: u32) -> Self {
        Self { lines_max, minute: None, written: 0, held_back: 0 }
    }

    /// Says whether a line may be written now; one that may not is counted.
    pub fn admits(&mut self, now: Instant) -> bool {
        // What was held back is told before anything new is.
        if self.is_over(now) && self.held_back == 0 {
            (self.minute, self.written) = (Some(now), 0);
        }
        let admitted = self.written < self.lines_max && self.held_back == 0;
        match admitted {
            true => self.written += 1,
            false => self.held_back += 1,
        }
        admitted
    }

    /// Gives how many lines were held back, once their minute is over.
    pub fn settle(&mut self, now: Instant) -> Option<u64> {
        if self.held_back == 0 || !self.is_over(now) {
            return None;
        }
        // The line that tells of them is the first of the next minute.
        (self.minute, self.written) = (Some(now), 1);
        Some(std::mem::take(&mut self.held_back))
    }

    /// Says whether lines are held back that nobody was told of yet.
    pub fn holds_back(&self) -> bool {
        self.held_back > 0
    }

    fn is_over(&self, now: Instant) -> bool {
        self.minute.is_none_or(|began| now.duration_since(began) >= MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_that_changes_every_second_has_its_lines_and_one_that_counts_the_rest() {
        let (start, mut quota) = (Instant::now(), Quota::a_minute(10));
        let (mut lines, mut counted) = (0, 0);
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            if let Some(held_back) = quota.settle(now) {
                lines += 1;
                counted += held_back;
            }
            if quota.admits(now) {
                lines += 1;
                counted += 1;
            }
        }
        counted += quota.settle(start + Duration::from_secs(660)).unwrap();
        assert_eq!((lines, counted), (10 * 10 + 9 - 9, 600), "every change is told or counted");
    }

    #[test]
    fn what_changes_now_and_then_is_told_each_time() {
        let (start, mut quota) = (Instant::now(), Quota::a_minute(2));
        for change in 0..20 {
            let now = start + Duration::from_secs(31 * change);
            assert!(quota.admits(now) && quota.settle(now).is_none(), "change {change}");
        }
    }

    #[test]
    fn what_was_held_back_waits_to_be_told_and_nothing_overtakes_it() {
        let (start, mut quota) = (Instant::now(), Quota::a_minute(1));
        assert!(quota.admits(start) && !quota.admits(start));
        assert_eq!((quota.holds_back(), quota.settle(start + Duration::from_secs(59))), (true, None));
        let late = start + Duration::from_secs(600);
        assert!(!quota.admits(late), "the count comes first");
        assert_eq!((quota.settle(late), quota.holds_back(), quota.settle(late)), (Some(2), false, None));
    }
}
