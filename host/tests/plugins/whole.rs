//! The zoo seen from outside: a daemon, its log, its commands.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{Daemon, until},
    house::{NEVER, house, job, status, worker},
};

const SCHEDULE: &str = r#"
[defaults]
every = "1s"

[[job]]
name = "witness"
agent = "tame"
config = {}

[[job]]
name = "neighbour"
agent = "beast"
config = { does = "well" }

[[job]]
name = "guilty"
agent = "beast"
every = "2s"
config = { does = "abort" }

[[job]]
name = "flood"
agent = "beast"
every = "2s"
config = { does = "flood" }
"#;

#[test]
fn the_guilty_job_is_named_in_log_and_status_and_other_libraries_lose_no_run() {
    let house = house(SCHEDULE, &[("libtext.so", b"text")]);
    let daemon = house.start();
    let began = Instant::now();
    let enough = |status: Value| (worker(&status, "zoo")["crashes"].as_u64()? >= 3).then_some(status);
    let told = until(Duration::from_secs(30), || enough(status(&house))).expect("three crashes");
    let zoo = worker(&told, "zoo");
    assert_eq!(zoo["last_crash"]["guilty"], "guilty", "{zoo}");
    assert_eq!(zoo["last_crash"]["how"], "died of signal 6 (SIGABRT: abort)", "{zoo}");
    let tame = worker(&told, "tame");
    assert_eq!((&tame["crashes"], &tame["restarts"]), (&Value::from(0), &Value::from(0)), "{tame}");
    let witness = job(&told, "witness");
    let (runs, due) = (witness["runs"].as_u64().unwrap(), began.elapsed().as_secs());
    // One run may be under way, and one second may have begun before the first.
    assert!(witness["health"] == "ok" && witness["skipped"] == 0 && runs.abs_diff(due) <= 1, "{runs} runs in {due} s: {witness}");
    let text = house.run(&["status"]).ok();
    assert!(text.contains("job guilty: died of signal 6 (SIGABRT: abort)"), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("not loaded: ") && line.ends_with("libtext.so: it is no shared library (no ELF header)")),
        "{text}"
    );
    let said = |line: &&Value| line["message"] == "the worker died of signal 6 (SIGABRT: abort)" && line["job"] == "guilty";
    assert!(daemon.log().iter().filter(said).count() >= 3, "{}", daemon.log_text());
    check_flood(&daemon);
    assert!(daemon.stop().status.success());
}

/// A flooding job has twenty lines of the log in a minute, whatever it says.
fn check_flood(daemon: &Daemon) {
    let log = daemon.log();
    let lines = log.iter().filter(|line| line["job"] == "flood" && line["target"] == "watchpost::agent").count();
    assert_eq!(lines, 20, "{}", daemon.log_text());
}

/// Descriptors of a process.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// Threads of a process.
pub(crate) fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// Children of a process, dead ones that nobody waited for included.
pub(crate) fn children(pid: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |task: PathBuf| fs::read_to_string(task.join("children")).unwrap_or_default().split_whitespace().count();
    tasks.filter_map(|task| Some(of(task.ok()?.path()))).sum()
}

#[test]
fn fifty_crashes_leave_no_descriptor_no_thread_and_no_zombie() {
    const CRASHES: u64 = 50;
    let house = house("", &[]);
    let daemon = house.start();
    let jobs: String = (0..CRASHES)
        .map(|number| format!("[[job]]\nname = \"guilty-{number}\"\nagent = \"beast\"\n{NEVER}\nconfig = {{ does = \"abort\" }}\n"))
        .collect();
    house.schedule(&jobs);
    house.run(&["reload"]).ok();
    let count = || (descriptors(daemon.pid()), threads(daemon.pid()), children(daemon.pid()));
    house.run(&["jobs", "run", "guilty-0"]);
    let settle = || until(Duration::from_secs(10), || (worker(&status(&house), "zoo")["state"] == "ready").then_some(()));
    settle().expect("the worker is back");
    let before = count();
    for number in 1..CRASHES {
        house.run(&["jobs", "run", &format!("guilty-{number}")]);
    }
    settle().expect("the worker is back");
    assert_eq!(worker(&status(&house), "zoo")["crashes"], CRASHES);
    // Somebody's connection may have been open at the first count.
    // A thread or two of the runtime's own, for what reads files, may come in between.
    let no_more = |after: (usize, usize, usize)| after.0 <= before.0 && after.1 <= before.1 + 2 && after.2 <= before.2;
    let after = until(Duration::from_secs(5), || Some(count()).filter(|after| no_more(*after))).unwrap_or_else(count);
    eprintln!("descriptors, threads, children: {before:?} before, {after:?} after");
    assert!(no_more(after), "{before:?} before, {after:?} after");
}

const ONE_JOB: &str = "[[job]]\nname = \"one\"\nagent = \"tame\"\nevery = \"1s\"\nconfig = {}\n";

#[test]
fn bad_files_are_warnings_until_a_job_needs_what_nobody_carries() {
    let house = house(ONE_JOB, &[("libtext.so", b"text"), ("libpop3.so", b"")]);
    for command in ["agents", "check"] {
        let said = house.run(&[command]);
        assert_eq!(said.code, Some(0), "{command}: {said:?}");
        let warned = |line: &str| line.starts_with("warning: ") && line.contains("not loaded") && line.contains("libtext.so");
        let with_reason = |line: &str| warned(line) && line.ends_with(": it is no shared library (no ELF header)");
        assert!(said.err.lines().any(with_reason), "{command}: {}", said.err);
    }
    let agents = house.run(&["agents"]).ok();
    assert!(agents.contains("beast") && agents.contains("tame"), "{agents}");
    house.schedule(&ONE_JOB.replace("tame", "pop3"));
    let said = house.run(&["check"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("no library carries \"pop3\"") && said.err.contains("jobs.toml:3:9"), "{}", said.err);
    assert!(said.err.contains("libpop3.so"), "the refusal is in the hint: {}", said.err);
}
