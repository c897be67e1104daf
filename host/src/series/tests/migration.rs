//! A configuration that changes, and series that go on over it as if they had always been so.

use std::collections::BTreeMap;
use std::time::Instant;

use super::rig::{Rig, Rows, counter, gauge, query, sample, shape};
use super::rrdtool::{self, alike};
use crate::reading::{Record, Upkeep};
use crate::series::archive::{Archive, Consolidation};
use crate::series::fetch::Query;
use crate::series::header;
use crate::series::keeping::{Keeping, Profile, Span};
use crate::series::store::Stay;

/// A multiple of every step.
const BEGIN: i64 = 1_774_742_400;

fn upkeep(keeping: Keeping, heartbeat_s: Option<u32>) -> Record {
    Record::Upkeep(Upkeep { job: "mx".into(), was: None, keeping, heartbeat_s })
}

/// Readings of every `step` seconds after `from`, up to `to`, with gaps, totals that fall, and values that differ.
fn measure(rig: &mut Rig, step: i64, (from, to): (i64, i64)) {
    for slot in (from / step * step + step..=to).step_by(usize::try_from(step).unwrap()) {
        let n = (slot - BEGIN) / 10;
        if (n / 6) % 40 >= 37 {
            continue;
        }
        let total = (slot - BEGIN) % 50_000 * 3 + n % 5;
        let samples = vec![
            sample("connect_time", &[], 0.25 + (n % 77) as f64),
            sample("messages_sent", &[], total as f64),
            sample("queue_size", &["a"], (n % 13) as f64),
        ];
        rig.read(slot, samples);
    }
}

fn metrics() -> [watchpost_plugin_api::MetricSpec; 3] {
    [gauge("connect_time", &[]), counter("messages_sent", &[]), gauge("queue_size", &["queue"])]
}

const SELECTORS: [&str; 5] = ["up", "run_duration", "connect_time", "messages_sent", "queue_size{queue=\"a\"}"];

/// What every series is worth, at a step and by a consolidation, from the files alone.
fn told(rig: &mut Rig, range: (i64, i64), step: u32, how: Consolidation) -> Vec<Rows> {
    let asked = |selector| Query { step: Some(step), consolidation: how, ..query(selector, range.0, range.1) };
    SELECTORS.iter().map(|selector| rig.fetch(&asked(selector), false).remove(0).rows).collect()
}

/// Compares all rows; gives how many of them are known.
fn check(one: &[Rows], other: &[Rows], what: &str) -> usize {
    let mut known = 0;
    for ((one, other), selector) in one.iter().zip(other).zip(SELECTORS) {
        assert_eq!(one.len(), other.len(), "{selector} {what}");
        for ((time, one), (_, other)) in one.iter().zip(other) {
            assert!(alike(*one, *other), "{what}: {selector} at {time}: {one:?}, expected {other:?}");
            known += usize::from(one.is_some());
        }
    }
    known
}

#[test]
fn other_archives_are_as_if_they_had_always_been_there() {
    for (before, after) in [(Profile::Standard, Profile::Fine), (Profile::Fine, Profile::Standard), (Profile::Standard, Profile::Long)] {
        let (change, end) = (BEGIN + 30 * 3_600 + 1_260, BEGIN + 40 * 3_600);
        let [mut rig, mut always] = [(); 2].map(|()| Rig::new());
        rig.give(shape(60, &metrics()));
        rig.give(upkeep(Keeping::Profile(before), None));
        always.give(shape(60, &metrics()));
        always.give(upkeep(Keeping::Profile(after), None));
        measure(&mut rig, 60, (BEGIN, change));
        rig.give(upkeep(Keeping::Profile(after), None));
        measure(&mut rig, 60, (change, end));
        measure(&mut always, 60, (BEGIN, end));
        rig.flush();
        always.flush();
        for migrated in [false, true] {
            if migrated {
                assert_eq!(rig.migrate(), 2);
                assert_eq!(rig.files().keys().collect::<Vec<_>>(), ["_.rrd", "queue=a.rrd"], "nothing is set aside any more");
            }
            for (step, how) in [(60, Consolidation::Average), (3_600, Consolidation::Average), (3_600, Consolidation::Max)] {
                let range = (BEGIN, end);
                let [one, other] = [&mut rig, &mut always].map(|rig| told(rig, range, step, how));
                let known = check(&one, &other, &format!("{before:?} to {after:?}, {how} of {step}, migrated {migrated}"));
                assert!(known > 100, "{known}");
            }
        }
        for name in ["_.rrd", "queue=a.rrd"] {
            let heads = [&rig, &always].map(|rig| header::read(&rig.file(name)).unwrap().unwrap());
            assert_eq!(heads[0].shape, heads[1].shape);
            assert_eq!(heads[0].last, heads[1].last);
        }
    }
}

