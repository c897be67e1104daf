//! Rules held to the past: of what the store kept they say what they said when it came.

use std::time::Duration;

use serde_json::Value;
use watchpost_testkit::ClosedPort;

use crate::{
    alarms::{house_of, json},
    harness::{House, greeter::serve_on, until},
    servers::job,
};

const SOON: Duration = Duration::from_secs(20);
const RULES: &str = "[[job.threshold]]\nname = \"down\"\nmetric = \"up\"\ncritical = \"< 1\"\nraise_after = 2\n\
                     [[rule]]\nname = \"down for long\"\nenabled = false\nseries = 'up'\ncritical = \"< 1\"\nraise_after = 60\n";

fn alarms(house: &House, rule: &str) -> Vec<Value> {
    json(house, &["rules", "replay", rule, "--from", "now-10m"])["alarms"].as_array().unwrap().clone()
}

#[test]
fn a_replay_tells_the_alarm_that_there_was_and_a_patient_rule_none() {
    let door = ClosedPort::take().unwrap();
    let port = door.port().unwrap();
    let house = house_of(&(job("mx", "every = \"1s\"", port) + RULES));
    let daemon = house.start();
    let stage = |wanted: &str| {
        let all = json(&house, &["alarms", "list", "--state", "all"]);
        all.as_array().unwrap().first().filter(|alarm| alarm["stage"] == wanted).cloned()
    };
    until(SOON, || stage("active")).expect("it is raised");
    drop(door);
    serve_on(port);
    let was = until(SOON, || stage("cleared")).expect("it is cleared");
    let replayed = alarms(&house, "down");
    let [alarm] = &replayed[..] else { panic!("{replayed:?}") };
    let raised = was["raised_ns"].as_i64().unwrap() / 1_000_000_000;
    assert!((alarm["raised"].as_i64().unwrap() - raised).abs() <= 2, "{alarm} {was}");
    assert!(alarm["cleared"].as_i64().is_some_and(|cleared| cleared > raised), "{alarm}");
    assert_eq!((alarm["severity"].as_str(), alarm["series"].as_str(), alarm["step"].as_u64()), (Some("critical"), Some("up"), Some(1)));
    assert_eq!(alarms(&house, "down for long"), [] as [Value; 0]);

    let difference = json(&house, &["rules", "diff", "down", "down for long", "--from", "now-10m"]);
    let of: Vec<_> = difference["pairs"].as_array().unwrap().iter().map(|pair| pair["of"].clone()).collect();
    assert_eq!(of, ["first"], "{difference}");

    let suggested = json(&house, &["rules", "suggest", "up", "--below", "--from", "now-10m"]);
    assert!(suggested.as_array().is_some_and(|all| !all.is_empty()), "{suggested}");
    let wrong = house.run(&["rules", "replay", "dwon"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("did you mean `down`?"), "{wrong:?}");

    let before = house.run(&["rules", "replay", "down", "--from", "-3d", "--to", "-2d"]);
    assert!(before.code == Some(1) && before.err.contains("nothing is known of its series in that time"), "{before:?}");

    // Files and journal tell the same when nobody runs.
    daemon.stop();
    assert_eq!(alarms(&house, "down"), replayed);
}
