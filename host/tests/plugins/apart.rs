//! Deaths that tell nothing of who brought them about: the job is found all the same, and the others do not suffer for long.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use watchpost::plugin::{Holding, JobOpen, Report};

use crate::zoo::{LONG, Zoo, does, example, job, said};

/// Between two runs of a job.
const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_millis(400);
/// Jobs that do nothing wrong.
const NEIGHBOURS: u64 = 11;
/// Within so long the guilty job is quarantined, on a busy machine too.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
/// A configuration is to be checked within so long at any time.
const CHECKED_WITHIN: Duration = Duration::from_secs(4);

fn is_quarantined(report: &Report, job: &str) -> bool {
    report.held.iter().any(|held| held.job == job && held.holding == Holding::Quarantined)
}

/// Runs a job at its interval until it is told to end; says how its runs ended that did not end well.
async fn runs(zoo: Arc<Zoo>, number: u64, over: Arc<AtomicBool>) -> Vec<(Instant, String)> {
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut bad = Vec::new();
    while !over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let (kind, message) = said(&zoo.run(number, TIMEOUT).await);
        if kind != "ok" {
            bad.push((Instant::now(), format!("{kind}: {message}")));
        }
    }
    bad
}

/// Who does `what` is found and quarantined; then the neighbours run as if nothing had been.
async fn check(what: &str, how: &str) {
    beside("well", what, how).await;
}

/// As [`check`], where the neighbours do `beside`.
async fn beside(beside: &str, what: &str, how: &str) {
    let zoo = Arc::new(Zoo::of(&example("zoo")).await);
    let open = |number, name: &str, config: &str| JobOpen { interval: INTERVAL, quarantine_after: 3, ..job(number, name, config) };
    zoo.0.open(open(1, "guilty", &does(what)));
    (2..2 + NEIGHBOURS).for_each(|number| zoo.0.open(open(number, &format!("neighbour-{number}"), &does(beside))));
    let (began, over) = (Instant::now(), Arc::default());
    let all: Vec<_> = (1..2 + NEIGHBOURS).map(|number| tokio::spawn(runs(zoo.clone(), number, Arc::clone(&over)))).collect();
    let mut slowest = Duration::ZERO;
    let config = does("well");
    while !is_quarantined(&zoo.0.report(), "guilty") {
        assert!(began.elapsed() < FOUND_WITHIN, "{what}: nobody is found: {:?}", zoo.0.report());
        let asked = Instant::now();
        let examined = zoo.0.examine("beast", &config).await;
        assert!(examined.is_ok() && asked.elapsed() < CHECKED_WITHIN, "{what}: {examined:?} after {:?}", asked.elapsed());
        slowest = slowest.max(asked.elapsed());
        let report = zoo.0.report();
        let blamed = report.held.iter().map(|held| &held.job).chain(report.last_crash.iter().filter_map(|crash| crash.guilty.as_ref()));
        assert!(blamed.clone().all(|job| job == "guilty"), "{what}: {:?}", blamed.collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = Instant::now();
    let report = zoo.0.report();
    tokio::time::sleep(Duration::from_secs(3)).await;
    over.store(true, Ordering::Relaxed);
    let mut bad = Vec::new();
    for runs in all.into_iter().skip(1) {
        bad.extend(runs.await.unwrap());
    }
    let due = NEIGHBOURS as u128 * began.elapsed().as_millis() / INTERVAL.as_millis();
    eprintln!(
        "{what}: quarantined after {:?} and {} deaths; {} of some {due} runs of neighbours lost; a configuration took {slowest:?}",
        found - began,
        report.crashes,
        bad.len()
    );
    // One that was under way when the job was found may be told of it a moment later.
    let late: Vec<_> = bad.iter().filter(|(at, _)| *at > found + INTERVAL).collect();
    assert!(late.is_empty(), "{what}: {late:?}");
    let crash = report.last_crash.unwrap();
    assert_eq!(crash.guilty.as_deref(), Some("guilty"), "{what}: {}", crash.how);
    assert!(crash.how.starts_with(how), "{what}: {}", crash.how);
    assert_eq!(report.held.iter().map(|held| held.job.as_str()).collect::<Vec<_>>(), ["guilty"], "{what}");
    // It stays by itself; a stop ends every worker.
    assert!(zoo.0.report().apart.iter().any(|apart| apart.jobs == ["guilty"]), "{:?}", zoo.0.report().apart);
    assert_eq!(zoo.0.report().jobs as u64, 1 + NEIGHBOURS);
    let workers: Vec<u32> = zoo.0.report().apart.iter().filter_map(|apart| apart.pid).collect();
    zoo.0.stop().await;
    let (stopped, is_there) = (Instant::now(), |pid: &u32| Path::new(&format!("/proc/{pid}")).exists());
    while workers.iter().any(is_there) {
        assert!(stopped.elapsed() < Duration::from_secs(2), "{workers:?} live on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_its_own_process_a_signal_is_found() {
    check("sigterm", "died of signal 15 (SIGTERM").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_thread_that_aborts_is_found() {
    check("abort-behind", "died of signal 6 (SIGABRT").await;
}

/// It dies while somebody else is being polled, each time.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_thread_that_aborts_is_found_among_neighbours_that_hold_the_workers_thread() {
    beside("holds", "abort-behind", "died of signal 6 (SIGABRT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_closes_the_workers_descriptors_is_found() {
    check("close-all", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_its_own_process_is_found() {
    check("stop-itself", "stood still and was ended").await;
}

/// Its page names it, and a signal that somebody may have sent from outside does not; the second time it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_whose_check_ends_the_worker_unblamed_is_refused_soon() {
    let zoo = Zoo::of(&example("zoo")).await;
    let (began, config) = (Instant::now(), does("sigterm-in-new"));
    let error = zoo.0.examine("beast", &config).await.unwrap_err();
    let expected = "the worker died of signal 15 (SIGTERM: asked to end) twice while this configuration was checked";
    assert_eq!(error.message(), expected);
    assert!(began.elapsed() < CHECKED_WITHIN, "{:?}", began.elapsed());
    assert!(zoo.0.examine("beast", &does("well")).await.is_ok());
}

/// A job that is alone in its library is not blamed for a signal that somebody sent once.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_alone_is_blamed_from_the_second_death_on() {
    let zoo = Zoo::with("sigterm").await;
    // It was made again, and died again.
    let said = "the worker died of signal 15 (SIGTERM: asked to end) while this job was alone in it";
    assert_eq!(zoo.said(1, LONG).await, ("crash", said.into()));
    let report = zoo.ready().await;
    assert_eq!((report.crashes, report.last_crash.unwrap().guilty, report.apart), (2, Some("guilty".into()), vec![]));
}
