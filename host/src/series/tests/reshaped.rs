//! Files of another shape than asked, and files that are none.

use super::rig::{Rig, counter, gauge, reading, sample, shape};
use crate::reading::Record;
use crate::series::catalogue::{Catalogue, Change};

const BEGIN: i64 = 1_774_742_400;

#[test]
fn a_file_of_another_shape_is_set_aside_and_still_read() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    rig.read(BEGIN + 60, vec![sample("connect_time", &[], 1.0)]);
    rig.give(shape(30, &[gauge("connect_time", &[])]));
    rig.read(BEGIN + 90, vec![sample("connect_time", &[], 2.0)]);
    rig.give(shape(30, &[gauge("connect_time", &[]), counter("messages_sent", &[])]));
    rig.read(BEGIN + 120, vec![sample("connect_time", &[], 3.0)]);
    rig.read(BEGIN + 150, vec![sample("connect_time", &[], 4.0)]);
    rig.flush();
    assert!(["_.rrd", "_.2.rrd", "_.4.rrd"].iter().all(|name| rig.file(name).exists()));
    for with_journal in [false, true] {
        let values: Vec<_> = rig.rows("connect_time", BEGIN, BEGIN + 150, with_journal).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [1.0, 1.0, 2.0, 3.0, 4.0].map(Some), "journal {with_journal}");
    }
    rig.restart();
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 60, false)[0].1, Some(1.0), "forgotten at a restart");
}

#[test]
fn the_same_shape_again_changes_nothing() {
    let mut rig = Rig::new();
    for slot in [60, 120] {
        rig.give(shape(60, &[gauge("connect_time", &[])]));
        rig.read(BEGIN + slot, vec![sample("connect_time", &[], 1.0)]);
        rig.flush();
    }
    assert_eq!(rig.store.counts().files_set_aside, 0);
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 120, false), [(BEGIN + 60, Some(1.0)), (BEGIN + 120, Some(1.0))]);
}

#[test]
fn a_metric_declared_at_run_time_gets_its_place() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[]));
    rig.read(BEGIN + 60, vec![]);
    let mut late = reading(BEGIN + 120, vec![sample("spool_age", &["a"], 5.0)]);
    late.outcome.declared = vec![gauge("spool_age", &["spool"])];
    rig.give(Record::Reading(late));
    rig.give(shape(60, &[]));
    rig.read(BEGIN + 180, vec![sample("spool_age", &["a"], 6.0)]);
    rig.flush();
    assert_eq!(rig.store.counts().samples_unplaced, 0);
    let rows = rig.rows("spool_age{spool=\"a\"}", BEGIN + 60, BEGIN + 180, false);
    assert_eq!(rows, [(BEGIN + 120, Some(5.0)), (BEGIN + 180, Some(6.0))]);
}

#[test]
fn what_is_no_series_file_never_reaches_librrd() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    rig.read(BEGIN + 60, vec![sample("connect_time", &[], 1.0)]);
    rig.flush();
    let good = std::fs::read(rig.file("_.rrd")).unwrap();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let damages = [
        b"%s%s%n".to_vec(),
        Vec::new(),
        vec![0xff; 10_000],
        good[..200].to_vec(),
        good[..good.len() - 8].to_vec(),
        with(24, &(1_u64 << 61).to_ne_bytes()),
        with(32, &u64::MAX.to_ne_bytes()),
        with(40, &0_u64.to_ne_bytes()),
        with(16, &[0; 8]),
    ];
    for (n, damage) in damages.iter().enumerate() {
        std::fs::write(rig.file("_.rrd"), damage).unwrap();
        let slot = BEGIN + 120 + i64::try_from(n).unwrap() * 60;
        rig.read(slot, vec![sample("connect_time", &[], 2.0)]);
        rig.flush();
        let kept = rig.folder.path().join(format!("quarantine/series/mx/_.{}.rrd", n + 1));
        assert_eq!(std::fs::read(kept).unwrap(), *damage, "damage {n} was overwritten");
        assert_eq!(rig.rows("connect_time", slot - 60, slot, false), [(slot, Some(2.0))]);
    }
}

#[test]
fn a_damaged_file_found_at_start_gives_way() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    rig.read(BEGIN + 60, vec![sample("connect_time", &[], 1.0)]);
    rig.flush();
    rig.restart();
    std::fs::write(rig.file("_.rrd"), b"RRD\0").unwrap();
    rig.restart();
    rig.read(BEGIN + 120, vec![sample("connect_time", &[], 2.0)]);
    rig.flush();
    assert_eq!(rig.store.counts().files_quarantined, 1);
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 120, false), [(BEGIN + 60, None), (BEGIN + 120, Some(2.0))]);
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 120, true)[1].1, Some(2.0));
}