#[test]
fn another_step_is_one_unbroken_series_with_all_that_was_counted() {
    for (before, after) in [(60, 30), (30, 60), (60, 420), (10, 3_600), (3_600, 10), (420, 60), (7, 60)] {
        let (change, end) = (BEGIN + 2 * 86_400 + 6_540, BEGIN + 2 * 86_400 + 6 * 3_600);
        // The last slot of before is over: no time is nobody's.
        let change = change.div_euclid(i64::from(before)) * i64::from(before);
        let mut rig = Rig::new();
        rig.give(shape(before, &metrics()));
        let total = |slot: i64| (slot - BEGIN) as f64 * 2.0;
        let read = |rig: &mut Rig, slot: i64| {
            let queue = sample("queue_size", &["a"], 5.0);
            rig.read(slot, vec![sample("connect_time", &[], 5.0), sample("messages_sent", &[], total(slot)), queue]);
        };
        let slots = |step: u32, from: i64, to: i64| {
            let step = i64::from(step);
            (from.div_euclid(step) * step + step..=to).step_by(usize::try_from(step).unwrap())
        };
        slots(before, BEGIN, change).for_each(|slot| read(&mut rig, slot));
        rig.give(shape(after, &metrics()));
        slots(after, change, end).for_each(|slot| read(&mut rig, slot));
        let mut expected: Vec<(u32, Consolidation, Vec<Rows>)> = Vec::new();
        for migrated in [false, true] {
            if migrated {
                assert_eq!(rig.migrate(), 2, "from {before} to {after}");
            }
            for with_journal in [false, true] {
                let known = |rig: &mut Rig, selector: &str, step: Option<u32>| {
                    let asked = Query { step, ..query(selector, BEGIN + 14_400, end) };
                    rig.fetch(&asked, with_journal).remove(0)
                };
                let step = before.max(after).max(3_600);
                for (selector, value) in [("connect_time", 5.0), ("queue_size{queue=\"a\"}", 5.0), ("messages_sent", 2.0)] {
                    let series = known(&mut rig, selector, Some(step));
                    let unlike: Vec<_> =
                        series.rows.iter().filter(|row| row.0 <= end && !row.1.is_some_and(|row| (row - value).abs() < 0.01)).collect();
                    assert!(unlike.is_empty(), "{selector}, {before} to {after}, migrated {migrated}, journal {with_journal}: {unlike:?}");
                    assert!(series.rows.len() > 40);
                    // The finest rows there are: none is missing over the change, and nothing counted is lost.
                    let fine = known(&mut rig, selector, None);
                    let unknown: Vec<_> = fine.rows.iter().filter(|row| row.1.is_none()).collect();
                    let near: Vec<_> = unknown.iter().filter(|row| row.0 > BEGIN + 2 * 86_400 && row.0 <= end - 3_600).collect();
                    assert!(near.is_empty(), "{selector}, {before} to {after}, migrated {migrated}, journal {with_journal}: {near:?}");
                    if selector == "messages_sent" && fine.step == after {
                        let rows = fine.rows.iter().filter(|row| row.0 > change - 7_200);
                        let (sum, count) = rows.fold((0.0, 0), |(sum, count), row| (sum + row.1.unwrap_or(f64::NAN), count + 1));
                        assert!((sum / f64::from(count) - 2.0).abs() < 0.01, "{sum} over {count}");
                    }
                }
            }
            expected.push((after, Consolidation::Average, told(&mut rig, (change - 86_400, end), 3_600, Consolidation::Average)));
        }
        check(&expected[1].2, &expected[0].2, &format!("from {before} to {after}, migrated and not"));
    }
}

