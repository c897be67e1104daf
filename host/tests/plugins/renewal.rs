//! A confined worker that is taken over from, time and again, while many jobs run in it: no schedule moves, no run is lost or made twice.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs::{self, rename},
    net::TcpListener,
    thread::sleep,
    time::Duration,
};

use serde_json::Value;
use watchpost::reading::{Cause, Reading};
use watchpost_services::outcome::Status;

use crate::{
    harness::{Daemon, House, journal, process::Process, until},
    house::{job, status, worker},
    replace::by_job,
    zoo::example,
};

/// Long enough for a worker to be started on a busy machine.
const LONG: Duration = Duration::from_secs(40);
/// Jobs that nothing happens to; half of them are under way most of the time.
const STEADY: usize = 60;
/// Jobs that each reload changes.
const CHANGED: usize = 10;
/// Reloads, and as many logs that are rotated.
const ROUNDS: usize = 6;

/// A daemon with one confined library.
struct Scene {
    house: House,
    daemon: Daemon,
    ports: Vec<TcpListener>,
    /// Every worker that there ever was.
    workers: Vec<Process>,
}

impl Scene {
    fn begin() -> Self {
        let house = House::new("");
        let plugins = house.folder().join("plugins");
        fs::create_dir(&plugins).unwrap();
        fs::copy(example("accomplice"), plugins.join("libaccomplice.so")).unwrap();
        fs::write(
            house.folder().join("watchpost.toml"),
            "listen = \"127.0.0.1:0\"\nplugins = [\"plugins\"]\nschedules = [\"jobs.toml\"]\n",
        )
        .unwrap();
        house.keep("log", b"a line\n");
        house.schedule(&schedule(&house, 0, &[]));
        let daemon = house.start();
        let workers = daemon.workers();
        Self { house, daemon, ports: Vec::new(), workers }
    }

    /// Does something, and waits until another worker has taken over.
    fn taken_over_after(&mut self, what: &str, act: impl FnOnce(&mut Self)) {
        let pid = |scene: &Self| worker(&status(&scene.house), "accomplice")["pid"].as_u64();
        let before = pid(self);
        act(self);
        let other = until(LONG, || pid(self).filter(|now| Some(*now) != before));
        assert!(other.is_some(), "{what}: no worker takes over: {:#}", status(&self.house));
        let seen = self.daemon.workers().into_iter().filter(|worker| !self.workers.contains(worker)).collect::<Vec<_>>();
        self.workers.extend(seen);
    }

    /// Brings a job with needs that the worker at hand has not, and changes others.
    fn reload(&mut self, round: usize) {
        self.ports.push(TcpListener::bind("127.0.0.1:0").unwrap());
        self.house.keep(&format!("file-{round}"), b"");
        self.house.schedule(&schedule(&self.house, round, &self.ports));
        let said = self.house.run(&["reload"]).ok();
        assert!(said.contains(&format!("1 added, {CHANGED} changed")), "{said}");
    }

    /// Another file takes the log's name.
    fn rotate(&self, round: usize) {
        let log = self.house.folder().join("log");
        rename(&log, log.with_extension(round.to_string())).unwrap();
        self.house.keep("log", b"another line\n");
    }
}

fn schedule(house: &House, version: usize, ports: &[TcpListener]) -> String {
    let mut text = String::new();
    let mut add = |name: &str, every: &str, config: &str, labels: &str| {
        let config = config.replace("FOLDER", &house.folder().display().to_string());
        writeln!(text, "[[job]]\nname = \"{name}\"\nagent = \"accomplice\"\nevery = \"{every}\"\nconfig = {{ {config} }}\n{labels}")
            .unwrap();
    };
    let read = |path: &str| format!("attempt = {{ way = \"read\", path = \"{path}\" }}");
    for number in 0..STEADY {
        let takes = if number.is_multiple_of(2) { 0 } else { 500 };
        add(&format!("steady-{number}"), "1s", &format!("{}, takes_ms = {takes}", read("/etc/hosts")), "");
    }
    for number in 0..CHANGED {
        let takes = if number.is_multiple_of(2) { 0 } else { 500 };
        let labels = format!("labels = {{ version = \"{version}\" }}\n");
        add(&format!("changed-{number}"), "1s", &format!("{}, takes_ms = {takes}", read("/etc/hosts")), &labels);
    }
    add("reader", "1s", &format!("{}, files = [\"FOLDER/log\"]", read("FOLDER/log")), "");
    for (number, port) in ports.iter().enumerate() {
        let port = port.local_addr().unwrap().port();
        let round = number + 1;
        let config = format!("attempt = {{ way = \"connect\", port = {port} }}, ports = [{port}], files = [\"FOLDER/file-{round}\"]");
        add(&format!("wider-{round}"), "5s", &config, "");
    }
    text
}

