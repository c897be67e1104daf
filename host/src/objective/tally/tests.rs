use proptest::prelude::*;
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::*;
use crate::{
    alarm::maintenance::Maintenance,
    config::{At, MaintenanceWindow, Place},
    objective::{good::Good, period::Period},
    reading::{Cause, Reason, Shape},
    schedule::{Holidays, Timetable, UnixTime, Windows, Zone},
    series::selector::Selector,
};

/// Monday, 2026-03-30, 00:00 UTC.
const MONDAY: i64 = 1_774_828_800;
const MINUTE: i64 = 60;

fn at<T>(value: T) -> At<T> {
    At { value, place: Place::whole(Path::new("watchpost.toml")) }
}

fn objective(series: &str, good: Option<&str>, hours: &[&str]) -> Objective {
    Objective {
        name: at("mail".to_owned()),
        series: at(Selector::parse(series).unwrap()),
        good: good.map(|good| at(Good::parse(good).unwrap())),
        target: 0.99,
        period: Period::Month,
        zone: Zone::parse("Europe/Paris").unwrap(),
        hours: Windows::parse(hours.iter().copied(), [], std::sync::Arc::new(Holidays::default())).unwrap(),
        digest: series.to_owned(),
    }
}

fn watched(objective: Objective, blackout: &[&str]) -> Watched {
    let depth =
        MetricSpec { name: "depth".into(), kind: Kind::Gauge, unit: Unit::Messages, help: "How many.".into(), keys: vec!["queue".into()] };
    let time = MetricSpec { name: "total_time".into(), unit: Unit::Seconds, keys: vec![], ..depth.clone() };
    let (job, agent, target) = ("mx".into(), "smtp".into(), "h:25".into());
    let shape = Shape { job, agent, target, labels: vec![("site".into(), "paris".into())], step_s: 60, metrics: vec![depth, time] };
    let timetable = Timetable::cron("* * * * *", Zone::default()).unwrap();
    let windows = Windows::parse([], blackout.iter().copied(), std::sync::Arc::new(Holidays::default())).unwrap();
    let timetable = timetable.within(windows, UnixTime::from_secs(MONDAY)).unwrap();
    Watched { objectives: vec![objective], jobs: HashMap::from([("mx".to_owned(), (shape, timetable))]), ..Watched::default() }
}

fn reading(minute: i64, outcome: Outcome) -> Reading {
    let due_ns = (MONDAY + minute * MINUTE) * 1_000_000_000;
    Reading { job: "mx".into(), cause: Cause::Schedule, slot: MONDAY + minute * MINUTE, due_ns, stale_ns: due_ns, outcome }
}

fn fine(samples: &[(&str, &[&str], f64)]) -> Outcome {
    let sample = |(metric, labels, value): &(&str, &[&str], f64)| Sample {
        metric: (*metric).into(),
        labels: labels.iter().map(|label| (*label).into()).collect(),
        value: *value,
    };
    Outcome { status: Status::Ok, samples: samples.iter().map(sample).collect(), ..Outcome::failed(ErrorKind::CONNECT, "", 0) }
}

fn down() -> Outcome {
    Outcome::failed(ErrorKind::CONNECT, "refused", 0)
}

fn unknown() -> Outcome {
    Outcome::failed(ErrorKind::CRASH, "the worker died", 0)
}

