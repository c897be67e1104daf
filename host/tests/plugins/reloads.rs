//! A run that goes on, or waits, while its job is changed, removed, or brought back: nothing is counted twice, and none is lost.

use std::{
    thread::{scope, sleep},
    time::Duration,
};

use serde_json::Value;

use crate::{
    harness::{House, journal, until},
    house::{NEVER, house, status, worker},
    replace::{by_job, check_slots, house_of},
};

/// Long enough for the first run of a job, wherever in its ten seconds it is due.
const LONG: Duration = Duration::from_secs(30);

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

/// The worker that may do what all of them need now takes three seconds to load; whatever is due meanwhile waits for it, and its job is
/// changed again while it does.
#[test]
fn a_run_that_waits_for_its_worker_is_one_of_what_its_job_becomes() {
    const JOBS: usize = 10;
    let schedule = |version: u32| -> String {
        let port = if version == 0 { "" } else { "port = 4711" };
        let job = |number| {
            format!(
                "[[job]]\nname = \"tame-{number}\"\nagent = \"tame\"\nevery = \"10s\"\nlabels = {{ version = \"{version}\" }}\nconfig = {{ {port} }}\n"
            )
        };
        // What is asked for is of one that is never due: it is not in the way of what is.
        let asked = job(JOBS).replace("every = \"10s\"", NEVER);
        (0..JOBS).map(job).chain([asked]).collect()
    };
    let house = house_of("slow", &schedule(0));
    let daemon = house.start();
    until(LONG, || (runs(&house) >= 1).then_some(())).expect("the jobs run");
    let pid = || worker(&status(&house), "tame")["pid"].clone();
    let before = pid();
    let reload = |version| {
        house.schedule(&schedule(version));
        house.run(&["reload"]).ok();
    };
    reload(1);
    scope(|scope| {
        let asked = scope.spawn(|| house.run(&["jobs", "run", &format!("tame-{JOBS}")]));
        for version in 2..=4 {
            sleep(Duration::from_millis(300));
            reload(version);
        }
        assert_eq!((pid(), asked.is_finished()), (before, false), "the worker that is waited for was here too soon");
        asked.join().unwrap().ok();
    });
    let has_gone_on = |job: &Value| job["ok"].as_u64() > Some(1) || job["name"] == format!("tame-{JOBS}");
    until(LONG, || told(&house).iter().all(has_gone_on).then_some(())).expect("each goes on");
    assert!(told(&house).iter().all(|job| job["skipped"] == 0));
    assert!(daemon.stop().status.success());
    let readings = journal::readings(&house.data());
    assert!(readings.iter().all(|reading| reading.outcome.status.is_ok()), "{readings:#?}");
    for (name, readings) in by_job(&house) {
        check_slots(&name, &readings, 10);
    }
}

/// Due while a run goes on that somebody asked for, a run waits for its end; its job is changed while it does.
#[test]
fn a_run_that_waits_for_the_one_before_is_one_of_what_its_job_becomes() {
    let schedule = |version: u32| {
        format!(
            "[[job]]\nname = \"tame\"\nagent = \"tame\"\nevery = \"9s\"\ntimeout = \"4s\"\noverlap = \"queue\"\nlabels = {{ version = \"{version}\" }}\nconfig = {{ takes_ms = 60000 }}\n"
        )
    };
    let house = house_of("well", &schedule(0));
    let daemon = house.start();
    until(LONG, || (runs(&house) > 0).then_some(())).expect("it is run when it is due");
    // It is due again in five, and what is asked for in three goes on until then.
    sleep(Duration::from_secs(3));
    scope(|scope| {
        scope.spawn(|| house.run(&["jobs", "run", "tame"]));
        sleep(Duration::from_secs(3));
        house.schedule(&schedule(1));
        house.run(&["reload"]).ok();
        assert_eq!(runs(&house), 1, "what somebody asked for is still under way");
    });
    until(LONG, || (runs(&house) > 2).then_some(())).expect("it goes on");
    assert_eq!(told(&house)[0]["skipped"], 0);
    assert!(daemon.stop().status.success());
    let by_job = by_job(&house);
    assert_eq!(by_job["tame"].len(), 2, "{by_job:#?}");
    check_slots("tame", &by_job["tame"], 9);
}

fn told(house: &House) -> Vec<Value> {
    serde_json::from_str(&house.run(&["jobs", "list", "--json"]).ok()).unwrap()
}

/// Runs of all jobs together.
fn runs(house: &House) -> u64 {
    told(house).iter().map(|job| job["runs"].as_u64().unwrap()).sum()
}
