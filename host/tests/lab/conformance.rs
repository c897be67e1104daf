//! Every agent that we ship keeps to what `test-agent` looks for, against real servers.

use std::{collections::BTreeMap, env};

use serde_json::Value;

use crate::{
    harness::{House, agents},
    servers::Lab,
};

/// Runs of each job; `cargo xtask prove conformance` has a thousand.
const RUNS: &str = "15";

/// A job for each agent that the schedule of the ESM table does not ask.
fn others(lab: &Lab) -> String {
    format!(
        "[[job]]\nname = \"tls\"\nagent = \"tls\"\nevery = \"1m\"\nconfig = {{ host = \"127.0.0.1\", port = {}, server_name = \"mail.lab.test\", \
         ca_file = {:?} }}\n\n[[job]]\nname = \"mailauth\"\nagent = \"mailauth\"\nevery = \"1m\"\nconfig = {{ domain = \"lab.test\", resolver = \
         \"127.0.0.1:{}\" }}\n\n[[job]]\nname = \"exec\"\nagent = \"exec\"\nevery = \"1m\"\nconfig = {{ argv = [\"/bin/echo\", \"OK: fine | \
         answer=42\"], format = \"nagios\" }}\n",
        lab.port("imaps"),
        lab.ca_file(),
        lab.port("dns"),
    )
}

/// One job for each agent: the first there is.
fn jobs(lab: &Lab) -> BTreeMap<String, String> {
    let whole: toml::Table = format!("{}\n{}", lab.schedule("esm.toml"), others(lab)).parse().unwrap();
    let defaults = toml::Table::from_iter(whole.get("defaults").map(|defaults| ("defaults".to_owned(), defaults.clone())));
    let mut found = BTreeMap::new();
    for job in whole["job"].as_array().unwrap() {
        let one = toml::Table::from_iter([("job".to_owned(), toml::Value::Array(vec![job.clone()]))]);
        found.entry(job["agent"].as_str().unwrap().to_owned()).or_insert_with(|| format!("{defaults}\n{one}"));
    }
    found
}

#[test]
fn every_shipped_agent_keeps_to_what_the_host_expects() {
    let Some(lab) = Lab::up() else { return };
    let (jobs, mut failed) = (jobs(&lab), Vec::new());
    let runs = env::var("WATCHPOST_PROVE_CONFORMANCE").unwrap_or(RUNS.into());
    for agent in agents() {
        if agent == "webmail" && !lab.runs("roundcube") {
            eprintln!("left out: there is no web mail");
            continue;
        }
        let job = jobs.get(&agent).unwrap_or_else(|| panic!("agent {agent} is shipped, and not tested here"));
        let house = House::new(job);
        let (library, schedule) = (house.plugins().join(format!("libwatchpost_{agent}.so")), house.folder().join("jobs.toml"));
        let words =
            ["test-agent", library.to_str().unwrap(), "--jobs", schedule.to_str().unwrap(), "--runs", &runs, "--within", "2h", "--json"];
        let said = house.command(&words).output().unwrap();
        let answer: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{agent}: {error}: {said:?}"));
        let checks = answer["jobs"][0]["checks"].as_array().unwrap();
        let told: String =
            checks.iter().map(|check| format!("  {:<16} {:<10} {}\n", check["name"], check["verdict"], check["seen"])).collect();
        println!("{agent}\n{told}");
        // Against a server that is there nothing but the target may be left out.
        let left_out = checks.iter().filter(|check| check["verdict"] == "left_out" && check["name"] != "unreachable").count();
        if !said.status.success() || left_out > 0 {
            failed.push(format!("{agent}\n{told}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
