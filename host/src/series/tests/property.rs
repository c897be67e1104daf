//! No pattern of readings makes unknown a number.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::rig::{Rig, counter, gauge, query, sample, shape};
use super::rrdtool::{self, alike};
use crate::series::fetch::Query;
use crate::series::keeping::Keeping;

const BEGIN: i64 = 1_774_742_400;

/// One reading: slots since the last, whether flushed after it, and what it recorded.
#[derive(Clone, Debug)]
struct Step {
    ahead: i64,
    flush: bool,
    gauge: Option<i32>,
    total: Option<u16>,
    steady: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ahead = prop_oneof![6 => Just(1_i64), 2 => 2..6_i64, 1 => -3..1_i64, 1 => 1_400..1_500_i64];
    let step =
        (ahead, any::<bool>(), proptest::option::weighted(0.7, any::<i32>()), proptest::option::weighted(0.7, any::<u16>()), any::<bool>());
    let step = step.prop_map(|(ahead, flush, gauge, total, steady)| Step { ahead, flush, gauge, total, steady });
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_samples_makes_unknown_a_number(steps in steps(), step in prop_oneof![Just(1_u32), Just(2), Just(60)]) {
        let mut rig = Rig::new();
        rig.give(shape(step, &[gauge("g", &[]), counter("c", &[]), counter("steady", &[])]));
        let (mut slot, mut newest) = (100_i64, i64::MIN);
        let (mut gauges, mut totals, mut steady) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for given in &steps {
            slot += given.ahead;
            let at = BEGIN + slot * i64::from(step);
            let mut samples = Vec::new();
            samples.extend(given.gauge.map(|value| sample("g", &[], f64::from(value))));
            samples.extend(given.total.map(|total| sample("c", &[], f64::from(total))));
            samples.extend(given.steady.then(|| sample("steady", &[], 7.0 * slot as f64)));
            if at > newest {
                newest = at;
                gauges.extend(given.gauge.map(|value| (at, f64::from(value))));
                totals.insert(at, given.total.map(u64::from));
                steady.insert(at, given.steady.then_some(7 * slot as u64));
            }
            rig.read(at, samples);
            if given.flush {
                rig.flush();
            }
        }
        // As far back as base rows reach, and one day at a time keeps the answer in them.
        let from = newest - 2_800 * i64::from(step);
        let told = rig.rows("g", from, newest, true);
        for with_journal in [false, true] {
            for (time, value) in rig.rows("g", from, newest, with_journal) {
                prop_assert!(alike(value, gauges.get(&time).copied()), "gauge at {time}: {value:?}, journal {with_journal}");
            }
            for (name, given) in [("c", &totals), ("steady", &steady)] {
                for (time, value) in rig.rows(name, from, newest, with_journal) {
                    prop_assert!(alike(value, expected(given, time, i64::from(step))), "{name} at {time}: {value:?}, {:?}, journal {with_journal}", expected(given, time, i64::from(step)));
                }
            }
        }
        prop_assert_eq!(told.len(), 2_800);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn coarse_rows_of_any_samples_are_what_librrd_makes_of_them(steps in steps(), step in prop_oneof![Just(10_u32), Just(60), Just(420)]) {
        let mut rig = Rig::new();
        rig.give(shape(step, &[gauge("g", &[]), counter("c", &[])]));
        let (mut slot, mut newest, mut late) = (100_i64, i64::MIN, 0_u64);
        for given in &steps {
            slot += given.ahead;
            let at = BEGIN - BEGIN % i64::from(step) + slot * i64::from(step);
            let gauge = given.gauge.map(|value| sample("g", &[], f64::from(value)));
            let total = given.total.map(|total| sample("c", &[], f64::from(total)));
            late += u64::from(at <= newest);
            newest = newest.max(at);
            rig.read(at, gauge.into_iter().chain(total).collect());
            if given.flush {
                rig.flush();
            }
        }
        rig.flush();
        // Twice, late, out of order, with a clock turned back: counted, and nothing else.
        prop_assert_eq!(rig.store.counts().rows_past, late);
        for kept in &Keeping::default().archives(step)[1..] {
            let row = kept.steps * step;
            let to = newest - newest.rem_euclid(i64::from(row));
            let from = to - i64::from(row) * 200;
            let (names, witness) = rrdtool::fetch(&rig.file("_.rrd"), kept.consolidation.name(), from, to, row).unwrap();
            for metric in ["up", "g", "c"] {
                let column = names.iter().position(|name| name == metric).unwrap();
                for with_journal in [false, true] {
                    let asked = Query { step: Some(row), consolidation: kept.consolidation, ..query(metric, from, to) };
                    for (time, value) in &rig.fetch(&asked, with_journal)[0].rows {
                        let theirs = witness.get(time).and_then(|row| row[column]);
                        let near = match (value, theirs) {
                            // A mean of values that all but cancel out has few digits.
                            (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(other.abs()) + 1e-4,
                            (one, other) => one.is_none() && other.is_none(),
                        };
                        prop_assert!(near, "{metric} {kept:?} at {time}: {value:?}, rrdtool {theirs:?}, journal {with_journal}");
                    }
                }
            }
        }
    }
}

/// What a counter is worth at a slot, from the totals alone.
fn expected(totals: &BTreeMap<i64, Option<u64>>, slot: i64, step: i64) -> Option<f64> {
    let (before, old) = totals.range(..slot).next_back()?;
    let (after, new) = totals.range(slot..).next()?;
    let (old, new) = (resumed(totals, *before, step, *old)?, (*new)?);
    if new < old || after - before > 86_400 + 2 * step {
        return None;
    }
    // Rounded where the last slot of a gap begins.
    let whole = (after - before) as u64;
    let filler = old + ((new - old) * (whole - step as u64) * 2 + whole) / (2 * whole);
    if after - before == step {
        Some((new - old) as f64 / step as f64)
    } else if slot == *after {
        Some((new - filler) as f64 / step as f64)
    } else {
        Some((filler - old) as f64 / (after - step - before) as f64)
    }
}

/// At a step of one second a reset is unknown itself, so that what follows has no total to start from.
fn resumed(totals: &BTreeMap<i64, Option<u64>>, at: i64, step: i64, total: Option<u64>) -> Option<u64> {
    let (before, old) = totals.range(..at).next_back().map_or((i64::MIN, None), |(before, old)| (*before, *old));
    let fell =
        step == 1 && before == at - 1 && resumed(totals, before, step, old).is_some_and(|old| total.is_some_and(|total| total < old));
    total.filter(|_| !fell)
}
