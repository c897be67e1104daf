//! Folding runs by days gives what walking them one by one gives.

use proptest::prelude::*;
use proptest::sample::select;

use super::brute_force::{changes, two_years};
use super::{ZONES, at, cron};

const EXPRESSIONS: [&str; 13] = [
    "* * * * *",
    "30 2 * * *",
    "0,30 0-3 * * *",
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

fn check(expression: &str, zone: &str, from: i64, until: i64) {
    let timetable = cron(expression, zone);
    let mut walked = Vec::new();
    let mut next = timetable.first_from(from);
    while let Some(due) = next.filter(|due| due.as_secs() < until) {
        walked.push(due.as_secs());
        next = timetable.next_after(due);
    }
    let folded = timetable.runs_between(from, until);
    let (count, gaps) = (walked.len() as u64, walked.windows(2).map(|pair| pair[1] - pair[0]));
    let said = format!("{expression} {zone} {from}..{until}");
    assert_eq!((folded.count, folded.gap_min), (count, gaps.min()), "{said}");
    assert_eq!((folded.first(), folded.last()), (walked.first().copied(), walked.last().copied()), "{said}");
}

#[test]
fn around_every_change_folding_gives_what_walking_gives() {
    for zone in ZONES {
        for change in changes(zone.parse().unwrap(), two_years()) {
            for expression in EXPRESSIONS {
                check(expression, zone, change - 90_000, change + 90_000);
                check(expression, zone, change - 1_234, change + 4_321);
                check(expression, zone, change + 1_234, change + 9_999);
            }
        }
    }
}

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
        let from = at("2026-01-01T00:00:00Z").as_secs() + month * 2_592_000 + offset;
        check(expression, name, from, from + length);
    }
}
