//! Every phase of every job, on `/metrics`.

use std::collections::BTreeMap;

use crate::{
    demo::{ALL_RAN_TIMEOUT, Demo},
    jobs::Job,
    programs,
    scrape::Line,
};

#[test]
fn every_job_of_the_demo_is_up_and_its_phases_add_up_to_the_nanosecond() {
    let Some(demo) = Demo::shared() else { return };
    let jobs = demo.jobs();
    demo.wait_for_whole(&jobs);
    jobs.iter().for_each(|job| check(job, &demo));
}

fn check(job: &Job, demo: &Demo) {
    let scrape = demo.scrape();
    let server = job.server.map_or(String::new(), |server| format!(",server=\"{server}\""));
    let labels = format!("agent=\"{}\",job=\"{}\",target=\"{}\"{server}", job.agent, job.name, job.target);
    let lines = scrape
        .of_job(&job.name)
        .filter(|line| !job.tells_besides(&line.family))
        .inspect(|line| assert_eq!(line.labels, labels, "{line:?}"));
    let lines = lines.filter(|line| line.family != "watchpost_up");
    let (figures, times): (Vec<&Line>, Vec<&Line>) = lines.partition(|line| job.figures.iter().any(|(family, _)| line.family == *family));
    figures_are_right(job, &figures);
    phases_add_up(job, &times.into_iter().map(|line| (line.family.as_str(), line.nanoseconds())).collect());
}

fn figures_are_right(job: &Job, figures: &[&Line]) {
    assert_eq!(figures.len(), job.figures.len(), "{}: {figures:?}", job.name);
    for line in figures {
        let (_, range) = job.figures.iter().find(|(family, _)| line.family == *family).expect("it was looked for");
        assert!(line.value.parse().is_ok_and(|value| range.contains(&value)), "{line:?} is not in {range:?}");
    }
}

fn phases_add_up(job: &Job, times: &BTreeMap<&str, u64>) {
    assert!(times.values().all(|time| *time > 0), "{}: {times:?}", job.name);
    let mut expected = job.times();
    expected.sort();
    assert_eq!(times.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>(), "{}", job.name);

    // The transmission is a span over three phases, no phase beside them.
    let phases = job.phases().into_iter().filter(|phase| *phase != "transmission");
    let sum: u64 = phases.map(|phase| times[format!("watchpost_{phase}_time_seconds").as_str()]).sum();
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
