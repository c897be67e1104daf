//! What the log of a daemon tells of agents that misbehave: each change in one line, and no more lines than somebody reads.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    thread::sleep,
    time::{Duration, Instant},
};

use chrono::DateTime;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    harness::{Daemon, House, until},
    house::{NEVER, house, status, worker},
};

/// How long the zoo is open.
const STORY: Duration = Duration::from_secs(20);
/// How long it stays open at most, for the last of the beasts to be told of.
const AT_LAST: Duration = Duration::from_secs(30);
/// What each beast's lines say of it, and how many lines it has at most while the zoo is open; those that run every second.
const MILD: [(&str, &str, usize); 11] = [
    ("panic", "unknown: measure of a run at ", 1),
    ("pend", "failing: no end within ", 1),
    ("panic-in-drop", "failing: no end within ", 1),
    ("nan", "samples refused: metric `runs`: NaN is no value", 1),
    ("undeclared", "samples refused: metric `undeclared` was not declared", 1),
    ("log", "a line of the zoo", 1),
    ("nag", "the password is in the clear", 1),
    ("flood", "flood 0", 20),
    ("hostile", r"failing: 421 bye\r\n2026-01-01T00:00:00.000Z ERROR all is lost \u{1b}]0;x\u{7}\u{9b}2J\u{202e}", 1),
    // Ten changes of a minute.
    ("flap", "failing: 421 come back later", 10),
    ("well", "", 0),
];
/// Those that bring the worker down, once each: one line of the worker's, one of the job.
const DEADLY: [(&str, &str); 9] = [
    ("abort", "died of signal 6 (SIGABRT: abort)"),
    ("exit0", "ended itself with exit code 0"),
    ("exit1", "ended itself with exit code 1"),
    ("segfault", "died of signal 11 (SIGSEGV: bad memory access or stack overflow)"),
    ("overflow", "died of signal "),
    ("mute", "closed its connection and lived on"),
    ("orphan", "died of signal 6 (SIGABRT: abort)"),
    ("block", "blocked its thread for 5."),
    ("spin", "kept its thread busy for "),
];
const EVERY_SECOND: &str = "every = \"1s\"";
/// Lines of a daemon that starts: two workers, the journal, readiness.
const OF_THE_START: usize = 4;

fn beast(name: &str, due: &str) -> String {
    format!("[[job]]\nname = \"{name}\"\nagent = \"beast\"\n{due}\nconfig = {{ does = \"{name}\" }}\n")
}

/// Reads a log of whole lines, each of the one schema.
fn lines(daemon: &Daemon) -> Vec<Value> {
    let text = daemon.log_text();
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let lines: Vec<Value> =
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))).collect();
    lines.iter().for_each(check_schema);
    assert!(lines.is_sorted_by_key(|line| line["timestamp"].as_str().unwrap().to_owned()), "{text}");
    lines
}

/// `timestamp`, `level`, `target`, `message`, then fields that mean the same wherever they stand.
fn check_schema(line: &Value) {
    let object = line.as_object().unwrap();
    for (key, value) in object {
        let instant = |text: &str| text.ends_with('Z') && DateTime::parse_from_rfc3339(text).is_ok();
        let right = match key.as_str() {
            "timestamp" | "since" | "next" => value.as_str().is_some_and(instant),
            "level" => ["ERROR", "WARN", "INFO"].iter().any(|level| value == level),
            "target" => value.as_str().is_some_and(|target| target.starts_with("watchpost")),
            "job" | "plugin" | "agent" | "kind" | "before" | "doing" | "message" => value.as_str().is_some_and(|text| !text.is_empty()),
            "pid" | "jobs" | "changes" | "deaths" | "lines" | "times" | "runs" | "refused" | "repeated" | "lost" | "tries" => {
                value.is_u64()
            }
            other if other.ends_with("_s") => value.as_f64().is_some_and(|seconds| seconds >= 0.0),
            _ => value.is_string() || value.is_number() || value.is_boolean(),
        };
        assert!(right, "`{key}` of {line}");
        assert!(value.as_str().is_none_or(|text| !text.contains(char::is_control)), "{line}");
    }
    for key in ["timestamp", "level", "target", "message"] {
        assert!(object.contains_key(key), "no `{key}` in {line}");
    }
}

/// Whether a line is of a beast and begins like this.
fn tells(line: &Value, cause: &str) -> bool {
    line["plugin"] == "zoo" && line["agent"] == "beast" && line["message"].as_str().unwrap().starts_with(cause)
}

