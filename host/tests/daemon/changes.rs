//! A configuration that changes step, archives and name of a job, while its series go on.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use crate::{
    harness::{House, http, until},
    servers::{job, willing},
};

/// Time in which a job of one second gives a few readings.
const WHILE: Duration = Duration::from_millis(4_000);
/// How long a busy machine may take to show it.
const PATIENCE: Duration = Duration::from_secs(40);

/// The rows of `up` of a job, as fine as they are.
fn rows(house: &House, job: &str) -> Vec<(i64, Option<f64>)> {
    let series = format!("up{{job=\"{job}\"}}");
    let answer: Value = serde_json::from_str(&house.run(&["fetch", &series, "--from", "now-5min", "--json"]).ok()).unwrap();
    let number = |key: &str| answer[0][key].as_i64().unwrap_or_else(|| panic!("{answer}"));
    let values = answer[0]["values"].as_array().unwrap_or_else(|| panic!("{answer}"));
    values.iter().zip(0..).map(|(value, row)| (number("start") + row * number("step"), value.as_f64())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_another_step_other_archives_and_another_name_has_one_series() {
    let server = willing().await;
    let house = House::new(&job("calm", "every = \"1s\"", server.port()));
    let daemon = house.start();
    until(PATIENCE, || house.run(&["fetch", "up{job=\"calm\"}"]).code.filter(|code| *code == 0)).expect("it has a series");
    thread::sleep(WHILE);
    for (name, more) in [
        ("calm", "every = \"2s\""),
        ("calm", "every = \"2s\"\narchives = [{ keep = \"1h\" }, { every = \"1m\", keep = \"1d\", of = [\"average\", \"max\"] }]"),
        ("quiet", "every = \"1s\"\nwas = \"calm\""),
    ] {
        house.schedule(&job(name, more, server.port()));
        house.run(&["reload"]).ok();
        thread::sleep(WHILE);
    }
    let left = || -> Vec<String> {
        let entries = fs::read_dir(house.folder().join("data/series/quiet")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".rrd")).collect();
        names.sort();
        names
    };
    let migrated = until(PATIENCE, || (left() == ["_.rrd"]).then_some(()));
    assert!(migrated.is_some(), "{:?}", left());
    let told = until(PATIENCE, || {
        let events = house.run(&["events", "--json"]).ok();
        (events.contains("series_migration_began") && events.contains("series_migrated")).then_some(())
    });
    assert!(told.is_some(), "{}", house.run(&["events"]).ok());
    let seen = rows(&house, "quiet");
    let known: Vec<i64> = seen.iter().filter(|row| row.1.is_some()).map(|row| row.0).collect();
    let (first, last) = (known[0], *known.last().unwrap());
    assert!(last - first >= 14, "{known:?}");
    // A slot at each change may be nobody's: runs of before and after it are no step apart.
    let unknown = seen.iter().filter(|row| (first..=last).contains(&row.0) && row.1.is_none()).count();
    assert!(unknown <= 6, "{unknown} unknown of {seen:?}");
    assert!(!house.folder().join("data/series/calm/_.rrd").exists());
    let jobs = house.run(&["series", "ls", "up", "--json"]).ok();
    assert!(jobs.contains("quiet") && !jobs.contains("calm"), "{jobs}");
    daemon.stop();
    assert_eq!(rows(&house, "quiet").iter().find(|row| row.0 == first).map(|row| row.1), Some(Some(1.0)), "without a daemon as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_a_job_that_is_gone_are_renamed_at_the_socket_and_nowhere_else() {
    let server = willing().await;
    let other = job("other", "every = \"1s\"", server.port());
    let house = House::new(&(job("calm", "every = \"1s\"", server.port()) + &other));
    let daemon = house.start();
    until(PATIENCE, || house.run(&["fetch", "up{job=\"calm\"}"]).code.filter(|code| *code == 0)).expect("it has a series");
    thread::sleep(WHILE);
    let asked = |from: &str, to: &str| http::ask(&house.socket(), "POST", &format!("/api/v1/series/rename?from={from}&to={to}")).unwrap();
    let measured = asked("calm", "quiet");
    assert_eq!(measured.status, 400, "{}", measured.body);
    assert!(measured.body.contains("job `calm` is measured: call it `quiet` in its schedule, with was"), "{}", measured.body);
    house.schedule(&other);
    house.run(&["reload"]).ok();
    let before: Vec<_> = rows(&house, "calm").into_iter().filter(|row| row.1.is_some()).collect();
    let strange = asked("clam", "quiet");
    assert!(strange.status == 400 && strange.body.contains("did you mean `calm`?"), "{} {}", strange.status, strange.body);
    assert_ne!(daemon.get("/api/v1/series/rename?from=calm&to=quiet").map(|answer| answer.status).unwrap(), 200, "by TCP nothing changes");
    let renamed = asked("calm", "quiet");
    let told: Value = serde_json::from_str(&renamed.body).unwrap_or_else(|_| panic!("{}", renamed.body));
    assert_eq!((renamed.status, told), (200, serde_json::json!({ "from": "calm", "to": "quiet", "files": 1 })));
    let after: Vec<_> = rows(&house, "quiet").into_iter().filter(|row| row.1.is_some()).collect();
    assert!(before.len() >= 2 && before.iter().all(|row| after.contains(row)), "{before:?} {after:?}");
    assert!(house.data().join("series/quiet/_.rrd").exists() && !house.data().join("series/calm/_.rrd").exists());
    daemon.kill();
    let daemon = house.start();
    assert!(rows(&house, "quiet").iter().any(|row| row.1.is_some()), "it is so for the next daemon, too");
    daemon.stop();
}
