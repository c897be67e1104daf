//! What the journal promises while nothing is wrong.

#![expect(clippy::expect_used, reason = "helpers of tests are tests")]

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use watchpost_journal::{AppendError, ConsumerPosition, Journal, OpenError, Options, Position, ReadError, Reader, State};

/// Long enough for any disk that works at all.
const PATIENCE: Duration = Duration::from_secs(30);

fn quick() -> Options {
    Options { group_delay: Duration::ZERO, ..Options::default() }
}

fn small_segments() -> Options {
    Options { segment_bytes_max: 200, ..quick() }
}

fn append(journal: &Journal, payload: &[u8]) -> Position {
    journal.append(payload).expect("room").wait(PATIENCE).expect("durable")
}

fn rest(reader: &mut Reader) -> Vec<(Position, Vec<u8>)> {
    std::iter::from_fn(|| reader.next().expect("readable")).collect()
}

fn segments(dir: &std::path::Path) -> usize {
    let names = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    names.filter(|path| path.extension().is_some_and(|suffix| suffix == "segment")).count()
}

#[test]
fn records_come_back_in_order_after_a_restart_and_positions_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut expected = Vec::new();
    for life in 0..4u8 {
        let (journal, recovery) = Journal::open(dir.path(), quick()).expect("opened");
        assert_eq!(recovery.records, u64::from(life) * 5);
        assert!(recovery.torn_tail.is_none() && recovery.damaged.is_empty() && recovery.lost.is_empty());
        for n in 0..5 {
            expected.push((append(&journal, &[life, n]), vec![life, n]));
        }
        assert_eq!(rest(&mut journal.reader(journal.first())), expected);
        journal.close(PATIENCE).expect("closed");
        assert!(matches!(journal.state(), State::Closed));
        assert_eq!(journal.append(&[]).map(|_| ()), Err(AppendError::Closed));
    }
    assert!(expected.is_sorted_by_key(|(position, _)| *position));
    assert_eq!(u64::from(expected[19].0), 19, "a clean restart skips nothing");
}

#[test]
fn restarts_without_records_leave_no_heap_of_segments() {
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..10 {
        Journal::open(dir.path(), quick()).expect("opened");
    }
    assert_eq!(segments(dir.path()), 1);
}

#[test]
fn a_thread_finds_its_records_in_the_order_it_appended_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options { segment_bytes_max: 4096, ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), options).expect("opened");
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let journal = &journal;
            scope.spawn(move || {
                let tickets: Vec<_> = (0..200u8).map(|n| journal.append(&[thread, n]).expect("room")).collect();
                let positions: Vec<_> = tickets.iter().map(|ticket| ticket.wait(PATIENCE).expect("durable")).collect();
                assert!(positions.is_sorted_by(|a, b| a < b));
            });
        }
    });
    let records = rest(&mut journal.reader(Position::START));
    assert_eq!(records.len(), 1600);
    for thread in 0..8u8 {
        let own = records.iter().filter(|(_, payload)| payload[0] == thread).map(|(_, payload)| payload[1]);
        assert!(own.eq(0..200));
    }
    let counters = journal.counters();
    assert_eq!((counters.records, counters.queue_records), (1600, 0));
    assert!(counters.groups < 1600 && counters.syncs >= counters.groups, "{counters:?}");
}

#[test]
fn segments_rotate_and_are_dropped_whole_once_all_have_read_them() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), small_segments()).expect("opened");
    let positions: Vec<_> = (0..20).map(|n| append(&journal, &[n; 40])).collect();
    assert_eq!(segments(dir.path()), 10, "two records of 64 bytes fit behind a header of 36");
    assert_eq!(rest(&mut journal.reader(positions[7])).len(), 13);

    assert_eq!(journal.drop_before(positions[7]).expect("dropped"), 3, "the fourth holds record 7");
    assert_eq!(journal.first(), positions[6]);
    assert_eq!(rest(&mut journal.reader(journal.first())).len(), 14);

    let mut late = journal.reader(positions[2]);
    let told = late.next();
    assert!(matches!(told, Err(ReadError::Lost { from, to }) if (from, to) == (positions[2], positions[6])), "{told:?}");
    assert_eq!(late.next().expect("readable").map(|(position, _)| position), Some(positions[6]));

    assert_eq!(journal.drop_before(journal.durable_end()).expect("dropped"), 6);
    assert_eq!(segments(dir.path()), 1, "the live one stays");
    assert_eq!(append(&journal, b"on"), positions[19].next());
}

#[test]
fn a_reader_goes_on_in_a_segment_that_is_dropped_under_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), small_segments()).expect("opened");
    (0..6).for_each(|n| _ = append(&journal, &[n; 40]));
    let mut reader = journal.reader(Position::START);
    assert!(reader.next().expect("readable").is_some());
    journal.drop_before(journal.durable_end()).expect("dropped");
    assert_eq!(reader.next().expect("readable").map(|(position, _)| position), Some(Position::from(1)));
    assert!(matches!(reader.next(), Err(ReadError::Lost { .. })), "the next segments are gone");
    assert_eq!(rest(&mut reader).len(), 2);
}

