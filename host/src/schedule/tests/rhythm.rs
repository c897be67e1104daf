//! Steps, slots, deadlines, and what finding them costs.

use std::time::{Duration, Instant};

use super::super::{Overlap, ScheduleError};
use super::{at, chain, cron};

const SECOND: Duration = Duration::from_secs(1);

fn check_step(expression: &str, zone: &str, interval: u64, step: i64) {
    let rhythm = cron(expression, zone).rhythm(at("2026-11-22T12:00:00Z"));
    assert_eq!(rhythm.interval().as_secs(), interval, "interval of {expression} {zone}");
    assert_eq!(rhythm.step().as_secs(), step, "step of {expression} {zone}");
}

#[test]
fn the_step_is_the_largest_of_the_ladder_not_above_the_smallest_gap() {
    check_step("0 8 * * *", "UTC", 86_400, 86_400);
    check_step("0 8 * * *", "Europe/Paris", 82_800, 43_200);
    check_step("0 8 * * *", "Australia/Lord_Howe", 84_600, 43_200);
    check_step("0 8 * * *", "Antarctica/Troll", 79_200, 43_200);
    check_step("0 8 * * MON", "Europe/Paris", 7 * 86_400 - 3_600, 86_400);
    check_step("0 8 * * MON-FRI", "Europe/Paris", 86_400, 86_400);
    check_step("*/5 8-18 * * MON-FRI", "Europe/Paris", 300, 300);
    check_step("0 8-18 * * *", "Europe/Paris", 3_600, 3_600);
    check_step("*/7 * * * *", "Europe/Paris", 240, 60);
    check_step("0 */6 * * *", "UTC", 21_600, 21_600);
    check_step("0 */12 * * *", "Europe/Paris", 39_600, 21_600);
    check_step("0,45 * * * *", "UTC", 900, 600);
    check_step("* * * * * *", "Europe/Paris", 1, 1);
    check_step("*/10 * * * * *", "Europe/Paris", 10, 10);
    check_step("0,20 * * * * *", "UTC", 20, 10);
}

#[test]
fn a_repeated_hour_brings_runs_that_follow_elapsed_time_closer_and_appointments_not() {
    check_step("0 */2 * * *", "Europe/Paris", 3_600, 3_600);
    check_step("0 0-23/2 * * *", "Europe/Paris", 3_600, 3_600);
    check_step("0 2-22/4 * * *", "Europe/Paris", 10_800, 3_600);
}

#[test]
fn a_job_with_at_most_one_run_in_two_years_has_the_whole_two_years_as_interval() {
    check_step("0 0 29 2 *", "UTC", 730 * 86_400, 86_400);
}

#[test]
fn the_step_is_the_same_all_year() {
    // In 2026 the clocks are turned between 28 and 29 March, in 2027 and 2028 they are not.
    for expression in ["0 12 28-29 3 *", "0 8 * * *", "0 0 29 2 *"] {
        let timetable = cron(expression, "Europe/Paris");
        let days = (1..=12).map(|month| at(&format!("2026-{month:02}-20T12:00:00Z")));
        let rhythms: Vec<_> = days.map(|day| timetable.rhythm(day)).collect();
        assert!(rhythms.iter().all(|rhythm| *rhythm == rhythms[0]), "{expression}");
    }
}

#[test]
fn the_deadline_is_ten_seconds_or_the_interval_and_never_longer_than_that() {
    let now = at("2026-01-01T00:00:00Z");
    let (minutely, secondly) = (cron("* * * * *", "UTC").rhythm(now), cron("*/5 * * * * *", "UTC").rhythm(now));
    assert_eq!(minutely.deadline(None), Ok(10 * SECOND));
    assert_eq!(secondly.deadline(None), Ok(5 * SECOND));
    assert_eq!(minutely.deadline(Some(60 * SECOND)), Ok(60 * SECOND));
    let error = minutely.deadline(Some(61 * SECOND)).unwrap_err();
    assert_eq!(chain(&error), "timeout 1m1s is longer than 1m, the shortest time between two runs");
}

#[test]
fn overlapping_runs_are_skipped_unless_said_otherwise() {
    assert_eq!(Overlap::default(), Overlap::Skip);
    assert_eq!(["skip", "queue", "cancel"].map(Overlap::parse), [Overlap::Skip, Overlap::Queue, Overlap::Cancel].map(Ok));
    assert!(matches!(Overlap::parse("drop"), Err(ScheduleError::UnknownOverlap { .. })));
}

#[test]
fn finding_the_rhythm_costs_the_same_however_many_runs_there_are() {
    for expression in ["* * * * * *", "* * * * *", "*/5 8-18 * * MON-FRI", "30 2 * * *", "0 0 29 2 *"] {
        let timetable = cron(expression, "Europe/Paris");
        let begun = Instant::now();
        std::hint::black_box(timetable.rhythm(at("2026-11-22T12:00:00Z")));
        let took = begun.elapsed();
        println!("{expression}: {took:?}");
        // Aim: 20 ms in a debug build.
        assert!(took < Duration::from_millis(100), "{expression} took {took:?}");
    }
}
