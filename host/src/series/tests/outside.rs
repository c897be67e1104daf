//! Files that somebody names by their paths, while rows wait for them.

use std::path::Path;

use super::rig::{Rig, gauge, sample, shape};
use super::rrdtool;
use crate::series::archive::Consolidation;
use crate::series::outside::{Fact, OutsideError};

const BEGIN: i64 = 1_774_742_400;

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.give(shape(10, &[gauge("depth", &[]), gauge("age", &["queue"])]));
    rig.read(BEGIN, vec![sample("depth", &[], 1.0), sample("age", &["active"], 7.0)]);
    rig.flush();
    rig.read(BEGIN + 10, vec![sample("depth", &[], 2.0), sample("age", &["active"], 8.0)]);
    rig.read(BEGIN + 20, vec![sample("depth", &[], 4.0)]);
    rig
}

#[test]
fn what_waits_for_its_file_is_told_and_no_other_file_is_written_for_it() {
    let mut rig = rig();
    let held = rig.store.rows_held();
    assert_eq!(rig.store.last_of(Path::new("mx/_.rrd")).unwrap(), BEGIN + 20);
    assert_eq!(rig.store.rows_held(), held - 2, "the row of queue=active waits on");
    let rows = rig.store.rows_of(Path::new("mx/_.rrd"), Consolidation::Average, BEGIN - 10, BEGIN + 20).unwrap();
    let depth = rows.sources.iter().position(|name| name == "depth").unwrap();
    let told: Vec<_> = rows.rows.iter().map(|(time, values)| (time - BEGIN, values[depth])).filter(|(time, _)| *time <= 20).collect();
    assert_eq!((rows.step, rows.from, told), (10, BEGIN - 10, vec![(0, Some(1.0)), (10, Some(2.0)), (20, Some(4.0))]));
    let file = rig.file("queue=active.rrd");
    assert_eq!(rig.store.last_of(&file).unwrap(), BEGIN + 10);
}

#[test]
fn a_file_says_of_itself_what_rrdtool_says_of_it_in_the_same_order() {
    let mut rig = rig();
    let facts = rig.store.facts_of(Path::new("mx/_.rrd")).unwrap();
    let expected = rrdtool::run(&["info", rig.file("_.rrd").to_str().unwrap()]).unwrap();
    let keys: Vec<&str> = facts.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, expected.lines().map(|line| line.split(" = ").next().unwrap()).collect::<Vec<_>>());
    assert!(facts.contains(&("last_update".into(), Fact::Count(u64::try_from(BEGIN + 20).unwrap()))), "{facts:?}");
    let first = rig.store.first_of(Path::new("mx/_.rrd"), 1).unwrap();
    assert_eq!(rrdtool::run(&["first", rig.file("_.rrd").to_str().unwrap(), "--rraindex", "1"]).unwrap().trim(), first.to_string());
}

#[test]
fn paths_that_lead_elsewhere_are_no_series() {
    let mut rig = rig();
    std::fs::write(rig.folder.path().join("other.rrd"), b"RRD\0").unwrap();
    for path in ["../other.rrd", "mx/../../other.rrd", "/etc/passwd", "", "mx", "mx/_.rrd/..", "none/_.rrd", "..", "mx/notes.txt"] {
        let told = rig.store.last_of(Path::new(path));
        assert!(matches!(told, Err(OutsideError::Elsewhere(_))), "{path}: {told:?}");
    }
    let none = rig.store.last_of(Path::new("mx/none.rrd"));
    assert!(matches!(none, Err(OutsideError::Write(_))), "{none:?}");
}
