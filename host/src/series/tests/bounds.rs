//! What has a bound, and what happens there.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::{Outcome, Status};

use super::rig::{Rig, counter, gauge, query, reading, sample, shape};
use crate::log::lines_of;
use crate::reading::{Cause, Record};
use crate::series::error::SeriesError;
use crate::series::fetch::Query;
use crate::series::header::Header;
use crate::series::librrd::Librrd;
use crate::series::request::FetchRequest;
use crate::series::row::Row;
use crate::series::shape::FileShape;
use crate::series::store::{Applied, Options, SeriesStore};
use crate::series::writer::{Fetched, SeriesWriter, Wanted, WriteError};

const BEGIN: i64 = 1_774_742_400;

/// Finds every file locked while told so.
struct Locking(Librrd, Arc<AtomicBool>);

impl SeriesWriter for Locking {
    fn create(&self, path: &Path, shape: &FileShape, start: i64) -> Result<(), WriteError> {
        self.0.create(path, shape, start)
    }

    fn append(&self, path: &Path, rows: &[Row]) -> Result<(), WriteError> {
        if self.1.load(Ordering::Relaxed) { Err(WriteError::Locked { path: path.into() }) } else { self.0.append(path, rows) }
    }

    fn fetch(&self, path: &Path, wanted: &Wanted) -> Result<Fetched, WriteError> {
        self.0.fetch(path, wanted)
    }

    fn info(&self, path: &Path) -> Result<Option<Header>, WriteError> {
        self.0.info(path)
    }
}

fn locking(rows_held_max: usize) -> (Rig, Arc<AtomicBool>) {
    let lock = Arc::new(AtomicBool::new(true));
    let mut rig = Rig::new();
    let options = Options { rows_held_max, rows_held_per_file: 0, ..Options::default() };
    rig.store = SeriesStore::open_with(rig.folder.path(), options, Box::new(Locking(Librrd::new(), Arc::clone(&lock)))).unwrap();
    rig.give(shape(60, &[gauge("connect_time", &[]), counter("messages_sent", &[])]));
    (rig, lock)
}

fn give(rig: &mut Rig, n: i64) {
    rig.read(BEGIN + n * 60, vec![sample("connect_time", &[], n as f64), sample("messages_sent", &[], 60.0 * n as f64)]);
}

#[test]
fn rows_of_a_locked_file_are_held_and_read() {
    let (mut rig, lock) = locking(100);
    (1..=5).for_each(|n| give(&mut rig, n));
    for n in [8, 9] {
        give(&mut rig, n);
    }
    assert_eq!(rig.store.flush().files_behind, 1);
    let held = ["connect_time", "messages_sent"].map(|metric| rig.rows(metric, BEGIN, BEGIN + 540, false));
    lock.store(false, Ordering::Relaxed);
    rig.flush();
    assert_eq!(rig.store.rows_held(), 0);
    let written = ["connect_time", "messages_sent"].map(|metric| rig.rows(metric, BEGIN, BEGIN + 540, false));
    assert_eq!(held, written);
    assert_eq!(written[1].iter().filter(|(_, rate)| *rate == Some(1.0)).count(), 8);
}

#[test]
fn a_file_that_cannot_be_written_has_a_line_when_that_begins_and_one_when_it_ends() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[]), counter("messages_sent", &[])]));
    give(&mut rig, 1);
    rig.flush();
    let folder = rig.folder.path().join("series/mx");
    std::fs::rename(&folder, folder.with_extension("away")).unwrap();
    let lines = lines_of(|| {
        give(&mut rig, 2);
        for _ in 0..100 {
            assert_eq!(rig.store.flush().files_behind, 1);
        }
        std::fs::rename(folder.with_extension("away"), &folder).unwrap();
        rig.flush();
        rig.flush();
    });
    let said: Vec<_> = lines.iter().map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect();
    assert!(said.len() == 2 && said[0].1.starts_with("a series file cannot be written; its rows are kept for another try: "), "{said:?}");
    assert_eq!((said[0].0, said[1]), ("ERROR", ("INFO", "series files are written again")));
}

