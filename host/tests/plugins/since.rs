//! Since when a job fails: no news of worker or daemon changes it.

use std::{fs, thread::sleep, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    harness::{House, until},
    house::{house, job, status, worker},
};

/// A job that fails, one whose runs are lost with the worker, one that runs too seldom to be seen again soon, and a thousand readings
/// between two of theirs.
const SCHEDULE: &str = r#"
[defaults]
agent = "beast"
every = "1s"

[[job]]
name = "fails"
config = { does = "hostile" }

[[job]]
name = "lost"
config = { does = "hostile", repeatable = false }

[[job]]
name = "seldom"
every = "1h"
config = { does = "hostile" }
"#;

fn told(house: &House, name: &str) -> Value {
    job(&status(house), name).clone()
}

fn since(house: &House, name: &str) -> f64 {
    let told = told(house, name);
    assert_eq!(told["health"], "failing", "{told}");
    told["since"].as_f64().unwrap_or_else(|| panic!("since when is unknown: {told}"))
}

/// Waits until a job has run so many times in this daemon's life, and fails.
fn await_failures(house: &House, name: &str, runs: u64) {
    let failing = |told: &Value| told["runs"].as_u64().unwrap() >= runs && told["health"] == "failing";
    until(Duration::from_secs(20), || Some(told(house, name)).filter(failing)).unwrap_or_else(|| panic!("{}", told(house, name)));
}

#[test]
fn failing_since_survives_the_end_of_worker_and_daemon() {
    let house = house(SCHEDULE, &[]);
    let daemon = house.start();
    assert_eq!(house.run(&["jobs", "run", "seldom"]).code, Some(1));
    for name in ["fails", "lost"] {
        await_failures(&house, name, 2);
    }
    let names = ["fails", "lost", "seldom"];
    let before = names.map(|name| since(&house, name));

    // The worker is killed again and again: somebody loses a run by it, or none.
    for _ in 0..3 {
        let pid = worker(&status(&house), "zoo")["pid"].as_i64().unwrap();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
        let back = |status: &Value| worker(status, "zoo")["state"] == "ready" && worker(status, "zoo")["pid"] != pid;
        until(Duration::from_secs(20), || Some(status(&house)).filter(back)).expect("the worker comes back");
        sleep(Duration::from_millis(700));
    }
    for name in ["fails", "lost"] {
        await_failures(&house, name, 5);
    }
    assert_eq!(names.map(|name| since(&house, name)), before, "after the worker's deaths");

    daemon.kill();
    sleep(Duration::from_secs(3));
    let daemon = house.start();
    assert_eq!((since(&house, "seldom"), &told(&house, "seldom")["runs"]), (before[2], &0.into()), "its last reading still stands");
    for name in ["fails", "lost"] {
        await_failures(&house, name, 1);
    }
    assert_eq!(names.map(|name| since(&house, name)), before, "after the daemon was killed");
    assert!(daemon.stop().status.success());

    // Without a journal, as when it is far longer than what is read of it again.
    fs::remove_dir_all(house.data().join("journal")).unwrap();
    let daemon = house.start();
    for name in ["fails", "lost"] {
        await_failures(&house, name, 1);
    }
    assert_eq!(names.map(|name| since(&house, name)), before, "after the journal was lost");
    assert!(daemon.stop().status.success());
}

#[test]
fn what_an_earlier_daemon_measured_of_another_target_is_not_shown_as_this_ones() {
    let seldom = |does: &str| format!("[[job]]\nname = \"moves\"\nagent = \"beast\"\nevery = \"1h\"\nconfig = {{ does = \"{does}\" }}\n");
    let house = house(&seldom("well"), &[]);
    let daemon = house.start();
    house.run(&["jobs", "run", "moves"]).ok();
    assert_eq!(told(&house, "moves")["up"], 1.0);
    assert!(daemon.stop().status.success());
    house.schedule(&seldom("log"));
    let daemon = house.start();
    let told = told(&house, "moves");
    assert_eq!(
        (&told["up"], &told["health"], &told["since"], &told["why"]),
        (&Value::Null, &"unknown".into(), &Value::Null, &"no run yet".into())
    );
    let metrics = daemon.get("/metrics").unwrap().body;
    assert!(!metrics.contains("job=\"moves\""), "{metrics}");
}
