//! A year on a fake clock, both changes of local time in it: every run is handed out, each with a slot of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveDate, TimeZone};
use chrono_tz::Tz;

use super::super::{Clocks, DueClock, Run, Ticker, Timetable, UnixTime};
use super::{at, cron};

/// Five zones: changes by an hour, by half an hour, around Ramadan, odd offset without change, and at midnight.
const ZONES: [&str; 5] = ["Europe/Paris", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "America/Havana"];

/// Runs a timetable as the runner would: sleeps until each due time on the monotonic clock, wakes a little late.
fn simulate(timetable: &Timetable, from: UnixTime, until: UnixTime) -> Vec<Run> {
    let boot = Duration::from_secs(from.as_secs() as u64 - 1_000);
    let clocks = |monotonic: Duration| Clocks { monotonic, wall: boot + monotonic };
    let mut clock = DueClock::start(clocks(Duration::from_secs(1_000)));
    let (label, _) = clock.observe(clocks(Duration::from_secs(1_000)));
    let mut ticker = Ticker::start(timetable.clone(), timetable.rhythm(from).step(), label, None);
    let mut runs = Vec::new();
    while let Some(due) = ticker.next_due().filter(|due| *due < until) {
        let late = Duration::from_millis(runs.len() as u64 % 97);
        let (label, step) = clock.observe(clocks(clock.monotonic_at(due) + late));
        let tick = ticker.poll(label);
        assert_eq!((tick.missed, step), (0, None));
        runs.push(tick.run.unwrap());
    }
    runs
}

fn a_year(expression: &str, zone: &str) -> Vec<Run> {
    simulate(&cron(expression, zone), at("2026-01-01T12:00:00Z"), at("2027-01-01T12:00:00Z"))
}

fn assert_slots_rise(runs: &[Run], step: i64) {
    assert!(runs.iter().all(|run| { run.slot.is_some_and(|slot| slot.time().as_secs() % step == 0) }));
    assert!(runs.is_sorted_by(|a, b| a.slot < b.slot && a.due < b.due));
}

/// Counts runs by local date.
fn by_date(runs: &[Run], zone: &str) -> BTreeMap<NaiveDate, usize> {
    let zone: Tz = zone.parse().unwrap();
    runs.iter().fold(BTreeMap::new(), |mut days, run| {
        *days.entry(zone.timestamp_opt(run.due.as_secs(), 0).unwrap().date_naive()).or_default() += 1;
        days
    })
}

#[test]
fn a_daily_job_runs_once_on_each_of_365_dates() {
    for zone in ZONES {
        for expression in ["0 8 * * *", "30 2 * * *", "15 0 * * *"] {
            let runs = a_year(expression, zone);
            let days = by_date(&runs, zone);
            assert_eq!((runs.len(), days.len()), (365, 365), "{expression} {zone}");
            let step = cron(expression, zone).rhythm(runs[0].due).step().as_secs();
            assert_eq!(step, if zone == "Asia/Kathmandu" { 86_400 } else { 43_200 });
            assert_slots_rise(&runs, step);
        }
    }
}

#[test]
fn a_job_from_8_to_18_h_runs_132_times_a_day_through_both_changes() {
    for zone in ZONES {
        let runs = a_year("*/5 8-18 * * *", zone);
        assert_slots_rise(&runs, 300);
        let days = by_date(&runs, zone);
        let whole_days = days.iter().skip(1).take(364);
        assert!(whole_days.clone().count() == 364 && whole_days.clone().all(|(_, runs)| *runs == 132), "{zone}");
    }
}

#[test]
fn in_paris_the_edges_are_where_the_clocks_are_turned() {
    let due_on = |expression: &str, day: &str| {
        let paris = super::zone("Europe/Paris");
        let dues = a_year(expression, "Europe/Paris").into_iter().map(|run| paris.format(run.due));
        dues.filter(|due| due.starts_with(day)).collect::<Vec<_>>()
    };
    assert_eq!(due_on("30 2 * * *", "2026-03-29"), ["2026-03-29T03:00:00+02:00 CEST"]);
    assert_eq!(due_on("30 2 * * *", "2026-10-25"), ["2026-10-25T02:30:00+02:00 CEST"]);
    assert_eq!(due_on("30 */2 * * *", "2026-03-29").len(), 11);
    let repeated = due_on("30 */2 * * *", "2026-10-25");
    assert_eq!(repeated[1..3], ["2026-10-25T02:30:00+02:00 CEST", "2026-10-25T02:30:00+01:00 CET"]);
}

#[test]
fn slots_of_two_years_never_collide() {
    let (from, until) = (at("2026-06-01T00:00:00Z"), at("2028-06-01T00:00:00Z"));
    for zone in ZONES {
        for expression in ["0 8 * * *", "5 8-18 * * *", "30 2 * * MON-FRI", "0 */2 * * *"] {
            assert_slots_rise(&simulate(&cron(expression, zone), from, until), 60);
        }
    }
}

#[test]
fn slots_of_a_run_every_seven_minutes_never_collide_over_two_years() {
    for zone in ZONES {
        let timetable = cron("*/7 * * * *", zone);
        let from = at("2026-06-01T00:00:00Z");
        let step = timetable.rhythm(from).step();
        let mut last = None;
        for due in timetable.upcoming(from, 2 * 365 * 24 * 9) {
            let slot = Some(step.slot(due));
            assert!(slot > last, "{zone} {due:?}");
            last = slot;
        }
    }
}
