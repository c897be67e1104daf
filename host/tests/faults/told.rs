//! What has to be told of each job: by `status`, by `/metrics`, and by both alike.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    harness::scrape::Scrape,
    row::{Ends, Row},
    ward::{State, Told, Ward},
};

/// A reason is read on one line of a terminal.
const WHY_CHARS_MAX: usize = 250;
/// Families that the host adds to what an agent records.
const OF_HOST: [&str; 2] = ["watchpost_up", "watchpost_run_duration_seconds"];

/// What is wrong with what is told, if anything.
pub(crate) fn complaints(ward: &Ward, state: State, runs: u64, before: &Told, now: &Told) -> Vec<String> {
    let of_row = |row: &Row| {
        let state = if row.is_curable() { state } else { State::Ill };
        let (job, scrape) = (&now.jobs[&row.job], &now.scrape);
        let mut wrong = vec![ran(&before.jobs[&row.job], job, runs)];
        wrong.extend(match (state, &row.ends) {
            (State::Well, _) => well(job, scrape, &row.whole),
            (State::Ill, Ends::Passes) => well(job, scrape, &row.known),
            (State::Ill, Ends::Fails(kind, why)) => ill(row, kind, why, job, scrape),
        });
        wrong.into_iter().flatten().map(|wrong| format!("{}: {wrong}", row.job)).collect::<Vec<_>>()
    };
    let of_neighbour = |name: String| {
        let job = &now.jobs[&name];
        (job["health"] != "ok" || job["skipped"] != 0).then(|| format!("{name} suffers: {job}"))
    };
    let of_worker = |worker: &Value| (worker["crashes"] != 0).then(|| format!("a worker died: {worker}"));
    let others = Ward::neighbours().filter_map(of_neighbour).chain(now.workers.iter().filter_map(of_worker));
    ward.rows.iter().flat_map(of_row).chain(others).collect()
}

type Wrong = Option<String>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Wrong {
    (found != expected).then(|| format!("{what} is {found:?}, not {expected:?}"))
}

fn ran(before: &Value, now: &Value, runs: u64) -> Wrong {
    let ran = now["runs"].as_u64()? - before["runs"].as_u64()?;
    (ran < runs).then(|| format!("{ran} of {runs} runs ended"))
}

fn well(job: &Value, scrape: &Scrape, recorded: &[&str]) -> Vec<Wrong> {
    let mut wrong = vec![
        same("health", job["health"].as_str(), Some("ok")),
        same("kind", job["kind"].as_str(), None),
        same("why", job["why"].as_str(), None),
    ];
    wrong.extend(measured(job, scrape, Some(1.0), recorded));
    wrong
}

fn ill(row: &Row, kind: &str, why: &str, job: &Value, scrape: &Scrape) -> Vec<Wrong> {
    let up = row.ends.up();
    let told = job["why"].as_str().unwrap_or_default();
    let one_line = !told.contains('\n') && told.chars().count() <= WHY_CHARS_MAX && told.contains(why);
    let mut wrong = vec![
        same("health", job["health"].as_str(), Some(if up.is_some() { "failing" } else { "unknown" })),
        same("kind", job["kind"].as_str(), Some(kind)),
        (!one_line).then(|| format!("why is {told:?}, not one line with {why:?}")),
    ];
    wrong.extend(measured(job, scrape, up, &row.known));
    wrong
}

/// `up` and every metric, in both places; what did not happen is absent, never 0.
fn measured(job: &Value, scrape: &Scrape, up: Option<f64>, recorded: &[&str]) -> [Wrong; 5] {
    let (name, agent) = (job["name"].as_str().unwrap_or_default(), job["agent"].as_str().unwrap_or_default());
    let expected: BTreeSet<&str> = recorded.iter().copied().collect();
    let in_status = job["values"].as_object().map(|values| values.keys().map(String::as_str).collect()).unwrap_or_default();
    let lines = || scrape.of_job(name).filter(|line| !OF_HOST.contains(&line.family.as_str()));
    let scraped = lines().map(|line| metric(&line.family, agent)).collect();
    let zero = lines().find(|line| line.family.ends_with("_seconds") && line.value.parse() == Ok(0.0));
    [
        same("up of status", job["up"].as_f64(), up),
        same("up of the scrape", scrape.up(name).map(|up| up.parse().unwrap_or(f64::NAN)), up),
        same("what status has", in_status, expected.clone()),
        same("what the scrape has", scraped, expected),
        zero.map(|line| format!("{line:?} was never measured")),
    ]
}

/// A metric's own name, from its family.
fn metric<'a>(family: &'a str, agent: &str) -> &'a str {
    let name = family.strip_prefix("watchpost_").unwrap_or(family);
    let name = name.strip_prefix(agent).and_then(|rest| rest.strip_prefix('_')).unwrap_or(name);
    name.strip_suffix("_seconds").unwrap_or(name)
}
