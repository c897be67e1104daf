//! A job with more label sets than it may have.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::harness::{House, scrape::Scrape, until};

/// How long what is logged may take to show on a busy machine.
const SHOWN_TIMEOUT: Duration = Duration::from_secs(30);
/// A line of each of five classes; connections that fail have three label sets besides.
const LINES: [&str; 5] = [
    "postfix/smtpd[7]: connect from a[192.0.2.1]",
    "postfix/smtpd[7]: disconnect from a[192.0.2.1]",
    "postfix/qmgr[8]: 4AbCdEf: removed",
    "postfix/smtpd[7]: lost connection after EHLO from a[192.0.2.1]",
    "postfix/anvil[9]: statistics: max connection rate 1/60s for (smtp:192.0.2.1) at Nov 22 05:01:47",
];
const FAMILY: &str = "watchpost_maillog_class_lines_total";

fn log(path: &Path) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    LINES.iter().for_each(|line| writeln!(file, "Nov 22 05:01:47 mx1 {line}").unwrap());
}

fn scraped(daemon: &crate::harness::Daemon) -> Option<Scrape> {
    Some(Scrape::of(&daemon.get("/metrics").ok()?.body))
}

/// The totals of the classes that are shown, once each is that high.
fn classes(daemon: &crate::harness::Daemon, total: &str) -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let reached = until(SHOWN_TIMEOUT, || {
        let scrape = scraped(daemon)?;
        seen = scrape.of_family(FAMILY).map(|line| (line.label("class").unwrap().to_owned(), line.value.clone())).collect();
        (!seen.is_empty() && seen.values().all(|value| value == total)).then_some(())
    });
    assert!(reached.is_some(), "{seen:?} and not {total}");
    seen
}

#[test]
fn label_sets_without_room_are_nowhere_and_the_job_says_so() {
    let house = House::new("");
    let file: PathBuf = house.folder().join("mail.log");
    log(&file);
    let config = format!("log = {file:?}, format = \"postfix\", from = \"start\"");
    let schedule = format!("[[job]]\nname = \"log\"\nagent = \"maillog\"\nevery = \"1s\"\nlabels_max = 2\nconfig = {{ {config} }}\n");
    house.schedule(&schedule);
    let daemon = house.start();
    let first = classes(&daemon, "1");
    assert_eq!(first.len(), 2, "{first:?}");
    let scrape = scraped(&daemon).unwrap();
    assert_eq!((scrape.up("log"), scrape.value("watchpost_maillog_lines_total", "log")), (None, Some("5")), "what has room is there");
    let status: serde_json::Value = serde_json::from_str(&house.run(&["status", "--json"]).ok()).unwrap();
    let job = &status["jobs"].as_array().unwrap()[0];
    assert_eq!((job["health"].as_str(), job["kind"].as_str()), (Some("unknown"), Some("limit")), "{job}");
    assert!(job["why"].as_str().unwrap().starts_with("more label sets than labels_max = 2: 6 of this run are refused"), "{job}");
    let refused = scrape.of_family("watchpost_host_label_sets_refused_total").next().unwrap().value.parse::<f64>().unwrap();
    assert!(refused >= 6.0 && refused % 6.0 == 0.0, "{refused}");
    let text = house.alarm_is("label_overflow", "active");
    assert!(text == "job log has more label sets than labels_max = 2", "{text}");
    // What was read is read.
    log(&file);
    let second = classes(&daemon, "2");
    assert_eq!(second.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    assert!(daemon.stop().status.success());
    // The sets that have a series keep it over a restart.
    log(&file);
    let daemon = house.start();
    let third = classes(&daemon, "3");
    assert_eq!(third.keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    let told = daemon.log_text().matches("more label sets than labels_max = 2").count();
    assert!((1..4).contains(&told), "{told} lines of the log");
    house.alarm_is("label_overflow", "active");
    house.schedule(&schedule.replace("labels_max = 2", "labels_max = 100"));
    house.run(&["reload"]).ok();
    house.alarm_is("label_overflow", "cleared");
    assert!(daemon.stop().status.success());
}
