//! What the daemon reports of itself is listed by it, after it, and never twice.

use serde_json::Value;

use crate::{
    harness::{House, until},
    servers::{job, willing},
};

/// The codes that `events` lists, with the arguments given.
fn codes(house: &House, words: &[&str]) -> Vec<String> {
    let listed: Value = serde_json::from_str(&house.run(&[&["events", "--json"], words].concat()).ok()).unwrap();
    listed.as_array().unwrap().iter().map(|event| event["code"].as_str().unwrap().to_owned()).collect()
}

/// Waits until those codes are listed, and no others.
fn await_codes(house: &House, expected: &[&str]) {
    let seen = until(std::time::Duration::from_secs(10), || Some(codes(house, &[])).filter(|found| found == expected));
    assert!(seen.is_some(), "{:?}, not {expected:?}", codes(house, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_did_is_listed_once_over_kills_and_stops_and_without_it() {
    let server = willing().await;
    let own = job("relay", "every = \"1s\"", server.port());
    let house = House::new(&own);
    let daemon = house.start();
    house.run(&["jobs", "pause", "relay"]).ok();
    house.run(&["jobs", "resume", "relay"]).ok();
    house.schedule(&own.replace("every", "evry"));
    assert_eq!(house.run(&["reload"]).code, Some(2));
    house.schedule(&own);
    house.run(&["reload"]).ok();
    let before = ["started", "job_paused", "job_resumed", "reload_refused", "reloaded"];
    await_codes(&house, &before);
    assert_eq!(codes(&house, &["--job", "relay"]), ["job_paused", "job_resumed"]);
    assert_eq!(codes(&house, &["--severity", "minor"]), ["reload_refused"]);
    assert_eq!(codes(&house, &["--limit", "2"]), ["reload_refused", "reloaded"]);
    assert!(house.run(&["events", "--limit", "2"]).err.contains("there are earlier ones"));

    // The listener answers alike.
    let answer = daemon.get("/api/v1/events?severity=minor").unwrap();
    let listed: Value = serde_json::from_str(&answer.body).unwrap();
    assert!(listed[0]["text"].as_str().unwrap().contains("jobs.toml:"), "{listed}");
    assert_eq!(daemon.get("/api/v1/events?since=never").unwrap().status, 400);

    daemon.kill();
    await_codes(&house, &before); // from the files and the journal
    let daemon = house.start();
    let twice = [&before[..], &["started"]].concat();
    await_codes(&house, &twice);
    assert!(daemon.stop().status.success());
    await_codes(&house, &twice);
}

#[test]
fn a_wrong_question_is_refused_with_what_would_be_right() {
    let house = House::new("");
    for (words, part) in [
        (["--severity", "bad"], "cannot list events: `bad` is no severity; there are indeterminate, warning"),
        (["--since", "soon"], "now-1h"),
        (["--limit", "0"], "from 1 to 100000"),
    ] {
        std::fs::create_dir_all(house.data()).unwrap();
        let said = house.run(&[&["events"], &words[..]].concat());
        assert!(said.code == Some(2) && said.err.contains(part), "{said:?}");
    }
}
