//! A process that ends at any moment, and one that comes after it.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::rig::{Rig, Rows, counter, gauge, sample, shape};
use crate::series::header::Header;
use crate::series::librrd::Librrd;
use crate::series::row::Row;
use crate::series::shape::FileShape;
use crate::series::store::{Applied, Options, SeriesStore};
use crate::series::writer::{Fetched, SeriesWriter, Wanted, WriteError};

const BEGIN: i64 = 1_774_742_400;
const SELECTORS: [&str; 3] = ["connect_time", "messages_sent", "queue_size"];

/// Writes the first rows of a batch, then dies.
struct Dying {
    inner: Librrd,
    rows_left: AtomicUsize,
}

impl SeriesWriter for Dying {
    fn create(&self, path: &Path, shape: &FileShape, start: i64) -> Result<(), WriteError> {
        self.inner.create(path, shape, start)
    }

    fn append(&self, path: &Path, rows: &[Row]) -> Result<(), WriteError> {
        let count = rows.len().min(self.rows_left.load(Ordering::Relaxed));
        self.rows_left.fetch_sub(count, Ordering::Relaxed);
        self.inner.append(path, &rows[..count])?;
        if count < rows.len() { Err(WriteError::Locked { path: path.into() }) } else { Ok(()) }
    }

    fn fetch(&self, path: &Path, wanted: &Wanted) -> Result<Fetched, WriteError> {
        self.inner.fetch(path, wanted)
    }

    fn info(&self, path: &Path) -> Result<Option<Header>, WriteError> {
        self.inner.info(path)
    }
}

/// A journal with gaps and resets, and what a process gives that nobody interrupts.
fn clean() -> (Rig, Vec<Rows>) {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[]), counter("messages_sent", &[]), gauge("queue_size", &["queue"])]));
    for n in (1..60_i64).filter(|n| n % 7 > 1) {
        let total = f64::from(u32::try_from(n % 23 * 10).unwrap());
        let samples =
            vec![sample("connect_time", &[], n as f64), sample("messages_sent", &[], total), sample("queue_size", &["deferred"], n as f64)];
        rig.read(BEGIN + n * 60, samples);
    }
    rig.flush();
    let expected = SELECTORS.map(|selector| rig.rows(selector, BEGIN, BEGIN + 3_600, false)).to_vec();
    (rig, expected)
}

#[test]
fn after_any_crash_replay_gives_what_a_clean_run_gives() {
    let (clean, expected) = clean();
    for rows_left in (0..110).step_by(3) {
        let mut rig = Rig::new();
        rig.journal.clone_from(&clean.journal);
        let writer = Box::new(Dying { inner: Librrd::new(), rows_left: rows_left.into() });
        rig.store = SeriesStore::open_with(rig.folder.path(), Options::default(), writer).unwrap();
        for (n, (position, record)) in clean.journal.iter().enumerate() {
            assert_eq!(rig.store.apply(*position, record).unwrap(), Applied::Taken);
            if n % 4 == 0 {
                rig.store.flush();
            }
            if n % 11 == 10 {
                rig.store.checkpoint(Instant::now(), |_| Ok(())).unwrap();
            }
        }
        rig.crash();
        rig.flush();
        assert!(rig.files() == clean.files(), "killed after {rows_left} rows");
        for with_journal in [false, true] {
            let rows: Vec<_> = SELECTORS.iter().map(|selector| rig.rows(selector, BEGIN, BEGIN + 3_600, with_journal)).collect();
            for (rows, expected) in rows.iter().zip(&expected) {
                for (row, expected) in rows.iter().zip(expected) {
                    let alike = super::rrdtool::alike(row.1, expected.1);
                    assert!(alike, "killed after {rows_left} rows, journal {with_journal}: {row:?}, expected {expected:?}");
                }
            }
        }
    }
}

