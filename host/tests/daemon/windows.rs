//! A job with windows runs within them alone.

use std::{thread, time::Duration};

use chrono::{Days, NaiveTime, Utc};
use serde_json::Value;
use watchpost::reading::{Cause, Reading};

use crate::{
    harness::{House, journal},
    servers::{Silent, job},
};

#[test]
fn a_job_outside_its_windows_waits_for_them_and_can_be_run_by_hand() {
    let silent = Silent::new();
    let opens = Utc::now().date_naive() + Days::new(2);
    let shut = job("shut", &format!("every = \"1s\"\nactive = \"{opens}\""), silent.port());
    let house = House::new(&[shut, job("open", "every = \"1s\"\nactive = \"daily\"\nblackout = \"2020-01-01\"", silent.port())].concat());
    let daemon = house.start();
    let asked = house.run(&["jobs", "run", "shut"]);
    assert!(asked.out.contains("timeout") || asked.err.contains("timeout"), "{} {}", asked.out, asked.err);
    thread::sleep(Duration::from_secs(3));
    let jobs: Value = serde_json::from_str(&house.run(&["jobs", "list", "--json"]).ok()).unwrap();
    let of = |name: &str| jobs.as_array().unwrap().iter().find(|job| job["name"] == name).unwrap().clone();
    // Neither run nor missed, and known when it opens; what was learnt by hand is no truth any more.
    let (shut, open) = (of("shut"), of("open"));
    assert_eq!((&shut["skipped"], &shut["up"]), (&0.into(), &Value::Null), "{shut}");
    let next = shut["next_run"].as_f64().unwrap() - opens.and_time(NaiveTime::MIN).and_utc().timestamp() as f64;
    assert!((0.0..1.0).contains(&next), "{shut}");
    assert_eq!(open["up"], 0.0, "{open}");
    daemon.stop();
    let readings: Vec<Reading> = journal::readings(&house.data());
    let of_shut: Vec<_> = readings.iter().filter(|reading| reading.job == "shut").collect();
    assert_eq!(of_shut.iter().map(|reading| reading.cause).collect::<Vec<_>>(), [Cause::Manual]);
    let late = of_shut[0].due_ns / 1_000_000_000 - of_shut[0].slot;
    assert!((0..=2).contains(&late), "a run by hand stands for a slot of its own time, not {late} s before");
    let of_open: Vec<_> = readings.iter().filter(|reading| reading.job == "open").map(|reading| reading.slot).collect();
    assert!(!of_open.is_empty(), "a job within its windows is run");
}
