//! Each cause of a gap, from what brings it about to what `fetch` says of it.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use chrono::{Days, Utc};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    harness::{House, until},
    programs,
    servers::{Silent, job, willing},
};

/// Time in which a job of one second leaves a gap that is seen, or ends one.
const WHILE: Duration = Duration::from_millis(3_500);
/// How long a busy machine may take to show it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The gaps of a series over the last minutes, as cause and detail; those of a moment that a machine under load makes are left out.
fn gaps(house: &House, series: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(&house.run(&["fetch", series, "--from", "now-5min", "--json"]).ok()).unwrap();
    let gaps = answer[0]["gaps"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let lasting = gaps.iter().filter(|gap| gap["to"].as_i64().unwrap() - gap["from"].as_i64().unwrap() > 1);
    let said = |gap: &Value| [gap["cause"].as_str(), gap["detail"].as_str()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut causes: Vec<String> = lasting.map(said).collect();
    causes.dedup();
    causes
}

fn await_gaps(house: &House, series: &str, expected: &[&str]) {
    let mut seen = Vec::new();
    let met = until(PATIENCE, || {
        seen = gaps(house, series);
        (seen == expected).then_some(())
    });
    assert!(met.is_some(), "{series}: {seen:?} and not {expected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_to_run_or_could_not_has_its_cause() {
    let server = willing().await;
    let calm = |more: &str| job("calm", &format!("every = \"1s\"\n{more}"), server.port());
    let other = job("other", "every = \"1s\"", server.port());
    let house = House::new(&(calm("") + &other));
    let daemon = house.start();
    let series = "up{job=\"calm\"}";
    until(PATIENCE, || house.run(&["fetch", series]).code.filter(|code| *code == 0)).expect("it has a series");
    thread::sleep(WHILE);
    house.run(&["jobs", "pause", "calm"]).ok();
    thread::sleep(WHILE);
    await_gaps(&house, series, &["not_scheduled paused"]);
    house.run(&["jobs", "resume", "calm"]).ok();
    thread::sleep(WHILE);
    let today = Utc::now().date_naive();
    let dark = format!("blackout = \"{}..{}\"", today - Days::new(1), today + Days::new(1));
    for (schedule, what) in [(calm(&dark) + &other, "blackout"), (other.clone(), "removal")] {
        house.schedule(&schedule);
        house.run(&["reload"]).ok();
        thread::sleep(WHILE);
        eprintln!("{what}: {:?}", gaps(&house, series));
        house.schedule(&(calm("") + &other));
        house.run(&["reload"]).ok();
        thread::sleep(WHILE);
    }
    let until_now = ["not_scheduled paused", "blackout", "not_scheduled removed"];
    await_gaps(&house, series, &until_now);
    assert_eq!(gaps(&house, "up{job=\"other\"}"), [""; 0], "a neighbour has none");
    daemon.kill();
    thread::sleep(WHILE);
    // Without a daemon the same is told, and that none runs.
    let all = [&until_now[..], &["host_down"]].concat();
    assert_eq!(gaps(&house, series), all);
    let daemon = house.start();
    thread::sleep(WHILE);
    await_gaps(&house, series, &all);
    let told = house.run(&["fetch", series, "--from", "now-5min", "--gaps"]).ok();
    let cells: Vec<_> = told.lines().filter_map(|line| line.split(',').nth(2)).collect();
    assert!(cells[0].starts_with("\"cause of up{job=") || cells[0].starts_with("cause of up"), "{told}");
    for cause in ["not_scheduled: paused", "blackout", "not_scheduled: removed", "host_down"] {
        assert!(cells.contains(&cause), "{cause}:\n{told}");
    }
    assert!(told.lines().skip(1).all(|line| line.split(',').nth(1) == Some("") || line.ends_with(',')), "a value has no cause:\n{told}");
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_due_not_active_or_not_given_says_so() {
    let server = willing().await;
    // Its slots are of one second, and it is due in one of three.
    let seldom = job("seldom", "cron = \"*/3 * * * * *\"", server.port());
    let calm = |more: &str| job("calm", &format!("every = \"1s\"\n{more}"), server.port());
    let house = House::new(&(calm("") + &seldom));
    let daemon = house.start();
    let series = "up{job=\"calm\"}";
    until(PATIENCE, || house.run(&["fetch", series]).code.filter(|code| *code == 0)).expect("it has a series");
    thread::sleep(WHILE);
    let opens = Utc::now().date_naive() + Days::new(2);
    house.schedule(&(calm(&format!("active = \"{opens}\"")) + &seldom));
    house.run(&["reload"]).ok();
    thread::sleep(WHILE);
    await_gaps(&house, series, &["not_scheduled not_active"]);
    house.schedule(&(calm("") + &seldom));
    house.run(&["reload"]).ok();
    await_gaps(&house, "up{job=\"seldom\"}", &["not_scheduled not_due"]);
    thread::sleep(WHILE);
    await_gaps(&house, series, &["not_scheduled not_active"]);
    // A session without TLS has every other time, and was fine.
    let without = gaps(&house, "tls_time{job=\"calm\"}");
    assert!(without.contains(&"not_recorded".to_owned()) && without.contains(&"not_scheduled not_active".to_owned()), "{without:?}");
    daemon.stop();
}

#[test]
fn what_failed_has_its_kind_and_what_was_cut_short_says_so() {
    let silent = Silent::new();
    let house = House::new("");
    let log = house.folder().join("mail.log");
    fs::write(
        &log,
        "Nov 22 05:01:47 mx1 postfix/smtpd[7]: connect from a[192.0.2.1]\nNov 22 05:01:47 mx1 postfix/qmgr[8]: 4AbCdEf: removed\n",
    )
    .unwrap();
    let config = format!("log = {log:?}, format = \"postfix\", from = \"start\"");
    let crowded = format!("[[job]]\nname = \"crowded\"\nagent = \"maillog\"\nevery = \"1s\"\nlabels_max = 1\nconfig = {{ {config} }}\n");
    house.schedule(&(job("late", "every = \"2s\"\ntimeout = \"1s\"", silent.port()) + &crowded));
    let daemon = house.start();
    let lines = || writeln_to(&log);
    let seen = until(PATIENCE, || {
        lines();
        thread::sleep(Duration::from_millis(500));
        let is_stored = |series: &str| house.run(&["fetch", series]).code == Some(0);
        let both = is_stored("total_time{job=\"late\"}")
            && is_stored("up{job=\"crowded\"}")
            && gaps(&house, "total_time{job=\"late\"}").contains(&"target_down timeout".to_owned())
            && gaps(&house, "up{job=\"crowded\"}").contains(&"agent_failed limit".to_owned());
        both.then_some(())
    });
    assert!(seen.is_some(), "{:?} {:?}", gaps(&house, "total_time{job=\"late\"}"), gaps(&house, "up{job=\"crowded\"}"));
    // Runs that were over well have no gap of `up`; those that failed have none either, for it is 0.
    assert_eq!(gaps(&house, "up{job=\"late\"}"), [""; 0]);
    // A worker that goes again and again takes the runs with it that were under way.
    house.schedule(&job("late", "every = \"2s\"\ntimeout = \"2s\"", silent.port()));
    house.run(&["reload"]).ok();
    let cut = until(PATIENCE, || {
        for worker in daemon.workers() {
            if let Some(pid) = Pid::from_raw(worker.pid as i32) {
                kill_process(pid, Signal::KILL).ok();
            }
        }
        thread::sleep(Duration::from_millis(700));
        gaps(&house, "up{job=\"late\"}").iter().any(|gap| gap == "interrupted").then_some(())
    });
    assert!(cut.is_some(), "{:?}", gaps(&house, "up{job=\"late\"}"));
    daemon.stop();
}

fn writeln_to(log: &std::path::Path) {
    use std::io::Write;
    let mut file = fs::File::options().append(true).open(log).unwrap();
    for line in ["postfix/smtpd[7]: connect from a[192.0.2.1]", "postfix/qmgr[8]: 4AbCdEf: removed"] {
        writeln!(file, "Nov 22 05:01:47 mx1 {line}").unwrap();
    }
}

/// A run that takes two of three seconds, and one that somebody asks for: then one that is due is left out.
#[test]
fn a_run_that_was_left_out_says_so() {
    let silent = Silent::new();
    let house = House::new(&job("hangs", "every = \"3s\"\ntimeout = \"2s\"\noverlap = \"skip\"", silent.port()));
    let daemon = house.start();
    let series = "total_time{job=\"hangs\"}";
    let skipped = until(2 * PATIENCE, || {
        house.run(&["jobs", "run", "hangs"]);
        gaps(&house, "up{job=\"hangs\"}").iter().any(|gap| gap == "skipped").then_some(())
    });
    assert!(skipped.is_some(), "{:?} {:?}", gaps(&house, "up{job=\"hangs\"}"), gaps(&house, series));
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn time_that_a_clock_was_turned_past_says_so() {
    if !programs::there("faketime") {
        return;
    }
    let server = willing().await;
    let house = House::new(&job("calm", "every = \"1s\"", server.port()));
    let library = programs::output_of("faketime", &["-f", "+0", "printenv", "LD_PRELOAD"]);
    let offset = house.keep("offset", b"+0\n");
    let faked = |command: &mut Command| {
        command.env("LD_PRELOAD", library.trim()).env("FAKETIME_TIMESTAMP_FILE", &offset);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    };
    let daemon = house.start_with(faked);
    let series = "up{job=\"calm\"}";
    until(PATIENCE, || house.run(&["fetch", series]).code.filter(|code| *code == 0)).expect("it has a series");
    thread::sleep(WHILE);
    fs::write(&offset, "+20s\n").unwrap();
    // Beyond the time that was turned past, as everybody else's clock has it.
    let turned = SystemTime::now();
    let told = until(PATIENCE, || {
        let answer: Value =
            serde_json::from_str(&house.run(&["fetch", series, "--from", "now-1min", "--to", "now+1min", "--json"]).ok()).ok()?;
        let gap = answer[0]["gaps"].as_array()?.iter().find(|gap| gap["cause"] == "clock_stepped")?.clone();
        Some(gap["to"].as_i64()? - gap["from"].as_i64()?)
    });
    eprintln!("{:?} after it was turned: {told:?} s", turned.elapsed().unwrap());
    assert!(told.is_some_and(|length| (17..=21).contains(&length)), "{told:?}");
    let text = house.alarm_is("clock_step", "active");
    assert!(text.starts_with("the wall clock was turned forward by "), "{text}");
    daemon.stop();
}