fn of<'l>(lines: &'l [Value], job: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["job"] == job).collect()
}

#[test]
fn twenty_seconds_of_the_zoo_are_told_in_lines_that_name_plugin_job_and_cause() {
    let healthy = "[[job]]\nname = \"healthy\"\nagent = \"tame\"\nevery = \"1s\"\nconfig = {}\n".to_owned();
    let mild = MILD.iter().map(|(name, ..)| beast(name, EVERY_SECOND));
    let deadly = DEADLY.iter().map(|(name, _)| beast(name, NEVER));
    let house = house(&mild.chain(deadly).fold(healthy, |text, job| text + &job), &[]);
    let (daemon, began) = (house.start(), Instant::now());
    for (name, _) in DEADLY {
        // What came of it is what this is about.
        let _failed = house.run(&["jobs", "run", name]);
    }
    println!("the deadly ones took {:?}", began.elapsed());
    sleep(STORY.saturating_sub(began.elapsed()));
    // On a busy machine the deadly ones take longer than the story, and none of the others lived to its deadline.
    let is_told = |log: &[Value], name: &str, cause: &str| of(log, name).iter().any(|line| tells(line, cause));
    until(AT_LAST, || {
        let log = lines(&daemon);
        MILD.iter().all(|(name, cause, most)| *most == 0 || is_told(&log, name, cause)).then_some(())
    });
    let (told, log) = agreeing(&house, &daemon);
    println!("{}", daemon.log_text());
    for (name, cause, lines_max) in MILD {
        let lines = of(&log, name);
        assert!(lines.len() <= lines_max, "{name}: {} lines: {lines:?}", lines.len());
        assert!(lines_max == 0 || is_told(&log, name, cause), "{name}: {lines:?}");
    }
    for (name, cause) in DEADLY {
        let lines = of(&log, name);
        let (deaths, states): (Vec<&Value>, Vec<&Value>) = lines.iter().partition(|line| line["level"] == "ERROR");
        assert_eq!((states.len(), deaths.len()), (1, 1), "{name}: {lines:?}");
        let named = |line: &Value| line["plugin"] == "zoo" && line["message"].as_str().unwrap().contains(&format!("the worker {cause}"));
        assert!(lines.iter().all(|line| named(line)), "{name}: {lines:?}");
        assert!(deaths.iter().all(|line| line["doing"] == "running the job" && line["pid"].is_u64()), "{name}: {lines:?}");
    }
    assert_eq!(of(&log, "healthy").len(), 0);
    let of_tame: Vec<_> = log.iter().filter(|line| line["plugin"] == "tame").collect();
    assert_eq!(of_tame.len(), 1, "its worker was started, and that is all: {of_tame:?}");
    let bound = MILD.iter().map(|(_, _, lines)| lines).sum::<usize>() + 3 * DEADLY.len() + OF_THE_START;
    println!("{} lines of at most {bound}; {} deaths", log.len(), worker(&told, "zoo")["crashes"]);
    assert!(log.len() <= bound, "{} lines of at most {bound}", log.len());
}

/// Waits until `status` says of every job what the log said last; gives both.
fn agreeing(house: &House, daemon: &Daemon) -> (Value, Vec<Value>) {
    let mut differing = Vec::new();
    let both = until(Duration::from_secs(10), || {
        // The log is a moment ahead of who reads `status` first, and behind of who reads it last.
        let (before, told, after) = (lines(daemon), status(house), lines(daemon));
        differing =
            told["jobs"].as_array().unwrap().iter().filter(|job| ![&before, &after].iter().any(|log| agree(job, log))).cloned().collect();
        differing.is_empty().then_some((told, after))
    });
    both.unwrap_or_else(|| panic!("status and log differ: {differing:?}\n{}", daemon.log_text()))
}

/// Whether what `status` says of a job is what the log said last of it.
fn agree(job: &Value, log: &[Value]) -> bool {
    let last = of(log, job["name"].as_str().unwrap())
        .into_iter()
        .rfind(|line| line["target"] == "watchpost::daemon::told" && line.get("refused").is_none());
    let kind = last.map_or(&Value::Null, |line| &line["kind"]);
    // What tells of the worker alone changes nothing in the log, nor does time that goes by without a run.
    job["kind"] == *kind
        || ["interrupted", "skipped"].iter().any(|of_worker| job["kind"] == *of_worker)
        || job["why"] == "its last values are too old"
}

