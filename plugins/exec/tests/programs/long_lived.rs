//! Programs that run on from run to run.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use serde_json::json;
use watchpost_exec::{Exec, LINES_REFUSED, PROGRAM_STARTS};
use watchpost_testkit::{Kit, Ran};

use crate::{Job, events, lives, measured, until};

/// A job whose program runs on.
fn job(format: &str, script: &str) -> Job {
    Job::of(format, script).with("long_lived", true)
}

#[tokio::test]
async fn a_program_is_started_once_and_each_run_takes_what_has_come_since() {
    let script = "n=0; while read -r _; do n=$((n+1)); echo \"pid value=$$\"; echo \"n value=$n\"; done";
    let job = job("influx", script).with("ask", true);
    let mut kit = job.kit();
    let first = kit.run().await;
    assert_eq!(first.failure(), None);
    let second = kit.run().await;
    assert_eq!((measured(&first)[0].as_str(), measured(&second)[0].as_str()), ("n 1", "n 2"));
    assert_eq!(measured(&first)[1], measured(&second)[1], "it is the same process");
    assert_eq!((second.value(PROGRAM_STARTS), events(&second).len()), (Some(1.0), 0));
}

#[tokio::test]
async fn one_that_says_when_it_is_all_may_pause_within() {
    let end = r#"echo '{"end":true}'"#;
    let script = format!(
        "while read -r _; do echo '{{\"metric\":\"a\",\"value\":1}}'; sleep 0.7; echo '{{\"metric\":\"b\",\"value\":2}}'; {end}; done"
    );
    let job = job("json-lines", &script).with("ask", true);
    let mut kit = job.kit();
    kit.run().await;
    // From the first time on it is known that it says so.
    kit.run().await;
    assert_eq!(measured(&kit.run().await), ["a 1", "b 2"]);
}

#[tokio::test]
async fn a_run_waits_for_the_first_word_and_fails_if_there_is_none() {
    let job = job("influx", "sleep 0.3; echo 'a value=1'; echo 'still here' >&2; exec sleep 600");
    let mut kit = job.kit().timeout(Duration::from_secs(5));
    let ran = kit.run().await;
    assert_eq!((ran.failure(), measured(&ran)), (None, vec!["a 1".to_owned()]));
    let ran = kit.run().await;
    let (kind, why) = ran.failure().unwrap();
    assert_eq!((kind, ran.outcome.status.up(), measured(&ran).len()), ("local", None, 0));
    assert!(why.starts_with("the program has said nothing for ") && why.ends_with("; the last it complained of: still here"), "{why}");
}

/// Polls a run as its worker does, and tells how long the longest of its turns took.
async fn longest_turn(kit: &mut Kit<Exec>) -> (Ran, Duration) {
    let (mut run, mut longest) = (Box::pin(kit.run()), Duration::ZERO);
    let ran = std::future::poll_fn(|task| {
        let began = Instant::now();
        let polled = run.as_mut().poll(task);
        longest = longest.max(began.elapsed());
        polled
    });
    (ran.await, longest)
}

#[tokio::test]
async fn one_that_never_stops_talking_leaves_others_their_turns() {
    let endless = "exec yes 'a value=1'";
    for (format, config) in [("influx", json!(true)), ("nagios", json!(false))] {
        let job = Job::of(format, endless).with("long_lived", config).with("bytes_max", 4 << 20);
        let mut kit = job.kit().timeout(Duration::from_secs(2));
        let (ran, longest) = longest_turn(&mut kit).await;
        eprintln!("{format}: {:?}, its longest turn took {longest:?}", ran.failure());
        assert!(longest < Duration::from_millis(250), "{format}: {longest:?}");
    }
}

#[tokio::test]
async fn a_half_line_waits_for_its_other_half_in_the_next_run() {
    let script = "read -r _; printf 'a value=1\\nb val'; read -r _; printf 'ue=2\\n'; exec sleep 600";
    let job = job("influx", script).with("ask", true);
    let mut kit = job.kit();
    assert_eq!(measured(&kit.run().await), ["a 1"]);
    let ran = kit.run().await;
    assert_eq!((measured(&ran), ran.value(LINES_REFUSED)), (vec!["b 2".to_owned()], Some(0.0)));
}

