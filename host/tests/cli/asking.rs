//! Commands that ask a running daemon, and what they say when none runs.

use std::time::Duration;

use serde_json::Value;

use watchpost_testkit::ClosedPort;

use crate::{
    harness::{House, until},
    job, json, refused, willing,
};

/// How long a job that runs every second may take to run again.
const RUN_TIMEOUT: Duration = Duration::from_secs(15);

#[test]
fn without_a_daemon_a_command_says_how_to_start_one() {
    let house = House::new("");
    for words in [&["status"] as &[&str], &["jobs"], &["jobs", "run", "relay"], &["jobs", "pause", "relay"], &["reload"]] {
        let data = format!("no daemon runs on {}; start one with `watchpost run`", house.data().display());
        refused(&house.run(words), 1, &[&data]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_listed_run_paused_and_resumed() {
    let server = willing().await;
    let house = House::new(&(job("often", "every = \"1s\"", server.port()) + &job("rare", "every = \"1h\"", server.port())));
    let mut daemon = house.start();
    let said = house.run(&["jobs", "run", "rare"]).ok();
    assert!(said.starts_with("rare: ok in ") && said.contains("\n  total_time = "), "{said}");
    assert_eq!(json(&house, &["jobs", "run", "rare"])["outcome"]["status"], "Ok");
    let rare = one(&house, "rare");
    assert_eq!((&rare["runs"], &rare["health"], &rare["up"]), (&2.into(), &"ok".into(), &1.0.into()), "{rare}");

    for said in ["paused", "was paused already"] {
        assert_eq!(house.run(&["jobs", "pause", "often"]).ok(), format!("often: {said}\n"));
    }
    let paused = daemon.log().iter().filter(|line| line["message"] == "paused").count();
    assert_eq!(paused, 1, "who is paused already is not paused again: {}", daemon.log_text());
    assert_eq!(one(&house, "often")["next_run"], Value::Null);
    assert!(row(&house, "often").contains("  paused  "), "{}", row(&house, "often"));
    assert!(daemon.stop().status.success());
    daemon = house.start();
    assert_eq!(one(&house, "often")["next_run"], Value::Null, "a pause outlives the daemon");
    assert_eq!(json(&house, &["jobs", "resume", "often"])["paused"], false);
    let runs = one(&house, "often")["runs"].as_u64();
    let again = until(RUN_TIMEOUT, || (one(&house, "often")["runs"].as_u64() > runs).then_some(()));
    assert!(again.is_some(), "{}", daemon.log_text());
    for word in ["run", "pause", "resume"] {
        let cannot = |name: &str| format!("error: cannot {word} job `{name}`: no job is called so; ");
        refused(&house.run(&["jobs", word, "never"]), 2, &[&(cannot("never") + "`watchpost jobs` lists all")]);
        refused(&house.run(&["jobs", word, "raer"]), 2, &[&(cannot("raer") + "did you mean `rare`?")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_who_runs_what_and_how_it_fares() {
    let server = willing().await;
    let door = ClosedPort::take().unwrap();
    let closed = door.port().unwrap();
    let house = House::new(&(job("fine", "every = \"1s\"", server.port()) + &job("gone", "every = \"1s\"", closed)));
    let daemon = house.start();
    let told = until(RUN_TIMEOUT, || (one(&house, "gone")["up"] == 0.0 && one(&house, "fine")["up"] == 1.0).then_some(()));
    assert!(told.is_some(), "{}", daemon.log_text());
    let said = house.run(&["status"]).ok();
    let head = format!("process {}, up ", daemon.pid());
    let counts = "\n2 jobs: 1 ok, 1 failing, 0 unknown\nJOB ";
    for part in [&head, counts, "\nready; journal ok; series ok; agents confined but for addresses, UDP, "] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    let worker = |line: &str| line.split_whitespace().take(2).eq(["smtp", "ready"]);
    assert!(said.lines().any(worker), "no worker of smtp in:\n{said}");
    assert!(said.find("\ngone  FAILING") < said.find("\nfine  ok"), "who fails comes first:\n{said}");
    assert!(row_of(&said, "gone").ends_with(&format!("connect: cannot connect to 127.0.0.1:{closed}: Connection refused")), "{said}");
    assert!(row(&house, "gone").ends_with(&format!("connect: cannot connect to 127.0.0.1:{closed}: Connection refused")), "{said}");
    let status = json(&house, &["status"]);
    assert_eq!((&status["host"]["pid"], &status["workers"][0]["state"]), (&daemon.pid().into(), &"ready".into()), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fetch_gives_the_same_from_the_daemon_and_from_the_files() {
    let server = willing().await;
    let house = House::new(&job("often", "every = \"1s\"", server.port()));
    let daemon = house.start();
    let enough = until(RUN_TIMEOUT, || (one(&house, "often")["ok"].as_u64() > Some(2)).then_some(()));
    assert!(enough.is_some(), "{}", daemon.log_text());
    let last = one(&house, "often")["last_run"].as_f64().unwrap() as i64;
    let range = ["--from", &(last - 3).to_string(), "--to", &last.to_string()];
    let fetch = |words: &[&str]| house.run(&[&["fetch", "total_time{job=\"often\"}"], &range as &[&str], words].concat()).ok();
    let (table, list) = (fetch(&[]), fetch(&["--format", "json"]));
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("time,\"total_time{job=") && lines.len() == 4, "{table}");
    let value: f64 = lines[3].split_once("Z,").expect("a time and a value").1.parse().unwrap();
    let series = crate::parsed(&list);
    assert_eq!((&series[0]["metric"], &series[0]["step"], &series[0]["values"][2]), (&"total_time".into(), &1.into(), &value.into()));
    assert_eq!(json(&house, &["fetch", "up", "--from", "now-1m"])[0]["labels"]["job"], "often");
    let longer = fetch(&["--step", "2s", "--consolidation", "MAX"]);
    assert!(longer.lines().count() < table.lines().count() && !longer.lines().skip(1).all(|line| line.ends_with(',')), "{longer}");
    asked_wrong(&house);
    assert!(daemon.stop().status.success());
    assert_eq!((fetch(&[]), fetch(&["--format", "json"])), (table, list), "with no daemon");
    asked_wrong(&house);
}

/// Questions that cannot be answered, whoever is asked.
fn asked_wrong(house: &House) {
    let check = |words: &[&str], part: &str| refused(&house.run(&[&["fetch"], words].concat()), 2, &[part]);
    check(&["never"], "error: cannot fetch: no series matches never: no metric is called so; there are `");
    check(&["totl_time"], "no series matches totl_time: did you mean the metric `total_time`?");
    check(&["up{job=\"oftn\"}"], "did you mean the job `often`?");
    check(&["up{queue=\"a\"}"], "no series has a label `queue`");
    check(&["up{job=\"often\",job!=\"often\"}"], "nothing of that is stored");
    check(&["up{job="], "`up{job=` is no series: column ");
    check(&["up", "--from", "soon"], "\"soon\" is no time; right would be now-1h");
    check(&["up", "--from", "now", "--to", "now-1h"], "a range ends after it begins: from now, to now-1h");
    check(&["up", "--step", "long"], "`long` is no step");
    check(&["up", "--consolidation", "MEAN"], "there are AVERAGE, MIN, MAX, LAST");
    check(&["up", "--format", "table"], "there are csv, json, xlsx");
    check(&["up", "--format", "cvs"], "did you mean csv?");
}

/// What `jobs` says of a job.
fn one(house: &House, name: &str) -> Value {
    let jobs = json(house, &["jobs"]);
    jobs.as_array().unwrap().iter().find(|job| job["name"] == name).cloned().unwrap_or_default()
}

/// The row of a job in the table for people.
fn row(house: &House, name: &str) -> String {
    row_of(&house.run(&["jobs", "list"]).ok(), name)
}

fn row_of(table: &str, name: &str) -> String {
    table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{table}")).to_owned()
}
