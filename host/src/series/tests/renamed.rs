//! Series that are another job's from some day on.

use std::time::Instant;

use super::rig::{Rig, counter, gauge, reading, sample, shape};
use crate::reading::{Reading, Record, Shape, Upkeep};
use crate::series::keeping::Keeping;
use crate::series::store::{Applied, Options, SeriesStore};

const BEGIN: i64 = 1_774_742_400;

fn shape_of(job: &str) -> Record {
    let metrics = [gauge("connect_time", &[]), counter("messages_sent", &[]), gauge("queue_size", &["queue"])];
    let Record::Shape(known) = shape(60, &metrics) else { unreachable!() };
    Record::Shape(Shape { job: job.into(), ..known })
}

fn upkeep_of(job: &str, was: &str) -> Record {
    Record::Upkeep(Upkeep { job: job.into(), was: Some(was.into()), keeping: Keeping::default(), heartbeat_s: None })
}

fn measure(rig: &mut Rig, job: &str, slots: std::ops::RangeInclusive<i64>) {
    for n in slots {
        let samples = vec![
            sample("connect_time", &[], n as f64),
            sample("messages_sent", &[], 60.0 * n as f64),
            sample("queue_size", &["a"], n as f64),
        ];
        rig.give(Record::Reading(Reading { job: job.into(), ..reading(BEGIN + n * 60, samples) }));
    }
}

/// Whether one job has every slot of both metrics, from the files alone and with the journal.
fn check(rig: &mut Rig, job: &str, slots: i64, counted_from: i64) {
    for with_journal in [false, true] {
        for (metric, first) in [("connect_time", 1), ("messages_sent", counted_from), ("queue_size", 1)] {
            let rows = rig.rows(&format!("{metric}{{job=\"{job}\"}}"), BEGIN + (first - 1) * 60, BEGIN + slots * 60, with_journal);
            let expected = |n: i64| if metric == "messages_sent" { 1.0 } else { n as f64 };
            for (n, row) in (first..).zip(&rows) {
                assert_eq!(row.1, Some(expected(n)), "{metric} of {job} at slot {n}, journal {with_journal}");
            }
        }
    }
}

#[test]
fn a_job_that_was_called_otherwise_goes_on_with_its_series() {
    let mut rig = Rig::new();
    rig.give(shape_of("mx"));
    measure(&mut rig, "mx", 1..=30);
    rig.give(shape_of("mx-paris"));
    rig.give(upkeep_of("mx-paris", "mx"));
    measure(&mut rig, "mx-paris", 31..=60);
    rig.flush();
    assert_eq!(rig.migrate(), 0, "its files are those that were");
    check(&mut rig, "mx-paris", 60, 2);
    assert!(rig.files().is_empty(), "nothing is called as before");
    assert_eq!(rig.store.catalogue().jobs().keys().collect::<Vec<_>>(), ["mx-paris"]);
    rig.restart();
    check(&mut rig, "mx-paris", 60, 2);
    // What the configuration goes on to say changes nothing.
    rig.give(upkeep_of("mx-paris", "mx"));
    measure(&mut rig, "mx-paris", 61..=62);
    rig.flush();
    check(&mut rig, "mx-paris", 62, 2);
}

#[test]
fn a_job_that_has_series_already_takes_over_those_of_its_former_name() {
    let mut rig = Rig::new();
    rig.give(shape_of("mx"));
    measure(&mut rig, "mx", 1..=30);
    rig.give(shape_of("mx-paris"));
    measure(&mut rig, "mx-paris", 31..=40);
    rig.give(upkeep_of("mx-paris", "mx"));
    measure(&mut rig, "mx-paris", 41..=60);
    rig.flush();
    for migrated in [false, true] {
        if migrated {
            assert_eq!(rig.migrate(), 2);
        }
        for n in [1, 30, 31, 60] {
            let rows = rig.rows("connect_time{job=\"mx-paris\"}", BEGIN + (n - 1) * 60, BEGIN + n * 60, false);
            assert_eq!(rows[0].1, Some(n as f64), "migrated {migrated}");
        }
    }
    let left = std::fs::read_dir(rig.folder.path().join("series/mx-paris")).unwrap().count();
    assert_eq!(left, 2);
}

#[test]
fn a_crash_at_any_moment_of_a_renaming_ends_as_no_crash_does() {
    let records = |rig: &mut Rig, checkpoint: Option<usize>| {
        let mut steps = 0;
        let mut step = |rig: &mut Rig| {
            steps += 1;
            if checkpoint == Some(steps) {
                rig.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
            }
        };
        rig.give(shape_of("mx"));
        measure(rig, "mx", 1..=10);
        step(rig);
        rig.flush();
        rig.give(shape_of("new"));
        measure(rig, "new", 5..=12);
        step(rig);
        rig.give(upkeep_of("new", "mx"));
        step(rig);
        measure(rig, "new", 13..=20);
        rig.flush();
        step(rig);
        rig.give(shape_of("mx"));
        measure(rig, "mx", 21..=22);
        rig.flush();
        step(rig);
    };
    let all = |rig: &Rig| {
        let read = |job: &str| {
            let entries = std::fs::read_dir(rig.folder.path().join("series").join(job)).unwrap().map(|entry| entry.unwrap().path());
            entries
                .map(|path| (path.display().to_string().rsplit('/').take(2).collect::<Vec<_>>().join(" "), std::fs::read(path).unwrap()))
                .collect::<std::collections::BTreeMap<_, _>>()
        };
        [read("mx"), read("new")]
    };
    let mut clean = Rig::new();
    records(&mut clean, None);
    clean.migrate();
    for checkpoint in [None, Some(1), Some(2), Some(3), Some(4), Some(5)] {
        let mut rig = Rig::new();
        records(&mut rig, checkpoint);
        let recovered = rig.crash();
        assert_eq!(recovered.heads_unfit, 0, "checkpoint {checkpoint:?}: {recovered:?}");
        rig.flush();
        rig.migrate();
        assert!(all(&rig) == all(&clean), "checkpoint {checkpoint:?}");
    }
}

#[test]
fn a_job_without_series_is_renamed_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SeriesStore::open(folder.path(), Options::default()).unwrap();
    assert_eq!(store.rename_job("none", "other").unwrap(), Applied::Taken);
    assert!(store.catalogue().jobs().is_empty());
}
