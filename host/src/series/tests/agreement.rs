//! Debian's rrdtool takes every file, and reads from it what we read.

use super::rig::{Rig, counter, gauge, query, sample, shape};
use super::rrdtool;
use crate::series::archive::Consolidation;
use crate::series::fetch::{Query, Series};

/// A Sunday, two in the morning in Paris; a multiple of every step.
const BEGIN: i64 = 1_774_742_400;

/// Readings with gaps, resets, missing metrics and changing label sets.
fn filled(step: u32, slots: i64) -> Rig {
    let mut rig = Rig::new();
    rig.give(shape(step, &[gauge("connect_time", &[]), counter("messages_sent", &[]), gauge("queue_size", &["queue"])]));
    let mut total = 0.0;
    for n in (1..=slots).filter(|n| n % 17 > 2 && n % 101 > 30) {
        total = if n % 43 == 0 { 3.0 } else { total + (n % 7 * 11) as f64 };
        let mut samples = vec![sample("queue_size", &[if n % 2 == 0 { "deferred" } else { "a/b" }], n as f64)];
        if n % 5 != 0 {
            samples.push(sample("connect_time", &[], 0.001 * n as f64 + 1e-7));
        }
        if n % 11 != 0 {
            samples.push(sample("messages_sent", &[], total));
        }
        rig.read(BEGIN + n * i64::from(step), samples);
        if n % 29 == 0 {
            rig.flush();
        }
    }
    rig.flush();
    rig
}

fn files(rig: &Rig) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(rig.file("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn check(series: &Series, file: &std::path::Path, query: &Query) -> usize {
    let step = query.step.unwrap_or(1);
    let (names, rows) = rrdtool::fetch(file, query.consolidation.name(), query.from, query.to, step).unwrap();
    let column = names.iter().position(|name| *name == series.metric).unwrap();
    let mut known = 0;
    for (time, value) in &series.rows {
        let witness = rows.get(time).unwrap_or_else(|| panic!("rrdtool has no row {time} at step {}", series.step))[column];
        assert!(rrdtool::alike(*value, witness), "{} at {time}, step {}: we {value:?}, rrdtool {witness:?}", series.metric, series.step);
        known += usize::from(value.is_some());
    }
    known
}

#[test]
fn rrdtool_takes_every_file_and_reads_what_we_read() {
    for step in [1, 7, 60, 1_800, 43_200] {
        let mut rig = filled(step, 600);
        let (from, to) = (BEGIN, BEGIN + 600 * i64::from(step));
        let names: Vec<_> = files(&rig).iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        for file in files(&rig) {
            let path = file.to_string_lossy();
            assert!(rrdtool::run(&["info", &path]).unwrap().contains(&format!("step = {step}\n")));
            let image = rig.folder.path().join("x.png");
            let source = format!("DEF:x={path}:{}:AVERAGE", if path.contains("queue") { "queue_size" } else { "connect_time" });
            let [from, to] = [from.to_string(), to.to_string()];
            rrdtool::run(&["graph", &image.to_string_lossy(), "-s", &from, "-e", &to, &source, "LINE1:x#000000"]).unwrap();
            assert!(std::fs::read(&image).unwrap().starts_with(b"\x89PNG"));
        }
        for (metric, file) in [("up", "_.rrd"), ("connect_time", "_.rrd"), ("messages_sent", "_.rrd"), ("run_duration", "_.rrd")] {
            for with_journal in [false, true] {
                let asked = query(metric, from, to);
                let series = rig.fetch(&asked, with_journal).remove(0);
                assert_eq!((series.step, series.rows.len()), (step, 600));
                assert!(check(&series, &rig.file(file), &asked) > 200, "{metric} at step {step}");
            }
        }
        let asked = query("queue_size{queue=\"deferred\"}", from, to);
        assert!(check(&rig.fetch(&asked, true)[0], &rig.file("queue=deferred.rrd"), &asked) > 100);
    }
}

#[test]
fn coarse_rows_agree_whether_from_files_or_from_the_journal() {
    let mut rig = filled(60, 3_000);
    let last = BEGIN + 3_000 * 60;
    for consolidation in [Consolidation::Average, Consolidation::Max] {
        for step in [600, 3_600] {
            // What ends with the last whole row, and begins before the journal.
            let to = last - last % i64::from(step);
            let asked = Query { step: Some(step), consolidation, ..query("{job=\"mx\",queue=\"\"}", BEGIN - 7_200, to) };
            for with_journal in [false, true] {
                let all = rig.fetch(&asked, with_journal);
                assert_eq!(all.len(), 4);
                for series in &all {
                    assert_eq!(series.step, step);
                    assert!(check(series, &rig.file("_.rrd"), &asked) > 20, "{} {consolidation} {step}", series.metric);
                }
            }
        }
    }
}

#[test]
fn a_step_between_archives_is_made_of_base_rows() {
    let mut rig = filled(60, 100);
    let base = rig.rows("connect_time", BEGIN, BEGIN + 6_000, false);
    let asked = Query { step: Some(100), consolidation: Consolidation::Max, ..query("connect_time", BEGIN, BEGIN + 6_000) };
    let series = rig.fetch(&asked, false).remove(0);
    assert_eq!(series.step, 120);
    for (row, pair) in series.rows.iter().zip(base.chunks(2)) {
        let expected = pair.iter().filter_map(|(_, value)| *value).reduce(f64::max);
        assert_eq!(*row, (pair[1].0, expected));
    }
}

#[test]
fn every_size_of_number_survives_librrd() {
    let values = [0.0, -0.0, 0.1, -1.5e-9, 123_456_789.123_456_78, 1e300, -1e300, 1e-300, 5e-324, 1.0 / 3.0, f64::MIN_POSITIVE, 9.007e15];
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    for (n, value) in (1_i64..).zip(values) {
        rig.read(BEGIN + n * 60, vec![sample("connect_time", &[], value)]);
    }
    rig.read(BEGIN + 60 * 60, vec![sample("connect_time", &[], f64::NAN)]);
    rig.read(BEGIN + 61 * 60, vec![sample("connect_time", &[], f64::INFINITY)]);
    rig.flush();
    let rows = rig.rows("connect_time", BEGIN, BEGIN + 61 * 60, false);
    for (row, value) in rows.iter().zip(values) {
        let close = row.1.is_some_and(|found| (found - value).abs() <= value.abs() * 1e-9);
        assert!(close || value.abs() < 1e-307 && row.1.is_some_and(|found| found.abs() < 1e-307), "{value:e} became {row:?}");
    }
    assert!(rows[values.len()..].iter().all(|(_, value)| value.is_none()));
}

#[test]
fn a_file_is_as_large_as_foretold() {
    let rig = filled(60, 40);
    let file = std::fs::metadata(rig.file("_.rrd")).unwrap().len();
    assert_eq!(file, crate::series::archive::file_bytes(4, &crate::series::keeping::Keeping::default().archives(60)));
}
