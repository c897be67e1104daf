//! `fetch`: how far its rows are apart, and a table that the tools of Unix take.

use std::{process::Command, time::Duration};

use serde_json::json;

use crate::{
    harness::{House, Said, until},
    job, parsed, willing,
};

/// A house in which a job of every 5 s and one of every 3 s have run twice.
async fn two_steps() -> House {
    let server = willing().await;
    let house = House::new(&(job("five", "every = \"5s\"", server.port()) + &job("three", "every = \"3s\"", server.port())));
    let daemon = house.start();
    let ran = || {
        let jobs = crate::json(&house, &["jobs"]);
        jobs.as_array().unwrap().iter().all(|job| job["ok"].as_u64() > Some(1))
    };
    assert!(until(Duration::from_secs(30), || ran().then_some(())).is_some(), "{}", daemon.log_text());
    assert!(daemon.stop().status.success());
    house
}

fn fetch(house: &House, words: &[&str]) -> Said {
    let said = house.run(&[&["fetch"], words, &["--from", "now-1m"]].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_cannot_be_given_is_told_with_the_one_that_is() {
    let house = two_steps().await;
    let five = "total_time{job=\"five\"}";
    for (step, given, note) in [
        (
            "7",
            10,
            "note: rows are 10 s apart, not 7 s: over this range every 5 s is kept, and a step is a multiple of that (total_time{job=\"five\"})\n",
        ),
        ("10s", 10, ""),
        (
            "1s",
            5,
            "note: rows are 5 s apart, not 1 s: over this range every 5 s is kept, and a step is a multiple of that (total_time{job=\"five\"})\n",
        ),
        ("5", 5, ""),
    ] {
        let said = fetch(&house, &[five, "--step", step, "--format", "json"]);
        assert_eq!((&parsed(&said.out)[0]["step"], said.err.as_str()), (&json!(given), note), "--step {step}");
    }
    let table = fetch(&house, &[five, "--step", "7"]);
    let times: Vec<&str> = table.out.lines().skip(1).filter_map(|row| row.get(17..19)).collect();
    assert!(table.err.starts_with("note: rows are 10 s apart") && times.iter().all(|seconds| seconds.ends_with('0')), "{table:?}");
    // The daemon says the same.
    let daemon = house.start();
    assert_eq!(fetch(&house, &[five, "--step", "7"]).err, table.err);
    assert!(daemon.stop().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn series_of_several_steps_in_one_table_say_which_step_fits_all() {
    let house = two_steps().await;
    let said = fetch(&house, &["up"]);
    assert_eq!(said.err, "note: rows are 3 s or 5 s apart, by series, which leaves cells empty; --step 15 gives all of them one step\n");
    assert_eq!(fetch(&house, &["up", "--step", "15"]).err, "");
    assert_eq!(fetch(&house, &["up", "--format", "json"]).err, "", "each object says its own step");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_is_not_there_beside_one_that_is_is_a_note() {
    let house = two_steps().await;
    let said = fetch(&house, &["total_time{job=\"five\"}", "totl_time"]);
    assert_eq!(said.err, "note: no series matches totl_time: did you mean the metric `total_time`?\n");
    assert_eq!(said.out.lines().next().map(|head| head.matches("total_time").count()), Some(1), "{said:?}");
}

#[test]
fn a_job_that_has_not_run_yet_is_known_and_has_nothing_stored() {
    let house = House::new(&(job("rare", "every = \"1d\"", 25) + &job("seldom", "every = \"1d\"", 25)));
    let _daemon = house.start();
    let check = |asked: &str, hint: &str| {
        let said = until(Duration::from_secs(15), || Some(house.run(&["fetch", asked])).filter(|said| said.err.contains(hint)));
        let said = said.unwrap_or_else(|| house.run(&["fetch", asked]));
        crate::refused(&said, 2, &[&format!("error: cannot fetch: no series matches {asked}: {hint}")]);
    };
    check("up{job=\"rare\"}", "nothing of that is stored");
    check("connect_time{job=\"rare\",target=\"127.0.0.1:25\"}", "nothing of that is stored");
    check("connect_time{job=\"raer\"}", "did you mean the job `rare`?");
    check("connect_tmie{job=\"rare\"}", "did you mean the metric `connect_time`?");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_of_each_row_can_be_asked_for() {
    let house = two_steps().await;
    let ask = |how: &str| fetch(&house, &["run_duration{job=\"three\"}", "--step", "1m", "--consolidation", how, "--to", "now+1m"]).out;
    let last = ask("LAST");
    assert!(last.lines().skip(1).any(|row| !row.ends_with(',')), "{last}");
    assert_ne!(last, ask("AVERAGE"), "of several values, the latest is not the mean");
    assert_eq!(ask("last"), last);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_taken_apart_by_awk_and_cut_as_it_stands() {
    let house = two_steps().await;
    let said = fetch(&house, &["up{job=\"five\"}"]);
    assert!(!said.out.contains('\r'), "{said:?}");
    let file = house.folder().join("up.csv");
    std::fs::write(&file, &said.out).unwrap();
    let script = "awk -F, 'NR > 1 && $2 == \"1\"' \"$0\" | cut -d, -f2 | sort -u";
    let output = Command::new("sh").args(["-c", script]).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n");
}
