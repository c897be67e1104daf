//! Who is to blame when it is not plain to see: the job that was closed, the neighbour that was done, nobody at all.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use watchpost::plugin::{Crash, WorkerState};

use crate::zoo::{LONG, Zoo, does, example, job};

fn unrepeatable(what: &str) -> String {
    format!(r#"{{ "does": "{what}", "repeatable": false }}"#)
}

/// Waits for the worker's first death.
async fn death(zoo: &Zoo) -> Crash {
    let began = Instant::now();
    loop {
        if let Some(crash) = zoo.0.report().last_crash {
            return crash;
        }
        assert!(began.elapsed() < LONG, "it lives on: {:?}", zoo.0.report());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_job_that_was_closed_while_it_ran_is_named_to_its_neighbours() {
    let zoo = Zoo::with("abort-later").await;
    zoo.0.open(job(2, "neighbour", &unrepeatable("waits")));
    let closing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        zoo.0.close(1);
        tokio::time::sleep(Duration::from_millis(500)).await;
        zoo.said(2, LONG).await
    };
    let (guilty, neighbour) = tokio::join!(zoo.said(1, LONG), closing);
    assert_eq!(guilty, ("crash", "the worker died of signal 6 (SIGABRT: abort) while this job was running".into()));
    assert_eq!(neighbour, ("interrupted", "the worker died of job guilty".into()));
    assert_eq!(death(&zoo).await.guilty.as_deref(), Some("guilty"));
    assert_eq!(zoo.ready().await.jobs, 1);
}

#[tokio::test]
async fn an_agent_that_aborts_while_its_job_is_closed_is_named() {
    let zoo = Zoo::with("abort-in-drop").await;
    assert_eq!(zoo.said(1, LONG).await.0, "ok");
    zoo.0.close(1);
    assert_eq!(death(&zoo).await.guilty.as_deref(), Some("guilty"));
}

#[tokio::test]
async fn a_worker_that_somebody_told_to_end_blames_no_job() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "innocent", &unrepeatable("sigterm")));
    assert_eq!(zoo.said(1, LONG).await, ("interrupted", "the worker died of signal 15 (SIGTERM: asked to end)".into()));
    assert_eq!(death(&zoo).await.guilty, None);
}

/// What an agent left behind dies in the middle of a neighbour's poll.
#[tokio::test]
async fn a_thread_that_ends_its_worker_does_not_blame_whom_it_polls() {
    for (what, how) in [
        ("abort-behind", "died of signal 6 (SIGABRT: abort)"),
        ("segfault-behind", "died of signal 11 (SIGSEGV: bad memory access or stack overflow)"),
        ("overflow-behind", "died of signal 11 (SIGSEGV: bad memory access or stack overflow)"),
        ("exit-behind", "ended itself with exit code 3"),
    ] {
        let zoo = Zoo::of(&example("zoo")).await;
        zoo.0.open(job(1, "guilty", &unrepeatable(what)));
        zoo.0.open(job(2, "polled", &unrepeatable("block")));
        assert_eq!(zoo.said(1, LONG).await.0, "ok", "{what}");
        assert_eq!(zoo.said(2, LONG).await, ("interrupted", format!("the worker {how}")), "{what}");
        let crash = death(&zoo).await;
        assert_eq!((crash.how.as_str(), crash.guilty), (how, None), "{what}");
    }
}

/// What a worker says whose connection somebody else writes to.
const GARBLED: &str = "said what is not understood and was ended: a frame of 4294967295 bytes";

#[tokio::test]
async fn who_alone_ran_when_somebody_wrote_to_the_workers_connection_is_named() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "neighbour", &unrepeatable("well")));
    zoo.0.open(job(2, "guilty", &unrepeatable("garble")));
    // What ran before the worker said something does not count.
    assert_eq!(zoo.said(1, LONG).await.0, "ok");
    assert_eq!(zoo.said(2, LONG).await, ("crash", format!("the worker {GARBLED} while this job was running")));
    let crash = death(&zoo).await;
    assert_eq!((crash.how.as_str(), crash.guilty.as_deref()), (GARBLED, Some("guilty")));
}

