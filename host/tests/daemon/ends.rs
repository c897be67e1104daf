//! How a daemon ends.

use std::{fs, os::unix::fs::PermissionsExt, thread, time::Duration};

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

/// Programs that a check starts, and those that these start: none outlives the daemon, or the worker that ran the check.
#[test]
fn what_a_check_has_started_ends_with_its_worker() {
    let house = House::new("");
    let naps = [7_301, 7_302];
    let job = |name: &str, body: &str| {
        let script = house.folder().join(format!("{name}.sh"));
        fs::write(&script, format!("#!/bin/sh\n{body}\necho 'OK | a=1'\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        format!(
            "[[job]]\nname = \"{name}\"\nagent = \"exec\"\nevery = \"1m\"\ntimeout = \"50s\"\n\
             config = {{ argv = [{script:?}], format = \"nagios\", programs = [\"/usr/bin\", \"/bin\"] }}\n"
        )
    };
    house.schedule(&(job("waits", &format!("sleep {}", naps[0])) + &job("leaves", &format!("sleep {} & wait", naps[1]))));
    let sleeping = || {
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.unwrap().path().join("cmdline")).ok());
        let said: Vec<_> = processes.map(|words| String::from_utf8_lossy(&words).replace('\0', " ")).collect();
        naps.iter().filter(|nap| said.iter().any(|words| words.trim() == format!("sleep {nap}"))).count()
    };
    let begun = |house: &House| {
        let (socket, names) = (house.socket(), ["waits", "leaves"]);
        let askers = names.map(|name| {
            let socket = socket.clone();
            thread::spawn(move || drop(ask(&socket, "POST", &format!("/api/v1/jobs/{name}/run"))))
        });
        until(Duration::from_secs(30), || (sleeping() == naps.len()).then_some(())).expect("both run");
        askers
    };
    let daemon = house.start();
    let askers = begun(&house);
    house.run(&["plugins", "disable", "exec"]).ok();
    until(Duration::from_secs(5), || (sleeping() == 0).then_some(())).expect("nothing outlives the worker");
    askers.into_iter().for_each(|asker| asker.join().unwrap());
    house.run(&["plugins", "enable", "exec"]).ok();
    let askers = begun(&house);
    assert!(daemon.stop().status.success());
    assert_eq!(sleeping(), 0, "something outlives the daemon");
    askers.into_iter().for_each(|asker| asker.join().unwrap());
}