#[test]
fn beyond_its_bound_the_store_is_behind_and_takes_nothing() {
    let (mut rig, lock) = locking(3);
    (1..=3).for_each(|n| give(&mut rig, n));
    let record = Record::Reading(reading(BEGIN + 240, vec![sample("connect_time", &[], 4.0)]));
    assert_eq!(rig.store.apply(9, &record).unwrap(), Applied::Behind);
    assert_eq!(rig.store.position(), Some(4));
    lock.store(false, Ordering::Relaxed);
    rig.flush();
    assert_eq!(rig.store.apply(9, &record).unwrap(), Applied::Taken);
}

#[test]
fn a_shape_waits_for_the_rows_of_the_shape_before() {
    let (mut rig, lock) = locking(100);
    give(&mut rig, 1);
    let other = shape(30, &[gauge("connect_time", &[])]);
    assert_eq!(rig.store.apply(9, &other).unwrap(), Applied::Behind);
    lock.store(false, Ordering::Relaxed);
    assert_eq!(rig.store.apply(9, &other).unwrap(), Applied::Taken);
    assert_eq!(rig.store.counts().rows_written, 1);
}

#[test]
fn a_checkpoint_has_every_row_in_its_file_or_keeps_it() {
    let (mut rig, lock) = locking(100);
    let checkpoint = |rig: &mut Rig| rig.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
    assert_eq!(checkpoint(&mut rig), Some(1));
    (1..=3).for_each(|n| give(&mut rig, n));
    assert_eq!((checkpoint(&mut rig), rig.store.rows_held()), (Some(4), 3));
    assert_eq!(checkpoint(&mut rig), None, "nothing new");
    assert!(!rig.store.checkpoint_due(Instant::now()));
    assert!(rig.store.checkpoint_due(Instant::now() + Duration::from_secs(10)));
    lock.store(false, Ordering::Relaxed);
    rig.flush();
    let written = rig.files();
    assert_eq!(rig.store.catalogue().jobs()["mx"].files[0].last_slot, BEGIN + 180);
    rig.crash();
    assert_eq!(rig.store.rows_held(), 3, "kept by the checkpoint, for the journal does not give them again");
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 180, false).len(), 3);
    rig.flush();
    assert!(rig.files() == written);
}

#[test]
fn what_the_journal_has_was_let_in_when_it_was_measured() {
    let queues = |count: usize| -> Vec<_> { (0..count).map(|n| sample("queue_size", &[&format!("q{n}")], 1.0)).collect() };
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("queue_size", &["queue"])]));
    [60, 120].into_iter().for_each(|slot| rig.read(BEGIN + slot, queues(130)));
    rig.crash();
    rig.flush();
    let fetched = rig.fetch(&query("{job=\"mx\",queue!=\"\"}", BEGIN, BEGIN + 120), false);
    assert_eq!((fetched.len(), rig.store.counts().rows_over_labels_max), (130, 0), "more than a job has unless it says otherwise");
}

#[test]
fn a_label_set_that_was_not_seen_for_thirty_days_leaves_its_room_and_the_listing_but_not_its_file() {
    let mut rig = Rig::with(Options { labels_max: 2, ..Options::default() });
    let day = 86_400;
    rig.give(shape(3_600, &[gauge("queue_size", &["queue"])]));
    let queues = |names: &[&str]| names.iter().map(|name| sample("queue_size", &[name], 1.0)).collect::<Vec<_>>();
    for (slot, names, refused) in [(0, ["a", "b"], 0), (30 * day, ["b", "c"], 1), (30 * day + 3_600, ["b", "c"], 1)] {
        rig.read(BEGIN + slot, queues(&names));
        assert_eq!(rig.store.counts().rows_over_labels_max, refused, "{names:?} after {slot} s");
    }
    rig.flush();
    let listed = |rig: &Rig| -> Vec<String> {
        let all = rig.store.list(&[]).look(false);
        all.into_iter().filter_map(|kept| kept.labels.get("queue").cloned()).collect()
    };
    assert_eq!(listed(&rig), ["b", "c"]);
    assert!(rig.file("queue=a.rrd").exists());
    assert_eq!(rig.rows("queue_size{queue=\"a\"}", BEGIN - 3_600, BEGIN, false), [(BEGIN, Some(1.0))]);
    rig.restart();
    assert_eq!(listed(&rig), ["b", "c"]);
    // It comes back to its file.
    rig.read(BEGIN + 31 * day, queues(&["a"]));
    assert_eq!((rig.store.counts().rows_over_labels_max, listed(&rig).len()), (0, 3));
}

