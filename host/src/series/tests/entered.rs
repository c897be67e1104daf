//! Rows that are entered here and rows that librrd takes make the same file, to the last byte.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use watchpost_plugin_api::Kind;

use crate::series::archive::{Archive, Consolidation, XFF};
use crate::series::header;
use crate::series::librrd::{Librrd, append_with_librrd};
use crate::series::row::{Datum, Row};
use crate::series::shape::{FileShape, Source};
use crate::series::update::{Entered, enter};
use crate::series::writer::{SeriesWriter, Wanted};

const BEGIN: i64 = 1_774_742_407;
const SLOT: i64 = 0;

/// Seconds since the row before ([`SLOT`]: up to the end of the slot), and what each data source is made of.
type Given = (i64, Vec<(u8, i32, u64)>);

fn shapes() -> impl Strategy<Value = FileShape> {
    let kind = prop_oneof![Just(Kind::Gauge), Just(Kind::Counter)];
    let source = (kind, 1..300_u32).prop_map(|(kind, heartbeat)| (kind, heartbeat));
    let how = proptest::sample::select(Consolidation::ALL.to_vec());
    let archive = (how, 1..7_u32, 2..40_u32).prop_map(|(consolidation, steps, rows)| Archive { consolidation, steps, rows });
    let step = prop_oneof![Just(1_u32), Just(7), Just(10), Just(60)];
    (step, proptest::collection::vec(source, 1..5), proptest::collection::vec(archive, 1..7)).prop_map(|(step, sources, archives)| {
        let named = sources.into_iter().enumerate();
        let sources = named.map(|(n, (kind, heartbeat))| Source { name: format!("s{n}"), kind, heartbeat }).collect();
        FileShape { step, sources, archives }
    })
}

/// Numbers that librrd's own reading of text does not round.
fn rows() -> impl Strategy<Value = Vec<Given>> {
    let total = prop_oneof![4 => 0..1_000_u64, 1 => 4_294_967_000..4_294_968_000_u64];
    let cells = proptest::collection::vec((0..5_u8, -1_000_000..1_000_000, total), 5);
    proptest::collection::vec(
        (prop_oneof![12 => Just(SLOT), 3 => 1..12_i64, 3 => Just(60), 2 => 1..300_i64, 1 => 1..5_000_i64], cells),
        1..120,
    )
}

/// Rows with the seconds that they are apart, so many at most.
fn spaced(given: Vec<Given>, shape: &FileShape, longest: i64) -> Vec<Given> {
    let (mut stamp, step) = (BEGIN, i64::from(shape.step));
    let mut space = |passed: i64| {
        let passed = if passed == SLOT { step - stamp.rem_euclid(step) } else { passed.min(longest) };
        stamp += passed;
        passed
    };
    given.into_iter().map(|(passed, cells)| (space(passed), cells)).collect()
}

fn cells(shape: &FileShape, given: &[(u8, i32, u64)], sums: &mut [u64]) -> Vec<Datum> {
    let cell = |((source, (sort, quarters, total)), sum): ((&Source, &(u8, i32, u64)), &mut u64)| match (source.kind, sort) {
        (_, 0) => Datum::Unknown,
        (Kind::Gauge, _) => Datum::Gauge(f64::from(*quarters) / 4.0),
        (Kind::Counter, 1) => Datum::Total(*total),
        (Kind::Counter, _) => {
            *sum += total % 1_000;
            Datum::Total(*sum)
        }
    };
    shape.sources.iter().zip(given).zip(sums).map(cell).collect()
}

/// How much of a row may be unknown, of each archive in turn.
fn unknown_shares() -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(proptest::sample::select(vec![0.0, 0.25, 0.5, 0.75, 0.999]), 1..4)
}

/// Where an archive's definition has it. Source: the layout that `header` reads.
fn set_shares(path: &Path, shape: &FileShape, shares: &[f64]) {
    let mut bytes = std::fs::read(path).unwrap();
    for (n, share) in (0..shape.archives.len()).zip(shares.iter().cycle()) {
        let at =
            (header::STATIC_BYTES + shape.sources.len() as u64 * header::SOURCE_BYTES) as usize + n * header::ARCHIVE_BYTES as usize + 40;
        assert_eq!(bytes[at..at + 8], XFF.to_ne_bytes());
        bytes[at..at + 8].copy_from_slice(&share.to_ne_bytes());
    }
    std::fs::write(path, bytes).unwrap();
}

/// What both ways make of the same rows, ours in pieces of any size.
fn made(shape: &FileShape, given: &[Given], pieces: &[usize], shares: &[f64]) -> (tempfile::TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).join("_.rrd");
    let make = |path: &Path| {
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        Librrd::new().create(path, shape, BEGIN).unwrap();
    };
    let (ours, theirs) = (path("mx"), path("theirs"));
    make(&ours);
    set_shares(&ours, shape, shares);
    std::fs::create_dir(theirs.parent().unwrap()).unwrap();
    std::fs::copy(&ours, &theirs).unwrap();
    let (mut stamp, mut sums, mut rows) = (BEGIN, vec![0; shape.sources.len()], Vec::new());
    for (passed, row) in given {
        stamp += passed;
        rows.push(Row { stamp, cells: cells(shape, row, &mut sums) });
    }
    append_with_librrd(&theirs, &rows).unwrap();
    let (mut rest, mut pieces) = (&rows[..], pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*pieces.next().unwrap()).min(rest.len()));
        assert_eq!(enter(&ours, piece).unwrap(), Entered::All);
        rest = after;
    }
    (folder, [ours, theirs])
}

