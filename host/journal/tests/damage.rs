//! What the journal promises when its files are cut, damaged or missing.

#![expect(clippy::expect_used, reason = "helpers of tests are tests")]

use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use watchpost_journal::{Journal, Options, Position, ReadError, Reader, Recovery, parse_segment};

/// Long enough for any disk that works at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A segment of this length holds nothing, and makes room for a fresh one of its name.
const HEADER_BYTES: usize = 36;

type Record = (Position, Vec<u8>);

fn options() -> Options {
    Options { group_delay: Duration::ZERO, segment_bytes_max: 300, ..Options::default() }
}

fn fill(dir: &Path, payloads: &[Vec<u8>]) -> Vec<Record> {
    let (journal, _) = Journal::open(dir, options()).expect("opened");
    let tickets: Vec<_> = payloads.iter().map(|payload| journal.append(payload).expect("room")).collect();
    let positions = tickets.iter().map(|ticket| ticket.wait(PATIENCE).expect("durable"));
    positions.zip(payloads.iter().cloned()).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|suffix| suffix == "segment")).collect();
    paths.sort();
    paths
}

/// All records, and how many were told as lost.
fn read(reader: &mut Reader) -> (Vec<Record>, u64) {
    let (mut records, mut lost) = (Vec::new(), 0);
    loop {
        match reader.next() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, lost),
            Err(ReadError::Lost { from, to }) => lost += u64::from(to) - u64::from(from),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn lost(recovery: &Recovery) -> u64 {
    recovery.lost.iter().map(|loss| u64::from(loss.to) - u64::from(loss.from)).sum()
}

/// Opens, appends, opens again: what is left stays, what is new has a position of its own, no reader disagrees.
fn check(dir: &Path, expected: &[Record], highest: Option<Position>) -> Recovery {
    let offline = read(&mut Reader::offline(dir, Position::START).expect("readable")).0;
    assert_eq!(offline, expected, "offline, before the opening");
    let (journal, recovery) = Journal::open(dir, options()).expect("opened");
    assert_eq!(recovery.records, expected.len() as u64);
    let (records, told) = read(&mut journal.reader(Position::START));
    assert_eq!(records, expected);
    assert_eq!(told, lost(&recovery), "the reader tells what recovery told");
    let new = journal.append(b"new").expect("room").wait(PATIENCE).expect("durable");
    assert!(Some(new) > highest, "{new} was given before");
    drop(journal);
    let (journal, again) = Journal::open(dir, options()).expect("opened");
    let expected: Vec<_> = expected.iter().cloned().chain([(new, b"new".to_vec())]).collect();
    assert_eq!(read(&mut journal.reader(Position::START)).0, expected);
    assert_eq!(read(&mut Reader::offline(dir, Position::START).expect("readable")).0, expected);
    assert!(again.torn_tail.is_none(), "a tail is told once");
    recovery
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..12)
}

/// The last segment that holds records, and those before it.
fn newest(dir: &Path, records: &[Record]) -> (PathBuf, Vec<u8>, usize) {
    let path = segments(dir).pop().expect("a segment");
    let bytes = fs::read(&path).expect("readable");
    let inside = parse_segment(&bytes).records.len();
    (path, bytes, records.len() - inside)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_cut_of_the_newest_segment_keeps_exactly_the_records_before_it(payloads in payloads(), share in 0.0..=1.0f64) {
        let dir = tempfile::tempdir().expect("a folder");
        let records = fill(dir.path(), &payloads);
        let (path, bytes, before) = newest(dir.path(), &records);
        let cut = (share * bytes.len() as f64) as usize;
        let whole = parse_segment(&bytes).records.iter().filter(|record| record.bytes.end <= cut).count();
        fs::write(&path, &bytes[..cut]).expect("written");
        let kept = &records[..before + whole];
        let recovery = check(dir.path(), kept, kept.last().map(|(position, _)| *position));
        if let Some(tail) = recovery.torn_tail {
            let copy = fs::read(tail.copy.expect("copied")).expect("readable");
            prop_assert_eq!(&copy[..], &bytes[tail.bytes.start as usize..cut]);
        }
        if !matches!(cut, 0 | HEADER_BYTES) {
            prop_assert_eq!(fs::read(&path).expect("readable"), &bytes[..cut], "the file is left alone, unless nothing was in it");
        }
    }

    #[test]
    fn a_flipped_byte_costs_at_most_its_record_and_no_position_is_given_twice(
        payloads in payloads(), share in 0.0..1.0f64, flip in 1..=255u8,
    ) {
        let dir = tempfile::tempdir().expect("a folder");
        let records = fill(dir.path(), &payloads);
        let files = segments(dir.path());
        let total: u64 = files.iter().map(|path| fs::metadata(path).expect("a file").len()).sum();
        let mut at = (share * total as f64) as usize;
        let mut kept = records.clone();
        for path in files {
            let mut bytes = fs::read(&path).expect("readable");
            if at >= bytes.len() {
                at -= bytes.len();
                continue;
            }
            let hit = parse_segment(&bytes).records.into_iter().find(|record| record.bytes.contains(&at));
            kept.retain(|(position, _)| hit.as_ref().is_none_or(|hit| hit.position != *position));
            bytes[at] ^= flip;
            fs::write(&path, bytes).expect("written");
            break;
        }
        let recovery = check(dir.path(), &kept, records.last().map(|(position, _)| *position));
        prop_assert!(recovery.torn_tail.is_some() || recovery.damaged.len() == 1, "{:?}", recovery);
    }

    #[test]
    fn any_damage_to_any_byte_of_the_format_file_is_mended(at in 0..45usize, flip in 1..=255u8) {
        let dir = tempfile::tempdir().expect("a folder");
        let records = fill(dir.path(), &[b"one".to_vec(), b"two".to_vec()]);
        let path = dir.path().join("format");
        let mut bytes = fs::read(&path).expect("readable");
        let at = at % bytes.len();
        bytes[at] ^= flip;
        fs::write(&path, bytes).expect("written");
        prop_assert!(check(dir.path(), &records, Some(records[1].0)).format_rebuilt);
    }
}

