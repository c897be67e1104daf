//! Somebody runs rrdtool on a file in a loop while it is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::rig::{Rig, gauge, sample, shape};
use super::rrdtool;

const BEGIN: i64 = 1_774_742_400;
const ROWS: i64 = 2_000;

#[test]
fn a_reader_in_a_loop_costs_no_row() {
    let mut rig = Rig::new();
    rig.give(shape(1, &[gauge("connect_time", &[])]));
    rig.read(BEGIN, vec![sample("connect_time", &[], 0.0)]);
    rig.flush();
    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..2).map(|_| reader(rig.file("_.rrd"), Arc::clone(&stop), Arc::clone(&reads))).collect();
    let began = Instant::now();
    let mut slot = BEGIN;
    // As many rows as asked, and until readers were really at it.
    while slot < BEGIN + ROWS || reads.load(Ordering::Relaxed) < 40 && began.elapsed() < Duration::from_secs(60) {
        slot += 1;
        rig.read(slot, vec![sample("connect_time", &[], (slot - BEGIN) as f64)]);
        rig.store.flush();
    }
    stop.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    rig.flush();
    let (locked, read) = (rig.store.counts().writes_locked, reads.load(Ordering::Relaxed));
    println!("{} rows, {read} reads beside, {locked} writes found the file locked", slot - BEGIN);
    assert!(read >= 40, "the readers never came to read");
    let (_, rows) = rrdtool::fetch(&rig.file("_.rrd"), "AVERAGE", BEGIN, slot - 1, 1).unwrap();
    for time in BEGIN + 1..=slot {
        let value = rows.get(&time).and_then(|row| row[2]);
        assert!(rrdtool::alike(value, Some((time - BEGIN) as f64)), "{time}: {value:?}");
    }
}

fn reader(file: std::path::PathBuf, stop: Arc<AtomicBool>, reads: Arc<AtomicU64>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            if rrdtool::fetch(&file, "AVERAGE", BEGIN, BEGIN + ROWS, 1).is_ok() {
                reads.fetch_add(1, Ordering::Relaxed);
            }
        }
    })
}
