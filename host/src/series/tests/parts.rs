//! A job with more metrics than one file has room for.

use std::sync::Mutex;

use watchpost_plugin_api::{Kind, MetricSpec, Unit};

use super::rig::{Rig, counter, gauge, query, sample, shape};
use crate::reading::Record;
use crate::series::catalogue::{Catalogue, Checkpointed, Column, SeriesFile};
use crate::series::checkpoint::{self, Still};
use crate::series::drop::DropRequest;
use crate::series::header;
use crate::series::layout::{RUN_DURATION, UP};
use crate::series::librrd::Librrd;
use crate::series::name::SOURCES_MAX;
use crate::series::row::{Datum, Row};
use crate::series::shape::{FileShape, Wishes};
use crate::series::store::{Applied, Options, SeriesStore};
use crate::series::writer::SeriesWriter;

/// A multiple of every step.
const BEGIN: i64 = 1_774_742_400;

/// Gauges and counters without labels, and gauges of a queue.
fn metrics(plain: std::ops::Range<usize>, labelled: usize) -> Vec<MetricSpec> {
    let plain = plain.map(|n| if n % 5 == 4 { counter(&format!("metric_{n}"), &[]) } else { gauge(&format!("metric_{n}"), &[]) });
    plain.chain((0..labelled).map(|n| gauge(&format!("of_queue_{n}"), &["queue"]))).collect()
}

/// Reads slots after `from`, up to `to`: each metric is worth its number and the slot's, counters that much a second.
fn measure(rig: &mut Rig, metrics: &[MetricSpec], (from, to): (i64, i64)) {
    for slot in (from + 60..=to).step_by(60) {
        let value = |metric: &MetricSpec| {
            let number: f64 = metric.name.rsplit('_').next().unwrap().parse().unwrap();
            if metric.kind == Kind::Counter { number * (slot - BEGIN) as f64 } else { number }
        };
        let samples = metrics.iter().map(|metric| sample(&metric.name, if metric.keys.is_empty() { &[] } else { &["a"] }, value(metric)));
        rig.read(slot, samples.collect());
    }
}

/// Says that each series is worth its number at every slot; gives how many slots are known of the one that is known least.
fn check(rig: &mut Rig, metrics: &[MetricSpec], range: (i64, i64), with_journal: bool) -> usize {
    let known = metrics.iter().map(|metric| {
        let number: f64 = metric.name.rsplit('_').next().unwrap().parse().unwrap();
        let selector = if metric.keys.is_empty() { metric.name.clone() } else { format!("{}{{queue=\"a\"}}", metric.name) };
        let rows = rig.rows(&selector, range.0, range.1, with_journal);
        let known: Vec<f64> = rows.iter().filter_map(|(_, value)| *value).collect();
        assert!(known.iter().all(|value| (value - number).abs() < 1e-9), "{}: {known:?}", metric.name);
        known.len()
    });
    known.min().unwrap()
}

fn names(rig: &Rig) -> Vec<String> {
    rig.files().into_keys().collect()
}

#[test]
fn metrics_beyond_what_a_file_has_room_for_are_in_the_next_one_and_are_series_like_all_others() {
    let all = metrics(0..70, 40);
    let mut rig = Rig::new();
    rig.give(shape(60, &all));
    measure(&mut rig, &all, (BEGIN, BEGIN + 600));
    assert!(check(&mut rig, &all, (BEGIN, BEGIN + 600), true) >= 9, "from rows that wait");
    rig.flush();
    let files = ["_+2.rrd", "_+3.rrd", "_.rrd", "queue=a+2.rrd", "queue=a.rrd"];
    assert_eq!(names(&rig), files);
    for name in files {
        let sources = header::read(&rig.file(name)).unwrap().unwrap().shape.sources.len();
        assert!(sources <= SOURCES_MAX && (name.contains('+') || sources == SOURCES_MAX), "{name} has {sources}");
    }
    assert!(check(&mut rig, &all, (BEGIN, BEGIN + 600), false) >= 9, "from files");
    rig.restart();
    measure(&mut rig, &all, (BEGIN + 600, BEGIN + 1_200));
    assert!(check(&mut rig, &all, (BEGIN, BEGIN + 1_200), true) >= 19);
    assert_eq!(rig.fetch(&query("{job=\"mx\"}", BEGIN, BEGIN + 1_200), false).len(), 112);
    let listed = rig.store.list(&[]).look(true);
    assert_eq!(listed.len(), 112);
    assert!(listed.iter().all(|kept| kept.value.is_some() && kept.labels.keys().all(|key| !key.is_empty()) && kept.files.len() == 1));
    let last = listed.iter().find(|kept| kept.name == "metric_69").unwrap();
    assert_eq!((last.series.as_str(), last.file.as_str()), ("metric_69{job=\"mx\",site=\"paris\"}", "series/mx/_+3.rrd"));
    let sets: Vec<_> = rig.store.label_sets().flat_map(|(_, sets)| sets.map(|(set, _)| set)).collect();
    assert!(sets.iter().all(|set| *set == [("queue".to_owned(), "a".to_owned())]), "{sets:?}");
    let before = rig.files();
    rig.crash();
    rig.flush();
    assert_eq!(rig.files(), before);
}