/// Every row of an archive as `rrdtool dump` has it, for a data source.
fn archive(path: &std::path::Path, source: &str, wanted: Archive, step: u32) -> BTreeMap<i64, Option<f64>> {
    let head = header::read(path).unwrap().unwrap();
    let row = i64::from(wanted.steps * step);
    let to = head.last.stamp - head.last.stamp.rem_euclid(row);
    let from = to - row * i64::from(wanted.rows);
    let (names, rows) = rrdtool::fetch(path, wanted.consolidation.name(), from, to - 1, wanted.steps * step).unwrap();
    let column = names.iter().position(|name| name == source).unwrap();
    rows.into_iter().map(|(time, values)| (time, values[column])).collect()
}

#[test]
fn rrdtool_create_with_source_and_template_gives_the_same_values() {
    let tables: [(u32, u32, Keeping); 4] = [
        (60, 60, Keeping::Profile(Profile::Fine)),
        (
            60,
            60,
            Keeping::Spans(vec![
                Span { every: 0, kept: 86_400, of: vec![Consolidation::Average] },
                Span { every: 1_800, kept: 864_000, of: vec![Consolidation::Average, Consolidation::Max] },
            ]),
        ),
        (60, 30, Keeping::default()),
        (30, 60, Keeping::default()),
    ];
    for (before, after, keeping) in tables {
        let change = BEGIN + 20 * 3_600;
        let mut rig = Rig::new();
        rig.give(shape(before, &metrics()));
        measure(&mut rig, i64::from(before), (BEGIN, change));
        rig.flush();
        let old = rig.folder.path().join("old.rrd");
        std::fs::copy(rig.file("_.rrd"), &old).unwrap();
        rig.give(shape(after, &metrics()));
        rig.give(upkeep(keeping.clone(), None));
        measure(&mut rig, i64::from(after), (change, change + i64::from(after)));
        rig.flush();
        let template = rig.folder.path().join("template.rrd");
        std::fs::copy(rig.file("_.rrd"), &template).unwrap();
        assert_eq!(rig.migrate(), 2);
        let theirs = rig.folder.path().join("theirs.rrd");
        let [path, source, template] = [&theirs, &old, &template].map(|path| path.display().to_string());
        rrdtool::run(&["create", &path, "--source", &source, "--template", &template]).unwrap();
        let base = Keeping::default().archives(before)[0];
        let given: BTreeMap<_, _> =
            ["up", "connect_time", "messages_sent"].map(|metric| (metric, archive(&old, metric, base, before))).into();
        let (mut same, mut partly, mut unknown) = (0, 0, 0);
        for kept in keeping.archives(after) {
            for metric in ["up", "connect_time", "messages_sent"] {
                let [ours, theirs] = [&rig.file("_.rrd"), &theirs].map(|path| archive(path, metric, kept, after));
                for (time, value) in ours.iter().filter(|(time, _)| **time <= change) {
                    let span = time - i64::from(kept.steps * after)..*time;
                    let (first, last) = (span.start + 1, span.end + (-span.end).rem_euclid(i64::from(before)));
                    let rows: Vec<_> = given[metric].range(first..=last).map(|row| row.1).collect();
                    let theirs = theirs.get(time).copied().flatten();
                    match (rows.iter().filter(|row| row.is_some()).count(), value) {
                        (0, value) => {
                            assert_eq!(*value, None, "{before} to {after}, {metric} {kept:?} at {time}, rrdtool {theirs:?}");
                            unknown += usize::from(theirs.is_some());
                        }
                        (known, Some(one)) if known == rows.len() => {
                            let near = theirs.is_some_and(|other| (one - other).abs() <= 1e-9 * one.abs().max(other.abs()));
                            assert!(near, "{before} to {after}, {metric} {kept:?} at {time}: {one}, rrdtool {theirs:?}");
                            same += 1;
                        }
                        (known, None) if known == rows.len() => {
                            panic!("{before} to {after}, {metric} {kept:?} at {time}: unknown, rrdtool {theirs:?}")
                        }
                        // Where a part is unknown, rrdtool takes that from coarser rows; unknown is never a number here.
                        _ => partly += 1,
                    }
                }
            }
        }
        assert!(same > 1_000, "{same} compared, {partly} known in part, {unknown} unknown to us alone");
        println!("{before} to {after}, {keeping}: {same} the same, {partly} known in part, {unknown} unknown to us alone");
    }
}

