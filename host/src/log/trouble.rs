//! What goes wrong again and again: told when it begins, when its reason changes, now and then while it lasts, and when it is over.

use std::time::{Duration, Instant};

/// Two lines of one trouble are at least so far apart.
const TOLD_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// A trouble that lasts is told again after this.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// One thing that may go wrong for a while.
#[derive(Debug, Default)]
pub struct Trouble {
    now: Option<Lasting>,
    /// When it was over last, if that was told: one that comes and goes is told as one.
    over: Option<Instant>,
}

#[derive(Debug)]
struct Lasting {
    began: Instant,
    told: Option<Instant>,
    why: String,
    times: u64,
}

/// What there is to tell of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How long it has lasted.
    pub lasted: Duration,
    /// How often it was met.
    pub times: u64,
}

impl Trouble {
    /// Nothing is wrong yet.
    pub const fn new() -> Self {
        Self { now: None, over: None }
    }

    /// Notes that it was met; gives what there is to tell, if it is to be told now.
    pub fn met(&mut self, why: &str, now: Instant) -> Option<Told> {
        let over = self.over;
        let lasting = self.now.get_or_insert_with(|| Lasting { began: now, told: None, why: String::new(), times: 0 });
        lasting.times += 1;
        let waited = lasting.told.or(over).map(|told| now.saturating_duration_since(told));
        let tell = match waited {
            None => true,
            Some(waited) if lasting.told.is_none() || lasting.why != why => waited >= TOLD_AT_MOST_EVERY,
            Some(waited) => waited >= TOLD_AGAIN_AFTER,
        };
        if !tell {
            return None;
        }
        lasting.told = Some(now);
        why.clone_into(&mut lasting.why);
        Some(lasting.tell(now))
    }

    /// Notes that it is over; gives what there is to tell, if its beginning was told.
    pub fn is_over(&mut self, now: Instant) -> Option<Told> {
        let lasting = self.now.take()?;
        lasting.told?;
        self.over = Some(now);
        Some(lasting.tell(now))
    }
}

impl Lasting {
    fn tell(&self, now: Instant) -> Told {
        Told { lasted: now.saturating_duration_since(self.began), times: self.times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    #[test]
    fn a_disk_that_stays_full_for_two_hours_has_four_lines() {
        let (start, mut trouble) = (Instant::now(), Trouble::default());
        let ticks = 2 * 3600 * 4;
        let told: Vec<Told> = (0..=ticks).filter_map(|tick| trouble.met("no space", start + TICK * tick)).collect();
        assert_eq!(told.iter().map(|told| told.lasted.as_secs()).collect::<Vec<_>>(), [0, 3600, 7200]);
        let over = trouble.is_over(start + TICK * ticks).unwrap();
        assert_eq!((over.lasted.as_secs(), over.times), (7200, u64::from(ticks) + 1));
        assert_eq!(trouble.is_over(start + TICK * ticks), None, "told once");
    }

    #[test]
    fn another_reason_is_told_but_reasons_that_alternate_have_a_line_a_minute() {
        let (start, mut trouble) = (Instant::now(), Trouble::default());
        assert!(trouble.met("no space", start).is_some());
        assert!(trouble.met("read-only", start + Duration::from_secs(61)).is_some());
        let told =
            (0..2400).filter_map(|tick| trouble.met(if tick % 2 == 0 { "a" } else { "b" }, start + Duration::from_secs(62) + TICK * tick));
        assert_eq!(told.count(), 9, "in ten minutes");
    }

    #[test]
    fn a_trouble_that_comes_and_goes_has_two_lines_a_minute() {
        let (start, mut trouble) = (Instant::now(), Trouble::default());
        let mut lines = 0;
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            let told = if second % 2 == 0 { trouble.met("no space", now) } else { trouble.is_over(now) };
            lines += u32::from(told.is_some());
        }
        assert!((18..=20).contains(&lines), "{lines} lines in ten minutes");
    }
}
