//! Workers that were taken over from and still have runs: what becomes of those when one of the two workers dies.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use watchpost::plugin::{JobOpen, WorkerState};
use watchpost_plugin_api::Needs;

use crate::zoo::{LONG, Zoo, does, example, job};

/// How long the runs go on that are under way when one worker takes over from another.
const TIMEOUT: Duration = Duration::from_secs(6);

fn unrepeatable(what: &str) -> String {
    format!(r#"{{ "does": "{what}", "repeatable": false }}"#)
}

fn pid(zoo: &Zoo) -> u32 {
    zoo.0.report().pid.expect("there is a worker")
}

/// Has another worker take over; gives the number of the one before.
async fn taken_over(zoo: &Zoo) -> u32 {
    tokio::time::sleep(Duration::from_millis(200)).await;
    zoo.0.open(JobOpen { needs: Needs::none().tcp(4711), ..job(99, "wider", &does("well")) });
    zoo.taken_over().await
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

/// How a run ends that goes on to its deadline.
fn undisturbed() -> (&'static str, String) {
    ("timeout", "no end within 6 s; runs was the last it recorded".into())
}

#[tokio::test]
async fn one_that_dies_costs_what_cannot_be_repeated_and_no_more() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "repeatable", &does("pend")));
    zoo.0.open(job(2, "unrepeatable", &unrepeatable("pend")));
    let killing = async {
        kill(taken_over(&zoo).await);
        // The one that took over is none the worse.
        let (state, now) = (zoo.0.report().state, pid(&zoo));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((state, pid(&zoo)), (WorkerState::Ready, now));
        assert_eq!(zoo.said(99, LONG).await.0, "ok");
    };
    let (repeatable, unrepeatable, ()) = tokio::join!(zoo.said(1, TIMEOUT), zoo.said(2, TIMEOUT), killing);
    assert_eq!(repeatable, undisturbed());
    assert_eq!(unrepeatable, ("interrupted", "the worker died of signal 9 (SIGKILL: ended from outside)".into()));
    let report = zoo.0.report();
    assert_eq!((report.crashes, report.restarts, report.last_crash.and_then(|crash| crash.guilty)), (1, 0, None));
}

#[tokio::test]
async fn one_that_took_over_takes_no_run_of_the_other_with_it() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "repeatable", &does("pend")));
    zoo.0.open(job(2, "unrepeatable", &unrepeatable("pend")));
    let killing = async {
        taken_over(&zoo).await;
        kill(pid(&zoo));
    };
    let (repeatable, unrepeatable, ()) = tokio::join!(zoo.said(1, TIMEOUT), zoo.said(2, TIMEOUT), killing);
    assert_eq!((repeatable, unrepeatable), (undisturbed(), undisturbed()));
    assert_eq!(zoo.ready().await.crashes, 1);
    assert_eq!(zoo.said(99, LONG).await.0, "ok");
}

/// Its thread is held from the deadline of its run on.
#[tokio::test]
async fn the_job_that_blocks_one_is_named_and_held_to_account() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "guilty", &does("ignore-cancel")));
    zoo.0.open(job(2, "neighbour", &does("pend")));
    let neighbour = async { tokio::join!(zoo.said(2, LONG), taken_over(&zoo)).0 };
    let (guilty, neighbour) = tokio::join!(zoo.said(1, TIMEOUT), neighbour);
    // It may be given up before its worker is ended for it.
    assert!(["crash", "interrupted"].contains(&guilty.0), "{guilty:?}");
    assert_eq!(neighbour, ("timeout", "no end within 20 s; runs was the last it recorded".into()));
    let report = zoo.0.report();
    let crash = report.last_crash.expect("it was ended");
    assert!(crash.how.starts_with("blocked its thread for "), "{crash:?}");
    assert_eq!((report.crashes, crash.guilty.as_deref()), (1, Some("guilty")));
}
