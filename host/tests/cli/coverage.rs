//! `coverage`: which rows of a table have a value, from a daemon that runs and from what it left.

use std::{fs, time::Duration};

use serde_json::Value;

use watchpost_testkit::ClosedPort;

use crate::{
    harness::{House, until},
    job, parsed, refused, willing,
};

/// How long a job may take to run for the first time.
const SOON: Duration = Duration::from_secs(15);

fn row(number: u32, subsystem: &str, name: &str, series: &str) -> String {
    format!("[[row]]\nnumber = {number}\nsubsystem = \"{subsystem}\"\nname = \"{name}\"\nseries = '{series}'\n\n")
}

/// Writes a file of rows that is no part of the configuration; gives its path.
fn rows(house: &House, name: &str, text: &str) -> String {
    let file = house.folder().join(name);
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// What `coverage --json` says of each row, and its exit code.
fn answer(house: &House, file: &str) -> (Option<i32>, Value) {
    let said = house.run(&["coverage", file, "--json"]);
    (said.code, parsed(&said.out))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_joined_with_its_last_value_whoever_has_it() {
    let server = willing().await;
    let door = ClosedPort::take().unwrap();
    let closed = door.port().unwrap();
    let jobs = job("fine", "every = \"1s\"\nlabels = { site = \"paris\" }", server.port()) + &job("gone", "every = \"1s\"", closed);
    let house = House::new(&(jobs + &job("rare", "every = \"1h\"", server.port())));
    let file = rows(
        &house,
        "rows.toml",
        &[
            row(25, "MTA Server", "Connect response time", "connect_time{job=\"fine\"}"),
            row(24, "MTA Server", "MTA availability", "up{site=\"paris\"}"),
            row(31, "Both", "Availability of both", "up{job=~\"fine|gone\"}"),
            row(88, "Feed", "Error monitoring", "events{job=\"fine\"}"),
        ]
        .concat(),
    );
    let daemon = house.start();
    let full = until(SOON, || Some(answer(&house, &file)).filter(|(_, said)| said["rows"][2]["found"][1]["value"] == 0.0));
    let (code, said) = full.unwrap_or_else(|| panic!("{:?}\n{}", answer(&house, &file), daemon.log_text()));
    assert_eq!((code, &said["with_value"], &said["total"]), (Some(0), &4.into(), &4.into()), "{said}");
    let told: Vec<_> = said["rows"].as_array().unwrap().iter().map(|row| (row["number"].as_u64().unwrap(), &row["status"])).collect();
    assert_eq!(told, [(24, &"ok".into()), (25, &"ok".into()), (31, &"ok".into()), (88, &"ok".into())], "by number");
    let connect = &said["rows"][1];
    assert_eq!([&connect["subsystem"], &connect["unit"], &connect["kind"]], ["MTA Server", "seconds", "gauge"].map(Value::from).each_ref());
    assert!(connect["value"].as_f64().is_some_and(|time| time > 0.0 && time < 1.0), "{connect}");
    assert!(connect["age"].as_f64().is_some_and(|age| age < 15.0) && connect["value_max"].is_null(), "{connect}");
    let both = &said["rows"][2];
    assert_eq!((&both["value"], &both["value_max"]), (&0.0.into(), &1.0.into()), "smallest and largest: {both}");
    let table = house.run(&["coverage", &file]).ok();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("NO  NAME") && lines[0].ends_with("STATUS") && lines[1] == "MTA Server", "{table}");
    assert!(lines[2].starts_with("24  MTA availability ") && lines[2].contains(" 1 ") && lines[2].ends_with(" ok"), "{table}");
    assert!(lines[3].contains("s  ") && lines[4] == "Both" && lines[5].contains(" 0 to 1 "), "{table}");
    assert_eq!(lines.last(), Some(&"4 of 4 rows have a value"), "{table}");

    // What nothing is known of, and why.
    let wanting = rows(
        &house,
        "wanting.toml",
        &[
            row(1, "A", "not reached", "banner_time{job=\"gone\"}"),
            row(2, "A", "of two, one", "banner_time{job=~\"fine|gone\"}"),
            row(3, "B", "not yet run", "up{job=\"rare\"}"),
            row(4, "B", "misspelt", "up{job=\"rar\"}"),
            row(5, "B", "no metric of it", "bind_time{job=\"fine\"}"),
        ]
        .concat(),
    );
    house.run(&["jobs", "pause", "rare"]).ok();
    let (code, said) = answer(&house, &wanting);
    let of = |at: usize| (said["rows"][at]["status"].as_str().unwrap(), said["rows"][at]["why"].as_str().unwrap());
    assert_eq!((code, &said["with_value"]), (Some(1), &1.into()), "{said}");
    let refusal = format!(": connect: cannot connect to 127.0.0.1:{closed}: Connection refused");
    for (at, status) in [(0, "unknown"), (1, "partly")] {
        assert!(of(at).0 == status && of(at).1.starts_with("job gone failing for ") && of(at).1.ends_with(&refusal), "{said}");
    }
    assert_eq!(of(2), ("unknown", "job rare: it is paused, and has not run yet"));
    assert_eq!(of(3), ("unknown", "no job is called `rar`; did you mean `rare`?"));
    assert_eq!(of(4), ("unknown", "no job that is meant has the metric `bind_time`"));
    assert!(said["rows"][2]["value"].is_null() && said["rows"][2]["age"].is_null(), "unknown is never 0: {said}");
    let said = house.run(&["coverage", &wanting]);
    assert!(said.code == Some(1) && said.out.ends_with("\n1 of 5 rows have a value\n") && said.err.is_empty(), "{said:?}");
    assert!(said.out.contains("  unknown\n    job gone failing for ") && said.out.contains(&refusal), "{said:?}");

    // The same when nobody runs: as it stood when it was measured last.
    assert!(daemon.stop().status.success());
    let said = house.run(&["coverage", &file, "--json"]);
    let left = parsed(&said.out);
    let values = |said: &Value| said["rows"].as_array().unwrap().iter().map(|row| row["status"].clone()).collect::<Vec<_>>();
    assert!(said.code == Some(0) && said.err.starts_with("note: no daemon runs; this is what one measured last, "), "{said:?}");
    assert_eq!((values(&left), &left["rows"][2]["value"]), (vec!["ok".into(); 4], &0.0.into()), "{left}");
    let (code, left) = answer(&house, &wanting);
    assert_eq!((code, &left["with_value"]), (Some(1), &1.into()), "{left}");
    assert!(left["rows"][0]["why"].as_str().unwrap().ends_with(&refusal), "{left}");
    assert_eq!(left["rows"][2]["why"], "job rare: it has not run yet");
}

#[test]
fn a_file_that_holds_no_rows_and_one_at_fault_are_refused() {
    let house = House::new(&job("fine", "every = \"1s\"", 25));
    let check = |text: &str, parts: &[&str]| refused(&house.run(&["coverage", &rows(&house, "rows.toml", text)]), 2, parts);
    check("", &["rows.toml: it has no row; rows are `[[row]]` tables"]);
    check("[[rows]]\nnumber = 1\n", &["error: `rows`: unknown key in a schedule file", "rows.toml:1:3", "did you mean `row`?"]);
    check(&row(1, "A", "b", "up{").repeat(2), &["rows.toml:5:10", "error: row 1: declared twice", "rows.toml:8:10"]);
    refused(&house.run(&["coverage", "/nowhere.toml"]), 2, &["error: cannot read /nowhere.toml: No such file"]);
    // The jobs of the file may be wrong: `check` tells.
    let wrong_job = "[[job]]\nname = \"A\"\n".to_owned() + &row(1, "A", "b", "up{job=\"fine\"}");
    refused(
        &house.run(&["coverage", &rows(&house, "rows.toml", &wrong_job)]),
        1,
        &["there is no data folder", "nothing was ever measured"],
    );
}