#[test]
fn a_metric_that_comes_into_another_file_has_its_past() {
    for (before, after, files) in [
        (0..40, 5..40, vec!["_+2.rrd", "_.rrd"]),
        (0..34, 5..34, vec!["_.rrd"]),
        (20..40, 0..40, vec!["_+2.rrd", "_.rrd"]),
        (0..70, 40..70, vec!["_.rrd"]),
    ] {
        let [old, new] = [metrics(before.clone(), 0), metrics(after.clone(), 0)];
        let both: Vec<MetricSpec> = new.iter().filter(|metric| old.contains(metric)).cloned().collect();
        let mut rig = Rig::new();
        rig.give(shape(60, &old));
        measure(&mut rig, &old, (BEGIN, BEGIN + 3_600));
        rig.give(shape(60, &new));
        measure(&mut rig, &new, (BEGIN + 3_600, BEGIN + 7_200));
        rig.flush();
        let range = (BEGIN, BEGIN + 7_200);
        for migrated in [false, true] {
            if migrated {
                rig.migrate();
            }
            for with_journal in [false, true] {
                let known = check(&mut rig, &both, range, with_journal);
                assert!(known >= 118, "{before:?} to {after:?}, migrated {migrated}, journal {with_journal}: {known}");
            }
        }
        let current: Vec<String> = names(&rig).into_iter().filter(|name| name.split('.').count() == 2).collect();
        assert_eq!(current, files, "{before:?} to {after:?}");
        let (left, expected) = (names(&rig).len() - files.len(), usize::from(before.start < after.start));
        assert!(left >= expected && (expected > 0 || left == 0), "what only old files have stays: {:?}", names(&rig));
        rig.restart();
        assert!(check(&mut rig, &both, range, false) >= 118);
    }
}

#[test]
fn all_files_of_a_label_set_are_dropped_and_renamed_together() {
    let all = metrics(0..40, 40);
    let mut rig = Rig::new();
    rig.give(shape(60, &all));
    measure(&mut rig, &all, (BEGIN, BEGIN + 600));
    rig.flush();
    let Rig { folder, store, journal } = rig;
    let store = Mutex::new(store);
    let part = DropRequest { series: vec!["{job=\"mx\",queue=\"\",__name__=~\"metric_.\"}".into()], dry: false };
    assert!(part.answer(&store).unwrap_err().is_asked_wrong(), "a part of a label set is not dropped");
    let set = DropRequest { series: vec!["{job=\"mx\",queue=\"a\"}".into()], dry: false };
    let (dropped, gone) = set.answer(&store).unwrap();
    assert_eq!((dropped.len(), dropped[0].files.len(), dropped[0].series.len(), gone.len()), (1, 2, 40, 1));
    assert_eq!(gone[0].labels, [("queue".to_owned(), "a".to_owned())]);
    let mut rig = Rig { folder, store: store.into_inner().unwrap(), journal };
    assert_eq!(names(&rig), ["_+2.rrd", "_.rrd"]);
    assert_eq!(rig.store.rename_job("mx", "mx-new").unwrap(), Applied::Taken);
    rig.store.checkpoint_anyway(std::time::Instant::now()).unwrap();
    rig.restart();
    let files = std::fs::read_dir(rig.folder.path().join("series/mx-new")).unwrap().count();
    let rows = rig.rows("metric_39{job=\"mx-new\"}", BEGIN + 60, BEGIN + 600, false);
    assert!(files == 2 && rows.iter().all(|(_, value)| *value == Some(39.0)), "{files} {rows:?}");
}

