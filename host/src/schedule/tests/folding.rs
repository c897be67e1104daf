//! Folding runs by days gives what walking them one by one gives.

use proptest::prelude::*;
use proptest::sample::select;

use super::{ZONES, at, cron};

const EXPRESSIONS: [&str; 12] = [
    "* * * * *",
    "30 2 * * *",
    "0 0 * * *",
    "*/7 1-3 * * *",
    "0 */2 * * *",
    "0,1,30 0-2,23 * * *",
    "*/5 8-18 * * MON-FRI",
    "0 0 1,15 * FRI",
    "0 22-2 * * *",
    "50-10 * 28-3 * *",
    "*/30 0 3 * * SUN",
    "10,50 59,0 2,3 * 3,10 *",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn count_last_and_closest_runs_are_those_of_the_walk(
        expression in select(&EXPRESSIONS[..]),
        name in select(&ZONES[..]),
        month in 0_i64..24,
        offset in 0_i64..2_592_000,
        length in 1_i64..864_000,
    ) {
        let timetable = cron(expression, name);
        let from = at("2026-01-01T00:00:00Z").as_secs() + month * 2_592_000 + offset;
        let until = from + length;
        let mut walked = Vec::new();
        let mut next = timetable.first_from(from);
        while let Some(due) = next.filter(|due| due.as_secs() < until) {
            walked.push(due.as_secs());
            next = timetable.next_after(due);
        }
        let folded = timetable.runs_between(from, until);
        prop_assert_eq!(folded.count, walked.len() as u64);
        prop_assert_eq!(folded.first(), walked.first().copied());
        prop_assert_eq!(folded.last(), walked.last().copied());
        prop_assert_eq!(folded.gap_min, walked.windows(2).map(|pair| pair[1] - pair[0]).min());
    }
}
