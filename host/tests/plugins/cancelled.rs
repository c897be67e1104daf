//! Runs that give way to the next one of their job, wherever they are under way.

use std::{
    fs,
    thread::{scope, sleep},
    time::Duration,
};

use watchpost::reading::{Cause, Reading};
use watchpost_services::outcome::Status;

use crate::{
    harness::{House, Said, journal, until},
    house::{job, status},
    replace::{house_of_versions, version},
    zoo::Zoo,
};

/// Long enough for the first run of a job, wherever in its ten seconds it is due.
const LONG: Duration = Duration::from_secs(30);
const CANCELLED: &str = "it was cancelled: the next run is due";

/// Runs take five of ten seconds; one that somebody asks for behind them is under way when the next is due.
fn schedule(version: u32) -> String {
    format!(
        "[[job]]\nname = \"tame\"\nagent = \"tame\"\nevery = \"10s\"\ntimeout = \"5s\"\noverlap = \"cancel\"\nlabels = {{ version = \"{version}\" }}\nconfig = {{ takes_ms = 60000 }}\n"
    )
}

/// Asks for a run as soon as no other is under way.
fn asked(house: &House) -> Said {
    let said = || Some(house.run(&["jobs", "run", "tame"])).filter(|said| !said.err.contains("is running just now"));
    until(LONG, said).expect("there is a moment between two runs")
}

/// Has something happen while a run is under way that gives way to the next one.
fn check(meanwhile: impl Fn(&House)) {
    let house = house_of_versions(&schedule(1));
    let daemon = house.start();
    let runs = || job(&status(&house), "tame")["runs"].as_u64();
    until(LONG, || runs().filter(|runs| *runs > 0)).expect("it is run when it is due");
    scope(|scope| {
        let run = scope.spawn(|| asked(&house));
        sleep(Duration::from_millis(500));
        meanwhile(&house);
        assert!(!run.is_finished(), "the run was not under way any more: {:?}", run.join());
        assert!(run.join().unwrap().code.is_some());
    });
    // The run that it gave way to has ended, too.
    until(LONG, || runs().filter(|runs| *runs > 2)).expect("the next run follows");
    assert_eq!(job(&status(&house), "tame")["skipped"], 0);
    assert!(daemon.stop().status.success());
    let readings = journal::readings(&house.data());
    let (manual, scheduled): (Vec<Reading>, Vec<Reading>) = readings.into_iter().partition(|reading| reading.cause == Cause::Manual);
    let Status::Failed { kind, message } = &manual[0].outcome.status else { panic!("{manual:?}") };
    assert_eq!((kind.name(), message.as_str()), ("interrupted", CANCELLED));
    for pair in scheduled.windows(2) {
        assert_eq!(pair[1].slot - pair[0].slot, 10, "{pair:?}");
    }
}

#[test]
fn a_run_under_way_in_the_library_before_is_cancelled_there() {
    check(|house| {
        let file = house.folder().join("libtame.so");
        fs::write(&file, version("well2")).unwrap();
        let said = house.run(&["plugins", "install", file.to_str().unwrap()]).ok();
        assert!(said.contains("took over"), "{said}");
    });
}

#[test]
fn a_run_of_a_job_that_was_changed_meanwhile_is_cancelled_as_well() {
    check(|house| {
        house.schedule(&schedule(2));
        let said = house.run(&["reload"]).ok();
        assert!(said.contains("1 changed"), "{said}");
    });
}

#[tokio::test]
async fn a_run_of_a_job_that_was_closed_ends_at_once_when_it_is_cancelled() {
    let zoo = Zoo::with("pend").await;
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        zoo.0.close(1);
        zoo.0.cancel(1);
    };
    let (said, ()) = tokio::join!(zoo.said(1, LONG), cancelling);
    assert_eq!(said, ("interrupted", CANCELLED.into()));
}
