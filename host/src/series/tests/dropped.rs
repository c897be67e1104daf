//! Series that somebody drops for good.

use std::sync::Mutex;

use super::rig::{Rig, gauge, sample, shape};
use crate::series::drop::{DropRequest, Dropped, UndroppedError};
use crate::series::store::{Options, SeriesStore};

const BEGIN: i64 = 1_774_742_400;

/// A job with a file without labels and one of each of two queues, the last row of which waits.
fn filled() -> Rig {
    let mut rig = Rig::new();
    rig.give(shape(60, &[gauge("connect_time", &[]), gauge("queue_size", &["queue"])]));
    for n in 1..=3 {
        let queues = ["deferred", "active"].map(|queue| sample("queue_size", &[queue], n as f64));
        rig.read(BEGIN + n * 60, [vec![sample("connect_time", &[], n as f64)], queues.to_vec()].concat());
        if n < 3 {
            rig.flush();
        }
    }
    rig
}

fn drop(rig: Rig, series: &str, dry: bool) -> (Rig, Result<Vec<Dropped>, UndroppedError>) {
    let Rig { folder, store, journal } = rig;
    let store = Mutex::new(store);
    let done = DropRequest { series: vec![series.into()], dry }.answer(&store).map(|(dropped, _)| dropped);
    (Rig { folder, store: store.into_inner().unwrap(), journal }, done)
}

#[test]
fn a_dropped_series_is_gone_with_its_file_and_the_next_reading_begins_a_new_one() {
    let rig = filled();
    let numbers = |rig: &Rig| rig.store.catalogue().jobs()["mx"].files.iter().map(|file| file.id).collect::<Vec<_>>();
    let (before, file) = (numbers(&rig), rig.file("queue=deferred.rrd"));
    let (rig, would) = drop(rig, "{queue=\"deferred\"}", true);
    assert!(file.exists(), "only told");
    let (mut rig, done) = drop(rig, "{queue=\"deferred\"}", false);
    let dropped = done.unwrap();
    assert_eq!((would.unwrap(), dropped.len()), (dropped.clone(), 1));
    assert_eq!(dropped[0].series, ["queue_size{job=\"mx\",site=\"paris\",queue=\"deferred\"}"]);
    assert_eq!((dropped[0].files.clone(), dropped[0].bytes > 10_000), (vec!["series/mx/queue=deferred.rrd".to_owned()], true));
    assert!(!file.exists() && rig.file("queue=active.rrd").exists());
    assert_eq!(rig.store.rows_held(), 0, "what waited for the other files is in them");
    rig.read(BEGIN + 240, vec![sample("queue_size", &["deferred"], 7.0)]);
    rig.flush();
    let rows = rig.rows("queue_size{queue=\"deferred\"}", BEGIN, BEGIN + 240, false);
    assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), [None, None, None, Some(7.0)]);
    assert!(numbers(&rig).iter().max() > before.iter().max(), "a number means one file: {:?}", numbers(&rig));
    assert_eq!(rig.rows("connect_time", BEGIN, BEGIN + 180, false).len(), 3);
}

#[test]
fn what_was_dropped_does_not_come_back_with_a_restart() {
    let (mut rig, done) = drop(filled(), "{job=\"mx\"}", false);
    assert_eq!(done.unwrap().len(), 3);
    rig.store = SeriesStore::open(rig.folder.path(), Options::default()).unwrap();
    rig.store.recover(true).unwrap();
    let from = rig.store.position();
    assert_eq!(from, Some(4), "the journal has nothing that would bring it back");
    assert!(rig.store.list(&[]).is_empty());
    let left: Vec<_> = std::fs::read_dir(rig.file("")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_file_is_dropped_whole_or_not_at_all() {
    let check = |series: &str, expected: &str| {
        let (rig, done) = drop(filled(), series, false);
        assert_eq!(done.unwrap_err().to_string(), expected, "{series}");
        assert_eq!(rig.store.list(&[]).len(), 5, "{series}");
    };
    check(
        "connect_time",
        "connect_time{job=\"mx\",site=\"paris\"} lies in one file with up, run_duration, and is dropped with all of them or not: \
         {job=\"mx\",queue=\"\"} means them all",
    );
    check("queue_sise", "no series matches queue_sise: did you mean the metric `queue_size`?");
    let (rig, done) = drop(filled(), "{job=\"mx\",queue=\"\"}", false);
    assert_eq!((done.unwrap()[0].series.len(), rig.store.list(&[]).len()), (3, 2), "as it is told");
}
