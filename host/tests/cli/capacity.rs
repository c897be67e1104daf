//! How much series grow, and when they reach a limit: of files that hold ten days, without a daemon and with one.

use std::fs;

use watchpost::{
    reading::{Cause, Reading, Record, Shape},
    series::store::{Applied, Options, SeriesStore},
};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use crate::{harness::House, refused};

/// Ten days ago, at a whole hour; hourly readings from then on.
const HOURS: i64 = 240;
const HOUR: i64 = 3_600;

/// A house whose series `spool` grew by 24 MiB a day, for ten days up to `end`.
fn house(end: i64) -> House {
    let house = House::new("");
    fs::create_dir(house.data()).unwrap();
    let mut store = SeriesStore::open(&house.data(), Options::default()).unwrap();
    let metric = |name: &str, unit| MetricSpec { name: name.into(), kind: Kind::Gauge, unit, help: "Much.".into(), keys: vec![] };
    let metrics = vec![metric("spool", Unit::Bytes), metric("idle", Unit::Messages)];
    let (job, agent, target) = ("disk".to_owned(), "space".to_owned(), "/".to_owned());
    let shape = Record::Shape(Shape { job, agent, target, labels: vec![], step_s: 3_600, metrics });
    assert_eq!(store.apply(1, &shape).unwrap(), Applied::Taken);
    for hour in 0..=HOURS {
        let slot = end - (HOURS - hour) * HOUR;
        let sample = |metric: &str, value| Sample { metric: metric.into(), labels: vec![], value };
        let samples = vec![sample("spool", (hour << 20) as f64), sample("idle", 5.0)];
        let failed = Outcome::failed(ErrorKind::CONNECT, "unused", slot * 1_000_000_000);
        let outcome = Outcome { status: Status::Ok, samples, duration_ns: 1, ..failed };
        let due_ns = slot * 1_000_000_000;
        let reading = Reading { job: "disk".into(), cause: Cause::Schedule, slot, due_ns, stale_ns: due_ns, outcome };
        assert_eq!(store.apply(u64::try_from(hour + 2).unwrap(), &Record::Reading(reading)).unwrap(), Applied::Taken);
    }
    assert_eq!(store.flush().files_behind, 0);
    store.checkpoint(std::time::Instant::now(), |_| Ok(())).unwrap();
    house
}

#[test]
fn growth_and_the_day_of_a_limit_are_told() {
    let now = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let house = house(now - now % HOUR);
    let check = |how: &str| {
        let answer = crate::json(&house, &["capacity", "spool", "--limit", "480MiB"]);
        let said = &answer[0];
        let mib = |key: &str| said[key].as_f64().unwrap() / f64::from(1 << 20);
        assert!((mib("growth_per_day") - 24.0).abs() < 0.1 && (mib("level") - 240.0).abs() < 2.0, "{how}: {said}");
        assert_eq!((&said["outlook"], &said["unit"], &said["whole_days"]), (&"in sight".into(), &"bytes".into(), &true.into()), "{how}");
        let day = |days: i64| chrono::DateTime::from_timestamp(now + days * 86_400, 0).unwrap().format("%Y-%m-%d").to_string();
        assert!([day(9), day(10), day(11)].contains(&said["reached"].as_str().unwrap().to_owned()), "{how}: {said}");
    };
    check("from files");

    let said = house.run(&["capacity", "{job=\"disk\"}", "--limit", "20"]).ok();
    let row = |name: &str| said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{said}")).to_owned();
    assert!(row("SERIES").contains("A DAY"), "{said}");
    assert!(row("idle{job=\"disk\"}").contains("5 messages") && row("idle{job=\"disk\"}").contains("not in sight"), "{said}");
    assert!(row("spool{job=\"disk\"}").contains("+24 MiB"), "{said}");

    let table = house.run(&["capacity", "spool", "--format", "csv"]).ok();
    let (head, line) = table.split_once('\n').unwrap();
    assert!(head.starts_with("series,unit,kind,level,growth_per_day,"), "{table}");
    assert!(line.starts_with("\"spool{job=\"\"disk\"\"}\",bytes,gauge,") && line.trim_end().ends_with(",true,,,,,"), "{table}");
    let book = house.folder().join("c.xlsx");
    house.run(&["capacity", "spool", "-o", book.to_str().unwrap()]).ok();
    assert!(fs::read(&book).unwrap().starts_with(b"PK\x03\x04"));

    let _daemon = house.start();
    check("from the daemon");
}

#[test]
fn a_limit_that_is_none_and_a_series_that_is_not_there_are_told() {
    let house = house(1_790_000_000 - 1_790_000_000 % HOUR);
    let range = ["--from", "1789000000", "--to", "1790000000"];
    let ask = |words: &[&str]| house.run(&[&["capacity"], words, &range].concat());
    refused(
        &ask(&["spool", "--limit", "5s"]),
        2,
        &["cannot take this limit for spool{job=\"disk\"}", "`s` is no suffix of bytes; write a size as 50GiB"],
    );
    refused(&ask(&["spol", "--limit", "5GiB"]), 2, &["cannot tell the capacity", "no series matches spol"]);
    refused(&ask(&["spool{", "--limit", "5GiB"]), 2, &["cannot tell the capacity", "`spool{` is no series"]);
    let short = house.run(&["capacity", "spool", "--limit", "5GiB", "--from", "1789990000", "--to", "1790000000"]).ok();
    assert!(short.contains("fewer than four days") || short.contains("unknown"), "{short}");
}
