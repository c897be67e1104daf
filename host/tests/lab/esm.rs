//! `schedules/esm.toml` as it is shipped: each of the 68 figures of the ESM table has a value from a real server, and it is right, which
//! others say: the clients of this test by what they did, servers by their own lists and logs, and a second client by its clock.
//!
//! Reading order: `checks` (each row, who says otherwise, how far they may differ: the table) · `clients` (what is done to the servers, and
//! counted) · `strict` (what Dovecot is set to, so that it refuses some) · `witness` (what is read elsewhere).

mod checks;
mod clients;
mod strict;
mod witness;

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{harness::until, programs, servers::Lab, watch::Watch};
use checks::{CHECKS, Check, Tolerance};
use clients::Done;
use witness::Theirs;

/// How long a figure may take until all agree on it: logs are written a little later, and a delivery is tried again meanwhile.
const AGREE_TIMEOUT: Duration = Duration::from_secs(40);
/// Rows of the table, by CHECKLIST's numbers.
const ROWS: std::ops::RangeInclusive<u64> = 24..=91;
/// What this story asks others with.
const INSTRUMENTS: [&str; 7] = ["php", "curl", "dig", "ldapsearch", "pflogsumm", "ss", "faketime"];
/// Jobs that look at a server as a client does; they come first, so that all that is counted later is done by the clients of this test.
const PROBES: [&str; 7] = ["mta", "pop", "imap", "webmail", "directory", "roundtrip", "dns"];
/// Jobs that count what servers tell, and what waits.
const COUNTERS: [&str; 9] =
    ["queue", "mta-log", "pop-log", "imap-log", "imap-counts", "store-counts", "cache-counts", "errors-mta", "errors-store"];
/// Jobs that look who is connected.
const CONNECTIONS: [&str; 6] = ["mta-clients", "pop-clients", "imap-clients", "delivery-clients", "store-clients", "cache-clients"];

/// The last value of each row, as `coverage` has it.
type Ours = BTreeMap<u64, f64>;

