//! When a message came: between two moments, of which one is known better than the other.

use std::time::Duration;

use crate::head::Hop;

/// How a mailbox tells when a message came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The earliest moment, in ns since 1970 by the clock of whoever stamped it.
    pub(crate) at_ns: u64,
    /// How much later it may have been.
    pub(crate) within_ns: u64,
}

impl Stamp {
    /// A stamp of whole seconds.
    pub(crate) fn seconds(at: u64) -> Self {
        Self { at_ns: at.saturating_mul(1_000_000_000), within_ns: 1_000_000_000 }
    }
}

/// How long a message took: at most `time`, and at least that less `resolution`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Took {
    pub(crate) time: Duration,
    pub(crate) resolution: Duration,
}

/// What is known of how long a message took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// `None` where the clocks contradict each other, or nobody stamped it.
    pub(crate) took: Option<Took>,
    /// The stamp lies where it cannot: before the mailbox was last seen without the message, or ahead of us.
    pub(crate) skewed: bool,
    /// It took longer than that for certain.
    pub(crate) at_least: Duration,
}

/// Puts together when a message was sent, when the mailbox was last seen without it, when it was found there, and its stamp.
///
/// Unknown: the time, if nothing bounds it to `watched` (the longest time between two looks of a run that waits) and no stamp fits.
pub(crate) fn known(sent_ns: u64, absent_ns: u64, found_ns: u64, stamp: Option<Stamp>, watched: Duration) -> Known {
    let from = absent_ns.max(sent_ns);
    let at_least = Duration::from_nanos(from.min(found_ns).saturating_sub(sent_ns));
    if found_ns < from {
        // Our own clock was set back.
        return Known { took: None, skewed: true, at_least: Duration::ZERO };
    }
    let took = |from: u64, to: u64| Took { time: Duration::from_nanos(to - sent_ns), resolution: Duration::from_nanos(to - from) };
    let seen = took(from, found_ns);
    if seen.resolution <= watched {
        return Known { took: Some(seen), skewed: false, at_least };
    }
    let Some(Stamp { at_ns, within_ns }) = stamp else { return Known { took: None, skewed: false, at_least } };
    let (begin, end) = (at_ns.max(from), at_ns.saturating_add(within_ns).min(found_ns));
    match begin <= end {
        true => Known { took: Some(took(begin, end)), skewed: false, at_least },
        false => Known { took: None, skewed: true, at_least },
    }
}

/// The time that each hop took, by its number and name, and how many were left out because a clock on the way goes wrong.
///
/// Stamps are whole seconds. What seems to take less than no time took none if a second explains it, else nobody knows.
pub(crate) fn hops(sent_ns: u64, hops: &[Hop]) -> (Vec<(usize, &str, u64)>, u64) {
    let (mut before, mut times, mut skewed) = (Some(sent_ns / 1_000_000_000), Vec::new(), 0);
    for (at, hop) in hops.iter().enumerate() {
        if let (Some(before), Some(now)) = (before, hop.at) {
            match now.checked_sub(before) {
                Some(time) => times.push((at + 1, hop.by.as_str(), time)),
                None if before - now == 1 => times.push((at + 1, hop.by.as_str(), 0)),
                None => skewed += 1,
            }
        }
        before = hop.at;
    }
    (times, skewed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    fn check(absent: u64, found: u64, stamp: Option<Stamp>, expected: Result<(u64, u64), bool>) {
        let known = known(100 * S, absent, found, stamp, Duration::from_millis(300));
        let nanos = |took: Took| (took.time.as_nanos() as u64, took.resolution.as_nanos() as u64);
        assert_eq!(known.took.map(nanos).ok_or(known.skewed), expected, "{absent} {found} {stamp:?}");
    }

    #[test]
    fn a_message_that_was_watched_for_is_known_by_the_looks() {
        check(100 * S + 400 * MS, 100 * S + 500 * MS, None, Ok((500 * MS, 100 * MS)));
        check(90 * S, 100 * S + 30 * MS, Some(Stamp::seconds(5)), Ok((30 * MS, 30 * MS)));
    }

    #[test]
    fn a_message_that_was_found_later_is_known_by_its_stamp() {
        check(101 * S, 160 * S, Some(Stamp::seconds(107)), Ok((8 * S, S)));
        // In the second in which it was sent, or last looked for, or found.
        check(90 * S, 160 * S, Some(Stamp::seconds(100)), Ok((S, S)));
        check(107 * S + 300 * MS, 160 * S, Some(Stamp::seconds(107)), Ok((8 * S, 700 * MS)));
        check(101 * S, 160 * S + 400 * MS, Some(Stamp::seconds(160)), Ok((60 * S + 400 * MS, 400 * MS)));
        check(101 * S, 160 * S, Some(Stamp { at_ns: 107 * S + 5 * MS, within_ns: 10 * MS }), Ok((7 * S + 15 * MS, 10 * MS)));
    }

    #[test]
    fn clocks_that_contradict_each_other_make_no_number() {
        check(101 * S, 160 * S, Some(Stamp::seconds(99)), Err(true));
        check(101 * S, 160 * S, Some(Stamp::seconds(161)), Err(true));
        check(101 * S, 160 * S, None, Err(false));
        check(101 * S, 99 * S, Some(Stamp::seconds(100)), Err(true));
        check(101 * S, 160 * S, Some(Stamp { at_ns: u64::MAX, within_ns: S }), Err(true));
    }

    #[test]
    fn a_hop_takes_the_time_since_the_one_before() {
        let hop = |at: Option<u64>| Hop { by: "mx".into(), at };
        let check = |stamps: &[Option<u64>], expected: &[(usize, u64)], skewed: u64| {
            let way: Vec<Hop> = stamps.iter().map(|at| hop(*at)).collect();
            let (times, left_out) = hops(100 * S + 900 * MS, &way);
            let times: Vec<(usize, u64)> = times.into_iter().map(|(number, _, time)| (number, time)).collect();
            assert_eq!((times.as_slice(), left_out), (expected, skewed), "{stamps:?}");
        };
        check(&[Some(101), Some(101), Some(111)], &[(1, 1), (2, 0), (3, 10)], 0);
        check(&[Some(99), Some(105)], &[(1, 0), (2, 6)], 0);
        check(&[Some(90), Some(105)], &[(2, 15)], 1);
        check(&[None, Some(105), Some(106)], &[(3, 1)], 0);
        check(&[], &[], 0);
    }
}
