//! The same question asked the slow way: look at every minute (or second) and see whether it matches.
//!
//! Shares nothing with the code under test but the zone data: it parses for itself, and resolves local time with chrono.

use std::collections::BTreeSet;
use std::ops::Range;

use chrono::{DateTime, Datelike, Duration, LocalResult, NaiveDateTime, TimeZone, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Timetable, UnixTime};
use super::{ZONES, at, cron};

/// One field, from a small and plain dialect: `*`, `*/n`, `a`, `a-b`, `a-b/n` and lists of them.
fn field_has(field: &str, value: u32) -> bool {
    field.split(',').any(|item| {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low.parse().unwrap(), high.parse().unwrap()),
            None if range == "*" => (0, 99),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        let step: u32 = step.parse().unwrap();
        // A starred step counts from the field's lowest value: 1 for days and months, which the generator leaves out.
        (low..=high).contains(&value) && (value - low).is_multiple_of(step)
    })
}

fn matches(fields: &[&str], local: NaiveDateTime) -> bool {
    let [second, minute, hour, day, month, weekday] = fields else { panic!("six fields") };
    let by_date = field_has(day, local.day());
    let by_weekday = field_has(weekday, local.weekday().num_days_from_sunday());
    let either = !day.starts_with('*') && !weekday.starts_with('*');
    field_has(second, local.second())
        && field_has(minute, local.minute())
        && field_has(hour, local.hour())
        && field_has(month, local.month())
        && if either { by_date || by_weekday } else { by_date && by_weekday }
}

fn resolve(zone: Tz, local: NaiveDateTime, grain: i64) -> i64 {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => time.timestamp(),
        LocalResult::None => resolve(zone, local + Duration::seconds(grain), grain),
    }
}

fn by_looking(expression: &str, zone: Tz, window: Range<i64>, grain: i64) -> Vec<i64> {
    let mut fields: Vec<_> = expression.split(' ').collect();
    if fields.len() == 5 {
        fields.insert(0, "0");
    }
    let naive = |time: i64| DateTime::from_timestamp(time, 0).unwrap().naive_utc();
    let dues: BTreeSet<i64> = if fields[2].starts_with('*') {
        let local = |time: &i64| zone.from_utc_datetime(&naive(*time)).naive_local();
        window.clone().step_by(grain as usize).filter(|time| matches(&fields, local(time))).collect()
    } else {
        let a_day_more = window.start - 100_800..window.end + 100_800;
        let locals = a_day_more.step_by(grain as usize).map(naive).filter(|local| matches(&fields, *local));
        locals.map(|local| resolve(zone, local, grain)).collect()
    };
    dues.into_iter().filter(|due| window.contains(due)).collect()
}

fn by_timetable(timetable: &Timetable, window: Range<i64>) -> Vec<i64> {
    let before = UnixTime::from_secs(window.start - 1);
    let dues = timetable.upcoming(before, usize::MAX).map(UnixTime::as_secs);
    dues.take_while(|due| *due < window.end).collect()
}

/// The hours of a span at whose end the zone's offset is another.
pub(super) fn changes(zone: Tz, span: Range<i64>) -> Vec<i64> {
    let offset = |time: i64| zone.timestamp_opt(time, 0).unwrap().naive_local().and_utc().timestamp() - time;
    span.step_by(3_600).filter(|time| offset(*time) != offset(time + 3_600)).collect()
}

pub(super) fn two_years() -> Range<i64> {
    at("2026-01-01T00:00:00Z").as_secs()..at("2028-01-01T00:00:00Z").as_secs()
}

#[test]
fn around_every_change_of_two_years_runs_are_what_looking_at_each_minute_finds() {
    let expressions = ["30 2 * * *", "0 0 * * *", "*/7 1-3 * * *", "0,30 */2 * * *", "*/20 * * * *", "0 3 * * 0"];
    for name in ZONES {
        let zone: Tz = name.parse().unwrap();
        for change in changes(zone, two_years()) {
            let window = change - 100_020..change + 100_020;
            let window = window.start.div_euclid(60) * 60..window.end;
            for expression in expressions {
                let found = by_timetable(&cron(expression, name), window.clone());
                let looked = by_looking(expression, zone, window.clone(), 60);
                assert_eq!(found, looked, "{expression} {name} around {change}");
            }
        }
    }
}

