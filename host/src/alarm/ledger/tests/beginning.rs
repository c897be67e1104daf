//! Claims about windows: they begin with what is stored.

use super::*;

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
            assert!(rig.ledger.precede(&begun, &rows(100, &stored), 60) || stored(99).is_none());
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
