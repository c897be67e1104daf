//! `series` and `graph`: the same from a daemon and from what one left.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{House, until},
    job, refused, willing,
};

/// A house whose two jobs have run four times, and an instant from which on they had.
async fn ran() -> (House, crate::harness::Daemon, i64) {
    let server = willing().await;
    let house =
        House::new(&(job("often", "every = \"1s\"\nlabels = { site = \"paris\" }", server.port()) + &job("late", "every = \"1s\"", 1)));
    let daemon = house.start();
    let ran = || {
        let jobs = crate::json(&house, &["jobs"]);
        jobs.as_array().unwrap().iter().all(|job| job["runs"].as_u64() > Some(4))
    };
    assert!(until(Duration::from_secs(30), || ran().then_some(())).is_some(), "{}", daemon.log_text());
    let last = crate::json(&house, &["jobs"])[0]["last_run"].as_f64().unwrap() as i64;
    (house, daemon, last)
}

/// What does not change while a job runs on.
fn lasting(kept: &Value) -> Vec<Value> {
    let keys = ["series", "labels", "agent", "job", "unit", "kind", "help", "step", "file", "first"];
    kept.as_array().unwrap().iter().map(|one| keys.iter().map(|key| one[*key].clone()).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_listed_and_shown_with_a_daemon_and_without() {
    let (house, daemon, last) = ran().await;
    let list = |words: &[&str]| crate::json(&house, &[&["series", "ls"], words].concat());
    let with_daemon = list(&[]);
    let names: Vec<&Value> = with_daemon.as_array().unwrap().iter().map(|one| &one["series"]).collect();
    assert!(
        names.contains(&&json!("connect_time{job=\"often\",site=\"paris\"}")) && names.contains(&&json!("up{job=\"late\"}")),
        "{names:?}"
    );
    let table = house.run(&["series"]).ok();
    assert_eq!(table.lines().count(), names.len() + 1, "{table}");
    let up = table.lines().find(|line| line.ends_with("up{job=\"late\"}")).unwrap();
    assert!(up.starts_with("0 ") && up.contains(" number ") && up.contains(" 1 s "), "a job that fails: {up}");
    let shown = house.run(&["series", "show", "connect_time{job=\"often\"}"]).ok();
    let file = house.data().join("series/often/_.rrd");
    for part in [
        "gauge in seconds, by agent smtp of 127.0.0.1:",
        &format!("  file {}, ", file.display()),
        "AVERAGE of every 1 s for 6 h 0 m: 21,600 rows, ",
    ] {
        assert!(shown.contains(part), "no {part:?} in:\n{shown}");
    }
    let details = crate::json(&house, &["series", "show", "connect_time{job=\"often\"}"]);
    let archive = &details[0]["files"][0]["archives"][0];
    let first = details[0]["first"].as_i64().unwrap();
    assert!(archive["filled"].as_i64().unwrap() >= last - first && archive["rows"] == 21_600, "{archive}");
    refused(&house.run(&["series", "ls", "uo"]), 2, &["cannot list the series: no series matches uo: did you mean the metric `up`?"]);
    assert!(daemon.stop().status.success());
    let without = list(&[]);
    assert_eq!(lasting(&without), lasting(&with_daemon));
    let value = |one: &Value| (one["last"].clone(), one["value"].clone());
    let files: Vec<_> = without.as_array().unwrap().iter().map(value).collect();
    assert!(files.iter().all(|(last, _)| last.as_i64() >= Some(first)) && files.iter().any(|(_, value)| value.as_f64() > Some(0.0)));
    let one = list(&["total_time{job=\"often\"}"]);
    let last = one[0]["last"].as_i64().unwrap();
    let range = ["--from", &(last - 1).to_string(), "--to", &last.to_string()];
    let fetched = crate::json(&house, &[&["fetch", "total_time{job=\"often\"}"], &range as &[&str]].concat());
    assert_eq!(one[0]["value"], fetched[0]["values"][0], "what the file's head has is what `fetch` gives, unknown or not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_the_same_with_a_daemon_and_without() {
    let (house, daemon, last) = ran().await;
    let range = ["--from", &(last - 30).to_string(), "--to", &(last - 1).to_string()];
    let draw = |file: &str| {
        let file = house.folder().join(file);
        let words = ["graph", "total_time{job=\"often\"}", "up", "-o", &file.display().to_string()].map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).chain(range).collect();
        assert_eq!(house.run(&words).ok(), "");
        fs::read(file).unwrap()
    };
    let (svg, png) = (draw("a.svg"), draw("a.PNG"));
    assert!(svg.starts_with(b"<?xml") && png.starts_with(b"\x89PNG"));
    let to = |file: &str| house.folder().join(file).display().to_string();
    refused(
        &house.run(&["graph", "up", "-o", &to("a.gif")]),
        2,
        &["cannot draw: ", "a.gif is no name of a picture: it ends in .png or .svg"],
    );
    refused(&house.run(&["graph", "uo", "-o", &to("a.png")]), 2, &["cannot draw: no series matches uo"]);
    let never = ["--from", "2020-01-01", "--to", "2020-01-02"];
    refused(&house.run(&[&["graph", "up", "-o", &to("a.png")], &never as &[&str]].concat()), 1, &["nothing is known of that time"]);
    refused(&house.run(&["graph", "up", "-o", &to("none/a.png")]), 1, &["error: cannot write ", "none/a.png: No such file or directory"]);
    assert_eq!(crate::json(&house, &["graph", "up{job=\"late\"}", "-o", &to("b.png")])["series"], json!(["up{job=\"late\"}"]));
    assert!(daemon.stop().status.success());
    assert!(draw("b.svg") == svg && draw("b.png") == png, "the same picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn series_are_dropped_with_a_daemon_and_without_once_somebody_says_yes() {
    let (house, daemon, _) = ran().await;
    let file = |job: &str| house.data().join("series").join(job).join("_.rrd");
    let drop = |words: &[&str]| house.run(&[&["series", "drop"], words].concat());
    let told = drop(&["{job=\"late\"}", "--dry-run"]).ok();
    assert!(told.starts_with("would be dropped: series/late/_.rrd, ") && told.contains("\n  up{job=\"late\"}\n"), "{told}");
    refused(&drop(&["{job=\"late\"}"]), 2, &["cannot drop series: nobody can be asked here: say --yes"]);
    refused(&drop(&["up{job=\"late\"}", "--yes"]), 2, &["up{job=\"late\"} lies in one file with ", "{job=\"late\"} means them all"]);
    assert!(file("late").exists());
    // Nobody measures it any more.
    let server_port = fs::read_to_string(house.folder().join("jobs.toml")).unwrap();
    house.schedule(server_port.split("[[job]]\nname = \"late\"").next().unwrap());
    house.run(&["reload"]).ok();
    let dropped = drop(&["{job=\"late\"}", "--yes", "--json"]).ok();
    assert!(dropped.contains("series/late/_.rrd") && !file("late").exists(), "{dropped}");
    refused(&house.run(&["series", "ls", "{job=\"late\"}"]), 2, &["no series matches"]);
    let reported = crate::json(&house, &["events", "--code", "series_dropped"]);
    assert!(reported[0]["text"].as_str().is_some_and(|text| text.starts_with("series/late/_.rrd with ")), "{reported}");
    // A job that runs on begins anew.
    drop(&["{job=\"often\"}", "--yes"]).ok();
    let again = until(Duration::from_secs(10), || file("often").exists().then_some(()));
    assert!(again.is_some(), "{}", daemon.log_text());
    assert!(daemon.stop().status.success());
    assert!(drop(&["{job=\"often\"}", "--yes"]).ok().starts_with("dropped: series/often/_.rrd, "));
    assert!(!file("often").exists() && house.run(&["series"]).ok().lines().count() == 1, "nothing comes back from the journal");
}