#[test]
fn over_the_journals_span_a_torn_file_is_not_believed() {
    let (mut rig, expected) = clean();
    let header = crate::series::header::read(&rig.file("_.rrd")).unwrap().unwrap();
    let begin = crate::series::header::bytes(header.shape.sources.len() as u64, header.shape.archives.len() as u64);
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(rig.file("_.rrd")).unwrap();
    file.seek(SeekFrom::Start(begin)).unwrap();
    let mut rows = Vec::new();
    file.read_to_end(&mut rows).unwrap();
    file.seek(SeekFrom::Start(begin)).unwrap();
    file.write_all(&42.0_f64.to_ne_bytes().repeat(rows.len() / 8)).unwrap();
    drop(file);
    for (selector, expected) in SELECTORS.iter().zip(&expected) {
        assert_eq!(rig.rows(selector, BEGIN, BEGIN + 3_600, true)[2..].len(), expected[2..].len());
        for (row, expected) in rig.rows(selector, BEGIN, BEGIN + 3_600, true).iter().zip(expected).skip(2) {
            assert!(super::rrdtool::alike(row.1, expected.1), "{selector}: {row:?}, expected {expected:?}");
        }
    }
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 3_600, false)[5].1, Some(42.0), "the file was not torn");
}

#[test]
fn what_a_checkpoint_has_is_not_taken_again() {
    let (mut rig, _) = clean();
    rig.restart();
    let recovered = rig.crash();
    assert_eq!((recovered.heads, recovered.heads_unfit, rig.store.rows_held(), rig.store.counts().rows_past), (2, 0, 0, 0));
}

#[test]
fn a_head_that_is_torn_is_put_right_and_without_its_rows_the_file_is_as_it_was() {
    let (mut rig, _) = clean();
    rig.restart();
    let before = rig.files();
    rig.read(BEGIN + 3_600, vec![sample("connect_time", &[], 1.0), sample("messages_sent", &[], 7.0)]);
    rig.flush();
    let whole = rig.files();
    // What a process leaves that ends between two steps of librrd: the new row, and the old instant of the last one.
    let live = 128 + 4 * 120 + 5 * 120;
    let mut torn = whole["_.rrd"].clone();
    torn[live..live + 16].copy_from_slice(&before["_.rrd"][live..live + 16]);
    std::fs::write(rig.file("_.rrd"), &torn).unwrap();
    assert_eq!(rig.crash().heads, 2);
    rig.flush();
    assert!(rig.files() == whole);

    std::fs::write(rig.file("_.rrd"), &torn).unwrap();
    rig.store = SeriesStore::open(rig.folder.path(), Options::default()).unwrap();
    let unhealed = rig.store.recover(false).unwrap();
    let record = rig.journal.last().unwrap().clone();
    assert_eq!((unhealed.heads, rig.store.apply(record.0, &record.1).unwrap()), (0, Applied::Taken));
    rig.flush();
    assert!(rig.files() != whole, "a torn file is not put right by its rows alone");
}

#[test]
fn files_made_after_a_checkpoint_are_kept_aside_where_the_journal_has_holes() {
    let (mut rig, _) = clean();
    let made = rig.files();
    rig.store = SeriesStore::open(rig.folder.path(), Options::default()).unwrap();
    assert_eq!(rig.store.recover(false).unwrap().files_removed, 2);
    assert!(rig.files().is_empty());
    let kept = std::fs::read(rig.folder.path().join("quarantine/series/mx/_.1.rrd")).unwrap();
    assert!(kept == made["_.rrd"]);
}

#[test]
fn a_checkpoint_file_that_is_lost_is_told_and_the_rest_goes_on() {
    let (mut rig, _) = clean();
    rig.restart();
    std::fs::remove_file(rig.folder.path().join("series.checkpoint")).unwrap();
    assert!(rig.crash().checkpoint_lost);
    rig.read(BEGIN + 3_600, vec![sample("connect_time", &[], 1.0)]);
    rig.flush();
}

#[test]
fn what_the_journal_has_dropped_comes_from_files() {
    let (mut rig, expected) = clean();
    let whole = std::mem::take(&mut rig.journal);
    for kept in 0..whole.len() {
        rig.journal = whole[whole.len() - kept..].to_vec();
        for (selector, expected) in SELECTORS.iter().zip(&expected) {
            for (row, expected) in rig.rows(selector, BEGIN, BEGIN + 3_600, true).iter().zip(expected) {
                let alike = super::rrdtool::alike(row.1, expected.1);
                assert!(alike, "{selector} with {kept} records: {row:?}, expected {expected:?}");
            }
        }
    }
}