#[test]
fn a_metric_that_is_added_is_as_rrdtool_tune_adds_it() {
    let change = BEGIN + 9 * 3_600 + 420;
    let mut rig = Rig::new();
    rig.give(shape(60, &metrics()));
    measure(&mut rig, 60, (BEGIN, change));
    rig.flush();
    let tuned = rig.folder.path().join("tuned.rrd");
    std::fs::copy(rig.file("_.rrd"), &tuned).unwrap();
    rrdtool::run(&["tune", &tuned.display().to_string(), "DS:banner_time:GAUGE:120:U:U"]).unwrap();
    rig.give(shape(60, &[&metrics()[..], &[gauge("banner_time", &[])]].concat()));
    measure(&mut rig, 60, (change, change + 60));
    rig.flush();
    assert_eq!(rig.migrate(), 1, "the other file is as it was");
    let dump = |path: &std::path::Path| rrdtool::run(&["dump", &path.display().to_string()]).unwrap();
    let rows = |text: String| -> Vec<String> {
        text.lines()
            .filter(|line| line.contains("<row>") && !line.contains("<row><v>NaN</v><v>NaN</v><v>NaN</v>"))
            .map(|line| line.trim().to_owned())
            .collect()
    };
    let (ours, theirs) = (rows(dump(&rig.file("_.rrd"))), rows(dump(&tuned)));
    assert!(theirs.len() > 500, "{}", theirs.len());
    let missing: Vec<_> = theirs.iter().filter(|row| !ours.contains(row)).collect();
    assert!(missing.is_empty(), "digit by digit: {missing:?}");
    // rrdtool forgets how far the rows are that are not over; the daemon does not.
    assert_eq!(ours.len(), theirs.len() + 1, "and the row of the new reading");
}

#[test]
fn a_metric_that_goes_stays_readable_and_one_that_comes_back_has_its_past() {
    let mut rig = Rig::new();
    let all = [gauge("connect_time", &[]), gauge("banner_time", &[])];
    let read = |rig: &mut Rig, n: i64, metrics: &[&str]| {
        let samples = metrics.iter().map(|metric| sample(metric, &[], n as f64)).collect();
        rig.read(BEGIN + n * 60, samples);
    };
    rig.give(shape(60, &all));
    (1..=10).for_each(|n| read(&mut rig, n, &["connect_time", "banner_time"]));
    rig.give(shape(60, &all[..1]));
    (11..=20).for_each(|n| read(&mut rig, n, &["connect_time"]));
    rig.flush();
    assert_eq!(rig.migrate(), 0);
    let stay = Stay { job: "mx".into(), path: "mx/_.2.rrd".into(), metrics: vec!["banner_time".into()] };
    assert_eq!(rig.store.take_stays(), [stay]);
    assert_eq!((rig.store.migrations_pending(), rig.store.take_stays()), (0, vec![]));
    let values = |rig: &mut Rig, metric: &str| -> Vec<Option<f64>> {
        let rows = rig.rows(metric, BEGIN, BEGIN + 30 * 60, false);
        rows.into_iter().map(|row| row.1).collect()
    };
    let numbers = |range: std::ops::RangeInclusive<u32>| -> Vec<Option<f64>> {
        (1..=30).map(|n| Some(f64::from(n)).filter(|_| range.contains(&n))).collect()
    };
    assert_eq!((values(&mut rig, "banner_time"), values(&mut rig, "connect_time")), (numbers(1..=10), numbers(1..=20)));
    rig.restart();
    assert_eq!(rig.migrate(), 0);
    rig.give(shape(60, &all));
    (21..=30).for_each(|n| read(&mut rig, n, &["connect_time", "banner_time"]));
    rig.flush();
    assert_eq!(rig.migrate(), 2);
    assert_eq!(rig.files().keys().collect::<Vec<_>>(), ["_.rrd"]);
    let mut expected = numbers(1..=30);
    assert_eq!(values(&mut rig, "connect_time"), expected);
    expected[10..20].fill(None);
    assert_eq!(values(&mut rig, "banner_time"), expected);
}

#[test]
fn a_metric_that_means_something_else_now_takes_nothing_over() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("messages_sent", &[])]));
    rig.read(BEGIN + 60, vec![sample("messages_sent", &[], 7.0)]);
    rig.give(shape(60, &[counter("messages_sent", &[])]));
    rig.read(BEGIN + 120, vec![sample("messages_sent", &[], 1_000.0)]);
    rig.read(BEGIN + 180, vec![sample("messages_sent", &[], 1_060.0)]);
    rig.flush();
    assert_eq!(rig.migrate(), 0);
    assert_eq!(rig.store.take_stays()[0].metrics, ["messages_sent"]);
    let rows = rig.rows("messages_sent", BEGIN, BEGIN + 180, false);
    assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), [Some(7.0), None, Some(1.0)]);
}