/// What an earlier version left that put all metrics into one file: the file with its first rows, and a checkpoint with those that wait.
fn left_by_an_earlier_version(all: &[MetricSpec], (written, last): (i64, i64)) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let Record::Shape(described) = shape(60, all) else { unreachable!() };
    let mut columns: Vec<(&str, Kind, Unit)> = vec![(UP, Kind::Gauge, Unit::Number), (RUN_DURATION, Kind::Gauge, Unit::Seconds)];
    columns.extend(all.iter().map(|metric| (metric.name.as_str(), metric.kind, metric.unit)));
    let wishes = Wishes::default();
    let shape = FileShape::of(60, columns.iter().map(|(name, kind, _)| (*name, *kind)), &wishes);
    let row = |slot: i64| {
        let cells =
            columns.iter().map(|(name, kind, _)| match (name.rsplit_once('_').and_then(|(_, number)| number.parse::<u64>().ok()), kind) {
                (Some(number), Kind::Counter) => Datum::Total(number * (slot - BEGIN).unsigned_abs()),
                (Some(number), Kind::Gauge) => Datum::Gauge(number as f64),
                (None, _) => Datum::Gauge(1.0),
            });
        Row { stamp: slot, cells: cells.collect() }
    };
    let rows = |from: i64, to: i64| (from + 60..=to).step_by(60).map(row).collect::<Vec<_>>();
    let path = folder.path().canonicalize().unwrap().join("series/mx/_.rrd");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Librrd::new().create(&path, &shape, BEGIN).unwrap();
    Librrd::new().append(&path, &rows(BEGIN, written)).unwrap();
    let mut catalogue = Catalogue::open(folder.path()).unwrap();
    catalogue.put_shape(&described);
    let column = |((metric, kind, unit), source): (&(&str, Kind, Unit), &crate::series::shape::Source)| Column {
        source: source.name.clone(),
        metric: (*metric).into(),
        kind: *kind,
        unit: *unit,
    };
    let file = SeriesFile {
        id: 0,
        labels: Vec::new(),
        path: "mx/_.rrd".into(),
        generation: 0,
        step: 60,
        first_slot: BEGIN + 60,
        since: BEGIN + 60,
        last_slot: last,
        columns: columns.iter().zip(&shape.sources).map(column).collect(),
    };
    catalogue.add_file("mx", file);
    let still = Still {
        job: "mx".into(),
        labels: Vec::new(),
        path: "mx/_.rrd".into(),
        image: header::image(&path, &shape).unwrap(),
        last: Some(row(last)),
        held: rows(written, last),
        before: Some(row(written)),
    };
    checkpoint::write(folder.path(), 7, [Ok(still)].into_iter()).unwrap();
    catalogue.commit(Checkpointed { mark: 7, position: 0 }).unwrap();
    checkpoint::settle(folder.path()).unwrap();
    drop(catalogue);
    let mut store = SeriesStore::open(folder.path(), Options::default()).unwrap();
    let recovered = store.recover(true).unwrap();
    assert_eq!((recovered.heads, recovered.heads_unfit), (1, 0));
    Rig { folder, store, journal: Vec::new() }
}

#[test]
fn rows_that_waited_for_a_file_of_more_columns_than_there_are_now_enter_it_and_what_follows_goes_on_in_others() {
    let all = metrics(0..40, 0);
    let (written, last, end) = (BEGIN + 600, BEGIN + 1_200, BEGIN + 1_800);
    for killed_again in [false, true] {
        let mut rig = left_by_an_earlier_version(&all, (written, last));
        assert_eq!(rig.store.rows_held(), 10);
        measure(&mut rig, &all, (last, end));
        if killed_again {
            rig.crash();
        }
        rig.flush();
        for migrated in [false, true] {
            if migrated {
                rig.migrate();
            }
            let known = check(&mut rig, &all, (BEGIN, end), false);
            assert!(known >= 29, "killed again {killed_again}, migrated {migrated}: {known}");
        }
        assert_eq!(names(&rig), ["_+2.rrd", "_.rrd"], "killed again {killed_again}");
    }
}
