//! Rows of archives that are under way when files of others are taken in, and when a process ends meanwhile: what Debian's rrdtool makes
//! of all rows, given to it one after another.

use std::path::{Path, PathBuf};

use super::imported::{BEGIN, FINE, OURS, import, lines, made, measured, request};
use super::rig::{Rig, sample};
use crate::series::import::settle;

/// Ours begins within a row of five minutes and one of an hour, both of which are under way for some time yet.
const BEGAN: i64 = OURS + 1_260;
/// When the files are taken in: before that row is over, while the next one is under way, and when both are.
const TAKEN_IN: [i64; 3] = [BEGAN + 120, BEGAN + 540, BEGAN + 3_660];
const END: i64 = OURS + 3 * 3_600;

const MAPPING: &str = "[[import]]\nfiles = \"theirs.rrd\"\njob = \"mx\"\nmetric = \"connect_time\"\n";

/// What others measured; some of it is unknown.
fn theirs(n: i64) -> String {
    if n % 11 == 3 { "U".into() } else { format!("{}", 0.25 + (n * n % 977) as f64 / 8.0) }
}

fn ours(n: i64) -> f64 {
    20.0 + (n % 7) as f64 / 4.0
}

/// Gives what the job measured, and has it written.
fn measure(rig: &mut Rig, (from, to): (i64, i64)) {
    for slot in (from + 60..=to).step_by(60) {
        rig.read(slot, vec![sample("connect_time", &[], ours((slot - BEGIN) / 60))]);
    }
    rig.flush();
}

/// A file of another program's up to where ours begins, and one that was given all rows.
fn others(folder: &Path) -> PathBuf {
    let make = |name: &str, to: i64, row: &dyn Fn(i64) -> String| {
        made(&folder.join(name), 60, &["DS:value:GAUGE:120:U:U"], FINE, (BEGIN, to), row)
    };
    make("theirs.rrd", BEGAN, &theirs);
    let first = (BEGAN - BEGIN) / 60;
    make("all.rrd", END, &|n| if n <= first { theirs(n) } else { format!("{}", ours(n)) })
}

/// Compares all rows that are over, digit by digit, and says how many of them are known.
fn check(rig: &Rig, all: &Path, what: &str) -> usize {
    let (range, mut known) = ((BEGIN + 3_600, END), 0);
    for (how, step) in [("AVERAGE", 60), ("AVERAGE", 300), ("MIN", 300), ("MAX", 300), ("AVERAGE", 3_600), ("MIN", 3_600), ("MAX", 3_600)] {
        let [one, other] =
            [(rig.file("_.rrd"), "connect_time"), (all.to_owned(), "value")].map(|(file, source)| lines(&file, source, how, step, range));
        assert_eq!(one, other, "{how} of {step}, {what}");
        known += one.iter().filter(|line| !line.ends_with("nan")).count();
    }
    known
}

#[test]
fn a_row_under_way_when_a_file_is_imported_is_what_librrd_makes_of_all_rows() {
    for at in TAKEN_IN {
        let mut rig = measured(false);
        let folder = rig.folder.path().join("others");
        let all = others(&folder);
        measure(&mut rig, (BEGAN, at));
        let (mut rig, done) = import(rig, &request(&folder, MAPPING));
        done.unwrap();
        settle(&mut rig.store).unwrap();
        measure(&mut rig, (at, END));
        let known = check(&rig, &all, &format!("imported {} s after ours began", at - BEGAN));
        assert!(known > 2_500, "{known}");
        let bytes = rig.files();
        let (mut rig, done) = import(rig, &request(&folder, MAPPING));
        done.unwrap();
        settle(&mut rig.store).unwrap();
        assert!(rig.files() == bytes, "once more changes nothing");
    }
}

#[test]
fn nor_does_a_process_that_ends_meanwhile_change_it() {
    for at in TAKEN_IN {
        // It ends after the checkpoint that has the copy, and once its rows are taken over but no checkpoint has that; rows come in before the
        // next process goes on with it, or after.
        for (is_poured, comes_before) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut rig = measured(false);
            let folder = rig.folder.path().join("others");
            let all = others(&folder);
            measure(&mut rig, (BEGAN, at));
            let (mut rig, done) = import(rig, &request(&folder, MAPPING));
            done.unwrap();
            if is_poured {
                rig.store.next_migration().expect("the rows of the copy").run().unwrap();
                measure(&mut rig, (at, at + 60));
            }
            rig.crash();
            let from = if is_poured { at + 60 } else { at };
            let until = if comes_before { OURS + 3_660 } else { from };
            measure(&mut rig, (from, until.max(from)));
            settle(&mut rig.store).unwrap();
            measure(&mut rig, (until.max(from), END));
            check(
                &rig,
                &all,
                &format!("imported {} s after ours began, killed, poured {is_poured}, rows before {comes_before}", at - BEGAN),
            );
        }
    }
}
