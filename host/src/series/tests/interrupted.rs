//! An import that ends in its middle: nothing of it is there, or all; and the next one gives what one gives that nobody interrupts.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::imported::{BEGIN, END, FINE, OURS, imported, made, measured, request};
use super::rig::Rig;
use crate::series::catalogue::{Catalogue, Change};
use crate::series::import::{ImportRequest, settle};
use crate::series::store::Step;

const MAPPING: &str = "
[[import]]
files = \"times.rrd\"
job = \"mx\"
metric = \"connect_time\"

[[import]]
files = \"slow.rrd\"
job = \"mx\"
metric = \"total_time\"
labels = { q = \"0.5\" }
";

fn others(folder: &Path) -> ImportRequest {
    for (name, factor) in [("times.rrd", 3), ("slow.rrd", 5)] {
        made(&folder.join(name), 60, &["DS:value:GAUGE:120:0:U"], FINE, (BEGIN, OURS), |n| (n * factor).to_string());
    }
    request(folder, MAPPING)
}

/// A store that has measured, and files to import.
fn begun() -> (Rig, ImportRequest) {
    let mut rig = measured(true);
    rig.restart();
    let request = others(&rig.folder.path().join("others"));
    (rig, request)
}

/// What an import comes to that nobody interrupts.
fn undisturbed() -> BTreeMap<String, Vec<u8>> {
    let (rig, request) = begun();
    imported(rig, &request).0.files()
}

fn copies(rig: &Rig) -> usize {
    rig.files().into_keys().filter(|name| name.contains(".import.")).count()
}

/// Imports, and ends the process with a step of the checkpoint.
fn killed_at(rig: Rig, request: &ImportRequest, last: Step) -> Rig {
    let Rig { folder, mut store, journal } = rig;
    store.on_step(Box::new(move |step| assert!(step != last, "the process ends here")));
    let store = Mutex::new(store);
    let done = catch_unwind(AssertUnwindSafe(|| request.answer(&store, |job| job == "mx", END + 600).map(drop)));
    assert!(done.is_err(), "{last:?} never came");
    Rig { folder, store: store.into_inner().unwrap_or_else(PoisonError::into_inner), journal }
}

#[test]
fn an_import_that_ends_at_any_step_is_there_whole_or_not_at_all() {
    let (expected, before) = (undisturbed(), begun().0.files());
    for (last, is_there) in
        [(Step::Flushed, false), (Step::HeadsKept, false), (Step::Synced, false), (Step::Committed, true), (Step::Settled, true)]
    {
        for is_imported_again in [true, false] {
            let (rig, request) = begun();
            let mut rig = killed_at(rig, &request, last);
            assert_eq!(copies(&rig), 2, "{last:?}");
            rig.crash();
            assert_eq!(copies(&rig), if is_there { 2 } else { 0 }, "{last:?}");
            let mut rig = if is_imported_again { imported(rig, &request).0 } else { rig };
            settle(&mut rig.store).unwrap();
            let expected = if is_there || is_imported_again { &expected } else { &before };
            assert!(rig.files() == *expected, "{last:?}, imported again: {is_imported_again}");
        }
    }
}

#[test]
fn copies_that_a_process_left_are_no_series_and_go_with_the_next_import() {
    let expected = undisturbed();
    // Half written beside, and one of two that has its name already.
    for named in [0, 1, 2] {
        let (mut rig, request) = begun();
        let drafts = rig.folder.path().join("series/.import");
        fs::create_dir_all(&drafts).unwrap();
        let theirs = fs::read(rig.folder.path().join("others/times.rrd")).unwrap();
        fs::write(drafts.join("1.rrd"), &theirs[..theirs.len() / 2]).unwrap();
        let names = ["mx/_.import.7.rrd", "mx/q=0.5.import.8.rrd"];
        let born: Vec<_> = names.iter().map(|path| Change::Born { path: (*path).into() }).collect();
        Catalogue::open(rig.folder.path()).unwrap().note(&born).unwrap();
        for name in &names[..named] {
            fs::write(rig.folder.path().join("series").join(name), &theirs).unwrap();
        }
        assert_eq!(rig.crash().files_removed, named);
        assert_eq!(copies(&rig), 0);
        let (rig, _) = imported(rig, &request);
        assert!(rig.files() == expected && !drafts.exists(), "{named} had their names");
    }
}
