//! Runs that nobody answers in time, for somebody else holds the worker: each is told of to who asked, and all of them by one event.

use std::{thread, time::Duration};

use serde_json::Value;

use crate::{
    harness::{House, scrape::Scrape, until},
    house::{NEVER, house, job, status},
};

/// A worker that is blocked is ended after 5 s; and a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// One that holds its worker's thread, and one whose run that costs its time.
fn schedule() -> String {
    let job = |name: &str, does: &str| {
        format!("[[job]]\nname = \"{name}\"\nagent = \"beast\"\n{NEVER}\ntimeout = \"1s\"\nconfig = {{ does = \"{does}\" }}\n")
    };
    job("holder", "block") + &job("held-up", "well")
}

/// The events of that code.
fn events(house: &House, code: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(&house.run(&["events", "--json"]).ok()).unwrap();
    all.into_iter().filter(|event| event["code"] == code).collect()
}

#[test]
fn runs_that_a_worker_does_not_answer_are_told_of_once_and_say_nothing_of_their_targets() {
    let house = house(&schedule(), &[]);
    let daemon = house.start();
    let run = |name| house.run(&["jobs", "run", name]);
    let (held_up, holder) = thread::scope(|scope| {
        let holder = scope.spawn(|| run("holder"));
        thread::sleep(Duration::from_millis(300));
        (run("held-up"), holder.join().unwrap())
    });
    assert!(holder.code == Some(1) && holder.out.contains("interrupted: it blocks its worker's thread"), "{holder:?}");
    assert!(held_up.code == Some(1) && held_up.out.contains("interrupted: the worker did not answer in time"), "{held_up:?}");
    let told = until(LONG, || Some(events(&house, "runs_unanswered")).filter(|told| !told.is_empty())).expect("an event tells of them");
    let text = told[0]["text"].as_str().unwrap();
    assert!(text.starts_with("plugin zoo: a run was not answered in time and counts as interrupted, of "), "{text}");
    assert_eq!(told[0]["severity"], "warning", "{told:?}");
    // Nobody's target is to blame.
    assert!(["holder", "held-up"].iter().all(|name| job(&status(&house), name)["up"].is_null()), "{}", status(&house));
    let scrape = Scrape::of(&daemon.get("/metrics").unwrap().body);
    assert_eq!(scrape.of_family("watchpost_up").count(), 0);

    // The worker that hangs is ended by then, and the next one answers; what hangs again within a minute is no new event.
    until(LONG, || (!events(&house, "worker_crashed").is_empty()).then_some(())).expect("the worker is ended");
    assert_eq!(run("held-up").code, Some(0));
    assert!(run("holder").out.contains("it blocks its worker's thread"));
    assert_eq!(events(&house, "runs_unanswered").len(), 1);
}
