//! Faults that stand: what a real server refuses, and what of a real server must be refused, in each run anew.

mod cases;

use std::{collections::BTreeSet, time::Duration};

use crate::{harness::until, servers::Lab, watch::Watch};
use cases::Case;

/// How often each fault is met. Dovecot answers a wrong password only after 2 seconds, to make guessing slow.
const EVERY: &str = "4s";
/// By then each job has run, on a busy machine, too.
const ALL_RAN_TIMEOUT: Duration = Duration::from_secs(30);
/// What is said in the place of a password.
const WRONG: &str = "not-the-password-of-anybody";
/// Records of the text that no datagram holds.
const BIG: &str = "40";

#[test]
fn each_fault_has_its_kind_and_reason_and_nothing_is_claimed_that_was_not_measured() {
    let Some(lab) = Lab::up() else { return };
    let secret = tempfile::NamedTempFile::new().unwrap(); // readable by us alone
    std::fs::write(secret.path(), WRONG).unwrap();
    let password = format!("{{ file = {:?} }}", secret.path());
    let mut cases = cases::logins(&lab, &password);
    cases.extend(cases::certificates(&lab));
    cases.extend(cases::names(&lab));
    cases.extend(cases::refusals(&lab));
    cases.extend(cases::roundtrips(&lab, &password));

    let watch = Watch::start(lab, &cases.iter().map(job).collect::<String>());
    for case in &cases {
        let up = if case.fails.is_some() { "0" } else { "1" };
        watch.wait_for_up(&case.name, up, ALL_RAN_TIMEOUT);
        told_by_metrics(&watch, case, up);
        told_by_status(&watch, case);
        stored(&watch, case, up);
    }
    assert_eq!(watch.scrape().value("watchpost_dns_answers", "dns-truncated"), Some(BIG), "the whole answer came by TCP");
    assert_eq!(watch.scrape().value("watchpost_dns_answers", "dns-nxdomain"), Some("0"), "the server says that there is nothing");
    let said = [watch.daemon.log_text(), watch.house.run(&["status"]).ok()].concat();
    assert!(!said.contains(WRONG), "a password is shown: {said}");
}

fn job(case: &Case) -> String {
    let Case { name, agent, config, .. } = case;
    format!("[[job]]\nname = \"{name}\"\nagent = \"{agent}\"\nevery = \"{EVERY}\"\nconfig = {{ {config} }}\n\n")
}

fn told_by_metrics(watch: &Watch, case: &Case, up: &str) {
    let scrape = watch.scrape();
    assert_eq!(scrape.up(&case.name), Some(up), "{}", case.name);
    let families: BTreeSet<&str> = scrape.of_job(&case.name).filter_map(|line| line.family.strip_prefix("watchpost_")).collect();
    let expected: BTreeSet<&str> = case.known.iter().copied().chain(["up", "run_duration_seconds"]).collect();
    assert_eq!(families, expected, "{}", case.name);
}

fn told_by_status(watch: &Watch, case: &Case) {
    let told = watch.status(&case.name);
    let Some((kind, why)) = case.fails else {
        assert_eq!(told["health"], "ok", "{told}");
        return;
    };
    assert_eq!((&told["health"], &told["kind"]), (&"failing".into(), &kind.into()), "{told}");
    assert!(told["why"].as_str().is_some_and(|text| text.contains(why)), "{why:?} is not in {told}");
}

/// In the series, too, a run that failed has no total: neither 0, nor that of another run.
fn stored(watch: &Watch, case: &Case, up: &str) {
    let series = [format!("up{{job=\"{}\"}}", case.name), format!("total_time{{job=\"{}\"}}", case.name)];
    // What is on /metrics reaches the file within a second; on a busy machine a little later.
    let stored = until(ALL_RAN_TIMEOUT, || {
        let said = watch.house.run(&["fetch", "--format", "json", "--from", "now-1m", &series[0], &series[1]]);
        (said.code == Some(0)).then_some(said.out)
    });
    let answer: serde_json::Value = serde_json::from_str(&stored.expect("the run is stored")).unwrap();
    let values = |metric: &str| {
        let series = answer.as_array().unwrap().iter().find(|series| series["metric"] == metric);
        let values = series.and_then(|series| series["values"].as_array()).into_iter().flatten();
        values.filter_map(serde_json::Value::as_f64).collect::<Vec<_>>()
    };
    let ups = values("up");
    assert!(!ups.is_empty() && ups.iter().all(|value| *value == up.parse::<f64>().unwrap()), "{}: {answer}", case.name);
    assert_eq!(values("total_time").len(), if up == "1" { ups.len() } else { 0 }, "{}: {answer}", case.name);
}
