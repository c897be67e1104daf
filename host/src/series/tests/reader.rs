//! Somebody runs rrdtool on a file in a loop while it is written.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::rig::{Rig, gauge, sample, shape};
use super::rrdtool;
use crate::series::keeping::Keeping;

const BEGIN: i64 = 1_774_742_400;
const ROWS: i64 = 1_000;
const READS: u64 = 1_000;
/// Writes that must have found the file locked, so that the test has seen what it is about.
const LOCKED: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// `rrdtool -` that fetches without a pause, as two threads feed and drain it.
struct Reader {
    process: Child,
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    threads: [JoinHandle<()>; 2],
}

impl Reader {
    fn start(file: &std::path::Path) -> Self {
        let mut command = Command::new("rrdtool");
        let process = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.expect("rrdtool is missing: install the package rrdtool");
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let line = format!("fetch {} AVERAGE -s {BEGIN} -e {}\n", file.display(), BEGIN + 20);
        let stopped = Arc::clone(&stop);
        let feed = std::thread::spawn(move || while !stopped.load(Ordering::Relaxed) && input.write_all(line.as_bytes()).is_ok() {});
        let counted = Arc::clone(&reads);
        let drain = std::thread::spawn(move || {
            let done = output.lines().map_while(Result::ok).filter(|line| line.starts_with("OK "));
            done.for_each(|_| {
                counted.fetch_add(1, Ordering::Relaxed);
            });
        });
        Self { process, stop, reads, threads: [feed, drain] }
    }

    fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.process.wait().unwrap();
    }
}

#[test]
fn a_reader_in_a_loop_costs_no_row() {
    let mut rig = Rig::new();
    rig.give(shape(1, &[gauge("connect_time", &[])]));
    rig.read(BEGIN, vec![sample("connect_time", &[], 0.0)]);
    rig.flush();
    let reader = Reader::start(&rig.file("_.rrd"));
    let began = Instant::now();
    let mut slot = BEGIN;
    let in_the_way = |rig: &Rig| reader.reads() >= READS && rig.store.counts().writes_locked >= LOCKED;
    while slot < BEGIN + ROWS || !in_the_way(&rig) && began.elapsed() < PATIENCE {
        slot += 1;
        rig.read(slot, vec![sample("connect_time", &[], (slot - BEGIN) as f64)]);
        rig.store.flush();
    }
    let (locked, reads) = (rig.store.counts().writes_locked, reader.reads());
    reader.stop();
    println!("{} rows, {reads} reads beside, {locked} writes found the file locked", slot - BEGIN);
    assert!(reads >= READS && locked >= LOCKED, "the reader was never in the way");
    rig.flush();
    let oldest = BEGIN.max(slot - i64::from(Keeping::default().archives(1)[0].rows) + 1);
    let (_, rows) = rrdtool::fetch(&rig.file("_.rrd"), "AVERAGE", oldest, slot - 1, 1).unwrap();
    for time in oldest + 1..=slot {
        let value = rows.get(&time).and_then(|row| row[2]);
        assert!(rrdtool::alike(value, Some((time - BEGIN) as f64)), "{time}: {value:?}");
    }
}