/// Takes readings and gives the sums of all days, in minutes: good, bad, unknown, planned.
fn check(watched: &Watched, readings: &[Reading], expected: &[(&str, [u64; 4])]) {
    let folder = tempfile::tempdir().unwrap();
    let mut tally = Tally::open(folder.path()).unwrap();
    for reading in readings {
        assert!(tally.take(watched, reading));
    }
    tally.flush().unwrap();
    let ever = ("2000-01-01".parse().unwrap(), "2100-01-01".parse().unwrap());
    let sums = sums(folder.path(), &watched.objectives[0], ever).unwrap();
    let minutes = |time: &Seconds| [time.good, time.bad, time.unknown, time.planned].map(|seconds| seconds / 60);
    let told: Vec<_> = sums.series.iter().map(|(series, time)| (series.as_str(), minutes(time))).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_reading_counts_for_its_slot_and_what_was_missed_is_unknown() {
    let watched = watched(objective("up{site=\"paris\"}", None, &[]), &[]);
    let readings = [reading(0, fine(&[])), reading(1, down()), reading(2, unknown()), reading(10, fine(&[]))];
    check(&watched, &readings, &[("up{job=\"mx\"}", [2, 1, 8, 0])]);
}

#[test]
fn what_was_due_while_the_windows_were_shut_is_planned() {
    let watched = watched(objective("up{job=\"mx\"}", None, &[]), &["MON 00:05-00:15"]);
    check(&watched, &[reading(0, fine(&[])), reading(20, fine(&[]))], &[("up{job=\"mx\"}", [2, 0, 9, 10])]);
}

/// Maintenance of a series from one minute to another.
fn maintenance(number: u64, series: &str, (from, until): (i64, i64), ended: Option<i64>) -> Maintenance {
    let at = |minute: i64| (MONDAY + minute * MINUTE) * 1_000_000_000;
    let ended = ended.map(|minute| ("ann".to_owned(), at(minute)));
    Maintenance { number, series: series.into(), by: "ann".into(), comment: None, from_ns: at(from), until_ns: at(until), ended }
}

#[test]
fn time_of_maintenance_is_planned_whatever_was_measured() {
    let all = |minutes: std::ops::Range<i64>| -> Vec<Reading> {
        minutes
            .map(|minute| reading(minute, if minute % 2 == 0 { fine(&[("depth", &["a"], 1.0), ("depth", &["b"], 1.0)]) } else { down() }))
            .collect()
    };
    // Announced for ten minutes, ended after five: what came after counts.
    let watched_up = watched(objective("up{job=\"mx\"}", None, &[]), &[]);
    watched_up.announced.take(maintenance(1, "{site=\"paris\"}", (4, 14), None));
    check(&watched_up, &all(0..20), &[("up{job=\"mx\"}", [5, 5, 0, 10])]);
    watched_up.announced.take(maintenance(1, "{site=\"paris\"}", (4, 14), Some(9)));
    check(&watched_up, &all(0..20), &[("up{job=\"mx\"}", [7, 8, 0, 5])]);
    // Of others it is nobody's, and time without readings is as well.
    watched_up.announced.take(maintenance(1, "{site=\"rome\"}", (4, 14), None));
    check(&watched_up, &all(0..20), &[("up{job=\"mx\"}", [10, 10, 0, 0])]);
    watched_up.announced.take(maintenance(2, "up", (4, 14), None));
    check(&watched_up, &[reading(0, fine(&[])), reading(20, fine(&[]))], &[("up{job=\"mx\"}", [2, 0, 9, 10])]);
    // Of one queue only; and hours that come again.
    let deep = watched(objective("depth", Some("< 5"), &[]), &[]);
    deep.announced.take(maintenance(1, "depth{queue=\"a\"}", (0, 10), None));
    let expected = [("depth{job=\"mx\",queue=\"a\"}", [5, 5, 0, 10]), ("depth{job=\"mx\",queue=\"b\"}", [10, 10, 0, 0])];
    check(&deep, &all(0..20), &expected);
    let hours = Windows::parse(["MON 00:10-00:20"], [], std::sync::Arc::new(Holidays::default())).unwrap();
    let series = at(Selector::parse("{job=\"mx\"}").unwrap());
    let window = MaintenanceWindow { name: at("patches".into()), series, hours: hours.unwrap(), zone: Zone::default(), comment: None };
    let patched = Watched { windows: vec![window], ..watched(objective("up{job=\"mx\"}", None, &[]), &[]) };
    check(&patched, &all(0..30), &[("up{job=\"mx\"}", [10, 10, 0, 10])]);
}

#[test]
fn what_was_said_of_missed_time_stands_whatever_the_windows_are_by_now() {
    let promised = || objective("up{job=\"mx\"}", None, &[]);
    let silence = |minute: i64, reason| Silence { time_ns: 0, job: "mx".into(), from: MONDAY + minute * MINUTE, reason };
    let folder = tempfile::tempdir().unwrap();
    // There was a blackout when they were missed; it is not in the configuration any more when the next reading comes.
    let (then, now) = (watched(promised(), &["MON 00:05-00:15"]), watched(promised(), &[]));
    let mut tally = Tally::open(folder.path()).unwrap();
    assert!(tally.take(&then, &reading(0, fine(&[]))));
    tally.fall_silent(&then, &silence(5, Reason::Blackout));
    tally.fall_silent(&then, &silence(15, Reason::HostDown));
    tally.flush().unwrap();
    let mut tally = Tally::open(folder.path()).unwrap();
    assert!(tally.take(&now, &reading(20, fine(&[]))));
    assert!(tally.take(&now, &reading(30, fine(&[]))));
    tally.flush().unwrap();
    let ever = ("2000-01-01".parse().unwrap(), "2100-01-01".parse().unwrap());
    let all = sums(folder.path(), &now.objectives[0], ever).unwrap().all();
    let minutes = [all.good, all.bad, all.unknown, all.planned].map(|seconds| seconds / 60);
    assert_eq!(minutes, [3, 0, 4 + 5 + 9, 10]);
}

#[test]
fn only_service_hours_count_in_the_objectives_zone() {
    // 07:55 to 08:05 in Paris, two hours before UTC.
    let watched = watched(objective("up{job=\"mx\"}", None, &["MON-FRI 08:00-18:00"]), &[]);
    let readings: Vec<_> = (355..365).map(|minute| reading(minute, fine(&[]))).collect();
    check(&watched, &readings, &[("up{job=\"mx\"}", [5, 0, 0, 0])]);
}

#[test]
fn a_value_is_held_against_its_bound_and_a_target_that_is_down_is_not_fast() {
    let watched = watched(objective("total_time{job=\"mx\"}", Some("< 500ms"), &[]), &[]);
    let readings = [
        reading(0, fine(&[("total_time", &[], 0.1)])),
        reading(1, fine(&[("total_time", &[], 0.5)])),
        reading(2, fine(&[])),
        reading(3, down()),
        reading(4, unknown()),
    ];
    check(&watched, &readings, &[("total_time{job=\"mx\"}", [1, 2, 2, 0])]);
}

#[test]
fn each_label_set_is_a_series_of_its_own() {
    let watched = watched(objective("depth{queue!=\"hold\"}", Some("<= 10"), &[]), &[]);
    let readings = [
        reading(0, fine(&[("depth", &["active"], 3.0), ("depth", &["hold"], 99.0)])),
        reading(1, fine(&[("depth", &["active"], 11.0), ("depth", &["deferred"], 1.0)])),
        reading(2, down()),
        reading(3, fine(&[("depth", &["active"], 3.0)])),
    ];
    let expected = [("depth{job=\"mx\",queue=\"active\"}", [2, 2, 0, 0]), ("depth{job=\"mx\",queue=\"deferred\"}", [1, 1, 1, 0])];
    check(&watched, &readings, &expected);
}

#[test]
fn manual_runs_and_other_jobs_do_not_count() {
    let watched = watched(objective("up{site=\"paris\"}", None, &[]), &[]);
    let manual = Reading { cause: Cause::Manual, ..reading(1, down()) };
    let other = Reading { job: "other".into(), ..reading(2, down()) };
    check(&watched, &[reading(0, fine(&[])), manual, other], &[("up{job=\"mx\"}", [1, 0, 0, 0])]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// However readings are lost, come again after a crash or the store is opened anew: each minute counts once.
    #[test]
    fn every_minute_counts_once(runs in proptest::collection::vec((1_i64..40, 0_u8..3), 1..40), flushed in any::<u64>()) {
        let watched = watched(objective("up{job=\"mx\"}", None, &["MON 00:00-12:00"]), &["MON 00:30-01:00"]);
        let mut minute = 0;
        let readings: Vec<_> = runs.iter().map(|(after, how)| {
            minute += after;
            reading(minute, match how { 0 => fine(&[]), 1 => down(), _ => unknown() })
        }).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut tally = Tally::open(folder.path()).unwrap();
        let mut from = 0;
        for (at, reading) in readings.iter().enumerate() {
            prop_assert!(tally.take(&watched, reading));
            if flushed >> (at % 64) & 1 == 1 {
                if flushed >> ((at + 7) % 64) & 1 == 1 {
                    tally.flush().unwrap();
                    from = at + 1;
                }
                // Killed: what was not written comes again, and some that was.
                tally = Tally::open(folder.path()).unwrap();
                for again in &readings[from.saturating_sub(2)..=at] {
                    prop_assert!(tally.take(&watched, again));
                }
            }
        }
        tally.flush().unwrap();
        let ever = ("2000-01-01".parse().unwrap(), "2100-01-01".parse().unwrap());
        let all = sums(folder.path(), &watched.objectives[0], ever).unwrap().all();
        let (first, last) = (readings[0].slot, readings[readings.len() - 1].slot);
        // Service hours end at 12:00 in Paris, which is 10:00 UTC.
        let minutes = (first..=last).step_by(60).filter(|at| *at < MONDAY + 600 * MINUTE).count() as u64;
        prop_assert_eq!(all.good + all.bad + all.unknown + all.planned, minutes * 60);
    }
}