/// How many slots of a job are missing; one that is there twice is a failure.
fn missing(name: &str, readings: &[Reading]) -> u64 {
    let step = if name.starts_with("wider") { 5 } else { 1 };
    let between = |pair: &[Reading]| {
        let apart = pair[1].slot - pair[0].slot;
        assert!(apart >= step && apart % step == 0, "{name}: {:?} then {:?}", pair[0], pair[1]);
        u64::try_from(apart / step - 1).unwrap()
    };
    readings.windows(2).map(between).sum()
}

#[test]
fn a_worker_that_is_taken_over_from_loses_no_run_and_makes_none_twice() {
    let mut scene = Scene::begin();
    for round in 1..=ROUNDS {
        scene.taken_over_after("wider needs", |scene| scene.reload(round));
        // At another moment of the second each time.
        sleep(Duration::from_millis(300 + 170 * round as u64));
        scene.taken_over_after("a rotated log", |scene| scene.rotate(round));
        let ok = |scene: &Scene| job(&status(&scene.house), "reader")["ok"].as_u64();
        let before = ok(&scene);
        until(LONG, || (ok(&scene) > before).then_some(())).expect("the log is read that took the name");
    }
    // Those that were taken over from end their runs, and end.
    let after = until(LONG, || Some(scene.daemon.workers()).filter(|left| left.len() == 1)).expect("one worker is left");
    let gone = scene.workers.iter().filter(|worker| !after.contains(worker)).count();
    assert!(gone >= 2 * ROUNDS, "{gone} workers of {} have ended", scene.workers.len());
    assert!(scene.workers.iter().all(|worker| after.contains(worker) || !worker.lives()));
    let last = |scene: &Scene| job(&status(&scene.house), &format!("wider-{ROUNDS}"))["ok"].as_u64().filter(|ok| *ok > 0);
    until(LONG, || last(&scene)).expect("the last job that came has run");
    let told = status(&scene.house);
    assert_eq!(worker(&told, "accomplice")["crashes"], 0, "{told:#}");
    let Scene { house, daemon, .. } = scene;
    assert!(daemon.stop().status.success());
    check_runs(&house, &told);
}

fn check_runs(house: &House, told: &Value) {
    let manual = journal::readings(&house.data()).into_iter().filter(|reading| reading.cause == Cause::Manual);
    assert_eq!(manual.map(|reading| (reading.job, reading.slot)).collect::<Vec<_>>(), [], "no due time is kept twice");
    let readings = by_job(house);
    assert_eq!(readings.len(), STEADY + CHANGED + 1 + ROUNDS);
    let (mut skipped, mut faults) = (BTreeSet::new(), Vec::new());
    for (name, readings) in &readings {
        let (missing, said) = (missing(name, readings), job(told, name)["skipped"].as_u64().unwrap());
        // Only what was told to have been skipped may be missing.
        if missing > said {
            faults.push(format!("{name}: {missing} runs are missing, {said} said to be skipped: {:?}", slots(readings)));
        }
        if said > 0 {
            skipped.insert(format!("{name}: {said}"));
        }
        for reading in readings {
            match &reading.outcome.status {
                Status::Ok => {}
                // Until another worker comes, the one at hand may not touch what took the name.
                Status::Failed { kind, .. } if name == "reader" && kind.name() == "local" => {}
                failed => faults.push(format!("{name} at {}: {failed:?}", reading.slot)),
            }
        }
    }
    let runs: usize = readings.values().map(Vec::len).sum();
    eprintln!("{runs} runs; skipped: {skipped:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn slots(readings: &[Reading]) -> Vec<i64> {
    readings.iter().map(|reading| reading.slot).collect()
}