#[test]
fn label_sets_beyond_the_bound_are_refused_and_counted() {
    let mut rig = Rig::with(Options { labels_max: 3, ..Options::default() });
    rig.give(shape(60, &[gauge("queue_size", &["queue"]), gauge("age", &["spool"])]));
    for slot in [60, 120] {
        let mut samples: Vec<_> = (0..4).map(|n| sample("queue_size", &[&format!("q{n}")], 1.0)).collect();
        samples.push(sample("age", &["late"], 1.0));
        rig.read(BEGIN + slot, samples);
    }
    rig.flush();
    assert_eq!(rig.store.counts().rows_over_labels_max, 4);
    assert_eq!(rig.fetch(&query("{job=\"mx\",queue!=\"\"}", BEGIN, BEGIN + 120), true).len(), 3);
}

#[test]
fn samples_that_nothing_was_declared_for_are_counted() {
    let mut rig = Rig::new();
    rig.read(BEGIN, vec![]);
    assert_eq!(rig.store.counts().readings_unshaped, 1);
    rig.give(shape(60, &[gauge("queue_size", &["queue"])]));
    rig.read(BEGIN + 60, vec![sample("queue_size", &[], 1.0), sample("other", &[], 1.0)]);
    assert_eq!(rig.store.counts().samples_unplaced, 2);
}

#[test]
fn a_manual_run_enters_only_if_its_slot_is_free() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    for (slot, value) in [(60, 1.0), (60, 9.0), (120, 2.0)] {
        let mut manual = reading(BEGIN + slot, vec![sample("connect_time", &[], value)]);
        manual.cause = Cause::Manual;
        rig.give(Record::Reading(manual));
    }
    assert_eq!(rig.store.counts().rows_manual, 1);
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 120, true), [(BEGIN + 60, Some(1.0)), (BEGIN + 120, Some(2.0))]);
}

#[test]
fn failed_runs_keep_what_they_recorded_and_unknown_is_never_zero() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    let mut give = |slot: i64, kind: Option<ErrorKind>, samples, duration_ns| {
        let mut reading = reading(BEGIN + slot, samples);
        let status = kind.map_or(Status::Ok, |kind| Status::Failed { kind, message: "m".into() });
        reading.outcome = Outcome { status, duration_ns, ..reading.outcome };
        rig.give(Record::Reading(reading));
    };
    give(60, Some(ErrorKind::AUTH), vec![sample("connect_time", &[], 0.5)], 1_000_000_000);
    give(120, Some(ErrorKind::CRASH), vec![], 2_000_000_000);
    give(180, Some(ErrorKind::SKIPPED), vec![], 0);
    give(240, None, vec![sample("connect_time", &[], 0.25)], 3_000_000_000);
    for with_journal in [false, true] {
        let values = |rig: &mut Rig, metric| rig.rows(metric, BEGIN, BEGIN + 240, with_journal).iter().map(|row| row.1).collect::<Vec<_>>();
        assert_eq!(values(&mut rig, "up"), [Some(0.0), None, None, Some(1.0)]);
        assert_eq!(values(&mut rig, "run_duration"), [Some(1.0), Some(2.0), None, Some(3.0)]);
        assert_eq!(values(&mut rig, "connect_time"), [Some(0.5), None, None, Some(0.25)]);
    }
}

