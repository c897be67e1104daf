//! A real server is held still, goes on, is stopped and started: what its jobs say at each step, and what they leave in the series.

use std::time::Duration;

use serde_json::Value;

use crate::{scrape::until_scraped, servers::Lab, watch::Watch};

/// A run every 2 seconds has as long to end: short for a test, and long enough on a busy machine.
const EVERY: &str = "2s";
/// How long a job may take to say what happens to its server.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// A job, by its agent, its service, and what its config says beside both.
struct Job {
    name: &'static str,
    agent: &'static str,
    service: &'static str,
    more: String,
    /// What is known of a server that takes connections, or datagrams, and answers nothing.
    when_held: &'static [&'static str],
}

#[test]
fn postfix_held_and_stopped_is_down_until_it_is_back_and_no_number_is_invented() {
    let Some(lab) = Lab::up() else { return };
    let tls = format!("tls = \"implicit\", server_name = \"mail.lab.test\", ca_file = {:?}", lab.ca_file());
    let jobs = [
        job("relay", "smtp", "smtp", "from = \"probe@lab.test\", to = \"alice@lab.test\"".into(), &["resolve_time", "connect_time"]),
        job("smtps", "smtp", "smtps", tls, &["resolve_time", "connect_time"]),
    ];
    story("postfix", lab, &jobs, &job("beside", "dns", "dns", "name = \"mail.lab.test\"".into(), &[]));
}

#[test]
fn dovecot_held_and_stopped_is_down_until_it_is_back_and_no_number_is_invented() {
    let Some(lab) = Lab::up() else { return };
    let login = format!("user = \"alice@lab.test\", password = {{ file = {:?} }}", lab.password_file("alice"));
    let tls = |mode: &str| format!("tls = \"{mode}\", server_name = \"mail.lab.test\", ca_file = {:?}, {login}", lab.ca_file());
    let jobs = [
        job("stls", "pop3", "pop3", tls("starttls"), &["resolve_time", "connect_time"]),
        job("pop3s", "pop3", "pop3s", tls("implicit"), &["resolve_time", "connect_time"]),
        job("apop", "pop3", "pop3", format!("auth = \"apop\", {login}"), &["resolve_time", "connect_time"]),
    ];
    story("dovecot", lab, &jobs, &job("beside", "smtp", "smtp", String::new(), &[]));
}

#[test]
fn named_held_and_stopped_is_down_until_it_is_back_and_no_number_is_invented() {
    let Some(lab) = Lab::up() else { return };
    let jobs = [
        job("udp", "dns", "dns", "name = \"lab.test\", type = \"MX\"".into(), &["resolve_time"]),
        job("tcp", "dns", "dns", "name = \"lab.test\", transport = \"tcp\"".into(), &["resolve_time", "connect_time"]),
    ];
    story("named", lab, &jobs, &job("beside", "pop3", "pop3", String::new(), &[]));
}

fn job(name: &'static str, agent: &'static str, service: &'static str, more: String, when_held: &'static [&'static str]) -> Job {
    Job { name, agent, service, more, when_held }
}

/// Up, held, up, stopped, up again; the job beside asks another server and is up all along.
fn story(server: &str, lab: Lab, jobs: &[Job], beside: &Job) {
    let schedule = jobs.iter().chain([beside]).map(|job| entry(job, &lab)).collect::<String>();
    let watch = Watch::start(lab, &schedule);
    let names = || jobs.iter().chain([beside]).map(|job| job.name);
    names().for_each(|name| watch.wait_for_up(name, "1", TURN_TIMEOUT));

    watch.lab.stall(server);
    jobs.iter().for_each(|job| falls(&watch, job, beside, "timeout", job.when_held));
    watch.lab.resume(server);
    jobs.iter().for_each(|job| rises(&watch, job, beside));

    watch.lab.stop(server);
    jobs.iter().for_each(|job| falls(&watch, job, beside, "connect", &["resolve_time"]));
    watch.lab.start(server);
    jobs.iter().for_each(|job| rises(&watch, job, beside));

    jobs.iter().for_each(|job| nothing_was_invented(&watch, job));
}

fn entry(job: &Job, lab: &Lab) -> String {
    let Job { name, agent, service, more, .. } = job;
    let place = format!("host = \"127.0.0.1\", port = {}", lab.port(service));
    let config = if more.is_empty() { place } else { format!("{place}, {more}") };
    format!("[[job]]\nname = \"{name}\"\nagent = \"{agent}\"\nevery = \"{EVERY}\"\nconfig = {{ {config} }}\n\n")
}

/// Waits until a job fails in this way, of which the metrics then say exactly what is known.
fn falls(watch: &Watch, job: &Job, beside: &Job, kind: &str, known: &[&str]) {
    let mut expected: Vec<String> = known.iter().map(|name| format!("watchpost_{name}_seconds")).collect();
    expected.extend(["watchpost_up".into(), "watchpost_run_duration_seconds".into()]);
    expected.sort();
    let mut told = Value::Null;
    let mut families = Vec::new();
    let fell = until_scraped(
        TURN_TIMEOUT,
        || watch.scrape(),
        |scrape| {
            assert_eq!(scrape.up(beside.name), Some("1"), "{} asks another server", beside.name);
            told = watch.status(job.name);
            families = scrape.of_job(job.name).map(|line| line.family.clone()).collect();
            families.sort();
            let is_told = told["health"] == "failing" && told["kind"] == kind;
            (is_told && scrape.up(job.name) == Some("0") && families == expected).then_some(())
        },
    );
    assert!(fell.is_some(), "{} does not fail by {kind} with {expected:?}: {families:?}, {told}", job.name);
}

fn rises(watch: &Watch, job: &Job, beside: &Job) {
    watch.wait_for(&format!("{} is not up", job.name), TURN_TIMEOUT, |scrape| {
        assert_eq!(scrape.up(beside.name), Some("1"), "{} asks another server", beside.name);
        let told = watch.status(job.name);
        let is_told = told["health"] == "ok" && told["kind"] == Value::Null;
        is_told && scrape.up(job.name) == Some("1") && scrape.value("watchpost_total_time_seconds", job.name).is_some()
    });
}

/// Slot by slot: a run that was up has a total above 0, one that was not has none, and no phase beyond what a held server lets one see.
fn nothing_was_invented(watch: &Watch, job: &Job) {
    let listed = format!("{{job=\"{}\"}}", job.name);
    let answer = watch.json_of(&["fetch", "--format", "json", "--from", "now-5m", &listed]);
    let series = answer.as_array().unwrap();
    let values = |metric: &str| -> Vec<Option<f64>> {
        let found = series.iter().find(|series| series["metric"] == metric).unwrap_or_else(|| panic!("no {metric}: {answer}"));
        found["values"].as_array().unwrap().iter().map(Value::as_f64).collect()
    };
    let ups = values("up");
    let count = |wanted: f64| ups.iter().filter(|up| **up == Some(wanted)).count();
    assert!(count(1.0) >= 3 && count(0.0) >= 2, "{}: {ups:?}", job.name);
    for metric in series.iter().map(|series| series["metric"].as_str().unwrap()).filter(|metric| metric.ends_with("_time")) {
        for (up, value) in ups.iter().zip(values(metric)) {
            let right = match up {
                Some(1.0) => metric != "total_time" || value.is_some_and(|value| value > 0.0),
                Some(_) => value.is_none() || job.when_held.contains(&metric),
                None => value.is_none(),
            };
            assert!(right && value != Some(0.0), "{}: {metric} is {value:?} where up is {up:?}", job.name);
        }
    }
}
