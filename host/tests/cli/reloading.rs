//! A configuration that changes under a running daemon: whole or not at all.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    harness::{Daemon, House, until},
    job, refused, willing,
};

/// How long a daemon may take to do what a signal or a schedule asks.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_touches_what_changed_and_nothing_else() {
    let (server, other) = (willing().await, willing().await);
    let port = server.port();
    let rest = job("same", "every = \"1h\"", port);
    let house = House::new(&(rest.clone() + &job("changes", "every = \"1h\"", port) + &job("goes", "every = \"1h\"", port)));
    let _daemon = house.start();
    for name in ["same", "changes"] {
        house.run(&["jobs", "run", name]).ok();
    }
    let before = jobs(&house);

    assert_eq!(house.run(&["reload"]).ok(), "reloaded: jobs: 0 added, 0 changed, 0 removed, 3 unchanged\n");
    assert_eq!(jobs(&house), before);
    let rule = |bound: &str| format!("[[rule]]\nname = \"slow\"\nseries = \"run_duration\"\nmajor = \"{bound}\"\n");
    let as_it_is = rest.clone() + &job("changes", "every = \"1h\"", port) + &job("goes", "every = \"1h\"", port);
    for (more, told) in
        [(rule("> 2s"), "1 added, 0 changed"), (rule("> 3s"), "0 added, 1 changed"), (String::new(), "0 added, 0 changed, 1 removed")]
    {
        house.schedule(&(as_it_is.clone() + &more));
        let said = house.run(&["reload"]).ok();
        assert!(said.starts_with("reloaded: jobs: 0 added, 0 changed, 0 removed, 3 unchanged\n"), "{said}");
        assert!(said.contains(&format!("\nreloaded: rules: {told}")), "{said}");
    }

    house.schedule(&(rest + &job("changes", "every = \"1h\"", other.port()) + &job("comes", "every = \"1h\"", port)));
    let changes = crate::json(&house, &["reload"]);
    assert_eq!(changes, json!({ "added": 1, "changed": 1, "removed": 1, "unchanged": 1 }));
    let after = jobs(&house);
    let names: Vec<&Value> = after.as_array().unwrap().iter().map(|job| &job["name"]).collect();
    assert_eq!(names, ["changes", "comes", "same"]);
    assert_eq!(of(&after, "same"), of(&before, "same"), "its phase, its counters, its values");
    let (was, is) = (of(&before, "changes"), of(&after, "changes"));
    assert_eq!((&was["target"], &is["target"]), (&format!("127.0.0.1:{port}").into(), &format!("127.0.0.1:{}", other.port()).into()));
    assert_eq!((&was["up"], &is["up"]), (&1.0.into(), &Value::Null), "what was measured of another target");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_with_a_fault_changes_nothing_and_tells_every_fault() {
    let server = willing().await;
    let (often, rare) = (job("often", "every = \"1s\"", server.port()), job("rare", "every = \"1h\"", server.port()));
    let house = House::new(&(often.clone() + &rare));
    let daemon = house.start();
    let before = of(&jobs(&house), "rare");

    // What is right in the new file does not come into force either.
    let faulty =
        often + &rare.replace("1h", "2h") + &job("one", "every = \"0s\"", 25) + &job("two", "every = \"5s\"\ntimezone = \"Mars\"", 25);
    house.schedule(&faulty);
    let file = house.folder().join("jobs.toml").display().to_string();
    refused(&house.run(&["reload"]), 2, &[&format!("--> {file}:14:9"), &format!("--> {file}:20:12"), "\"0s\"", "\"Mars\""]);
    let told = house.run(&["reload", "--json"]);
    assert_eq!((told.code, crate::parsed(&told.out).as_array().map(Vec::len)), (Some(2), Some(2)), "{told:?}");
    runs_on(&house, &daemon);
    assert_eq!(of(&jobs(&house), "rare"), before);

    hang_up(&daemon);
    logs(&daemon, "reload refused", 3);
    runs_on(&house, &daemon);
    assert_eq!(of(&jobs(&house), "rare"), before);

    house.schedule(&rare.replace("1h", "2h"));
    hang_up(&daemon);
    logs(&daemon, "reloaded", 1);
    assert_eq!(jobs(&house).as_array().map(Vec::len), Some(1));
}

/// The job that runs every second does so.
fn runs_on(house: &House, daemon: &Daemon) {
    let runs = || of(&jobs(house), "often")["ok"].as_u64().unwrap();
    let before = runs();
    assert!(until(SOON, || (runs() > before + 1).then_some(())).is_some(), "{}", daemon.log_text());
}

fn hang_up(daemon: &Daemon) {
    let pid = Pid::from_raw(daemon.pid().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
}

/// Waits until the log has this line so many times.
fn logs(daemon: &Daemon, begins: &str, times: usize) {
    let count = || daemon.log().iter().filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(begins))).count();
    assert!(until(SOON, || (count() == times).then_some(())).is_some(), "{} of {times} {begins:?}:\n{}", count(), daemon.log_text());
}

fn jobs(house: &House) -> Value {
    crate::json(house, &["jobs"])
}

fn of(jobs: &Value, name: &str) -> Value {
    jobs.as_array().unwrap().iter().find(|job| job["name"] == name).unwrap_or_else(|| panic!("no {name}: {jobs}")).clone()
}
