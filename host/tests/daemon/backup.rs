//! A copy of the data folder, made while the daemon measures, reloads and is killed afterwards: a daemon on the copy goes on from there.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use watchpost::reading::Reading;

use crate::{
    harness::{House, journal, rrdtool, until},
    servers::{job, willing},
};

const SOON: Duration = Duration::from_secs(20);

fn jobs(port: u16, names: &[&str]) -> String {
    names.iter().map(|name| job(name, "every = \"1s\"", port)).collect()
}

/// The slots of a job's readings, by their time.
fn slots(readings: &[Reading], job: &str) -> Vec<i64> {
    readings.iter().filter(|reading| reading.job == job).map(|reading| reading.slot).collect()
}

/// Each reading's time of connecting is in its series file.
fn agree(data: &Path, readings: &[Reading]) {
    for job in ["one", "two", "late"] {
        let slots = slots(readings, job);
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else { continue };
        let stored = rrdtool::values(&data.join(format!("series/{job}/_.rrd")), "up", first - 1, *last);
        let missing: Vec<_> = slots.iter().filter(|slot| !stored.contains_key(slot)).collect();
        assert!(missing.is_empty(), "{job}: {missing:?} of {slots:?} are in no file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_on_a_copy_goes_on_from_when_it_was_made() {
    let server = willing().await;
    let house = House::new(&jobs(server.port(), &["one", "two"]));
    let daemon = house.start();
    house.run(&["jobs", "pause", "two"]).ok();
    house.run(&["jobs", "resume", "two"]).ok();
    until(SOON, || (slots(&journal::readings(&house.data()), "one").len() >= 3).then_some(())).expect("the jobs run");
    // A file that is born between checkpoints, too.
    house.schedule(&jobs(server.port(), &["one", "two", "late"]));
    house.run(&["reload"]).ok();
    until(SOON, || (!slots(&journal::readings(&house.data()), "late").is_empty()).then_some(())).expect("the new job runs");
    house.run(&["jobs", "pause", "two"]).ok();

    let acknowledged = journal::readings(&house.data());
    let copy = house.folder().join("copy");
    let said = house.run(&["backup", copy.to_str().unwrap()]).ok();
    assert!(said.starts_with(&format!("{}: ", copy.display())) && said.contains(" files, "), "{said}");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o700);
    let told = || house.run(&["events", "--json"]).ok().contains("backed_up").then_some(());
    until(SOON, told).expect("it is an event");
    let left =
        fs::read_dir(house.folder()).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0);
    // It measures on, and dies.
    let after = slots(&acknowledged, "one").len();
    until(SOON, || (slots(&journal::readings(&house.data()), "one").len() > after + 1).then_some(())).expect("it measures on");
    daemon.kill();

    let restored = House::new(&jobs(server.port(), &["one", "two", "late"]));
    fs::rename(&copy, restored.data()).unwrap();
    let copied = journal::readings(&restored.data());
    for reading in &acknowledged {
        assert!(copied.contains(reading), "acknowledged before, and not in the copy: {reading:?}");
    }
    let daemon = restored.start();
    let goes_on = || (slots(&journal::readings(&restored.data()), "one").len() > slots(&copied, "one").len() + 1).then_some(());
    until(SOON, goes_on).expect("the jobs run on");
    assert!(
        restored.run(&["jobs"]).ok().lines().any(|line| line.starts_with("two ") && line.contains("paused")),
        "what is paused stays so"
    );
    assert!(daemon.stop().status.success());
    agree(&restored.data(), &journal::readings(&restored.data()));
}

#[test]
fn a_copy_at_rest_is_made_as_well_and_never_over_something() {
    let house = House::new("");
    house.start().stop();
    let copy = house.folder().join("copy");
    fs::create_dir(&copy).unwrap();
    house.run(&["backup", copy.to_str().unwrap()]).ok();
    assert!(copy.join("catalogue.sqlite").exists() && !copy.join("lock").exists() && !copy.join("watchpost.sock").exists());
    let refused = |to: &Path, why: &str| {
        let said = house.run(&["backup", to.to_str().unwrap()]);
        assert!(said.code == Some(2) && said.err.starts_with("error: cannot back up: ") && said.err.contains(why), "{said:?}");
    };
    refused(&copy, "is there and not empty; a backup goes into a folder of its own");
    refused(&house.data().join("copy"), "lies in the data folder itself");
    let said = house.run(&["backup", house.folder().join("none/copy").to_str().unwrap()]);
    assert!(said.code == Some(1) && said.err.contains("none: No such file or directory"), "{said:?}");
    let _daemon = house.start();
    refused(&copy, "is there and not empty");
}
