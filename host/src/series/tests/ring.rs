//! Rows that wait for their file: how long, how many, and who sees them.

use std::time::{Duration, Instant};

use super::rig::{Rig, counter, gauge, sample, shape};

const BEGIN: i64 = 1_774_742_400;
const MINUTE: Duration = Duration::from_secs(60);

fn queues(count: usize, value: f64) -> Vec<watchpost_services::outcome::Sample> {
    (0..count).map(|n| sample("queue_size", &[&format!("q{n}")], value)).collect()
}

#[test]
fn a_small_store_is_written_at_every_flush() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("queue_size", &["queue"])]));
    for n in 1..4 {
        rig.read(BEGIN + n * 60, queues(90, 1.0));
        assert_eq!(rig.store.flush_due(Instant::now()).rows, 91);
    }
}

#[test]
fn the_larger_a_store_the_longer_its_rows_wait_but_no_longer_than_ten_minutes() {
    let mut rig = Rig::new();
    let half = rig.store.flush_interval();
    rig.give(shape(60, &[gauge("queue_size", &["queue"])]));
    for (files, expected) in [(299, half), (1_299, MINUTE)] {
        rig.read(BEGIN + files, queues(usize::try_from(files).unwrap(), 1.0));
        assert_eq!(rig.store.flush_interval(), expected, "{files} files");
    }
    rig.store.flush_within(Some(Duration::from_secs(7)));
    assert_eq!(rig.store.flush_interval(), Duration::from_secs(7));
}

#[test]
fn rows_that_wait_are_told_and_each_file_is_written_once_in_the_interval() {
    let mut rig = Rig::new();
    rig.give(shape(1, &[gauge("connect_time", &[]), gauge("queue_size", &["queue"]), counter("messages_sent", &[])]));
    rig.store.flush_within(Some(MINUTE));
    let began = Instant::now();
    rig.store.flush_due(began);
    let (mut written, mut at_once_max) = (0, 0);
    for second in 1..=180 {
        let samples = [vec![sample("connect_time", &[], 0.5), sample("messages_sent", &[], 7.0 * second as f64)], queues(50, 2.0)].concat();
        rig.read(BEGIN + second, samples);
        let files = rig.store.flush_due(began + Duration::from_secs(second.unsigned_abs())).rows.div_ceil(60);
        written += files;
        at_once_max = at_once_max.max(files);
    }
    let waiting = rig.store.rows_held();
    assert!((51 * 2..=51 * 4).contains(&written) && at_once_max <= 8, "{written} writes, {at_once_max} at once, {waiting} rows wait");
    assert!((1..51 * 60).contains(&waiting), "{waiting} rows wait");
    let told =
        ["connect_time", "messages_sent", "queue_size{queue=\"q7\"}"].map(|selector| rig.rows(selector, BEGIN + 1, BEGIN + 180, false));
    for (rows, value) in told.iter().zip([0.5, 7.0, 2.0]) {
        assert!(rows.len() == 179 && rows.iter().all(|row| row.1 == Some(value)), "{rows:?}");
    }
}

#[test]
fn a_file_that_gathers_fast_is_written_sooner() {
    let mut rig = Rig::new();
    rig.give(shape(1, &[gauge("connect_time", &[])]));
    rig.store.flush_within(Some(60 * MINUTE));
    let now = Instant::now();
    for second in 1..=60 {
        assert_eq!(rig.store.flush_due(now).rows, 0, "second {second}");
        rig.read(BEGIN + second, vec![sample("connect_time", &[], 1.0)]);
    }
    assert_eq!(rig.store.flush_due(now).rows, 60);
}

#[test]
fn a_checkpoint_keeps_rows_that_wait_and_a_crash_gives_them_back() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[]), counter("messages_sent", &[])]));
    rig.store.flush_within(Some(60 * MINUTE));
    let give = |rig: &mut Rig, n: i64| {
        rig.read(BEGIN + n * 60, vec![sample("connect_time", &[], n as f64), sample("messages_sent", &[], 60.0 * n as f64)]);
    };
    (1..4).for_each(|n| give(&mut rig, n));
    rig.flush();
    (4..7).for_each(|n| give(&mut rig, n));
    assert!(rig.store.checkpoint(Instant::now(), |_| Ok(())).unwrap().is_some());
    assert!(!rig.store.checkpoint_due(Instant::now() + MINUTE));
    assert_eq!(rig.store.rows_held(), 3);
    (7..9).for_each(|n| give(&mut rig, n));
    rig.flush();
    let written = rig.files();
    rig.crash();
    assert_eq!(rig.store.rows_held(), 5);
    let rows = rig.rows("messages_sent", BEGIN + 60, BEGIN + 480, false);
    assert!(rows.len() == 7 && rows.iter().all(|row| row.1 == Some(1.0)), "{rows:?}");
    rig.flush();
    assert!(rig.files() == written);
}
