//! Every phase of every job, on `/metrics`.

use std::collections::BTreeMap;

use crate::{
    demo::{ALL_RAN_TIMEOUT, Demo, Job},
    programs,
    scrape::Line,
};

/// What every session has.
const OF_EVERY_SESSION: [&str; 5] = ["resolve", "connect", "banner", "ehlo", "quit"];

#[test]
fn every_job_of_the_demo_is_up_and_its_phases_add_up_to_the_nanosecond() {
    let Some(demo) = Demo::shared() else { return };
    for job in demo.jobs() {
        demo.wait_for_up(&job.name, "1", ALL_RAN_TIMEOUT);
        check(&job, &demo);
    }
}

fn check(job: &Job, demo: &Demo) {
    let scrape = demo.scrape();
    let lines: Vec<Line> = scrape.of_job(&job.name).cloned().collect();
    let server = job.server.map_or(String::new(), |server| format!(",server=\"{server}\""));
    let labels = format!("agent=\"smtp\",job=\"{}\",target=\"{}\"{server}", job.name, job.target);
    let times: BTreeMap<&str, u64> = lines
        .iter()
        .inspect(|line| assert_eq!(line.labels, labels, "{line:?}"))
        .filter(|line| line.family != "watchpost_up")
        .map(|line| (line.family.as_str(), line.nanoseconds()))
        .collect();
    assert!(times.values().all(|time| *time > 0), "{}: {times:?}", job.name);

    let family = |phase: &&str| format!("watchpost_{phase}_time_seconds");
    let mut expected: Vec<String> = OF_EVERY_SESSION.iter().chain(job.phases).chain(&["total"]).map(family).collect();
    expected.push("watchpost_run_duration_seconds".into());
    expected.sort();
    assert_eq!(times.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>(), "{}", job.name);

    // The transmission is a span over three phases, no phase beside them.
    let phases = OF_EVERY_SESSION.iter().chain(job.phases).filter(|phase| **phase != "transmission");
    let sum: u64 = phases.map(|phase| times[family(phase).as_str()]).sum();
    let total = times["watchpost_total_time_seconds"];
    assert_eq!(sum, total, "{}: {times:?}", job.name);
    assert!(total <= times["watchpost_run_duration_seconds"], "{}: {times:?}", job.name);
}

#[test]
fn promtool_finds_nothing_wrong_with_what_the_daemon_serves() {
    let Some(demo) = Demo::shared() else { return };
    if !programs::there("promtool") {
        return;
    }
    demo.wait_for_up("relay", "1", ALL_RAN_TIMEOUT);
    let body = demo.daemon.get("/metrics").unwrap().body;
    let (output, code) = programs::fed("promtool", &["check", "metrics"], &body);
    assert_eq!((output.as_str(), code), ("", Some(0)));
}