#[tokio::test]
async fn nobody_is_named_where_others_ran_when_somebody_wrote_to_the_workers_connection() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "neighbour", &unrepeatable("pend")));
    zoo.0.open(job(2, "guilty", &unrepeatable("garble")));
    let guilty = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        zoo.said(2, LONG).await
    };
    let ended = ("interrupted", format!("the worker {GARBLED}"));
    assert_eq!(tokio::join!(zoo.said(1, LONG), guilty), (ended.clone(), ended));
    assert_eq!(death(&zoo).await.guilty, None);
}

#[tokio::test]
async fn half_a_frame_whose_rest_never_comes_is_seen_at_the_deadline() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "guilty", &unrepeatable("half-frame-and-pend")));
    let began = Instant::now();
    let said = zoo.said(1, Duration::from_secs(1)).await;
    // With the worker's own word that the time is over.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let how = "said what is not understood and was ended: 1048576 bytes that are none of the worker's own";
    assert_eq!(said, ("crash", format!("the worker {how} while this job was running")));
    let crash = death(&zoo).await;
    assert_eq!((crash.how.as_str(), crash.guilty.as_deref()), (how, Some("guilty")));
}

/// What a debugger does, while nothing is polled and in the middle of a poll.
#[tokio::test]
async fn a_worker_that_somebody_stopped_is_ended_and_blames_no_job() {
    for what in ["well", "block"] {
        let zoo = Zoo::of(&example("zoo")).await;
        zoo.0.open(job(1, "innocent", &unrepeatable(what)));
        let pid = Pid::from_raw(zoo.0.report().pid.unwrap().try_into().unwrap()).unwrap();
        let stopping = async {
            if what == "block" {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            kill_process(pid, Signal::STOP).unwrap();
        };
        let run = async {
            if what == "well" {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            zoo.said(1, Duration::from_secs(1)).await
        };
        let ((), said) = tokio::join!(stopping, run);
        let how = "stood still and was ended";
        assert_eq!(said, ("interrupted", format!("the worker {how}")), "{what}");
        let crash = death(&zoo).await;
        assert_eq!((crash.how.as_str(), crash.guilty), (how, None), "{what}");
        zoo.ready().await;
    }
}

/// The daemon is too busy to read what the worker said before it went wrong: it counts all the same.
#[tokio::test]
async fn a_run_that_ended_before_its_neighbour_went_wrong_is_not_lost_and_not_repeated() {
    let zoo = Zoo::of(&example("zoo")).await;
    zoo.0.open(job(1, "guilty", &does("block-later")));
    zoo.0.open(job(2, "done", &unrepeatable("waits")));
    let busy = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        thread::sleep(Duration::from_millis(6500));
    };
    let ((), guilty, done) = tokio::join!(busy, zoo.said(1, LONG), zoo.said(2, LONG));
    assert!(guilty.0 == "crash" && guilty.1.starts_with("the worker blocked its thread for "), "{guilty:?}");
    assert_eq!(done, ("ok", String::new()));
}

#[tokio::test]
async fn the_guilty_jobs_next_run_does_not_bring_down_the_next_worker() {
    let zoo = Zoo::with("block").await;
    assert_eq!(zoo.said(1, Duration::from_millis(500)).await, ("interrupted", "it blocks its worker's thread".into()));
    // It is due again, and its worker still hangs in the run before.
    assert_eq!(zoo.said(1, LONG).await, ("interrupted", "the worker died of job guilty".into()));
    zoo.ready().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((zoo.0.report().crashes, zoo.0.report().state), (1, WorkerState::Ready));
}

#[tokio::test]
async fn a_run_of_a_job_that_was_just_closed_says_nothing_of_its_configuration() {
    let zoo = Zoo::with("well").await;
    zoo.0.close(1);
    assert_eq!(zoo.said(1, LONG).await, ("interrupted", "the job was changed or removed before it ran".into()));
}