#[tokio::test]
async fn one_that_ends_tells_why_and_is_started_again_with_longer_pauses() {
    let script = "echo one; echo 'no database' >&2; exit 3";
    let job = job("json-lines", script).with("secret_env", json!({ "P": "database" }));
    let mut kit = job.kit();
    let ran = kit.run().await;
    assert_eq!(ran.failure(), Some(("local", "nothing of what the program tells can be taken: no JSON: one")));
    assert_eq!(events(&ran)[0], ("program_ended", "the program ended with 3: no <secret>"));
    let ran = kit.run().await;
    assert_eq!((ran.value(PROGRAM_STARTS), events(&ran).len()), (Some(2.0), 1), "the first time it is started again at once");
    // The pauses double; a machine that stands still for a moment may miss the first.
    let (mut pauses, mut starts) = (0, 2.0);
    while pauses == 0 && starts < 6.0 {
        let ran = kit.run().await;
        match ran.value(PROGRAM_STARTS) {
            Some(again) => starts = again,
            None => {
                let (kind, why) = ran.failure().unwrap();
                assert!(kind == "local" && why.starts_with("the program ended with 3: no <secret>; it is started again in "), "{why}");
                pauses += 1;
            }
        }
    }
    assert_eq!(pauses, 1);
    let mut again = None;
    for _ in 0..200 {
        again = kit.run().await.value(PROGRAM_STARTS);
        if again.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(again, Some(starts + 1.0));
}

#[tokio::test]
async fn one_that_is_found_dead_is_started_again_in_the_same_run() {
    let job = job("influx", "echo 'a value=1'; sleep 0.6; exit 7");
    let mut kit = job.kit();
    assert_eq!(measured(&kit.run().await), ["a 1"]);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let ran = kit.run().await;
    assert_eq!((ran.failure(), measured(&ran), ran.value(PROGRAM_STARTS)), (None, vec!["a 1".to_owned()], Some(2.0)));
}

#[tokio::test]
async fn one_that_has_ended_between_two_runs_costs_no_run() {
    let job = job("influx", "echo 'a value=1'; read -r _");
    let job = job.with("env", json!({ "DIE": "1" }));
    let job = job.with("ask", true);
    let mut kit = job.kit();
    // Asked, it answers, and is over.
    assert_eq!(measured(&kit.run().await), ["a 1"]);
    for starts in [2.0, 3.0] {
        let ran = kit.run().await;
        assert_eq!((ran.failure(), measured(&ran), ran.value(PROGRAM_STARTS)), (None, vec!["a 1".to_owned()], Some(starts)));
        assert_eq!(events(&ran)[0].0, "program_ended");
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
}

#[tokio::test]
async fn one_that_closes_its_output_has_ended_whatever_it_does_next() {
    let job = job("influx", "echo \"a value=$$\"; exec >&-; exec sleep 600");
    let ran = job.kit().run().await;
    assert_eq!(events(&ran), [("program_ended", "the program has closed its output")]);
    let pid = measured(&ran)[0].rsplit_once(' ').unwrap().1.to_owned();
    assert!(until(|| !lives(&pid)).await, "{pid} lives on");
}

#[tokio::test]
async fn a_flood_is_a_limit_and_the_program_waits() {
    let job = job("influx", "while :; do echo 'a value=1'; done").with("bytes_max", 100_000);
    let mut kit = job.kit();
    for _ in 0..2 {
        let ran = kit.run().await;
        assert_eq!(ran.failure(), Some(("limit", "the program writes more than 100000 bytes in one run")));
        assert_eq!(measured(&ran).len(), 0, "the latest of what came first is not the latest");
    }
    // One that complains without end is read on, and its words are not kept.
    let other = self::job("influx", "yes complaint >&2 & while read -r _; do echo 'a value=1'; done").with("ask", true);
    let mut kit = other.kit();
    assert_eq!(measured(&kit.run().await), ["a 1"]);
    assert_eq!(measured(&kit.run().await), ["a 1"]);
}

#[tokio::test]
async fn one_that_never_pauses_does_not_hold_up_its_run() {
    let job = job("influx", "i=0; while :; do i=$((i+1)); echo \"a value=$i\"; sleep 0.05; done");
    let mut kit = job.kit();
    let ran = kit.run().await;
    assert_eq!((ran.failure(), measured(&ran).len()), (None, 1));
    assert!(ran.outcome.duration_ns < 10_000_000_000, "{ran:?}");
}

#[tokio::test]
async fn it_dies_with_its_job_and_so_do_its_children() {
    let job = job("influx", "sleep 600 & echo \"pid child=$!,own=$$\"; exec cat");
    let mut kit = job.kit();
    let ran = kit.run().await;
    let pids: Vec<String> = measured(&ran).iter().map(|line| line.rsplit_once(' ').unwrap().1.to_owned()).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| lives(pid)), "{pids:?}");
    drop(kit);
    assert!(until(|| !pids.iter().any(|pid| lives(pid))).await, "{pids:?} live on");
}

#[tokio::test]
async fn collectds_programs_find_what_they_look_for_and_old_values_are_not_taken_for_new() {
    let script = "echo \"PUTVAL $COLLECTD_HOSTNAME/exec-a/gauge interval=$COLLECTD_INTERVAL N:$COLLECTD_INTERVAL\"\n\
        echo \"PUTVAL other/exec-a/gauge $(($(date +%s) - 1000)):5\"\necho \"PUTVAL other/exec-a/gauge $(($(date +%s) - 10)):6\"\nexec sleep 600";
    let ran = job("putval", script).with("interval_s", 25).run().await;
    assert_eq!(
        (measured(&ran), ran.value(LINES_REFUSED)),
        (vec!["exec_gauge{a,other} 6".to_owned(), "exec_gauge{a,} 25".into()], Some(1.0))
    );
}