#[test]
fn a_crash_at_any_step_of_setting_aside_ends_as_no_crash_does() {
    let records = |rig: &mut Rig| {
        for (step, value) in [(30, 2.0), (60, 3.0), (30, 4.0)] {
            rig.give(shape(step, &[gauge("connect_time", &[])]));
            rig.read(BEGIN + 60 * value as i64, vec![sample("connect_time", &[], value)]);
        }
    };
    let begun = || {
        let mut rig = Rig::new();
        rig.give(shape(60, &[gauge("connect_time", &[])]));
        rig.read(BEGIN + 60, vec![sample("connect_time", &[], 1.0)]);
        rig.restart();
        rig
    };
    let mut clean = begun();
    records(&mut clean);
    clean.flush();
    assert_eq!(clean.files().keys().collect::<Vec<_>>(), ["_.2.rrd", "_.4.rrd", "_.6.rrd", "_.rrd"]);

    let mut done = begun();
    records(&mut done);
    done.flush();
    let recovered = done.crash();
    assert_eq!((recovered.names_given_back, recovered.files_removed), (3, 3), "step by step");
    done.flush();
    assert!(done.files() == clean.files());
    assert_eq!(done.store.counts().files_set_aside, 3);

    // Noted, and then the process ends, before the file is renamed; again when that is taken back.
    let mut noted = begun();
    let moved = Change::Moved { from: "mx/_.rrd".into(), to: "mx/_.1.rrd".into() };
    for changes in [vec![moved.clone()], vec![moved, Change::Born { path: "mx/_.rrd".into() }]] {
        Catalogue::open(noted.folder.path()).unwrap().note(&changes).unwrap();
        let recovered = noted.crash();
        assert_eq!((recovered.names_given_back, recovered.files_removed), (0, 0));
        assert_eq!(noted.rows("connect_time", BEGIN, BEGIN + 60, false), [(BEGIN + 60, Some(1.0))]);
    }
    records(&mut noted);
    noted.flush();
    assert!(noted.files() == clean.files());
}

#[test]
fn a_label_that_looks_like_a_number_of_a_file_set_aside_gets_its_own_file() {
    let mut rig = Rig::new();
    for step in [60, 30] {
        rig.give(shape(step, &[gauge("queue_size", &["queue"])]));
        rig.read(BEGIN + 120 - i64::from(step), vec![sample("queue_size", &["a"], 1.0)]);
    }
    rig.read(BEGIN + 120, vec![sample("queue_size", &["a.1"], 7.0)]);
    rig.flush();
    assert_eq!(rig.rows("queue_size{queue=\"a\"}", BEGIN, BEGIN + 60, false)[1].1, Some(1.0));
    assert_eq!(rig.rows("queue_size{queue=\"a.1\"}", BEGIN + 90, BEGIN + 120, false)[0].1, Some(7.0));
}

#[test]
fn replay_across_a_new_shape_sets_nothing_aside_again() {
    let mut rig = Rig::new();
    for step in [60, 30] {
        rig.give(shape(step, &[gauge("connect_time", &[])]));
        rig.read(BEGIN + 120 - i64::from(step), vec![sample("connect_time", &[], f64::from(step))]);
    }
    rig.flush();
    rig.crash();
    rig.read(BEGIN + 120, vec![sample("connect_time", &[], 1.0)]);
    rig.flush();
    assert_eq!((rig.store.counts().files_set_aside, rig.store.counts().rows_past), (1, 0), "as the first time");
    assert!(rig.file("_.2.rrd").exists() && !rig.file("_.4.rrd").exists());
    let values: Vec<_> = rig.rows("connect_time", BEGIN, BEGIN + 120, true).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [60.0, 60.0, 30.0, 1.0].map(Some));
}

#[test]
fn between_a_new_shape_and_its_first_reading_columns_keep_their_metrics() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    for slot in [60, 120] {
        rig.read(BEGIN + slot, vec![sample("connect_time", &[], 1.0)]);
    }
    rig.give(shape(60, &[gauge("banner_time", &[]), gauge("connect_time", &[])]));
    for with_journal in [false, true] {
        assert_eq!(rig.rows("connect_time", BEGIN + 60, BEGIN + 120, with_journal), [(BEGIN + 120, Some(1.0))]);
    }
}