#[test]
fn an_answer_has_a_bound_and_ends_with_now() {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[])]));
    give(&mut rig, 1);
    let ask = |step, from, to| Query { step, ..query("connect_time", from, to) };
    let far = rig.store.fetch(&ask(Some(60), BEGIN, BEGIN + 1_000_000_000), BEGIN + 60, []).unwrap();
    assert_eq!(far[0].rows.last().map(|(time, _)| *time), Some(BEGIN + 120));
    let error = rig.store.fetch(&ask(None, BEGIN - 70_000_000, BEGIN), BEGIN, []);
    assert!(matches!(&error, Ok(series) if series[0].step == 3_600), "coarser archives answer for long ranges");
    rig.store.fetch(&ask(None, BEGIN, BEGIN), BEGIN, []).unwrap_err();
    let error = rig.store.fetch(&ask(Some(1), 0, BEGIN), BEGIN, []).map(|series| series[0].rows.len());
    assert!(matches!(error, Err(SeriesError::TooManyRows { .. })) || error.is_ok_and(|rows| rows < 1_000_000));
}

#[test]
fn a_young_series_is_told_from_its_finest_rows_however_far_back_is_asked() {
    let mut rig = Rig::new();
    rig.give(shape(1, &[gauge("connect_time", &[])]));
    (1..=30).for_each(|n| rig.read(BEGIN + n, vec![sample("connect_time", &[], n as f64)]));
    rig.flush();
    // Six hours of seconds are kept; nothing of five minutes is whole yet.
    for back in [3_600, 86_400] {
        let all = rig.fetch(&query("connect_time", BEGIN + 30 - back, BEGIN + 30), false);
        let known: Vec<f64> = all[0].rows.iter().filter_map(|row| row.1).collect();
        assert_eq!((all[0].step, known), (1, (1..=30).map(f64::from).collect()), "{back} s back");
    }
    assert_eq!(rig.fetch(&query("connect_time", BEGIN - 86_400_000, BEGIN + 30), false)[0].step, 3_600);
}

#[test]
fn an_answer_is_made_while_the_store_takes_readings() {
    let (mut rig, lock) = locking(100);
    lock.store(false, Ordering::Relaxed);
    (1..=5).for_each(|n| give(&mut rig, n));
    let pairs = [("series", "connect_time"), ("from", &BEGIN.to_string()), ("to", &(BEGIN + 300).to_string()), ("format", "csv")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let request = FetchRequest::from_pairs(&pairs).unwrap();
    let store = Mutex::new(rig.store);
    let (journal, asked) = (rig.journal.clone(), AtomicBool::new(false));
    let fetched = request.answer(
        &store,
        BEGIN + 300,
        |taken| {
            assert!(taken.jobs().contains("mx") && taken.position() == Some(6));
            asked.store(store.try_lock().is_ok(), Ordering::Relaxed);
            Box::new(journal.clone().into_iter())
        },
        |_, _| Ok(Vec::new()),
    );
    assert!(asked.load(Ordering::Relaxed), "the store is lent while files and journal are read");
    assert_eq!(String::from_utf8(fetched.unwrap().body).unwrap().lines().count(), 6);
    // A reading that comes meanwhile waits for nobody.
    let taken = store.lock().unwrap().ask(query("connect_time", BEGIN, BEGIN + 300), BEGIN + 300).unwrap();
    assert!(store.lock().unwrap().has_still(&taken));
    let other = shape(30, &[gauge("connect_time", &[])]);
    let mut held = store.lock().unwrap();
    for (position, record) in [(7, other), (8, Record::Reading(reading(BEGIN + 330, vec![sample("connect_time", &[], 1.0)])))] {
        assert_eq!(held.apply(position, &record).unwrap(), Applied::Taken);
    }
    assert!(!held.has_still(&taken), "its file was set aside");
}

#[test]
fn a_folder_that_librrd_would_take_for_a_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a%n");
    std::fs::create_dir(&data).unwrap();
    assert!(matches!(SeriesStore::open(&data, Options::default()), Err(SeriesError::Path { .. })));
}