#[test]
fn a_log_for_people_has_one_line_for_each_change_too_whatever_a_server_says() {
    let house = house(&[beast("hostile", EVERY_SECOND), beast("nag", EVERY_SECOND)].concat(), &[]);
    let daemon = house.spawn_as(&["run", "--log", "text"]);
    let enough = |text: &String| text.contains(" failing: ") && text.contains(" the password ");
    let text = until(Duration::from_secs(20), || Some(daemon.log_text()).filter(enough)).unwrap_or_else(|| panic!("{}", daemon.log_text()));
    for line in text.lines() {
        let (time, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert!(DateTime::parse_from_rfc3339(time).is_ok(), "{line:?}");
        assert!(["ERROR ", " WARN ", " INFO "].iter().any(|level| rest.starts_with(level)), "{line:?}");
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
    let line = text.lines().find(|line| line.contains(" failing: ")).unwrap();
    assert!(line.contains(r" WARN failing: 421 bye\r\n2026-01-01T00:00:00.000Z ERROR all is lost \u{1b}]0;x\u{7}\u{9b}2J\u{202e} job=hostile plugin=zoo agent=beast kind=protocol since=2"), "{line}");
}

#[test]
fn what_a_dying_agent_says_is_told_without_its_secret() {
    let house = house("", &[]);
    fs::write(house.folder().join("secret"), "geheim-4711\n").unwrap();
    fs::set_permissions(house.folder().join("secret"), Permissions::from_mode(0o600)).unwrap();
    let secret = beast("betray", EVERY_SECOND).replace("config = { ", "config = { secret = { file = \"secret\" }, ");
    house.schedule(&secret);
    let daemon = house.start();
    let died = || lines(&daemon).into_iter().find(|line| line["message"] == "the worker died of signal 6 (SIGABRT: abort)");
    let line = until(Duration::from_secs(20), died).unwrap_or_else(|| panic!("{}", daemon.log_text()));
    assert_eq!((&line["last_words"], &line["job"]), (&"cannot go on with Some(\"<secret>\")".into(), &"betray".into()));
    assert!(!daemon.log_text().contains("geheim"), "{}", daemon.log_text());
}

#[test]
fn a_worker_that_does_not_come_back_is_told_once_with_its_reason_and_so_in_status() {
    let house = house(&beast("abort", EVERY_SECOND), &[]);
    let daemon = house.start();
    // Programs lie beside the folder of the agents we ship.
    fs::remove_file(house.plugins().with_file_name("watchpost-worker")).unwrap();
    let began = Instant::now();
    let refused = |lines: &Vec<Value>| {
        lines.iter().filter(|line| line["message"].as_str().unwrap().starts_with("the worker does not come back: ")).count()
    };
    until(Duration::from_secs(20), || (refused(&lines(&daemon)) > 0).then_some(())).unwrap_or_else(|| panic!("{}", daemon.log_text()));
    sleep(Duration::from_secs(8).saturating_sub(began.elapsed()));
    assert_eq!(refused(&lines(&daemon)), 1, "{}", daemon.log_text());
    let told = status(&house);
    let refusal = &worker(&told, "zoo")["refusal"];
    assert!(refusal.as_str().is_some_and(|why| why.contains("watchpost-worker is not beside ")), "{told}");
    assert!(house.run(&["status"]).ok().contains(refusal.as_str().unwrap()), "people see it, too");
}

#[test]
fn a_library_that_is_refused_is_told_once_also_when_it_came_with_a_reload() {
    let house = house("", &[("libold.so", b"text")]);
    let daemon = house.start();
    fs::write(house.folder().join("plugins/libnew.so"), b"text").unwrap();
    for _ in 0..2 {
        house.run(&["reload"]).ok();
    }
    let log = lines(&daemon);
    let of = |name: &str| log.iter().filter(|line| line["path"].as_str().is_some_and(|path| path.ends_with(name))).count();
    assert_eq!((of("libold.so"), of("libnew.so")), (1, 1), "{}", daemon.log_text());
}

/// As a service manager stops a service: every process of it is told to end, workers a moment before the daemon.
#[test]
fn a_stop_that_tells_workers_and_daemon_to_end_is_no_worker_that_died() {
    let house = house(&beast("well", EVERY_SECOND), &[]);
    let daemon = house.start();
    for worker in daemon.workers() {
        kill_process(Pid::from_raw(worker.pid.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    }
    assert!(daemon.stop().status.success());
    let logs = fs::read_dir(house.folder()).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-"))).unwrap();
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains("\"stopped\"") && !text.contains("\"ERROR\"") && !text.contains("started again"), "{text}");
}
