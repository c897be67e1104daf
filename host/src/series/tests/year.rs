//! A simulated year of cron jobs in Europe/Paris, both changes of the clock in it.

use chrono::{DateTime, Duration, NaiveDate, TimeZone};
use chrono_tz::{Europe::Paris, Tz};

use super::rig::{Rig, counter, gauge, sample, shape};
use super::rrdtool;

/// Every whole hour of 2026 in Paris that is one of these hours there.
fn dues(hours: std::ops::RangeInclusive<u32>) -> Vec<DateTime<Tz>> {
    let midnight = |year| Paris.from_utc_datetime(&NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap());
    let (mut at, end) = (midnight(2026), midnight(2027));
    let mut dues = Vec::new();
    while at < end {
        if hours.contains(&chrono::Timelike::hour(&at)) {
            dues.push(at);
        }
        at += Duration::hours(1);
    }
    dues
}

/// Runs a job over its dues; every value and all that was counted must be in the file.
fn check(dues: &[DateTime<Tz>], step: u32, minute: i64) {
    let mut rig = Rig::new();
    rig.give(shape(step, &[gauge("connect_time", &[]), counter("messages_sent", &[])]));
    let slot_of = |due: &DateTime<Tz>| {
        let due = due.timestamp() + minute * 60;
        due - due.rem_euclid(i64::from(step))
    };
    let slots: Vec<i64> = dues.iter().map(slot_of).collect();
    assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "slots rise strictly");
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
            assert!(rrdtool::alike(rows[slot], Some(0.5 + n as f64)), "due {}: {:?}", dues[n], rows[slot]);
        }
        assert_eq!(rows.values().flatten().count(), slots.len(), "a value where nothing ran");
        let rates = rig.rows("messages_sent", from, to, with_journal);
        let sum: f64 = rates.iter().filter_map(|(_, rate)| *rate).sum::<f64>() * f64::from(step);
        assert!((sum - counted as f64).abs() < 1e-3, "{sum} of {counted} counted");
    }
    let (_, witness) = rrdtool::fetch(&rig.file("_.rrd"), "AVERAGE", from, to - 1, 1).unwrap();
    for (n, slot) in slots.iter().enumerate() {
        assert!(rrdtool::alike(witness[slot][2], Some(0.5 + n as f64)), "rrdtool, due {}", dues[n]);
    }
}

#[test]
fn a_daily_job_keeps_every_value_over_a_year() {
    for (hour, minute) in [(0, 30), (3, 0), (13, 30), (14, 0)] {
        let daily = dues(hour..=hour);
        assert_eq!(daily.len(), 365);
        check(&daily, 43_200, minute);
    }
}

#[test]
fn a_job_of_working_hours_keeps_every_value_over_a_year() {
    let hourly = dues(8..=18);
    assert_eq!(hourly.len(), 365 * 11);
    check(&hourly, 3_600, 0);
}
