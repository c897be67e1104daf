//! A disk that refuses on demand, and the promises that must hold when it does.

use crate::medium::{Disk, Medium};
use crate::{AppendError, Journal, Options, Position, State, WaitError, WriteError};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Long enough for any disk that works at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the disk answers: 0 works, else the error number.
#[derive(Default)]
struct Refusals {
    create: AtomicI32,
    write: AtomicI32,
    sync: AtomicI32,
}

#[derive(Clone, Default)]
struct Refusing(Arc<Refusals>);

fn answer(refusal: &AtomicI32) -> io::Result<()> {
    match refusal.load(Ordering::SeqCst) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

impl Medium for Refusing {
    fn create(&self, path: &Path, header: &[u8]) -> io::Result<File> {
        answer(&self.0.create)?;
        Disk.create(path, header)
    }

    /// Writes half before it refuses, as a full disk does.
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let refused = answer(&self.0.write);
        let length = if refused.is_ok() { bytes.len() } else { bytes.len() / 2 };
        Disk.write(file, &bytes[..length])?;
        refused
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        answer(&self.0.sync)?;
        Disk.sync(file)
    }
}

/// A disk whose syncs wait to be let through.
struct Gated {
    entered: Sender<()>,
    let_through: Mutex<Receiver<()>>,
}

impl Medium for Gated {
    fn create(&self, path: &Path, header: &[u8]) -> io::Result<File> {
        Disk.create(path, header)
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        Disk.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.entered.send(()).expect("a test that listens");
        let let_through = self.let_through.lock().expect("one writer");
        let_through.recv_timeout(PATIENCE).map_err(io::Error::other)?;
        Disk.sync(file)
    }
}

fn quick() -> Options {
    Options { group_delay: Duration::ZERO, ..Options::default() }
}

fn payloads(journal: &Journal) -> Vec<Vec<u8>> {
    let mut reader = journal.reader(journal.first());
    std::iter::from_fn(|| reader.next().expect("readable")).map(|(_, payload)| payload).collect()
}

fn wait_until_running(journal: &Journal) {
    let deadline = Instant::now() + PATIENCE;
    while !matches!(journal.state(), State::Running) {
        assert!(Instant::now() < deadline, "never resumed: {:?}", journal.state());
        journal.wait_beyond(Position::from(u64::MAX), Duration::from_millis(10));
    }
}

/// Refuses one kind of call while a record is appended, then works again.
fn check(refuse: impl Fn(&Refusals) -> &AtomicI32, number: i32, expected: fn(&WriteError) -> bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Refusing::default();
    let (journal, _) = Journal::open_on(dir.path(), quick(), Box::new(disk.clone())).expect("opened");
    let kept = journal.append(b"kept").expect("room").wait(PATIENCE).expect("durable");

    disk.0.create.store(number, Ordering::SeqCst); // so that it cannot resume at once
    refuse(&disk.0).store(number, Ordering::SeqCst);
    let refused = journal.append(b"refused").expect("room").wait(PATIENCE);
    assert!(matches!(&refused, Err(WaitError::Write(error)) if expected(error)), "{refused:?}");
    assert!(matches!(journal.state(), State::Stopped { .. }), "{:?}", journal.state());
    assert_eq!(journal.append(&[]).map(|_| ()), Err(AppendError::Stopped));
    assert_eq!(journal.counters().append_errors, 1);
    assert_eq!(journal.counters().write_errors, 1);
    assert_eq!(payloads(&journal), [b"kept"], "reading goes on, without what was refused");

    disk.0.create.store(0, Ordering::SeqCst);
    refuse(&disk.0).store(0, Ordering::SeqCst);
    wait_until_running(&journal);
    let after = journal.append(b"after").expect("room").wait(PATIENCE).expect("durable");
    assert!(after > kept.next(), "the refused position is never given again");
    assert_eq!(payloads(&journal), [&b"kept"[..], b"after"]);
    drop(journal);

    let (journal, recovery) = Journal::open(dir.path(), quick()).expect("opened");
    assert_eq!(payloads(&journal), [&b"kept"[..], b"after"], "nor does a restart find it");
    assert_eq!(recovery.records, 2);
    assert!(recovery.lost.is_empty() && recovery.damaged.is_empty() && recovery.torn_tail.is_none(), "{recovery:?}");
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_gives_the_file_up() {
    check(|disk| &disk.sync, libc::EIO, |error| matches!(error, WriteError::Sync { .. }));
}

#[test]
fn a_full_disk_acknowledges_nothing_and_is_written_again_when_there_is_room() {
    check(|disk| &disk.write, libc::ENOSPC, |error| matches!(error, WriteError::Append { .. }));
}

#[test]
fn a_segment_that_cannot_be_begun_fails_the_records_that_needed_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Refusing::default();
    let options = Options { segment_bytes_max: 100, ..quick() };
    let (journal, _) = Journal::open_on(dir.path(), options, Box::new(disk.clone())).expect("opened");
    journal.append(&[1; 50]).expect("room").wait(PATIENCE).expect("durable");
    disk.0.create.store(libc::ENOSPC, Ordering::SeqCst);
    let refused = journal.append(&[2; 50]).expect("room").wait(PATIENCE);
    assert!(matches!(refused, Err(WaitError::Write(WriteError::Begin { .. }))), "{refused:?}");
    disk.0.create.store(0, Ordering::SeqCst);
    wait_until_running(&journal);
    journal.append(&[3; 50]).expect("room").wait(PATIENCE).expect("durable");
    assert_eq!(payloads(&journal), [vec![1; 50], vec![3; 50]]);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_read_and_written_when_there_is_room() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), quick()).expect("opened");
    journal.append(b"before").expect("room").wait(PATIENCE).expect("durable");
    drop(journal);
    let disk = Refusing::default();
    disk.0.create.store(libc::ENOSPC, Ordering::SeqCst);
    let (journal, _) = Journal::open_on(dir.path(), quick(), Box::new(disk.clone())).expect("opened");
    assert_eq!(journal.append(&[]).map(|_| ()), Err(AppendError::Stopped));
    assert_eq!(payloads(&journal), [b"before"]);
    disk.0.create.store(0, Ordering::SeqCst);
    wait_until_running(&journal);
    journal.append(b"after").expect("room").wait(PATIENCE).expect("durable");
    assert_eq!(payloads(&journal), [&b"before"[..], b"after"]);
}