#[test]
fn a_record_larger_than_a_segment_has_one_to_itself() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), small_segments()).expect("opened");
    let sizes = [10, 600_000, 10];
    sizes.iter().for_each(|&size| _ = append(&journal, &vec![7; size]));
    let read: Vec<_> = rest(&mut journal.reader(Position::START)).iter().map(|(_, payload)| payload.len()).collect();
    assert_eq!(read, sizes);
    assert_eq!(segments(dir.path()), 3);
}

#[test]
fn waiting_ends_when_more_is_durable_and_not_before() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), quick()).expect("opened");
    let end = journal.durable_end();
    assert_eq!(journal.wait_beyond(end, Duration::from_millis(20)), end);
    let horizon = journal.horizon();
    let waiting = std::thread::spawn(move || horizon.wait_beyond(end, PATIENCE));
    let position = append(&journal, b"more");
    assert_eq!(waiting.join().expect("waited"), position.next());
}

#[test]
fn subscribers_are_told_until_they_leave() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), quick()).expect("opened");
    let (sender, told) = channel();
    let subscription = journal.subscribe(Box::new(move |end| _ = sender.send(end)));
    let position = append(&journal, b"one");
    assert_eq!(told.recv_timeout(PATIENCE), Ok(position.next()));
    drop(subscription);
    append(&journal, b"two");
    assert!(told.try_recv().is_err());
}

#[test]
fn closing_writes_what_waits() {
    let dir = tempfile::tempdir().expect("a folder");
    let slow = Options { group_delay: PATIENCE, ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), slow).expect("opened");
    let tickets: Vec<_> = (0..10).map(|n| journal.append(&[n]).expect("room")).collect();
    drop(journal);
    assert!(tickets.iter().all(|ticket| ticket.wait(PATIENCE).is_ok()));
}

#[test]
fn an_offline_reader_follows_a_writer_across_segments() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(matches!(Reader::offline(dir.path(), Position::START), Err(OpenError::NoJournal { .. })));
    let (journal, _) = Journal::open(dir.path(), small_segments()).expect("opened");
    let mut offline = Reader::offline(dir.path(), Position::START).expect("readable");
    for n in 0..30u8 {
        assert!(offline.next().expect("readable").is_none());
        let position = append(&journal, &[n; 40]);
        assert_eq!(offline.next().expect("readable"), Some((position, vec![n; 40])));
    }
}

#[test]
fn an_offline_reader_beside_a_busy_writer_sees_every_record_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let options = Options { segment_bytes_max: 5000, ..quick() };
    let (journal, _) = Journal::open(dir.path(), options).expect("opened");
    let mut offline = Reader::offline(dir.path(), Position::START).expect("readable");
    let writer = std::thread::spawn(move || {
        let tickets: Vec<_> = (0..3000u32).map(|n| journal.append(&vec![n as u8; n as usize % 300]).expect("room")).collect();
        tickets.iter().for_each(|ticket| _ = ticket.wait(PATIENCE).expect("durable"));
    });
    let (mut read, deadline) = (0u32, std::time::Instant::now() + PATIENCE);
    while read < 3000 {
        assert!(std::time::Instant::now() < deadline, "{read} read");
        let Some((position, payload)) = offline.next().expect("readable") else { continue };
        assert_eq!((u64::from(position), payload), (u64::from(read), vec![read as u8; read as usize % 300]));
        read += 1;
    }
    writer.join().expect("written");
}

#[test]
fn a_second_writer_and_a_newer_format_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), quick()).expect("opened");
    assert!(matches!(Journal::open(dir.path(), quick()), Err(OpenError::InUse { .. })));
    drop(journal);
    let line = "watchpost-journal 2 some other words";
    std::fs::write(dir.path().join("format"), format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes()))).expect("written");
    for error in [Journal::open(dir.path(), quick()).map(|_| ()), Reader::offline(dir.path(), Position::START).map(|_| ())] {
        assert_eq!(error.expect_err("refused").to_string(), "journal has format version 2, known up to 1");
    }
}

/// Loses all segments, which only those who have seen their records can know.
fn check_seen(remember: impl Fn(&std::path::Path, Position) -> Options) {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = Journal::open(dir.path(), quick()).expect("opened");
    let last = (0..10).fold(Position::START, |_, n| append(&journal, &[n]));
    drop(journal);
    let options = remember(dir.path(), last.next());
    std::fs::remove_file(dir.path().join("0000000000000000.segment")).expect("removed");
    let (journal, recovery) = Journal::open(dir.path(), options).expect("opened");
    let lost: Vec<_> = recovery.lost.iter().map(|loss| (loss.from, loss.to)).collect();
    assert_eq!(lost, [(Position::START, last.next())]);
    assert_eq!(append(&journal, b"new"), last.next());
}

#[test]
fn a_position_a_consumer_has_stored_is_never_given_again_even_if_all_segments_vanish() {
    check_seen(|dir, end| {
        ConsumerPosition::new(dir, "series").expect("a name").store(end).expect("stored");
        quick()
    });
}

#[test]
fn a_position_kept_in_a_database_is_never_given_again_either() {
    check_seen(|_, end| Options { seen_end: end, ..quick() });
}

#[test]
fn the_journal_and_its_parts_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<Journal>>();
    shared::<watchpost_journal::Horizon>();
    fn sent<T: Send>() {}
    sent::<Reader>();
}