#[test]
fn a_longer_heartbeat_carries_counters_over_a_longer_gap() {
    let day = 86_400;
    let mut rig = Rig::new();
    rig.give(shape(60, &[counter("messages_sent", &[])]));
    let read = |rig: &mut Rig, at: i64| rig.read(BEGIN + at, vec![sample("messages_sent", &[], at as f64)]);
    read(&mut rig, 60);
    read(&mut rig, 120);
    rig.give(upkeep(Keeping::default(), Some(4 * 86_400)));
    read(&mut rig, 120 + 3 * day);
    rig.flush();
    assert_eq!(rig.migrate(), 1);
    for with_journal in [false, true] {
        let asked = Query { step: Some(3_600), ..query("messages_sent", BEGIN, BEGIN + 3 * day) };
        let rows = rig.fetch(&asked, with_journal).remove(0).rows;
        assert!(rows.iter().all(|row| row.1.is_some_and(|rate| (rate - 1.0).abs() < 0.01)), "journal {with_journal}: {rows:?}");
    }
    // A shorter one than the gap does not.
    rig.give(upkeep(Keeping::default(), Some(3_600)));
    read(&mut rig, 180 + 3 * day);
    read(&mut rig, 180 + 3 * day + 7_200);
    rig.flush();
    let rows = rig.rows("messages_sent", BEGIN + 180 + 3 * day, BEGIN + 180 + 3 * day + 7_200, false);
    assert_eq!(rows.iter().filter(|row| row.1.is_some()).count(), 0, "{rows:?}");
}

#[test]
fn whenever_a_file_gives_its_rows_the_one_that_takes_them_is_the_same_byte_for_byte() {
    let steps = [(60, 0), (30, 7_000), (60, 9_000), (60, 12_000), (10, 15_000)];
    let run = |when: usize, crash: usize| {
        let mut rig = Rig::new();
        let mut done = 0;
        for (index, (step, from)) in steps.into_iter().enumerate() {
            rig.give(shape(step, &metrics()));
            rig.give(upkeep(Keeping::Profile(Profile::ALL[index % 3]), None));
            let to = steps.get(index + 1).map_or(18_000, |next| next.1);
            for part in (from..to).step_by(500) {
                measure(&mut rig, i64::from(step), (BEGIN + part, BEGIN + to.min(part + 500)));
                done += 1;
                if done % 3 == 0 {
                    rig.flush();
                }
                if when > 0
                    && done % when == 0
                    && let Some(migration) = rig.store.next_migration()
                {
                    let done = migration.run();
                    rig.store.migrated(&migration, done).unwrap();
                }
                if crash > 0 && done % crash == 0 {
                    rig.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
                } else if crash > 0 && done % crash == 2 {
                    rig.crash();
                }
            }
        }
        rig.flush();
        rig.migrate();
        rig.files()
    };
    let clean = run(0, 0);
    assert_eq!(clean.keys().collect::<Vec<_>>(), ["_.rrd", "queue=a.rrd"]);
    for (when, crash) in [(1, 0), (4, 0), (0, 5), (1, 5), (2, 4), (3, 7)] {
        assert!(run(when, crash) == clean, "a migration every {when}, a crash every {crash} parts");
    }
}

#[test]
fn a_source_that_is_damaged_goes_to_the_quarantine_and_the_series_go_on() {
    let mut rig = Rig::new();
    rig.give(shape(60, &metrics()));
    measure(&mut rig, 60, (BEGIN, BEGIN + 3_600));
    rig.give(shape(30, &metrics()));
    measure(&mut rig, 30, (BEGIN + 3_600, BEGIN + 7_200));
    rig.flush();
    std::fs::write(rig.file("_.3.rrd"), b"RRD\0").unwrap();
    assert_eq!(rig.migrate(), 1, "the other one");
    assert!(rig.folder.path().join("quarantine/series/mx/_.3.1.rrd").exists());
    assert_eq!(rig.rows("connect_time", BEGIN + 7_170, BEGIN + 7_200, false).len(), 1);
}
