//! Misbehaviour that brings a worker down: the guilty job is named, its neighbours are repeated or told, others notice nothing.

use std::time::{Duration, Instant};

use watchpost::plugin::{JobOpen, WorkerState};

use crate::zoo::{LONG, Witness, Zoo, does, example, job};

const WAITS_UNREPEATABLE: &str = r#"{ "does": "waits", "repeatable": false }"#;

/// The worker dies of the beast that does `what`, within `within` of its run's start.
async fn check(what: &str, how: &str, within: Duration) {
    let witness = Witness::begin().await;
    let zoo = Zoo::with(what).await;
    zoo.0.open(job(2, "repeatable", &does("waits")));
    zoo.0.open(job(3, "unrepeatable", WAITS_UNREPEATABLE));
    if what == "orphan" {
        // It needs a program: its neighbours are to run in the worker that comes for it.
        zoo.taken_over().await;
    }
    let first = zoo.0.report().pid;
    let began = Instant::now();
    let guilty = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let said = zoo.said(1, LONG).await;
        let died = began.elapsed();
        let report = zoo.ready().await;
        (said, died, began.elapsed() - died, report)
    };
    let ((guilty, died, back, report), repeatable, unrepeatable) = tokio::join!(guilty, zoo.said(2, LONG), zoo.said(3, LONG));
    assert_eq!(guilty.0, "crash", "{what}: {}", guilty.1);
    assert!(guilty.1.starts_with(&format!("the worker {how}")), "{what}: {}", guilty.1);
    assert!(guilty.1.ends_with(" while this job was running"), "{what}: {}", guilty.1);
    assert_eq!(repeatable, ("ok", String::new()), "{what}");
    assert_eq!(unrepeatable, ("interrupted", "the worker died of job guilty".into()), "{what}");
    let crash = report.last_crash.unwrap_or_else(|| panic!("{what}: no crash is reported"));
    assert_eq!((crash.guilty.as_deref(), report.crashes, report.restarts), (Some("guilty"), 1, 1), "{what}");
    assert!(crash.how.starts_with(how) && report.pid.is_some() && report.pid != first, "{what}: {}", crash.how);
    eprintln!("{what}: died after {died:?}, back {back:?} later");
    assert!(died < within, "{what}: died after {died:?}");
    assert!(back < Duration::from_secs(1), "{what}: back after {back:?}");
    witness.went_well(began.elapsed()).await;
}

const SOON: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_abort() {
    check("abort", "died of signal 6 (SIGABRT", SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_as_if_all_were_well() {
    check("exit0", "ended itself with exit code 0", SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit() {
    check("exit1", "ended itself with exit code 1", SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_pointer() {
    check("segfault", "died of signal 11 (SIGSEGV", SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_overflow() {
    check("overflow", "died of signal", SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection() {
    check("mute", "closed its connection and lived on", Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_holds_on_to_standard_error() {
    check("orphan", "died of signal 6 (SIGABRT", SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_thread() {
    check("block", "blocked its thread for 5.", Duration::from_secs(7)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_thread() {
    // A busy machine stretches the second of processor time, never past the watchdog's other bound.
    check("spin", "kept its thread busy for ", Duration::from_secs(7)).await;
}

/// With a short timeout the run is given up before the watchdog looks: its job is to blame all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_thread_blocked_beyond_the_deadline_is_blamed_on_its_job() {
    let zoo = Zoo::with("block").await;
    let began = Instant::now();
    let said = zoo.said(1, Duration::from_millis(500)).await;
    assert_eq!(said, ("interrupted", "it blocks its worker's thread".into()));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    while zoo.0.report().crashes == 0 {
        assert!(began.elapsed() < Duration::from_secs(7), "the watchdog sleeps");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(zoo.ready().await.last_crash.and_then(|crash| crash.guilty).as_deref(), Some("guilty"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_aborts_while_it_is_made_is_named_and_its_neighbours_run() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(2, "well", &does("well")));
    zoo.0.open(JobOpen { interval: Duration::from_secs(60), ..job(1, "guilty", &does("abort-in-new")) });
    while zoo.0.report().crashes == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let report = zoo.ready().await;
    assert_eq!(report.last_crash.and_then(|crash| crash.guilty).as_deref(), Some("guilty"));
    // Nobody has it made again before its next run is due.
    assert_eq!(zoo.said(2, LONG).await.0, "ok");
    let (kind, message) = zoo.said(1, LONG).await;
    assert!(kind == "crash" && message.ends_with("while the agent of this job was made"), "{kind}: {message}");
    zoo.ready().await;
    assert_eq!(zoo.said(1, LONG).await, ("skipped", "held back: this job brought its worker down 2 times in a row".into()));
    assert_eq!((zoo.said(2, LONG).await.0, zoo.0.report().crashes), ("ok", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_blocks_is_told_so_and_costs_nobody_a_run() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(2, "well", &does("well")));
    let (abort, block) = (does("abort-in-new"), does("block-in-new"));
    let error = zoo.0.examine("beast", &abort).await.unwrap_err();
    assert_eq!(error.message(), "the worker died of signal 6 (SIGABRT: abort) while this configuration was checked");
    let (blocked, well) = tokio::join!(zoo.0.examine("beast", &block), zoo.said(2, LONG));
    let error = blocked.unwrap_err();
    assert!(error.message().starts_with("the worker blocked its thread for 5."), "{error}");
    assert_eq!(well.0, "ok");
    assert_eq!(zoo.ready().await.last_crash.and_then(|crash| crash.guilty), None, "no job is to blame");
}

/// What a job is asked while its worker is down is answered by the next one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_during_a_restart_is_answered_after_it() {
    let zoo = Zoo::with("abort").await;
    zoo.0.open(job(2, "well", &does("well")));
    assert_eq!(zoo.said(1, LONG).await.0, "crash");
    assert_ne!(zoo.0.report().state, WorkerState::Ready);
    zoo.0.open(job(3, "new", &does("well")));
    let config = does("well");
    let (old, new, examined) = tokio::join!(zoo.said(2, LONG), zoo.said(3, LONG), zoo.0.examine("beast", &config));
    assert_eq!((old.0, new.0, examined.unwrap().target.as_str()), ("ok", "ok", "well"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_during_a_restart_does_not_wait_for_it() {
    let zoo = Zoo::with("abort").await;
    assert_eq!(zoo.said(1, LONG).await.0, "crash");
    let began = Instant::now();
    zoo.0.stop().await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(zoo.0.report().state, WorkerState::Stopped);
    assert_eq!(zoo.said(1, LONG).await, ("interrupted", "the plugin was stopped".into()));
    assert_eq!(zoo.0.examine("beast", "{}").await.unwrap_err().message(), "the plugin was stopped");
}

/// A job that crashes at each run is held back longer each time, and runs again after five intervals at the latest.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_a_crash_loop_runs_every_fifth_interval_at_least() {
    const INTERVAL: Duration = Duration::from_millis(300);
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(JobOpen { interval: INTERVAL, ..job(1, "guilty", &does("abort")) });
    let mut ticks = tokio::time::interval(INTERVAL);
    let mut story = String::new();
    for _ in 0..24 {
        ticks.tick().await;
        story.push_str(if zoo.said(1, LONG).await.0 == "skipped" { "-" } else { "!" });
    }
    eprintln!("crash loop: {story}");
    let gaps: Vec<usize> = story.split('!').map(str::len).collect();
    assert!(story.starts_with("!!") && gaps.contains(&4) && gaps.iter().all(|&gap| gap <= 4), "{story}");
}