#[test]
fn every_record_that_waits_gets_the_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Refusing::default();
    let options = Options { group_delay: Duration::from_millis(200), ..Options::default() };
    let (journal, _) = Journal::open_on(dir.path(), options, Box::new(disk.clone())).expect("opened");
    disk.0.sync.store(libc::EIO, Ordering::SeqCst);
    disk.0.create.store(libc::EIO, Ordering::SeqCst);
    let tickets: Vec<_> = (0..20).map(|n| journal.append(&[n]).expect("room")).collect();
    for ticket in tickets {
        assert!(matches!(ticket.wait(PATIENCE), Err(WaitError::Write(_))));
    }
    assert_eq!(journal.durable_end(), Position::START);
    assert_eq!((journal.counters().queue_records, journal.counters().queue_bytes), (0, 0));
}

#[test]
fn a_reader_never_sees_a_record_before_it_is_synced() {
    let dir = tempfile::tempdir().expect("a folder");
    let (entered, is_syncing) = channel();
    let (let_through, gate) = channel();
    let disk = Gated { entered, let_through: Mutex::new(gate) };
    let (journal, _) = Journal::open_on(dir.path(), quick(), Box::new(disk)).expect("opened");
    let mut reader = journal.reader(Position::START);
    for n in 0..20 {
        let ticket = journal.append(&[n]).expect("room");
        is_syncing.recv_timeout(PATIENCE).expect("a sync");
        assert!(reader.next().expect("readable").is_none(), "{n} is written, not synced");
        assert!(matches!(ticket.wait(Duration::ZERO), Err(WaitError::TimedOut)));
        let_through.send(()).expect("a writer");
        let position = ticket.wait(PATIENCE).expect("durable");
        assert_eq!(reader.next().expect("readable"), Some((position, vec![n])));
    }
}

#[test]
fn what_waits_behind_a_failed_group_fails_with_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (entered, is_syncing) = channel();
    let (let_through, gate) = channel();
    let disk = Gated { entered, let_through: Mutex::new(gate) };
    let (journal, _) = Journal::open_on(dir.path(), quick(), Box::new(disk)).expect("opened");
    let first = journal.append(&[0]).expect("room");
    is_syncing.recv_timeout(PATIENCE).expect("a sync");
    let behind: Vec<_> = (1..6).map(|n| journal.append(&[n]).expect("room")).collect();
    drop(let_through); // nobody will let a sync through any more: it fails
    for ticket in [first].into_iter().chain(behind) {
        let answer = ticket.wait(PATIENCE);
        assert!(matches!(answer, Err(WaitError::Write(WriteError::Sync { .. }))), "{answer:?}");
    }
    assert_eq!(journal.counters().write_errors, 6);
}

#[test]
fn a_full_queue_refuses_at_once_and_counts() {
    let dir = tempfile::tempdir().expect("a folder");
    let (entered, is_syncing) = channel();
    let (let_through, gate) = channel();
    let disk = Gated { entered, let_through: Mutex::new(gate) };
    let options = Options { queue_max: 2, queue_bytes_max: 10, ..quick() };
    let (journal, _) = Journal::open_on(dir.path(), options, Box::new(disk)).expect("opened");
    let _first = journal.append(&[0; 6]).expect("room");
    is_syncing.recv_timeout(PATIENCE).expect("a sync");
    let by_bytes = journal.append(&[0; 5]).map(|_| ());
    assert_eq!(by_bytes, Err(AppendError::Full { records: 1, bytes: 6 }));
    let _second = journal.append(&[]).expect("room");
    let by_number = journal.append(&[]).map(|_| ());
    assert_eq!(by_number, Err(AppendError::Full { records: 2, bytes: 6 }));
    let too_large = journal.append(&[0; 11]).map(|_| ());
    assert_eq!(too_large, Err(AppendError::TooLarge { bytes: 11, bytes_max: 10 }));
    assert_eq!(journal.counters().append_errors, 3);
    assert_eq!(journal.counters().queue_records, 2);
    (0..2).for_each(|_| let_through.send(()).expect("a writer"));
}

#[test]
fn a_callback_that_panics_ends_nothing_but_itself() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), quick()).expect("opened");
    let _told = journal.subscribe(Box::new(|_| panic!("a subscriber")));
    journal.append_with(&[], Box::new(|_| panic!("a caller"))).expect("room");
    journal.append(&[]).expect("room").wait(PATIENCE).expect("durable");
    assert!(journal.counters().callback_panics >= 2);
}