/// How long nobody may give a row so that no archive goes round with it.
fn round(shape: &FileShape) -> i64 {
    let spans = shape.archives.iter().map(|archive| i64::from(archive.steps) * (i64::from(archive.rows) - 1));
    i64::from(shape.step) * spans.min().unwrap()
}

/// Whether an archive went round in a gap, and had perhaps no further row since.
fn went_round(given: &[Given], step: i64, rows: i64) -> bool {
    let mut since = 0;
    given.iter().rev().any(|(passed, _)| {
        let is_round = since < step && *passed > step * (rows - 1);
        since += passed;
        is_round
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_what_librrd_makes_of_the_same_rows(
        shape in shapes(), rows in rows(), pieces in proptest::collection::vec(1..70_usize, 1..4), shares in unknown_shares()
    ) {
        let rows = spaced(rows, &shape, round(&shape));
        let (_folder, paths) = made(&shape, &rows, &pieces, &shares);
        let [ours, theirs] = paths.map(|path| std::fs::read(path).unwrap());
        let unequal: Vec<usize> = (0..theirs.len()).filter(|at| ours.get(*at) != theirs.get(*at)).collect();
        prop_assert!(unequal.is_empty() && ours.len() == theirs.len(), "unequal at {unequal:?}");
    }

    #[test]
    fn after_a_gap_in_which_archives_go_round_librrd_reads_the_same(
        shape in shapes(), rows in rows(), pieces in proptest::collection::vec(1..70_usize, 1..4), shares in unknown_shares()
    ) {
        let rows = spaced(rows, &shape, i64::MAX);
        let (_folder, paths) = made(&shape, &rows, &pieces, &shares);
        let last = header::read(&paths[0]).unwrap().unwrap().last.stamp;
        for archive in &shape.archives {
            let step = archive.steps * shape.step;
            let from = last - i64::from(step) * (i64::from(archive.rows) - 1);
            let wanted = Wanted { consolidation: archive.consolidation, from, to: last, step };
            // In the oldest row of an archive that just went round librrd has what was before the gap, as if it had been then.
            let misdated = usize::from(went_round(&rows, i64::from(step), i64::from(archive.rows)));
            let [ours, theirs] = [0, 1].map(|n| Librrd::new().fetch(&paths[n], &wanted).unwrap().rows.split_off(misdated));
            prop_assert_eq!(ours, theirs);
        }
    }
}

/// Files that are not as librrd makes them for us are left to it, and none is touched.
#[test]
fn what_is_not_ours_is_not_touched() {
    let source = |kind| Source { name: "s".into(), kind, heartbeat: 120 };
    let archive = Archive { consolidation: Consolidation::Average, steps: 1, rows: 20 };
    let shape = FileShape { step: 60, sources: vec![source(Kind::Gauge)], archives: vec![archive] };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let rows = [Row { stamp: BEGIN + 60, cells: vec![Datum::Gauge(1.0)] }];
    let check = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        Librrd::new().create(&path, &shape, BEGIN).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(enter(&path, &rows).unwrap(), Entered::NotOurs, "{what}");
        assert!(std::fs::read(&path).unwrap() == bytes, "{what}: it was touched");
        std::fs::remove_file(&path).unwrap();
    };
    let definition = header::STATIC_BYTES as usize;
    let live = header::live_offset(1, 1) as usize;
    let put = |at: usize, value: [u8; 8]| move |bytes: &mut Vec<u8>| bytes[at..at + 8].copy_from_slice(&value);
    check("another version", &|bytes| bytes[7] = b'4');
    check("a lower bound", &put(definition + 48, 0.0_f64.to_ne_bytes()));
    check("an upper bound", &put(definition + 56, 9.0_f64.to_ne_bytes()));
    check("microseconds", &put(live + 8, 5_i64.to_ne_bytes()));
    check("a count of unknown seconds that cannot be", &put(live + 16 + 32, i64::MAX.to_ne_bytes()));
    check("the head cut short", &|bytes| bytes.truncate(live));
    check("rows cut short", &|bytes| bytes.truncate(bytes.len() - 8));
    check("so many data sources that nobody has the memory", &put(24, u64::MAX.to_ne_bytes()));
    Librrd::new().create(&path, &shape, BEGIN).unwrap();
    let two = [Row { stamp: BEGIN + 60, cells: vec![Datum::Gauge(1.0); 2] }];
    assert_eq!(enter(&path, &two).unwrap(), Entered::NotOurs, "a row of another width");
    assert_eq!(enter(&path, &rows).unwrap(), Entered::All);
}
