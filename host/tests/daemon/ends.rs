//! How a daemon ends.

use std::{thread, time::Duration};

use crate::{
    harness::{House, STOP_TIMEOUT, http::ask, journal, rrdtool, until},
    servers::{Silent, job, willing},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_ends_in_time_while_a_job_hangs() {
    let (server, silent) = (willing().await, Silent::new());
    let jobs = job("fast", "every = \"1s\"", server.port()) + &job("hangs", "every = \"1h\"\ntimeout = \"10m\"", silent.port());
    let house = House::new(&jobs);
    let daemon = house.start();
    let socket = house.socket();
    let asker = thread::spawn(move || ask(&socket, "POST", "/api/v1/jobs/hangs/run").ok());
    let _held = silent.client();
    until(Duration::from_secs(20), || (!rrdtool::files(&house.data()).is_empty()).then_some(())).expect("the other job runs");
    let workers = daemon.workers();
    assert!(!workers.is_empty(), "it has no worker");
    let ended = daemon.stop();
    assert!(ended.status.success() && ended.took < STOP_TIMEOUT, "{ended:?}");
    assert!(!house.socket().exists(), "the socket is left behind");
    let survivors = until(Duration::from_secs(1), || workers.iter().all(|worker| !worker.lives()).then_some(()));
    assert!(survivors.is_some(), "{workers:?} outlive their daemon");
    let readings = journal::readings(&house.data());
    let last = readings.iter().filter(|reading| reading.job == "fast").map(|reading| reading.slot).max();
    assert_eq!(rrdtool::last_slot(&house.data().join("series/fast/_.rrd")), last, "the series are not flushed");
    // Who asked is told the reading that was stored, or nothing.
    if let Some(told) = asker.join().unwrap().filter(|answer| answer.status == 200) {
        let stored = readings.iter().any(|reading| serde_json::to_string(reading).unwrap() == told.body);
        assert!(stored, "acknowledged and not stored: {}", told.body);
    }
}
