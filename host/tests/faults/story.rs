//! Every server well, ill in its own way, and well again; one daemon for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use watchpost::reading::Reading;
use watchpost_services::outcome::Status;

use crate::{
    harness::{House, journal, scrape::Line, until},
    lines::PASSWORD,
    logged,
    row::{Ends, Row},
    ward::{EVERY, NEIGHBOUR_EVERY, State, TIMEOUT, Told, Ward},
};

/// Runs of each job against its ill server, at least.
const ILL_RUNS: u64 = 2;
/// What a worker may take in memory beyond what it took while all was well. A line without end brings that much in a tenth of a second.
const GROWTH_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How long after its deadline a run may end: five times what a busy machine adds.
const LATE_MAX: Duration = Duration::from_millis(2500);
/// Commands that run side by side.
const COMMANDS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_told_for_what_it_is_costs_no_neighbour_a_run_and_ends_with_its_cause() {
    let ward = Ward::open().await;
    let well = ward.settles(State::Well, 1, &ward.told());
    run_by_an_ordinary_user(&ward, &well);
    let memory = peaks(&well);

    ward.fall_ill();
    explained(&ward);
    // The first may have begun before.
    let ill = ward.settles(State::Ill, ILL_RUNS + 1, &well);
    no_worker_grew(&memory, &peaks(&ill));
    listed(&ward);

    ward.recover();
    ward.settles(State::Well, 1, &ill);
    counted_by_kind(&ward);
    let Ward { daemon, house, rows, .. } = ward;
    let ended = daemon.stop();
    assert!(ended.status.success());
    assert!(!ended.log.contains(PASSWORD));
    let readings = stored(&house, &rows);
    logged::once_for_each_change(&ended.log, &rows, &readings);
}

/// Daemon, workers and all that they leave are the house's user's.
fn run_by_an_ordinary_user(ward: &Ward, told: &Told) {
    let user = |path: &Path| fs::metadata(path).unwrap().uid();
    let ours = user(ward.house.folder());
    assert_ne!(ours, 0);
    let workers = ward.daemon.workers();
    assert_eq!(workers.len(), told.workers.len());
    for pid in workers.iter().map(|worker| worker.pid).chain([ward.daemon.pid()]) {
        assert_eq!(user(Path::new(&format!("/proc/{pid}"))), ours, "process {pid}");
    }
    for entry in fs::read_dir(ward.house.data()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(user(&path), ours, "{}", path.display());
    }
}

/// The most memory that each worker ever took.
fn peaks(told: &Told) -> BTreeMap<String, u64> {
    let of_worker = |worker: &serde_json::Value| {
        let status = fs::read_to_string(format!("/proc/{}/status", worker["pid"])).unwrap();
        // proc_pid_status(5): the peak resident set size, in KiB.
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        (worker["plugin"].as_str().unwrap().to_owned(), peak.expect("a worker has memory") * 1024)
    };
    told.workers.iter().map(of_worker).collect()
}

fn no_worker_grew(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) {
    for (plugin, before) in before {
        let growth = after[plugin].saturating_sub(*before);
        eprintln!("{plugin}: {} MiB at most, {} KiB more under all faults", before >> 20, growth >> 10);
        assert!(growth < GROWTH_BYTES_MAX, "{plugin} took {growth} bytes more than {before}");
    }
}

/// `jobs list` has a line for each job, the kind and the reason in it.
fn listed(ward: &Ward) {
    let text = ward.house.run(&["jobs", "list"]).ok();
    assert!(!text.contains(PASSWORD));
    for row in &ward.rows {
        let line =
            text.lines().find(|line| line.split_whitespace().next() == Some(&row.job)).unwrap_or_else(|| panic!("{}: {text}", row.job));
        let (health, why) = match &row.ends {
            Ends::Fails(kind, why) => (if row.ends.up().is_some() { " FAILING " } else { " unknown " }, format!("{kind}: {why}")),
            Ends::Passes => (" ok ", String::new()),
        };
        // The reason may begin before what the row expects of it.
        let said = row.ends.kind().is_none_or(|kind| line.contains(&format!(" {kind}: ")));
        assert!(line.contains(health) && said && line.contains(why.split_once(": ").map_or("", |(_, why)| why)), "{line}");
    }
}

/// One command for each fault, whichever job has it first.
fn explained(ward: &Ward) {
    let mut firsts: Vec<&Row> = Vec::new();
    for row in &ward.rows {
        if firsts.iter().all(|known| known.fault != row.fault) {
            firsts.push(row);
        }
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..COMMANDS {
            scope.spawn(|| {
                while let Some(row) = firsts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    explain(&ward.house, row);
                }
            });
        }
    });
}

