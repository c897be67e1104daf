//! The zoo as one table: what each beast does, what is said of it everywhere, and that it costs nobody else a run.

use std::{fs, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::{
    harness::{Daemon, House, http::ask, journal, scrape::Scrape, until},
    house::{NEVER, house, job, worker},
    whole::{children, descriptors, threads},
    zoo::example,
};

/// Longer than any watchdog waits, on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// What a beast does, and what is to be read of it.
struct Beast {
    does: &'static str,
    /// The kind of its run; `ok` where only what it records is wrong.
    kind: &'static str,
    /// The beginning of what is told of it.
    says: &'static str,
    /// What its worker died of.
    cause: Option<&'static str>,
    /// Whether a death can be laid at its door.
    guilty: bool,
}

const fn dies(does: &'static str, says: &'static str, cause: &'static str) -> Beast {
    Beast { does, kind: "crash", says, cause: Some(cause), guilty: true }
}

const fn fails(does: &'static str, kind: &'static str, says: &'static str) -> Beast {
    Beast { does, kind, says, cause: None, guilty: false }
}

const ZOO: [Beast; 24] = [
    fails("panic", "panic", "measure of a run at "),
    fails("panic-in-drop", "timeout", "no end within 1 s"),
    dies("abort", "the worker died of signal 6 (SIGABRT: abort) while this job was running", "abort"),
    dies("exit0", "the worker ended itself with exit code 0 while", "exit"),
    dies("exit1", "the worker ended itself with exit code 1 while", "exit"),
    dies("segfault", "the worker died of signal 11 (SIGSEGV: bad memory access or stack overflow) while", "segfault"),
    dies("overflow", "the worker died of signal 6 (SIGABRT: stack overflow) while", "stack_overflow"),
    dies("block", "the worker blocked its thread for 5.", "blocked"),
    // On a busy machine it is seen by the clock before it has had a second of the processor.
    dies("spin", "the worker ", "blocked"),
    fails("pend", "timeout", "no end within 1 s"),
    dies("ignore-cancel", "the worker blocked its thread for ", "blocked"),
    fails("leak", "local", "cannot open one more file: "),
    // What it left open is gone with its worker.
    dies("mute", "the worker closed its connection and lived on while", "closed"),
    fails("many-metrics", "limit", "more than 200 metrics declared in one run allows"),
    fails("many-labels", "limit", ""),
    fails("nan", "ok", ""),
    fails("infinity", "ok", ""),
    fails("undeclared", "ok", ""),
    fails("cut-short", "ok", ""),
    fails("long-lines", "ok", ""),
    fails("flood", "ok", ""),
    dies("half-frame", "the worker said what is not understood and was ended: 20 bytes that are none of the worker's own while", "garbled"),
    dies(
        "half-frame-and-pend",
        "the worker said what is not understood and was ended: 1048576 bytes that are none of the worker's own while",
        "garbled",
    ),
    dies("hoard", "the worker died of signal 6 (SIGABRT: no more memory) while", "memory"),
];

/// A file that is no library to be used.
struct Unfit {
    file: &'static str,
    /// The library that it is the beginning of.
    of: &'static str,
    bytes: usize,
    why: &'static str,
}

const FILES: [Unfit; 4] = [
    Unfit { file: "libmajor.so", of: "major", bytes: usize::MAX, why: "it was built for another version of the agent interface: " },
    Unfit { file: "libchanged.so", of: "changed", bytes: usize::MAX, why: "it was built for another version of the agent interface: " },
    Unfit { file: "libaborts.so", of: "aborts", bytes: usize::MAX, why: "it was built with panic = \"abort\"" },
    Unfit { file: "libcut.so", of: "tame", bytes: 100_000, why: "it is cut off: " },
];

const WITNESS: &str = "[[job]]\nname = \"witness\"\nagent = \"tame\"\nevery = \"1s\"\nconfig = {}\n";

fn schedule() -> String {
    let beast = |beast: &Beast| {
        let is_endless = beast.kind == "timeout" || ["ignore-cancel", "half-frame-and-pend"].contains(&beast.does);
        let timeout = if is_endless { "1s" } else { "20s" };
        let does = beast.does;
        format!(
            "[[job]]\nname = \"{does}\"\nagent = \"beast\"\n{NEVER}\ntimeout = \"{timeout}\"\nconfig = {{ does = \"{does}\", repeatable = false }}\n"
        )
    };
    ZOO.iter()
        .map(beast)
        .chain([beast(&dies("abort", "", "abort")).replace("\"abort\"\nagent", "\"first\"\nagent"), WITNESS.to_owned()])
        .collect()
}

fn asked(house: &House, method: &str, path: &str) -> Value {
    serde_json::from_str(&ask(&house.socket(), method, path).unwrap().body).unwrap()
}

fn events_of(house: &House, job: &str) -> Vec<String> {
    let events = asked(house, "GET", &format!("/api/v1/events?job={job}"));
    events.as_array().unwrap().iter().map(|event| event["code"].as_str().unwrap().to_owned()).collect()
}

/// The value of a metric of the host's own.
fn counted(daemon: &Daemon, family: &str, labels: &str) -> f64 {
    let scrape = Scrape::of(&daemon.get("/metrics").unwrap().body);
    scrape.of_family(family).filter(|line| line.labels.contains(labels)).map(|line| line.value.parse::<f64>().unwrap()).sum()
}

fn until_ready(house: &House) -> Value {
    let ready = || Some(asked(house, "GET", "/api/v1/status")).filter(|status| worker(status, "zoo")["state"] == "ready");
    until(LONG, ready).expect("the worker is back")
}

/// Bounds the worker's address space, whatever its sandbox does, so that the machine does not suffer.
fn bound_memory(house: &House) {
    let pid = worker(&asked(house, "GET", "/api/v1/status"), "zoo")["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    let bound = Some(2 << 30);
    prlimit(pid, Resource::As, Rlimit { current: bound, maximum: bound }).unwrap();
}

/// Runs a beast once, and reads what is told of it.
fn check(house: &House, daemon: &Daemon, beast: &Beast) {
    let Beast { does, kind, says, cause, guilty } = beast;
    let crashes = || worker(&asked(house, "GET", "/api/v1/status"), "zoo")["crashes"].as_u64().unwrap();
    let deaths = |cause: &str| counted(daemon, "watchpost_host_worker_deaths_total", &format!("cause=\"{cause}\",plugin=\"zoo\""));
    let (crashed_before, died_before) = (crashes(), deaths(cause.unwrap_or("none")));
    let failed_before = counted(daemon, "watchpost_host_run_failures_total", &format!("agent=\"beast\",kind=\"{kind}\""));
    if *cause == Some("memory") {
        bound_memory(house);
    }
    asked(house, "POST", &format!("/api/v1/jobs/{does}/run"));
    // What it does afterwards belongs to it, too.
    let died = || cause.is_none() || crashes() > crashed_before;
    until(LONG, || died().then_some(())).unwrap_or_else(|| panic!("{does}: it lives on"));
    // What is durable is seen a moment later.
    let has_run = || Some(until_ready(house)).filter(|status| job(status, does)["runs"] == 1);
    let status = until(LONG, has_run).unwrap_or_else(|| panic!("{does} has not run"));
    let told = job(&status, does);
    let why = told["why"].as_str().unwrap_or_default();
    if *kind == "ok" {
        assert_eq!(told["health"], "ok", "{does}: {told}");
    } else {
        // A worker that was brought down after its run was answered is told by the job's own hold, or by the crash alone.
        let is_late = *does == "ignore-cancel";
        assert!(is_late || (told["kind"] == *kind && why.starts_with(says)), "{does}: {told}");
        let failed = || counted(daemon, "watchpost_host_run_failures_total", &format!("agent=\"beast\",kind=\"{kind}\"")) > failed_before;
        assert!(is_late || until(LONG, || failed().then_some(())).is_some(), "{does}: not counted as {kind}");
    }
    let Some(cause) = cause else {
        return assert_eq!(worker(&status, "zoo")["crashes"], crashed_before, "{does} brings nobody down");
    };
    let crash = &worker(&status, "zoo")["last_crash"];
    let expected = if *guilty { Value::from(*does) } else { Value::Null };
    assert_eq!(crash["guilty"], expected, "{does}: {crash}");
    assert!(
        says.starts_with("the worker ") && crash["how"].as_str().unwrap().starts_with(says[11..].split(" while").next().unwrap()),
        "{does}: {crash}"
    );
    until(LONG, || (deaths(cause) > died_before).then_some(())).unwrap_or_else(|| panic!("{does}: not counted as {cause}"));
    if *guilty {
        until(LONG, || events_of(house, does).contains(&"worker_crashed".to_owned()).then_some(()))
            .unwrap_or_else(|| panic!("{does}: no event"));
    }
}

#[test]
fn every_beast_is_told_for_what_it_is_and_costs_no_other_library_a_run() {
    let house = house(&schedule(), &[]);
    for Unfit { file, of, bytes, .. } in FILES {
        let whole = fs::read(example(of)).unwrap();
        fs::write(house.folder().join("plugins").join(file), &whole[..bytes.min(whole.len())]).unwrap();
    }
    let daemon = house.start();
    for Unfit { file, why, .. } in FILES {
        let refused = asked(&house, "GET", "/api/v1/status")["host"]["refused_libraries"].clone();
        let told = refused
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one[0].as_str().unwrap().ends_with(file) && one[1].as_str().unwrap().starts_with(why));
        assert!(told, "{file}: {refused}");
    }
    until(LONG, || (counted(&daemon, "watchpost_host_libraries_refused", "") == 4.0).then_some(())).expect("they are counted");
    asked(&house, "POST", "/api/v1/jobs/first/run");
    until_ready(&house);
    let count = || (descriptors(daemon.pid()), threads(daemon.pid()), children(daemon.pid()));
    let before = count();
    for beast in &ZOO {
        check(&house, &daemon, beast);
    }
    // NaN, infinity and what was not declared; the lines beyond twenty of a minute; the label sets beyond a hundred.
    let refused = || counted(&daemon, "watchpost_host_samples_refused_total", "agent=\"beast\"") >= 3.0;
    until(LONG, || refused().then_some(())).expect("refused samples are counted");
    let held_back = || counted(&daemon, "watchpost_host_log_lines_held_back_total", "plugin=\"zoo\"") > 50.0;
    until(LONG, || held_back().then_some(())).expect("log lines are counted");
    let unstored = || counted(&daemon, "watchpost_host_label_sets_refused_total", "") >= 9_800.0;
    until(LONG, || unstored().then_some(())).expect("label sets are counted");
    let longest = daemon.log_text().lines().map(str::len).max();
    assert!(longest < Some(20_000), "a line of the log has {longest:?} bytes");
    // A thread or two of the runtime's own, for what reads files, may come in between.
    let no_more = |after: (usize, usize, usize)| after.0 <= before.0 && after.1 <= before.1 + 2 && after.2 <= before.2;
    let after = until(LONG, || Some(count()).filter(|after| no_more(*after))).unwrap_or_else(count);
    eprintln!("descriptors, threads, children: {before:?} before, {after:?} after");
    assert!(no_more(after), "{before:?} before, {after:?} after");
    // One that panics while it is made is a fault of the configuration.
    house.schedule(&(schedule() + "[[job]]\nname = \"new\"\nagent = \"beast\"\nevery = \"1s\"\nconfig = { does = \"panic-in-new\" }\n"));
    let said = house.run(&["reload"]);
    assert!(said.code == Some(2) && said.err.contains("`config`: agent `beast` panicked over it: new of an agent at "), "{said:?}");
    let status = asked(&house, "GET", "/api/v1/status");
    assert_eq!((&worker(&status, "tame")["crashes"], &job(&status, "witness")["skipped"]), (&0.into(), &0.into()));
    assert!(daemon.stop().status.success());
    let witness: Vec<_> = journal::readings(&house.data()).into_iter().filter(|reading| reading.job == "witness").collect();
    for pair in witness.windows(2) {
        assert_eq!(pair[1].slot - pair[0].slot, 1, "no run of the witness is missing");
    }
    assert!(witness.len() > 5 && witness.iter().all(|reading| reading.outcome.status.is_ok()));
}
