//! A simulated year of cron jobs in Europe/Paris, both changes of the clock in it.

use std::time::Duration;

use super::rig::{Rig, counter, gauge, sample, shape};
use super::rrdtool;
use crate::schedule::{Clocks, DueClock, Ticker, Timetable, UnixTime, Zone};

/// 2026 in Paris, seconds since 1970.
const YEAR: std::ops::Range<i64> = 1_767_222_000..1_798_758_000;

/// Runs a job on a fake clock through the year, as the daemon does; gives the step of its series, and the slot of each run.
fn slots(cron: &str) -> (u32, Vec<i64>) {
    let timetable = Timetable::cron(cron, Zone::parse("Europe/Paris").unwrap()).unwrap();
    let step = timetable.rhythm(UnixTime::from_secs(YEAR.start)).step();
    let clocks = |at: i64| {
        let since = |from: i64| Duration::from_secs((at - from).unsigned_abs());
        Clocks { monotonic: since(YEAR.start), wall: since(0) }
    };
    let mut clock = DueClock::start(clocks(YEAR.start));
    let (label, _) = clock.observe(clocks(YEAR.start));
    let mut ticker = Ticker::start(timetable, step, label, None);
    let mut slots = Vec::new();
    while let Some(due) = ticker.next_due().filter(|due| YEAR.contains(&due.as_secs())) {
        let (label, turned) = clock.observe(clocks(due.as_secs()));
        let tick = ticker.poll(label);
        assert_eq!((turned, tick.missed), (None, 0), "at {due:?}");
        slots.push(tick.run.and_then(|run| run.slot).expect("it runs, and its slot is free").time().as_secs());
    }
    (u32::try_from(step.as_secs()).unwrap(), slots)
}

/// Every value of a job, and all that it counted, must be in its file.
fn check(cron: &str, step: u32, runs: usize) {
    let (asked, slots) = slots(cron);
    assert_eq!((asked, slots.len()), (step, runs), "{cron}");
    assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "slots rise strictly");
    let mut rig = Rig::new();
    rig.give(shape(step, &[gauge("connect_time", &[]), counter("messages_sent", &[])]));
    let mut total = 1_000_u64;
    for (n, slot) in slots.iter().enumerate() {
        rig.read(*slot, vec![sample("connect_time", &[], 0.5 + n as f64), sample("messages_sent", &[], total as f64)]);
        total += 17 + n as u64 % 5;
        rig.flush();
    }
    let counted = total - (17 + (slots.len() as u64 - 1) % 5) - 1_000;
    let (from, to) = (slots[0] - i64::from(step), *slots.last().unwrap());
    for with_journal in [false, true] {
        let rows: std::collections::BTreeMap<_, _> = rig.rows("connect_time", from, to, with_journal).into_iter().collect();
        for (n, slot) in slots.iter().enumerate() {
            assert!(rrdtool::alike(rows[slot], Some(0.5 + n as f64)), "slot {slot} of {cron}: {:?}", rows[slot]);
        }
        assert_eq!(rows.values().flatten().count(), slots.len(), "a value where nothing ran");
        let rates = rig.rows("messages_sent", from, to, with_journal);
        let sum: f64 = rates.iter().filter_map(|(_, rate)| *rate).sum::<f64>() * f64::from(step);
        assert!((sum - counted as f64).abs() < 1e-3, "{sum} of {counted} counted");
    }
    let (_, witness) = rrdtool::fetch(&rig.file("_.rrd"), "AVERAGE", from, to - 1, 1).unwrap();
    for (n, slot) in slots.iter().enumerate() {
        assert!(rrdtool::alike(witness[slot][2], Some(0.5 + n as f64)), "rrdtool, slot {slot} of {cron}");
    }
}

#[test]
fn a_daily_job_keeps_every_value_over_a_year() {
    // 2:30 is left out on one day of spring, and comes twice on one of autumn.
    for cron in ["30 0 * * *", "30 2 * * *", "0 3 * * *", "30 13 * * *", "0 14 * * *"] {
        check(cron, 43_200, 365);
    }
}

#[test]
fn a_job_of_working_hours_keeps_every_value_over_a_year() {
    check("0 8-18 * * *", 3_600, 365 * 11);
}