/// `measure --explain` says in one line how it ended and why, and what would be stored.
fn explain(house: &House, row: &Row) {
    let said = house.run(&["measure", &row.job, "--explain"]);
    assert!(!said.out.contains(PASSWORD) && said.err.is_empty(), "{}: {said:?}", row.job);
    let ends: Vec<&str> = said.out.lines().filter(|line| line.starts_with("status: ")).collect();
    let [end] = ends[..] else { panic!("{}: {ends:?}", row.job) };
    let (code, begins, why) = match &row.ends {
        Ends::Fails(kind, why) => (1, format!("status: failed: {kind}: "), why.as_str()),
        Ends::Passes => (0, "status: ok".into(), ""),
    };
    assert!(said.code == Some(code) && end.starts_with(&begins) && end.contains(why), "{}: {said:?}", row.job);
    let (_, would_store) = said.out.split_once("\na scheduled run would store").unwrap_or_else(|| panic!("{}: {}", row.job, said.out));
    let stored: Vec<&str> =
        would_store.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(" = ")).map(|(name, _)| name).collect();
    let expected: Vec<&str> = ["up", "run_duration"].into_iter().chain(row.known.iter().copied()).collect();
    assert_eq!(stored, expected, "{}", row.job);
    let up = row.ends.up().map_or("unknown".into(), |up| up.to_string());
    assert!(would_store.contains(&format!("\n  up = {up}\n")), "{}: {}", row.job, said.out);
}

/// The host counts failed runs by agent and kind, as many as `status` tells of all jobs together.
fn counted_by_kind(ward: &Ward) {
    let (mut counted, mut added_up) = (Failures::new(), Failures::new());
    let alike = until(Duration::from_secs(10), || {
        let told = ward.told();
        (counted, added_up) = (counts(&told), sums(&told));
        // Something may end between the two questions.
        (counted == added_up).then_some(())
    });
    let unlike = |(of, count): &(&(String, String), &u64)| counted.get(*of) != Some(*count);
    assert!(alike.is_some(), "{:?} of {counted:?}", added_up.iter().filter(unlike).collect::<Vec<_>>());
    let kinds: BTreeSet<&str> = counted.keys().map(|(_, kind)| kind.as_str()).collect();
    let expected: BTreeSet<&str> = ward.rows.iter().filter_map(|row| row.ends.kind()).collect();
    assert!(expected.is_subset(&kinds), "{expected:?} {kinds:?}");
}

/// Failed runs by agent and kind.
type Failures = BTreeMap<(String, String), u64>;

fn counts(told: &Told) -> Failures {
    let lines = told.scrape.of_family("watchpost_host_run_failures_total");
    let count = |line: &Line| {
        let label = |key: &str| line.label(key).unwrap().to_owned();
        ((label("agent"), label("kind")), line.value.parse().unwrap())
    };
    // Those that never began are counted by themselves.
    lines.filter(|line| line.label("kind") != Some("skipped")).map(count).collect()
}

fn sums(told: &Told) -> Failures {
    let mut sum = Failures::new();
    for job in told.jobs.values() {
        for (kind, count) in job["failed"].as_object().unwrap() {
            let agent = job["agent"].as_str().unwrap().to_owned();
            *sum.entry((agent, kind.clone())).or_default() += count.as_u64().unwrap();
        }
    }
    sum
}

/// What the journal keeps of each job: every slot, none later than its deadline, nothing that did not happen.
fn stored(house: &House, rows: &[Row]) -> BTreeMap<String, Vec<Reading>> {
    let mut by_job = BTreeMap::<String, Vec<Reading>>::new();
    for reading in journal::readings(&house.data()) {
        by_job.entry(reading.job.clone()).or_default().push(reading);
    }
    for name in Ward::neighbours() {
        every_slot(&name, &by_job[&name], NEIGHBOUR_EVERY);
        assert!(by_job[&name].iter().all(|reading| reading.outcome.status.is_ok()), "{name}");
    }
    for row in rows {
        let readings = &by_job[&row.job];
        every_slot(&row.job, readings, EVERY);
        for reading in readings {
            in_time(reading);
            only_what_happened(row, reading);
        }
    }
    by_job
}

fn every_slot(job: &str, readings: &[Reading], step: Duration) {
    let slots: Vec<i64> = readings.iter().map(|reading| reading.slot).collect();
    let gap = slots.windows(2).find(|pair| pair[1] - pair[0] != i64::try_from(step.as_secs()).unwrap());
    assert_eq!(gap, None, "{job}: {slots:?}");
}

fn in_time(reading: &Reading) {
    let took = Duration::from_nanos(reading.outcome.duration_ns);
    assert!(took < TIMEOUT + LATE_MAX, "{}: {took:?}", reading.job);
    if matches!(&reading.outcome.status, Status::Failed { kind, .. } if kind.name() == "timeout") {
        // One that starts late ends earlier, or the next one would be late, too.
        assert!(took >= TIMEOUT / 2, "{}: {took:?}", reading.job);
    }
}

fn only_what_happened(row: &Row, reading: &Reading) {
    let failed = !reading.outcome.status.is_ok();
    for sample in reading.outcome.samples.iter().filter(|_| failed) {
        assert!(row.known.contains(&sample.metric.as_str()), "{}: {} of {:?}", row.job, sample.metric, reading.outcome.status);
        assert!(sample.value > 0.0, "{}: {sample:?}", row.job);
    }
}
