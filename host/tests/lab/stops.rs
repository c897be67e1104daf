//! A real server is held still, goes on, is stopped and started: what its jobs say at each step, and what they leave in the series.

use std::time::Duration;

use serde_json::Value;

use crate::{scrape::until_scraped, servers::Lab, watch::Watch};

/// A run every 2 seconds has as long to end: short for a test, and long enough on a busy machine.
const EVERY: &str = "2s";
/// How long a job may take to say what happens to its server.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// A job, by its agent and what its config says.
struct Job {
    name: &'static str,
    agent: &'static str,
    config: String,
    /// What is known of a server that takes connections, or datagrams, and answers nothing.
    when_held: &'static [&'static str],
    /// What is known of one that is not there.
    when_gone: &'static [&'static str],
}

/// Of a server that takes a connection and says nothing.
const CONNECTED: &[&str] = &["resolve_time", "connect_time"];
/// Of one that takes no connection.
const RESOLVED: &[&str] = &["resolve_time"];

#[test]
fn postfix_held_and_stopped_is_down_until_it_is_back_and_no_number_is_invented() {
    let Some(lab) = Lab::up() else { return };
    let tls = format!("tls = \"implicit\", server_name = \"mail.lab.test\", ca_file = {:?}", lab.ca_file());
    let queue = format!("kind = \"postfix\", path = {:?}", lab.dir.join("postfix/queue"));
    let jobs = [
        job("relay", "smtp", at(&lab, "smtp", "from = \"probe@lab.test\", to = \"alice@lab.test\""), CONNECTED),
        job("smtps", "smtp", at(&lab, "smtps", &tls), CONNECTED),
        // Its socket needs no name, and is closed to nobody while Postfix is held.
        Job { when_gone: &[], ..job("queue", "queue", queue, &["connect_time"]) },
    ];
    let beside = job("beside", "dns", at(&lab, "dns", "name = \"mail.lab.test\""), &[]);
    story("postfix", lab, &jobs, &beside);
}

#[test]
fn dovecot_held_and_stopped_is_down_until_it_is_back_and_no_number_is_invented() {
    let Some(lab) = Lab::up() else { return };
    let login = format!("user = \"alice@lab.test\", password = {{ file = {:?} }}", lab.password_file("alice"));
    let tls = |mode: &str| format!("tls = \"{mode}\", server_name = \"mail.lab.test\", ca_file = {:?}, {login}", lab.ca_file());
    let jobs = [
        job("stls", "pop3", at(&lab, "pop3", &tls("starttls")), CONNECTED),
        job("pop3s", "pop3", at(&lab, "pop3s", &tls("implicit")), CONNECTED),
        job("apop", "pop3", at(&lab, "pop3", &format!("auth = \"apop\", {login}")), CONNECTED),
        job("imap", "imap", at(&lab, "imap", &tls("starttls")), CONNECTED),
        job("imaps", "imap", at(&lab, "imaps", &tls("implicit")), CONNECTED),
    ];
    let beside = job("beside", "smtp", at(&lab, "smtp", ""), &[]);
    story("dovecot", lab, &jobs, &beside);
}

#[test]
fn named_held_and_stopped_is_down_until_it_is_back_and_no_number_is_invented() {
    let Some(lab) = Lab::up() else { return };
    let jobs = [
        job("udp", "dns", at(&lab, "dns", "name = \"lab.test\", type = \"MX\""), RESOLVED),
        job("tcp", "dns", at(&lab, "dns", "name = \"lab.test\", transport = \"tcp\""), CONNECTED),
    ];
    let beside = job("beside", "pop3", at(&lab, "pop3", ""), &[]);
    story("named", lab, &jobs, &beside);
}

#[test]
fn slapd_held_and_stopped_is_down_until_it_is_back_and_no_number_is_invented() {
    let Some(lab) = Lab::up() else { return };
    let search = "base = \"dc=lab,dc=test\", scope = \"sub\", filter = \"(uid=alice)\", entries_min = 1";
    let tls = |mode: &str| format!("tls = \"{mode}\", server_name = \"mail.lab.test\", ca_file = {:?}, {search}", lab.ca_file());
    let jobs = [
        job("plain", "ldap", at(&lab, "ldap", search), CONNECTED),
        job("starttls", "ldap", at(&lab, "ldap", &tls("starttls")), CONNECTED),
        job("ldaps", "ldap", at(&lab, "ldaps", &tls("implicit")), CONNECTED),
    ];
    let beside = job("beside", "smtp", at(&lab, "smtp", ""), &[]);
    story("slapd", lab, &jobs, &beside);
}

fn job(name: &'static str, agent: &'static str, config: String, when_held: &'static [&'static str]) -> Job {
    Job { name, agent, config, when_held, when_gone: RESOLVED }
}

/// The config of a job on a service of the lab.
fn at(lab: &Lab, service: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!("host = \"127.0.0.1\", port = {}{comma}{more}", lab.port(service))
}

/// Up, held, up, stopped, up again; the job beside asks another server and is up all along.
fn story(server: &str, lab: Lab, jobs: &[Job], beside: &Job) {
    let schedule = jobs.iter().chain([beside]).map(entry).collect::<String>();
    let watch = Watch::start(lab, &schedule);
    let names = || jobs.iter().chain([beside]).map(|job| job.name);
    names().for_each(|name| watch.wait_for_up(name, "1", TURN_TIMEOUT));

    watch.lab.stall(server);
    jobs.iter().for_each(|job| falls(&watch, job, beside, "timeout", job.when_held));
    watch.lab.resume(server);
    jobs.iter().for_each(|job| rises(&watch, job, beside));

    watch.lab.stop(server);
    jobs.iter().for_each(|job| falls(&watch, job, beside, "connect", job.when_gone));
    watch.lab.start(server);
    jobs.iter().for_each(|job| rises(&watch, job, beside));

    jobs.iter().for_each(|job| nothing_was_invented(&watch, job));
}

fn entry(job: &Job) -> String {
    let Job { name, agent, config, .. } = job;
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

/// Slot by slot: a run that was up has a total above 0, one that was not has none, and no phase beyond what a held server lets one see;
/// beside a run that was up it may have begun before the server was held, or ended after it went on.
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
        for (at, (up, value)) in ups.iter().zip(values(metric)).enumerate() {
            let beside_up = || [at.wrapping_sub(1), at + 1].into_iter().any(|at| ups.get(at) == Some(&Some(1.0)));
            let is_seen = || job.when_held.contains(&metric) || job.when_gone.contains(&metric) || beside_up();
            let right = match up {
                Some(1.0) => metric != "total_time" || value.is_some_and(|value| value > 0.0),
                Some(_) => value.is_none() || metric != "total_time" && is_seen(),
                None => value.is_none(),
            };
            assert!(right && value != Some(0.0), "{}: {metric} is {value:?} where up is {up:?}", job.name);
        }
    }
}
