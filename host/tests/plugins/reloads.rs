//! A run that goes on while its job is changed, removed, or brought back: nothing is counted twice.

use std::{thread::sleep, time::Duration};

use crate::{
    harness::{House, journal, until},
    house::house,
};

/// A job that takes half a second to go on from its cursor, in the version `text`.
fn job(text: &str) -> String {
    format!(
        "[[job]]\nname = \"reader\"\nagent = \"beast\"\nevery = \"1s\"\nlabels = {{ version = \"{text}\" }}\nconfig = {{ does = \"cursor-slowly\" }}\n"
    )
}

/// How far each run had come when it began, in the order of the journal.
fn seen(house: &House) -> Vec<f64> {
    let readings = journal::readings(&house.data());
    let of_reader = readings.iter().filter(|reading| reading.job == "reader" && reading.outcome.status.is_ok());
    of_reader.map(|reading| reading.outcome.samples[0].value).collect()
}

/// Waits until one run more is stored, and then until the next one is under way.
fn in_the_middle_of_a_run(house: &House) {
    let before = seen(house).len();
    until(Duration::from_secs(10), || (seen(house).len() > before).then_some(())).expect("the job runs");
    // A run begins a second after the one before began, and takes half of it.
    sleep(Duration::from_millis(700));
}

fn check_that_nothing_is_counted_twice(house: &House) {
    let before = seen(house).len();
    until(Duration::from_secs(10), || (seen(house).len() > before + 1).then_some(())).expect("the job goes on");
    let seen = seen(house);
    let expected: Vec<f64> = (0..u32::try_from(seen.len()).unwrap()).map(f64::from).collect();
    assert_eq!(seen, expected, "each run goes on where the one before stopped");
}

#[test]
fn a_run_that_goes_on_while_its_job_changes_hands_its_cursor_on() {
    let house = house(&job("0"), &[]);
    let _daemon = house.start();
    for version in 1..=3 {
        in_the_middle_of_a_run(&house);
        house.schedule(&job(&version.to_string()));
        house.run(&["reload"]).ok();
    }
    check_that_nothing_is_counted_twice(&house);
}

#[test]
fn a_job_that_is_removed_and_brought_back_goes_on_where_it_stopped() {
    let house = house(&job("0"), &[]);
    let _daemon = house.start();
    for _ in 0..2 {
        in_the_middle_of_a_run(&house);
        house.schedule("");
        house.run(&["reload"]).ok();
        house.schedule(&job("0"));
        house.run(&["reload"]).ok();
    }
    check_that_nothing_is_counted_twice(&house);
}
