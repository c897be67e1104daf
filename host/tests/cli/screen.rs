//! `status` on one screen: with a few jobs all of them, with thousands those that somebody must look at.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use watchpost_testkit::ClosedPort;

use crate::{
    harness::{House, until},
    job, parsed, willing,
};

/// Lines of the smallest terminal in use.
const SCREEN: usize = 24;
/// How long something may take that comes for sure.
const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn of_two_thousand_jobs_those_that_fail_are_listed_and_the_rest_is_counted() {
    let (server, door) = (willing().await, ClosedPort::take().unwrap());
    let closed = door.port().unwrap();
    let fine = (0..1985).map(|at| job(&format!("fine-{at:04}"), "every = \"1h\"", server.port()));
    let gone = (0..15).map(|at| job(&format!("gone-{at:02}"), "every = \"1h\"", closed));
    let house = House::new(&fine.chain(gone).collect::<String>());
    let _daemon = house.start();
    for at in 0..15 {
        assert_eq!(house.run(&["jobs", "run", &format!("gone-{at:02}")]).code, Some(1));
    }
    for at in 0..3 {
        house.run(&["jobs", "run", &format!("fine-{at:04}")]).ok();
    }
    let said = house.run(&["status"]).ok();
    assert!(said.lines().count() < SCREEN, "{} lines:\n{said}", said.lines().count());
    let rows: Vec<&str> = said.lines().skip_while(|line| !line.starts_with("2,000 jobs: ")).collect();
    assert!(rows[0].contains(" ok, 15 failing, 1,9") && rows[1].starts_with("JOB      HEALTH   SINCE"), "{said}");
    let (last, listed) = rows[2..].split_last().unwrap();
    assert!(listed.len() >= 5, "{said}");
    for (at, row) in listed.iter().enumerate() {
        assert!(row.starts_with(&format!("gone-{at:02}  FAILING  ")) && row.ends_with("Connection refused"), "{row}");
    }
    assert!(last.starts_with("and 1,9") && last.ends_with(" more that are not ok; `watchpost jobs` lists all"), "{said}");
    // All of it, for programs, and for who asks for it.
    assert_eq!(crate::json(&house, &["status"])["jobs"].as_array().map(Vec::len), Some(2000));
    assert_eq!(house.run(&["jobs"]).ok().lines().count(), 2002);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_few_jobs_all_are_listed_with_what_each_does() {
    let (server, door) = (willing().await, ClosedPort::take().unwrap());
    let closed = door.port().unwrap();
    let rare = job("rare", "every = \"1h\"", server.port());
    let house = House::new(&(job("fine", "every = \"1s\"", server.port()) + &job("gone", "every = \"1s\"", closed) + &rare));
    let daemon = house.start();
    house.run(&["jobs", "pause", "rare"]).ok();
    let counts = "\n3 jobs: 1 ok, 1 failing, 1 unknown; 1 paused\n";
    let said = until(SOON, || Some(house.run(&["status"]).ok()).filter(|said| said.contains(counts)));
    let said = said.unwrap_or_else(|| panic!("{}", daemon.log_text()));
    let cells = |name: &str| {
        let row = said.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{said}"));
        row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (gone, fine, rare) = (cells("gone"), cells("fine"), cells("rare"));
    assert_eq!((gone[1].as_str(), gone[4].as_str(), fine[1].as_str()), ("FAILING", "-", "ok"), "{said}");
    assert!(gone[3].starts_with("0 of ") && gone[5].starts_with("in ") && gone[6].starts_with("connect: cannot connect"), "{said}");
    let runs: Vec<&str> = fine[3].split(" of ").collect();
    assert!(runs[0] == runs[1] && [" ms", " µs"].iter().any(|unit| fine[4].ends_with(unit)) && fine.len() == 6, "every run was ok: {said}");
    assert_eq!(rare, ["rare", "unknown", "-", "0 of 0", "-", "paused", "no run yet"], "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_and_workers_tell_their_memory_their_restarts_and_what_is_in_the_way() {
    let server = willing().await;
    let house = House::new(&job("fine", "every = \"1s\"", server.port()));
    let daemon = house.start();
    let worker = |status: &serde_json::Value| {
        status["workers"].as_array().unwrap().iter().find(|worker| worker["plugin"] == "smtp").cloned().unwrap()
    };
    // Its first run has to wait for a worker that may touch the target; no other takes over after that one.
    let ran = || Some(crate::json(&house, &["status"])).filter(|status| status["jobs"][0]["ok"].as_u64() >= Some(1));
    let status = until(SOON, ran).unwrap();
    let memory = |of: &serde_json::Value| of["memory_bytes"].as_u64().unwrap();
    assert!(memory(&status["host"]) > 1 << 20 && memory(&worker(&status)) > 1 << 20, "{status}");
    assert_eq!((&status["host"]["journal"], &status["host"]["series"]), (&"ok".into(), &"ok".into()));

    let pid = worker(&status)["pid"].as_i64().unwrap();
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    let row = || {
        let said = house.run(&["status"]).ok();
        said.lines().find(|line| line.starts_with("smtp ")).unwrap().to_owned()
    };
    let restarted = until(SOON, || Some(row()).filter(|row| row.contains("  1        1         ")));
    let restarted = restarted.unwrap_or_else(|| panic!("{}", row()));
    assert!(restarted.contains(" MiB  ") && restarted.contains("died of signal 9 (SIGKILL"), "{restarted}");

    // A series that cannot be written, be it for its owner's want of rights or of room.
    let file = house.data().join("series/fine/_.rrd");
    assert!(until(SOON, || file.exists().then_some(())).is_some());
    let held = std::fs::File::options().read(true).write(true).open(&file).unwrap();
    let lock = || rustix::fs::fcntl_lock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).ok();
    assert!(until(SOON, lock).is_some(), "the daemon never lets go of its file");
    let told = until(SOON, || {
        Some(house.run(&["status"]).ok()).filter(|said| said.contains("journal ok; series 1 files cannot be written now, "))
    });
    assert!(told.is_some(), "{}", house.run(&["status"]).ok());
    drop(held);
    assert!(until(SOON, || house.run(&["status"]).ok().contains("journal ok; series ok").then_some(())).is_some());
    drop(daemon);
    std::fs::set_permissions(house.folder(), Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_obeys_no_server() {
    let script = watchpost_testkit::Script::new().say("554 \u{1b}[31mgo\u{7}away\u{9b}1m");
    let server = watchpost_testkit::Server::start(script).await.unwrap();
    let house = House::new(&job("rude", "every = \"1h\"", server.port()));
    let _daemon = house.start();
    let words: [&[&str]; 5] = [&["jobs", "run", "rude"], &["status"], &["jobs"], &["measure", "rude"], &["measure", "rude", "--explain"]];
    for words in words {
        let said = house.run(words);
        assert!(said.out.contains("away"), "{words:?}: {said:?}");
        let control = said.out.chars().chain(said.err.chars()).find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{words:?}: {said:?}");
    }
    assert!(parsed(&house.run(&["status", "--json"]).ok())["jobs"][0]["why"].is_string());
}
