//! A real server goes away and comes back.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    demo::{ALL_RAN_TIMEOUT, Demo},
    jobs::Job,
    scrape::until_scraped,
};

/// Runs that fail during the outage, at least, of the jobs that run often: one line must do for all of them.
const FAILED_RUNS: u64 = 2;

#[test]
fn stopping_postfix_fails_its_jobs_within_an_interval_and_starting_it_mends_them() {
    let Some(demo) = Demo::own() else { return };
    let jobs = jobs(&demo);
    let (postfix, rest): (Vec<&Job>, Vec<&Job>) = jobs.iter().partition(|job| job.needs.contains(&"postfix"));
    assert_eq!((postfix.len(), rest.len()), (8, 7));
    jobs.iter().for_each(|job| demo.wait_for_up(&job.name, "1", ALL_RAN_TIMEOUT));

    let before = unix_seconds();
    demo.lab.stop("postfix");
    all_turn(&demo, &postfix, &rest, "0");
    told_by_status(&demo, &postfix, before);
    wait_for_more_failures(&demo);

    demo.lab.start("postfix");
    all_turn(&demo, &postfix, &rest, "1");
    told_once_in_the_log(&demo, &postfix, &rest);
}

/// The demo's jobs, where mail is delivered every 5 seconds.
fn jobs(demo: &Demo) -> Vec<Job> {
    let mut jobs = demo.jobs();
    let delivery = jobs.iter_mut().find(|job| job.name == "delivery").expect("it is there");
    delivery.interval = Duration::from_secs(5);
    jobs
}

/// Waits until each job has this `up`, each in its own time; what does not depend on Postfix stays up all along.
fn all_turn(demo: &Demo, jobs: &[&Job], rest: &[&Job], up: &str) {
    let begun = Instant::now();
    let mut turned = HashMap::new();
    // A run begins within an interval, and ends within a timeout, which is an interval here.
    let due = |job: &Job| 2 * job.interval;
    let longest = jobs.iter().map(|job| due(job)).max().expect("there are jobs");
    until_scraped(
        longest,
        || demo.scrape(),
        |scrape| {
            rest.iter().for_each(|job| assert_eq!(scrape.up(&job.name), Some("1"), "{}", job.name));
            for job in jobs.iter().filter(|job| scrape.up(&job.name) == Some(up)) {
                turned.entry(job.name.as_str()).or_insert_with(|| begun.elapsed());
            }
            (turned.len() == jobs.len()).then_some(())
        },
    );
    for job in jobs {
        let took = turned.get(job.name.as_str()).unwrap_or_else(|| panic!("{} is not {up}: {turned:?}", job.name));
        assert!(*took <= due(job), "{} is {up} only after {took:?}", job.name);
    }
}

/// `status` says since when, of which kind, and why; people see the failing ones first.
fn told_by_status(demo: &Demo, failing: &[&Job], before: f64) {
    for job in failing {
        let told = demo.status(&job.name);
        let relayed = job.server == Some("dovecot");
        let (kind, why) = if relayed { ("protocol", "421 4.4.0") } else { ("connect", "Connection refused") };
        assert_eq!((told["health"].as_str(), told["kind"].as_str()), (Some("failing"), Some(kind)), "{told}");
        assert!(told["why"].as_str().is_some_and(|text| text.contains(why)), "{told}");
        let since = told["since"].as_f64().unwrap();
        assert!((before..unix_seconds()).contains(&since), "{since} is not after {before}: {told}");
    }
    let text = demo.house.run(&["status"]).ok();
    assert!(text.contains("\n15 jobs: 7 ok, 8 failing, 0 unknown\n"), "{text}");
    // As many as fit on one screen, and how many more there are.
    let mut below = text.lines().skip_while(|line| !line.starts_with("JOB ")).skip(1);
    let rows: Vec<&str> = below.by_ref().take_while(|row| row.contains("  FAILING  ")).collect();
    let hidden = text.lines().filter_map(|line| line.strip_prefix("and ")?.split_once(" more that are not ok")).map(|(count, _)| count);
    let hidden: usize = hidden.map(|count| count.parse::<usize>().unwrap()).sum();
    assert!(rows.len() >= 3 && rows.len() + hidden == failing.len() && below.all(|row| !row.contains("  ok  ")), "{text}");
    let delivery = rows.iter().find(|row| row.starts_with("delivery ")).expect("it comes first by its name");
    assert!(
        delivery.contains(&format!("connect: cannot connect to 127.0.0.1:{}: Connection refused", demo.lab.port("smtp"))),
        "{delivery}"
    );
}

fn wait_for_more_failures(demo: &Demo) {
    let failed = |job: &str| demo.status(job)["failed"]["connect"].as_u64().unwrap_or(0);
    let often = ["relay", "relay-tls", "submission"];
    let enough =
        until_scraped(Duration::from_secs(20), || demo.scrape(), |_| often.iter().all(|job| failed(job) >= FAILED_RUNS).then_some(()));
    assert!(enough.is_some(), "{}", demo.house.run(&["status"]).out);
}

/// One line when a job begins to fail, one when it recovers; how many runs there were in between shows nowhere.
fn told_once_in_the_log(demo: &Demo, failed: &[&Job], rest: &[&Job]) {
    let log = demo.daemon.log();
    let count = |job: &Job, level: &str, begins: &str| {
        let lines = log.iter().filter(|line| line["job"] == job.name.as_str() && line["level"] == level);
        lines.filter(|line| line["message"].as_str().is_some_and(|message| message.starts_with(begins))).count()
    };
    for job in failed {
        // A session that the stop cut off may have a reason of its own first; the outage has one.
        let reason = if job.server == Some("dovecot") { "failing: MAIL" } else { "failing: cannot connect" };
        assert_eq!((count(job, "WARN", reason), count(job, "INFO", "recovered")), (1, 1), "{}: {}", job.name, demo.daemon.log_text());
    }
    let turned = |job: &&&Job| log.iter().any(|line| line["job"] == job.name.as_str() && line["level"] == "WARN");
    assert_eq!(rest.iter().filter(turned).map(|job| &job.name).collect::<Vec<_>>(), [""; 0], "{}", demo.daemon.log_text());
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