#[test]
fn each_figure_of_the_esm_table_comes_from_a_real_server_and_is_right() {
    let Some(lab) = Lab::up() else { return };
    if !INSTRUMENTS.into_iter().all(programs::there) {
        return;
    }
    assert!(lab.runs("roundcube"), "there is no web mail; `cargo xtask packages lab` gets what it needs");
    strict::make(&lab);
    let shipped = lab.schedule("esm.toml");
    // Nothing runs unless this story asks for it, so that each figure has its moment.
    let schedule = shipped.replace("every = \"1m\"", "cron = \"0 0 1 1 *\"");
    assert_ne!(schedule, shipped);
    let watch = Watch::start(lab, &schedule);
    let mut failed = Vec::new();
    // Totals begin where the logs end now.
    COUNTERS.iter().for_each(|job| run(&watch, job, &mut failed));
    clients::fill_mailboxes(&watch.lab);
    clients::cause_a_fault(&watch.lab);
    let clocks = clocked(&watch, &mut failed);

    let (before, theirs_before) = settle(&watch, &mut failed);
    let done = clients::act(&watch.lab);
    let (after, theirs_after) = settle(&watch, &mut failed);

    let held = clients::hold(&watch.lab);
    CONNECTIONS.iter().for_each(|job| run(&watch, job, &mut failed));
    let connected = witness::connected(&watch.lab);
    drop(held);

    let table = watch.house.run(&["coverage", watch.house.folder().join("jobs.toml").to_str().unwrap()]);
    println!("{}", table.out);
    let last = values(&watch);
    let compared = CHECKS.iter().map(|check| {
        let counted = after.get(&check.row).zip(before.get(&check.row)).map(|(after, before)| after - before);
        let ours = if check.is_counted { counted } else { last.get(&check.row).copied() };
        let theirs =
            (check.theirs)(&Theirs { before: &theirs_before, after: &theirs_after, done: &done, clocks: &clocks, connected: &connected });
        compare(check, ours, theirs)
    });
    let compared: Vec<Result<String, String>> = compared.collect();
    compared.iter().for_each(|line| println!("{}", line.as_ref().unwrap_or_else(|line| line)));
    let wrong: Vec<&String> = compared.iter().filter_map(|line| line.as_ref().err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", table.out);
    assert_eq!(CHECKS.iter().map(|check| check.row).collect::<Vec<_>>(), ROWS.collect::<Vec<_>>());
    assert!(table.code == Some(0) && table.out.contains("68 of 68 rows have a value"), "{table:?}");
}

/// Runs a job now; a run that fails is told of at the end, when all is known.
fn run(watch: &Watch, job: &str, failed: &mut Vec<String>) {
    let said = watch.house.run(&["jobs", "run", job]);
    if said.code != Some(0) {
        failed.push(format!("{job}: {}{}", said.out, said.err));
    }
}

/// Probes, and has others do the same, until all clocks agree; a busy machine may need more than one time.
fn clocked(watch: &Watch, failed: &mut Vec<String>) -> witness::Counts {
    let (none, nothing) = (witness::Counts::new(), Done::default());
    let mut clocks = witness::Counts::new();
    until(AGREE_TIMEOUT, || {
        failed.clear();
        let served = witness::served(&watch.lab).len();
        PROBES.iter().for_each(|job| run(watch, job, failed));
        clocks = witness::clocks(&watch.lab, &witness::served(&watch.lab)[served..]);
        let ours = values(watch);
        let theirs = Theirs { before: &none, after: &none, done: &nothing, clocks: &clocks, connected: &none };
        let agrees = |check: &&Check| compare(check, ours.get(&check.row).copied(), (check.theirs)(&theirs)).is_ok();
        (failed.is_empty() && CHECKS.iter().filter(|check| check.is_time()).all(|check| agrees(&check))).then_some(())
    });
    // Those that do not are told of at the end.
    clocks
}

/// Counts until what others say is the same before and after: then nothing was under way.
fn settle(watch: &Watch, failed: &mut Vec<String>) -> (Ours, witness::Counts) {
    let mut seen = witness::counts(&watch.lab);
    let settled = until(AGREE_TIMEOUT, || {
        std::thread::sleep(Duration::from_millis(300));
        COUNTERS.iter().for_each(|job| run(watch, job, failed));
        let ours = values(watch);
        let now = witness::counts(&watch.lab);
        let is_still = std::mem::replace(&mut seen, now.clone()) == now;
        is_still.then_some((ours, now))
    });
    settled.unwrap_or_else(|| panic!("the servers do not come to rest: {seen:#?}"))
}

/// What `coverage --json` says of each row: of several series their sum.
fn values(watch: &Watch) -> Ours {
    let file = watch.house.folder().join("jobs.toml");
    let said = watch.house.run(&["coverage", file.to_str().unwrap(), "--json"]);
    let parsed: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let rows = parsed["rows"].as_array().unwrap().iter();
    let rows = rows.filter_map(|row| {
        let known: Vec<f64> = row["found"].as_array()?.iter().filter_map(|series| series["value"].as_f64()).collect();
        (!known.is_empty()).then(|| (row["number"].as_u64().unwrap(), known.iter().sum()))
    });
    rows.collect()
}

/// A line of the comparison; an error is one where they differ.
fn compare(check: &Check, ours: Option<f64>, theirs: f64) -> Result<String, String> {
    let Check { row, source, tolerance, .. } = check;
    let may_differ = match tolerance {
        Tolerance::None => 0.0,
        Tolerance::Seconds(seconds) => *seconds,
    };
    let shown = ours.map_or("-".into(), |ours| format!("{ours:.4}"));
    let line = format!("row {row}: {shown}, {theirs:.4} by {source}, may differ by {may_differ:.4}");
    let is_near = |ours: f64| (ours - theirs).abs() <= may_differ && (!check.is_time() || ours > 0.0 && theirs > 0.0);
    let agrees = ours.is_some_and(is_near);
    if agrees { Ok(line) } else { Err(line) }
}
