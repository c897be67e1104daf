//! Claims about windows: they begin with what is stored.

use super::*;
use crate::alarm::ledger::beginning::Past;

/// Rows of ten minutes before a minute, each a minute long.
fn rows(until: i64, value: impl Fn(i64) -> Option<f64>) -> Vec<(i64, Option<f64>)> {
    (until - 9..=until).map(|minute| (MONDAY + 60 * minute, value(minute))).collect()
}

/// Takes values from minute 100 on, after what is stored before; gives what is told.
fn check(rule: &str, metric: &str, stored: impl Fn(i64) -> Option<f64>, values: &[f64]) -> Vec<String> {
    let mut rig = Rig::new(rule);
    for (at, value) in (0..).zip(values) {
        rig.ledger.take(at as u64, &reading(100 + at, Some(&[(metric, &[], *value)])));
        for begun in rig.ledger.begun(10) {
            assert_eq!((begun.to_s, at), (MONDAY + 6_000, 0), "a series begins once, where it was seen first");
            let past = Past { rows: rows(100, &stored), step_s: 60 };
            let past = begun.seen(vec![vec![past]]).unwrap();
            assert!(rig.ledger.precede(&begun, &past) || stored(99).is_none());
        }
    }
    // What was filled in is kept.
    rig.told().into_iter().map(|told| told.split(' ').skip(1).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_window_begins_with_what_is_stored() {
    let rule = "[[job.threshold]]\nmetric = \"total_time\"\nminor = \"change > 1s in 5m\"\n";
    let told = check(rule, "total_time", |_| Some(0.1), &[0.1, 3.1]);
    assert_eq!(told, ["raised Minor total_time of mx changed by +3 s in 5 min, change > 1s in 5m"]);
    assert_eq!(check(rule, "total_time", |_| None, &[0.1, 3.1]), [""; 0], "of nothing nothing is made");
}

#[test]
fn a_counter_is_followed_back_from_its_total() {
    let rule = "[[job.threshold]]\nmetric = \"queries\"\nminor = \"change > 500 in 5m\"\n";
    // Two in a second are 600 in five minutes.
    let told = check(rule, "queries", |_| Some(2.0), &[1_000_000.0]);
    assert_eq!(told, [""; 0], "the value that came before is judged no more");
    let told = check(rule, "queries", |_| Some(2.0), &[1_000_000.0, 1_000_120.0]);
    assert_eq!(told, ["raised Minor queries of mx changed by +600 in 5 min, change > 500 in 5m"]);
    let gap = |minute: i64| (minute != 98).then_some(2.0);
    assert_eq!(check(rule, "queries", gap, &[1_000_000.0, 1_000_120.0]), [""; 0], "nobody knows what it was before a gap");
}

/// What is stored of a minute.
type Stored = fn(i64) -> Option<f64>;

const SHARE: &str = "[[rule]]\nname = \"share\"\nexpression = \"a / b\"\nminor = \"change > 1 in 5m\"\n\
                     series = { a = 'total_time{job=\"mx\"}', b = 'total_time{job=\"my\"}' }\n";

/// Takes values of two jobs from minute 100 on, after what is stored of each, a row every `steps` seconds; gives what is told.
fn check_share(stored: [Stored; 2], steps: [i64; 2], values: &[[f64; 2]]) -> Vec<String> {
    let mut rig = Rig::new("");
    rig.ledger.set(Watch::new(&rules(SHARE), [shape(), Shape { job: "my".into(), ..shape() }]), MONDAY * SECOND);
    for (at, values) in (0..).zip(values) {
        for (job, value) in ["mx", "my"].iter().zip(values) {
            let reading = Reading { job: (*job).into(), ..reading(100 + at, Some(&[("total_time", &[], *value)])) };
            rig.ledger.take(at as u64 * 2 + u64::from(*job == "my"), &reading);
        }
        for begun in rig.ledger.begun(10) {
            let shown: Vec<Vec<String>> = begun.series.iter().map(|of| of.iter().map(|one| one.as_str().to_owned()).collect()).collect();
            assert_eq!(shown, [["total_time{job=\"mx\"}"], ["total_time{job=\"my\"}"]]);
            assert_eq!((begun.to_s, at), (MONDAY + 6_000, 0), "it begins once, where it was known first");
            let past = |(stored, step_s): (&Stored, &i64)| {
                let rows = (0..=100 * 60 / step_s).map(|row| (MONDAY + row * step_s, stored(row * step_s / 60)));
                vec![Past { rows: rows.collect(), step_s: *step_s }]
            };
            let pasts = stored.iter().zip(&steps).map(past).collect();
            rig.ledger.precede(&begun, &begun.seen(pasts).unwrap());
        }
    }
    rig.told().into_iter().map(|told| told.split(' ').skip(1).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_window_of_an_expression_begins_with_what_is_stored_of_its_series() {
    let raised = ["raised Minor a / b{site=\"paris\"} changed by +200 % in 5 min, change > 1 in 5m; a 6 s, b 2 s"];
    let values = [[2.0, 2.0], [6.0, 2.0]];
    let (two, none): (Stored, Stored) = (|_| Some(2.0), |_| None);
    assert_eq!(check_share([two, two], [60, 60], &values), raised);
    assert_eq!(check_share([two, two], [20, 60], &values), raised, "rows that are closer than the others' are passed over");
    assert_eq!(check_share([two, none], [60, 60], &values), [""; 0], "of what is unknown nothing is made");
    let until: Stored = |minute| (minute < 90).then_some(2.0);
    assert_eq!(check_share([two, until], [60, 60], &values), [""; 0], "nor of what is too old");
}
