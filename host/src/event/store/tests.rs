use watchpost_services::outcome::{Event as RunEvent, Outcome, Status};

use super::*;
use crate::reading::{Cause, HostEvent, Reading};

/// 2026-11-24 00:00 UTC.
const MIDNIGHT_NS: i64 = 1_795_478_400_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;
const EVER: Query = Query { from_ns: 0, to_ns: i64::MAX, job: None, severity: None, code: None, limit: 1000 };

fn reading(job: &str, time_ns: i64, events: &[(Severity, &str)], dropped: u32) -> Record {
    let events = events.iter().map(|(severity, code)| RunEvent { severity: *severity, code: (*code).into(), text: "T.".into() });
    let outcome = Outcome {
        status: Status::Ok,
        events: events.collect(),
        events_dropped: dropped,
        ..Outcome::failed(watchpost_plugin_api::ErrorKind::LOCAL, "", time_ns)
    };
    Record::Reading(Reading { job: job.into(), cause: Cause::Schedule, slot: 0, due_ns: time_ns, stale_ns: time_ns, outcome })
}

fn codes(data: &Path, query: &Query) -> Vec<String> {
    find(data, query).unwrap().events.into_iter().map(|event| event.code).collect()
}

/// A store with events of two days and two jobs, and one of the host.
fn filled() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let mut store = EventStore::open(data.path()).unwrap();
    let host = HostEvent { time_ns: MIDNIGHT_NS + 1, job: None, severity: Severity::Warning, code: "host".into(), text: "H.".into() };
    for (position, record) in [
        (7, reading("a", MIDNIGHT_NS - HOUR_NS, &[(Severity::Minor, "first"), (Severity::Critical, "second")], 0)),
        (8, reading("b", MIDNIGHT_NS - 1, &[(Severity::Warning, "third")], 0)),
        (9, Record::Event(host)),
        (10, reading("a", MIDNIGHT_NS + HOUR_NS, &[(Severity::Major, "fourth")], 3)),
    ] {
        assert!(store.take(position, record));
    }
    assert_eq!(store.flush().unwrap(), 0);
    data
}

#[test]
fn events_are_found_over_days_in_the_order_of_time() {
    let data = filled();
    assert_eq!(codes(data.path(), &EVER), ["first", "second", "third", "host", "fourth", "events_dropped"]);
    let found = find(data.path(), &EVER).unwrap();
    assert_eq!(found.events[5].text, "3 more events of this run were not kept");
    assert_eq!(found.events[2].job.as_deref(), Some("b"));
    assert_eq!((found.events[3].job.as_deref(), found.events[3].time), (None, (MIDNIGHT_NS + 1) as f64 / 1e9));
    let files = fs::read_dir(data.path().join(FOLDER)).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|name| name.ends_with(".sqlite")).count(), 2);
}

#[test]
fn a_question_narrows_by_job_severity_code_and_time_and_gives_the_latest() {
    let data = filled();
    let check = |query: Query, expected: &[&str], more: bool| {
        let found = find(data.path(), &query).unwrap();
        assert_eq!((codes(data.path(), &query), found.more), (expected.iter().map(|code| (*code).to_owned()).collect(), more), "{query:?}");
    };
    check(Query { job: Some("a".into()), ..EVER }, &["first", "second", "fourth", "events_dropped"], false);
    check(Query { severity: Some(Severity::Major), ..EVER }, &["second", "fourth"], false);
    check(Query { code: Some("third".into()), ..EVER }, &["third"], false);
    check(Query { from_ns: MIDNIGHT_NS, to_ns: MIDNIGHT_NS + HOUR_NS - 1, ..EVER }, &["host"], false);
    check(Query { limit: 2, ..EVER }, &["fourth", "events_dropped"], true);
    check(Query { limit: 4, ..EVER }, &["third", "host", "fourth", "events_dropped"], true);
    check(Query { limit: 6, ..EVER }, &["first", "second", "third", "host", "fourth", "events_dropped"], false);
    check(Query { job: Some("nobody".into()), ..EVER }, &[], false);
}

#[test]
fn what_is_taken_twice_is_stored_once() {
    let data = filled();
    let mut store = EventStore::open(data.path()).unwrap();
    for _ in 0..2 {
        assert!(store.take(10, reading("a", MIDNIGHT_NS + HOUR_NS, &[(Severity::Major, "fourth")], 3)));
        store.flush().unwrap();
    }
    assert_eq!(codes(data.path(), &EVER).len(), 6);
    // Another journal begins to count anew: the same position at another time is another event.
    assert!(store.take(10, reading("a", MIDNIGHT_NS + 2 * HOUR_NS, &[(Severity::Major, "fourth")], 0)));
    store.flush().unwrap();
    assert_eq!(codes(data.path(), &EVER).len(), 7);
}

#[test]
fn what_the_host_says_again_with_the_same_time_and_words_is_stored_once() {
    let data = filled();
    let mut store = EventStore::open(data.path()).unwrap();
    let host = HostEvent { time_ns: MIDNIGHT_NS + 1, job: None, severity: Severity::Warning, code: "host".into(), text: "H.".into() };
    assert!(store.take(11, Record::Event(host.clone())));
    store.flush().unwrap();
    assert_eq!(codes(data.path(), &EVER).len(), 6);
    assert!(store.take(12, Record::Event(HostEvent { text: "I.".into(), ..host })));
    store.flush().unwrap();
    assert_eq!(codes(data.path(), &EVER).len(), 7);
}

#[test]
fn a_day_goes_when_thirty_have_passed() {
    let data = filled();
    let mut store = EventStore::open(data.path()).unwrap();
    let day = 24 * HOUR_NS;
    assert_eq!(store.prune(MIDNIGHT_NS + 29 * day).unwrap(), 0);
    assert_eq!(store.prune(MIDNIGHT_NS + 30 * day).unwrap(), 1);
    assert_eq!(codes(data.path(), &EVER), ["host", "fourth", "events_dropped"]);
    assert_eq!(store.prune(MIDNIGHT_NS + 31 * day).unwrap(), 1);
    assert_eq!(find(data.path(), &EVER).unwrap(), Found::default());
}

#[test]
fn a_store_that_is_not_there_is_empty_and_a_newer_one_is_refused() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(find(data.path(), &EVER).unwrap(), Found::default());
    let mut store = EventStore::open(data.path()).unwrap();
    let path = data.path().join(FOLDER).join("2026-11-24.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(find(data.path(), &EVER), Err(EventError::Database(DatabaseError::Newer { found: 2, .. }))));
    store.take(1, reading("a", MIDNIGHT_NS, &[(Severity::Major, "x")], 0));
    assert!(matches!(store.flush(), Err(EventError::Database(DatabaseError::Newer { found: 2, .. }))));
    // What could not be written waits.
    fs::remove_file(path).unwrap();
    store.flush().unwrap();
    assert_eq!(codes(data.path(), &EVER), ["x"]);
}
