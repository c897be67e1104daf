//! Fixed intervals: phase, spread, labels.

use proptest::prelude::*;

use super::super::{Timetable, UnixTime, parse_span};
use super::{at, zone};

fn every(text: &str, job: &str) -> Timetable {
    Timetable::every(text, job, zone("UTC")).unwrap()
}

#[test]
fn spans_are_read_as_people_write_them() {
    for (text, seconds) in [
        ("30s", 30),
        ("1s", 1),
        ("5m", 300),
        ("5min", 300),
        ("2h", 7_200),
        ("366d", 31_622_400),
        ("1h30m", 5_400),
        ("1d 12h", 129_600),
        (" 90 s ", 90),
    ] {
        assert_eq!(parse_span(text).map(|span| span.as_secs()), Ok(seconds), "{text:?}");
    }
}

#[test]
fn the_phase_of_a_job_is_the_same_on_every_machine() {
    // First 8 bytes of SHA-256, big-endian, modulo the interval: checked with another implementation.
    assert_eq!(every("30s", "pop-paris").to_string(), "every 30 s, phase 25 s");
    assert_eq!(every("1h30m", "imap-lyon").to_string(), "every 1 h 30 min, phase 1 h 9 min 43 s");
}

#[test]
fn phases_of_a_thousand_jobs_are_spread_evenly() {
    let mut jobs_of_phase = [0_u32; 30];
    for job in 0..3_000 {
        let due = every("30s", &format!("job-{job}")).next_after(UnixTime::from_secs(0)).unwrap();
        jobs_of_phase[(due.as_secs() % 30) as usize] += 1;
    }
    // 100 each on average; 5 standard deviations are 49.
    assert!(jobs_of_phase.iter().all(|jobs| (51..=149).contains(jobs)), "{jobs_of_phase:?}");
}

proptest! {
    #[test]
    fn runs_lie_exactly_one_interval_apart_at_the_phase(seconds in 1_i64..40_000_000, from in -90_000_000_000_i64..90_000_000_000) {
        let seconds = seconds.min(31_622_400);
        let timetable = every(&format!("{seconds}s"), "job");
        let from = UnixTime::from_secs(from.max(UnixTime::FIRST.as_secs()));
        let dues: Vec<_> = timetable.upcoming(from, 4).map(UnixTime::as_secs).collect();
        prop_assert!(dues[0] > from.as_secs() && dues[0] <= from.as_secs() + seconds);
        prop_assert!(dues.windows(2).all(|pair| pair[1] - pair[0] == seconds));
        let slot = timetable.rhythm(at("2026-01-01T00:00:00Z")).step().slot(UnixTime::from_secs(dues[1]));
        prop_assert_eq!(slot.time().as_secs(), dues[1].div_euclid(seconds) * seconds);
    }
}