#[test]
fn around_a_change_runs_are_what_looking_at_each_second_finds() {
    let changes = [("Europe/Paris", "2026-03-29T01:00:00Z"), ("Europe/Paris", "2026-10-25T01:00:00Z")];
    for (name, change) in changes {
        let window = at(change).as_secs() - 5_000..at(change).as_secs() + 9_000;
        for expression in ["*/17 * * * * *", "5,6,59 */9 2 * * *", "0-10/5 59,0 */2 * * *", "* 30 2-3 * * *"] {
            let found = by_timetable(&cron(expression, name), window.clone());
            assert!(!found.is_empty(), "{expression} never runs around {change}");
            assert_eq!(found, by_looking(expression, name.parse().unwrap(), window.clone(), 1), "{expression} {name}");
        }
    }
}

#[test]
fn a_day_that_a_zone_skipped_keeps_its_appointments_at_the_next_midnight() {
    let window = at("2011-12-29T00:00:00Z").as_secs()..at("2012-01-02T00:00:00Z").as_secs();
    for expression in ["0 12 30 12 *", "0 12 * * *", "0 * * * *"] {
        let found = by_timetable(&cron(expression, "Pacific/Apia"), window.clone());
        assert_eq!(found, by_looking(expression, Tz::Pacific__Apia, window.clone(), 60), "{expression}");
    }
}

#[test]
fn where_both_dialects_agree_the_cron_crate_agrees() {
    let from = at("2026-11-22T10:17:33Z");
    for expression in ["*/5 8-18 * * MON-FRI", "0 0 29 2 *", "15,45 */6 1-10 JAN-MAR *", "7 7 31 * *", "59 23 28-31/2 4,6 *"] {
        let theirs: cron::Schedule = format!("0 {expression}").parse().unwrap();
        let theirs: Vec<_> = theirs.after(&from.to_utc()).take(12).map(|due| due.timestamp()).collect();
        let ours: Vec<_> = cron(expression, "UTC").upcoming(from, 12).map(UnixTime::as_secs).collect();
        assert_eq!(ours, theirs, "{expression}");
    }
}

fn field(wild: &'static [&'static str], low: u32, high: u32) -> impl Strategy<Value = String> {
    let range = (low..=high, low..=high, 1..=7_u32).prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b)));
    let list =
        proptest::collection::vec(low..=high, 1..4).prop_map(|values| values.iter().map(u32::to_string).collect::<Vec<_>>().join(","));
    prop_oneof![select(wild).prop_map(str::to_owned), range, list]
}

fn expression() -> impl Strategy<Value = String> {
    const STEPS: &[&str] = &["*", "*/2", "*/7", "*/15", "*/20"];
    let minute = field(STEPS, 0, 59);
    let hour = field(STEPS, 0, 23);
    let parts = (minute, hour, field(&["*"], 1, 28), field(&["*"], 1, 12), field(&["*"], 0, 6));
    parts.prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_expression_runs_when_looking_at_each_minute_says(
        expression in expression(),
        name in select(&ZONES[..10]),
        nth in 0_usize..8,
        lead_days in 0_i64..3,
    ) {
        let zone: Tz = name.parse().unwrap();
        let changes = changes(zone, two_years());
        let change = changes.get(nth % changes.len().max(1)).copied().unwrap_or(two_years().start);
        let start = change - lead_days * 86_400 - 7_200;
        let window = start..start + 4 * 86_400;
        let found = by_timetable(&cron(&expression, name), window.clone());
        prop_assert!(found.is_sorted_by(|a, b| a < b), "not strictly rising");
        prop_assert_eq!(found, by_looking(&expression, zone, window, 60));
    }
}
