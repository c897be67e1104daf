//! What outlives a daemon besides its readings.

use std::time::Duration;

use serde_json::Value;

use crate::{
    harness::{Daemon, House, journal, until},
    servers::{job, willing},
};

fn status_of(house: &House, name: &str) -> Value {
    let status: Value = serde_json::from_str(&house.run(&["status", "--json"]).ok()).unwrap();
    status["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).cloned().unwrap()
}

/// Waits until the daemon has stored so many readings of a job.
fn await_readings(house: &House, job: &str, count: usize) -> usize {
    let readings = || journal::readings(&house.data()).iter().filter(|reading| reading.job == job).count();
    until(Duration::from_secs(20), || Some(readings()).filter(|found| *found >= count)).expect("the job goes on")
}

fn paused_and_the_other_goes_on(house: &House, _daemon: &Daemon) {
    let (still, goes_on) = (await_readings(house, "still", 0), await_readings(house, "goes-on", 0));
    await_readings(house, "goes-on", goes_on + 3);
    assert_eq!(await_readings(house, "still", 0), still, "a paused job ran");
    assert_eq!(status_of(house, "still")["next_run"], Value::Null);
    assert!(status_of(house, "goes-on")["next_run"].is_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_stays_paused_over_a_kill_and_a_stop_until_it_is_resumed() {
    let server = willing().await;
    let house = House::new(&["still", "goes-on"].map(|name| job(name, "every = \"1s\"", server.port())).concat());
    let daemon = house.start();
    await_readings(&house, "still", 1);
    house.run(&["jobs", "pause", "still"]).ok();
    daemon.kill();
    let daemon = house.start();
    paused_and_the_other_goes_on(&house, &daemon);
    assert!(daemon.stop().status.success());
    let daemon = house.start();
    paused_and_the_other_goes_on(&house, &daemon);
    assert_eq!(house.run(&["jobs", "pause", "still"]).ok(), "still: was paused already\n");
    assert_eq!(house.run(&["jobs", "resume", "goes-on"]).ok(), "goes-on: was not paused\n");
    assert_eq!(house.run(&["jobs", "resume", "still"]).ok(), "still: resumed\n");
    let before = await_readings(&house, "still", 0);
    await_readings(&house, "still", before + 2);
    assert!(status_of(&house, "still")["next_run"].is_f64());
}