#[test]
fn a_missing_segment_is_told_with_its_positions_and_nothing_behind_it_is_touched() {
    let dir = tempfile::tempdir().expect("a folder");
    let payloads: Vec<_> = (0..12).map(|n| vec![n; 100]).collect();
    let records = fill(dir.path(), &payloads);
    let files = segments(dir.path());
    assert_eq!(files.len(), 6, "two records each");
    fs::remove_file(&files[2]).expect("removed");
    let kept: Vec<_> = records.iter().filter(|(_, payload)| !matches!(payload[0], 4 | 5)).cloned().collect();
    let recovery = check(dir.path(), &kept, Some(records[11].0));
    assert_eq!(recovery.lost.len(), 1);
    assert_eq!((recovery.lost[0].from, recovery.lost[0].to), (records[4].0, records[6].0));
}

#[test]
fn a_destroyed_sector_costs_the_records_in_it_and_is_copied_before_anything_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let payloads: Vec<_> = (0..40).map(|n| vec![n; 100]).collect();
    let options = Options { group_delay: Duration::ZERO, ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), options).expect("opened");
    let tickets: Vec<_> = payloads.iter().map(|payload| journal.append(payload).expect("room")).collect();
    tickets.iter().for_each(|ticket| _ = ticket.wait(PATIENCE).expect("durable"));
    drop(journal);
    let path = segments(dir.path()).pop().expect("a segment");
    let mut bytes = fs::read(&path).expect("readable");
    bytes[..1024].fill(0xa5); // the header and the first eight records
    fs::write(&path, &bytes).expect("written");
    let (journal, recovery) = Journal::open(dir.path(), options).expect("opened");
    let (records, told) = read(&mut journal.reader(Position::START));
    let numbers: Vec<_> = records.iter().map(|(position, _)| u64::from(*position)).collect();
    assert_eq!(numbers, (8..40).collect::<Vec<_>>());
    assert_eq!((told, lost(&recovery), recovery.damaged.len()), (8, 8, 1));
    let copy = recovery.damaged[0].copy.as_ref().expect("copied");
    assert_eq!(fs::read(copy).expect("readable"), &bytes[..36 + 8 * 124]);
}

#[test]
fn a_damaged_consumer_position_is_told_and_stops_nobody_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let records = fill(dir.path(), &[b"one".to_vec()]);
    fs::create_dir(dir.path().join("consumers")).expect("made");
    fs::write(dir.path().join("consumers/series"), "nonsense").expect("written");
    let recovery = check(dir.path(), &records, Some(records[0].0));
    assert_eq!(recovery.consumers.len(), 1);
}

#[test]
fn an_unreadable_segment_is_told_and_stops_neither_the_opening_nor_what_follows() {
    let dir = tempfile::tempdir().expect("a folder");
    let payloads: Vec<_> = (0..6).map(|n| vec![n; 100]).collect();
    let records = fill(dir.path(), &payloads);
    let files = segments(dir.path());
    fs::remove_file(&files[1]).expect("removed");
    fs::create_dir(&files[1]).expect("made"); // opens, and cannot be read
    let (journal, recovery) = Journal::open(dir.path(), options()).expect("opened");
    assert_eq!((recovery.unreadable.len(), recovery.lost.len(), recovery.records), (1, 0, 4));
    let mut reader = journal.reader(records[1].0);
    assert_eq!(reader.next().expect("readable").as_ref(), Some(&records[1]));
    for _ in 0..2 {
        assert!(matches!(reader.next(), Err(ReadError::Read { .. })), "never skipped by itself: it may be readable later");
    }
    assert_eq!(read(&mut journal.reader(records[4].0)).0, records[4..]);
}

#[test]
fn an_offline_reader_waits_for_a_write_that_is_under_way() {
    let dir = tempfile::tempdir().expect("a folder");
    let records = fill(dir.path(), &[vec![1; 50], vec![2; 50]]);
    let path = segments(dir.path()).pop().expect("a segment");
    let whole = fs::read(&path).expect("readable");
    let half = whole.len() - 60;
    for unfinished in [whole[..half].to_vec(), [&whole[..half], &[0; 60]].concat()] {
        fs::write(&path, &unfinished).expect("written");
        let mut reader = Reader::offline(dir.path(), Position::START).expect("readable");
        assert_eq!(read(&mut reader), (records[..1].to_vec(), 0));
        fs::write(&path, &whole).expect("written");
        assert_eq!(read(&mut reader), (records[1..].to_vec(), 0));
    }
}
