//! Service levels: counted by a daemon, told with and without it.

use std::{fs, time::Duration};

use watchpost_testkit::ClosedPort;

use crate::{
    harness::{House, until},
    job, refused, willing,
};

const SOON: Duration = Duration::from_secs(40);

/// A little more than a minute.
const MINUTE: Duration = Duration::from_secs(90);

const OBJECTIVES: &str = "
[[objective]]
name = \"mail\"
series = 'up{agent=\"smtp\"}'
target = \"99.9%\"

[[objective]]
name = \"never that fast\"
series = 'total_time{job=\"fine\"}'
good = \"< 1us\"
target = \"95%\"
period = \"year\"
timezone = \"Europe/Paris\"
";

#[tokio::test(flavor = "multi_thread")]
async fn levels_are_counted_from_readings_and_told_in_every_form() {
    let (server, door) = (willing().await, ClosedPort::take().unwrap());
    let closed = door.port().unwrap();
    let house = House::new(&(job("fine", "every = \"1s\"", server.port()) + &job("gone", "every = \"1s\"", closed)));
    let main = house.folder().join("watchpost.toml");
    fs::write(&main, fs::read_to_string(&main).unwrap() + OBJECTIVES).unwrap();

    let before = crate::json(&house, &["sla"]);
    assert_eq!((&before[0]["level"], &before[0]["met"], &before[0]["counted_since"]), (&().into(), &().into(), &().into()), "{before}");
    assert!(house.run(&["sla"]).ok().contains("nothing yet"));

    let daemon = house.start();
    let counted = || {
        let told = crate::json(&house, &["sla"]);
        let enough = |at: usize, key: &str| told[at][key].as_u64().unwrap() >= 3;
        (told.as_array().unwrap().len() == 4 && enough(1, "good_s") && enough(2, "bad_s") && enough(3, "bad_s")).then_some(told)
    };
    let told = until(SOON, counted).unwrap_or_else(|| panic!("{}", crate::json(&house, &["sla"])));
    let of = |at: usize, key: &str| told[at][key].as_u64().unwrap();
    assert_eq!((&told[0]["objective"], &told[0]["series"], &told[0]["met"]), (&"mail".into(), &().into(), &false.into()), "{told}");
    assert_eq!((told[1]["series"].as_str(), told[2]["series"].as_str()), (Some("up{job=\"fine\"}"), Some("up{job=\"gone\"}")), "{told}");
    assert_eq!((of(0, "good_s"), of(0, "bad_s")), (of(1, "good_s") + of(2, "good_s"), of(1, "bad_s") + of(2, "bad_s")), "{told}");
    assert_eq!((&told[1]["level"], &told[2]["level"], of(1, "planned_s")), (&1.0.into(), &0.0.into(), 0), "{told}");
    assert_eq!((&told[3]["objective"], &told[3]["level"]), (&"never that fast".into(), &0.0.into()), "{told}");
    assert!(told[3]["from"].as_str().unwrap().ends_with("-01-01"), "{told}");

    // Once a minute what is left is told, and stored like what agents measure.
    let of_mail = |line: &str| line.starts_with("watchpost_host_objective_level_ratio{objective=\"mail\"} 0.");
    until(MINUTE, || daemon.get("/metrics").unwrap().body.lines().any(of_mail).then_some(())).expect("the level is exposed");
    let stored = || {
        let rows = crate::json(&house, &["fetch", "level{objective=\"mail\"}", "--from", "now-10m"]);
        let known =
            rows[0]["values"].as_array().unwrap().iter().filter_map(serde_json::Value::as_f64).any(|level| level > 0.0 && level < 1.0);
        known.then_some(())
    };
    until(SOON, stored).expect("the level is a series");
    assert!(house.run(&["fetch", "budget_left{objective=\"mail\"}", "--from", "now-10m"]).ok().contains("-"), "more than may be was bad");
    assert!(daemon.stop().status.success());

    let shown = house.run(&["sla"]).ok();
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{shown}")).to_owned();
    assert!(row("mail ").contains("99.9 %") && row("mail ").contains("  NO  "), "{shown}");
    assert!(row("  up{job=\"fine\"}").contains("100 %"), "{shown}");
    let table = house.run(&["sla", "--format", "csv"]).ok();
    assert!(table.starts_with("objective,series,from,to,target,level,met,good_s,bad_s,") && table.lines().count() == 5, "{table}");
    let book = house.folder().join("levels.xlsx");
    house.run(&["sla", "-o", book.to_str().unwrap()]).ok();
    assert!(fs::read(&book).unwrap().starts_with(b"PK\x03\x04"));
    let past = crate::json(&house, &["sla", "--month", "2020-02"]);
    assert_eq!((past[0]["from"].as_str(), past[0]["to"].as_str(), &past[0]["level"]), (Some("2020-02-01"), Some("2020-02-29"), &().into()));
}

#[test]
fn a_month_that_is_none_and_a_configuration_that_promises_nothing_are_told() {
    let house = House::new("");
    refused(&house.run(&["sla"]), 2, &["cannot tell service levels: ", "promises nothing; `watchpost sla --help` shows an [[objective]]"]);
    refused(&house.run(&["sla", "--month", "October"]), 2, &["`October` is no month; write it as 2026-10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_is_planned_time_until_it_is_ended() {
    let server = willing().await;
    let house = House::new(&job("fine", "every = \"1s\"", server.port()));
    house.add_to_main(OBJECTIVES);
    let daemon = house.start();
    let told = |key: &str| crate::json(&house, &["sla"])[0][key].as_u64().unwrap_or(0);
    until(SOON, || (told("good_s") > 1).then_some(())).unwrap_or_else(|| panic!("{}", daemon.log_text()));
    house.run(&["maintenance", "add", "{job=\"fine\"}", "--for", "1h"]).ok();
    until(SOON, || (told("planned_s") > 5).then_some(())).unwrap_or_else(|| panic!("{}", crate::json(&house, &["sla"])));
    let good = told("good_s");
    house.run(&["maintenance", "end", "1"]).ok();
    until(SOON, || (told("good_s") > good + 5).then_some(())).unwrap_or_else(|| panic!("{}", crate::json(&house, &["sla"])));
    // What is over is remembered: readings of that time may come again from the journal.
    assert!(daemon.stop().status.success());
    let planned = told("planned_s");
    let daemon = house.start();
    until(SOON, || (told("good_s") > good + 15).then_some(())).unwrap_or_else(|| panic!("{}", crate::json(&house, &["sla"])));
    assert_eq!(told("planned_s"), planned);
    assert!(daemon.stop().status.success());
}
