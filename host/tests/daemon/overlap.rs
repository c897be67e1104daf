//! A job that is due while its last run still goes on: skipped, queued, or the last run cancelled.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use watchpost::reading::{Cause, Reading};
use watchpost_services::outcome::Status;

use crate::{
    harness::{House, journal, until},
    servers::{Silent, job},
};

/// Runs take two of three seconds; one that somebody asks for in the third is under way when the next is due.
fn asked_for_in_between(overlap: &str) -> (Vec<Reading>, u64) {
    let silent = Silent::new();
    let timing = format!("every = \"3s\"\ntimeout = \"2s\"\noverlap = \"{overlap}\"");
    let house = House::new(&job("hangs", &timing, silent.port()));
    let daemon = house.start();
    let runs = || serde_json::from_str::<Value>(&house.run(&["jobs", "list", "--json"]).ok()).unwrap()[0]["runs"].as_u64();
    until(Duration::from_secs(30), || runs().filter(|runs| *runs > 0)).expect("it is run when it is due");
    let begun = Instant::now();
    loop {
        let said = house.run(&["jobs", "run", "hangs"]);
        if !said.err.contains("is running just now") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "there is no moment between two runs: {}", said.err);
        thread::sleep(Duration::from_millis(50));
    }
    // The one that follows has ended too.
    thread::sleep(Duration::from_secs(4));
    let jobs: Value = serde_json::from_str(&house.run(&["jobs", "list", "--json"]).ok()).unwrap();
    daemon.stop();
    let readings: Vec<Reading> = journal::readings(&house.data());
    let slots: Vec<_> = readings.iter().map(|reading| (reading.cause, reading.slot, &reading.outcome.status)).collect();
    eprintln!("{overlap}: {slots:?}");
    (readings, jobs[0]["skipped"].as_u64().unwrap())
}

fn slots(readings: &[Reading]) -> Vec<i64> {
    readings.iter().filter(|reading| reading.cause == Cause::Schedule).map(|reading| reading.slot).collect()
}

fn asked(readings: &[Reading]) -> &Status {
    &readings.iter().find(|reading| reading.cause == Cause::Manual).expect("the run that was asked for is stored").outcome.status
}

fn is_whole(slots: &[i64]) -> bool {
    slots.len() > 1 && slots.windows(2).all(|pair| pair[1] - pair[0] == 3)
}

fn is_of(status: &Status, wanted: &str) -> bool {
    matches!(status, Status::Failed { kind, .. } if kind.name() == wanted)
}

#[test]
fn a_run_due_during_another_is_skipped_unless_said_otherwise() {
    let (readings, skipped) = asked_for_in_between("skip");
    assert!(is_of(asked(&readings), "timeout"), "{:?}", asked(&readings));
    assert!(skipped >= 1 && !is_whole(&slots(&readings)), "{skipped} skipped, {:?}", slots(&readings));
}

#[test]
fn a_queued_run_waits_for_the_one_before() {
    let (readings, skipped) = asked_for_in_between("queue");
    assert!(is_of(asked(&readings), "timeout"), "{:?}", asked(&readings));
    assert!(skipped == 0 && is_whole(&slots(&readings)), "{skipped} skipped, {:?}", slots(&readings));
}

#[test]
fn a_cancelled_run_gives_way_to_the_next_and_says_nothing_of_the_target() {
    let (readings, skipped) = asked_for_in_between("cancel");
    let Status::Failed { kind, message } = asked(&readings) else { panic!("{:?}", asked(&readings)) };
    assert_eq!((kind.name(), message.as_str()), ("interrupted", "it was cancelled: the next run is due"));
    assert!(skipped == 0 && is_whole(&slots(&readings)), "{skipped} skipped, {:?}", slots(&readings));
}
