//! The calendar's traps, named.

use super::super::{Timetable, UnixTime};
use super::{at, cron, zone};

fn next(expression: &str, zone_name: &str, after: &str) -> String {
    let timetable = cron(expression, zone_name);
    timetable.next_after(at(after)).map(|due| timetable.zone().format(due)).unwrap()
}

#[test]
fn the_29th_of_february_is_waited_for_over_a_century_without_it() {
    assert_eq!(next("0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z"), "2104-02-29T00:00:00+00:00 UTC");
    assert_eq!(next("0 0 29 2 *", "UTC", "1896-02-29T00:00:00Z"), "1904-02-29T00:00:00+00:00 UTC");
}

#[test]
fn the_29th_of_february_on_a_weekday_is_waited_for_forty_years() {
    // */7 is Sunday alone, and as it starts with * both fields must hold.
    let due = next("0 0 29 2 */7", "UTC", "2088-03-01T00:00:00Z");
    assert_eq!(due, "2128-02-29T00:00:00+00:00 UTC");
}

#[test]
fn a_run_months_ahead_on_the_day_of_a_change_is_found_at_its_edge() {
    let from = "2025-11-01T00:00:00Z";
    for (expression, due) in [
        ("30 2 29 3 *", "2026-03-29T03:00:00+02:00 CEST"),
        ("30 2 25 10 *", "2026-10-25T02:30:00+02:00 CEST"),
        ("30 */2 25 10 *", "2026-10-25T00:30:00+02:00 CEST"),
    ] {
        assert_eq!(next(expression, "Europe/Paris", from), due, "{expression}");
    }
    // In Havana 00:30 comes twice that night; after winter and summer, the first of the two is found.
    assert_eq!(next("30 */24 1 11 *", "America/Havana", "2026-01-01T00:00:00Z"), "2026-11-01T00:30:00-04:00 CDT");
}

#[test]
fn every_instant_has_an_answer() {
    for expression in ["* * * * * *", "30 2 * * *", "0 */2 29 2 *", "0 0 31 12 *"] {
        for zone_name in super::ZONES {
            let timetable = cron(expression, zone_name);
            assert!(timetable.next_after(UnixTime::from_secs(i64::MIN)).is_some());
            let last = timetable.next_after(UnixTime::from_secs(i64::MAX));
            assert_eq!(last, None, "{expression} {zone_name}");
        }
    }
    let every = Timetable::every("366d", "far", zone("UTC")).unwrap();
    assert_eq!(every.next_after(UnixTime::LAST), None);
}

#[test]
fn a_zone_is_found_in_any_case_and_the_nearest_is_offered() {
    assert_eq!(zone("europe/paris").name(), "Europe/Paris");
    for (wrong, right) in [
        ("Europe/Pariss", "Europe/Paris"),
        ("Paris", "Europe/Paris"),
        ("New York", "America/New_York"),
        ("Asia/Katmando", "Asia/Katmandu"),
        ("Europe/Zuerich", "Europe/Zurich"),
    ] {
        let error = super::super::Zone::parse(wrong).unwrap_err();
        assert_eq!(error.to_string(), format!("time zone {wrong:?} is unknown; nearest is {right:?}"));
    }
}
