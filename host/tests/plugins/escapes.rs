//! Libraries that mean harm, run by an ordinary user: each way out is closed, and open without the sandbox, so that this can fail.
//!
//! `fugitive` says that it needs nothing, `accomplice` that it needs a little; `tame` is the neighbour.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use serde_json::Value;
use watchpost_worker::confine::kernel::gaps;

use crate::{
    harness::{Daemon, House, until},
    house::NEVER,
    zoo::example,
};

/// How long all attempts may take.
const ATTEMPTS_TIMEOUT: Duration = Duration::from_secs(60);

/// What the accomplice says that it needs, whatever it tries.
const SAID: &str =
    "ports = [DECLARED], sockets = [\"SOCKET\"], programs = [\"/bin/true\", \"/bin/cat\"], files = [\"FOLDER/open\", \"FOLDER\"]";

/// Attempts of the fugitive; a word of capitals stands for what is known only once the daemon runs.
const ALONE: &[(&str, &str)] = &[
    ("the secret file of another library's job", "way = \"read\", path = \"FOLDER/secret\""),
    ("the schedule, where a plain secret may stand", "way = \"read\", path = \"FOLDER/jobs.toml\""),
    ("a list of the data folder", "way = \"list\", path = \"DATA\""),
    ("a file of the data folder", "way = \"read\", path = \"DATA/catalogue.sqlite\""),
    ("a new file in the house", "way = \"create\", path = \"FOLDER\""),
    ("a new file in the temporary folder", "way = \"create\", path = \"/tmp\""),
    ("more at the end of a file", "way = \"append\", path = \"FOLDER/victim\""),
    ("a file removed", "way = \"remove\", path = \"FOLDER/doomed\""),
    ("another mode for a file", "way = \"chmod\", path = \"FOLDER/victim\""),
    ("a file cut short", "way = \"truncate\", path = \"FOLDER/victim\""),
    ("a port", "way = \"connect\", port = UNDECLARED"),
    ("a port by MPTCP", "way = \"connect-otherwise\", port = UNDECLARED"),
    ("a port by the first bytes sent", "way = \"connect-by-sending\", port = UNDECLARED"),
    ("a listener", "way = \"listen\""),
    ("the machine's devices by netlink", "way = \"netlink\""),
    ("the daemon's socket", "way = \"ask-daemon\", path = \"SOCKET\""),
    ("the daemon traced", "way = \"trace\", pid = DAEMON"),
    ("another worker traced", "way = \"trace\", pid = OTHER"),
    ("the daemon's memory read", "way = \"read-memory\", pid = DAEMON"),
    ("another worker's memory read", "way = \"read-memory\", pid = OTHER"),
    ("the daemon's memory as a file", "way = \"open-memory\", pid = DAEMON"),
    ("another worker's memory as a file", "way = \"open-memory\", pid = OTHER"),
    ("the daemon's environment", "way = \"read-environment\", pid = DAEMON"),
    ("another worker's environment", "way = \"read-environment\", pid = OTHER"),
    ("a signal for the daemon", "way = \"signal\", pid = DAEMON"),
    ("a signal for another worker", "way = \"signal\", pid = OTHER"),
    ("the daemon's limits", "way = \"limits\", pid = DAEMON"),
    ("the daemon scheduled", "way = \"schedule\", pid = DAEMON"),
    ("a program", "way = \"exec\", path = \"/bin/true\""),
    ("a process", "way = \"fork\""),
    ("a program in memory", "way = \"memfd\""),
    ("a mount", "way = \"mount\""),
    ("out of a namespace", "way = \"unshare\""),
    ("into a namespace", "way = \"setns\""),
    ("a program in the kernel", "way = \"bpf\""),
    ("keys", "way = \"keyctl\""),
    ("a new key", "way = \"add-key\""),
    ("another user", "way = \"setuid\""),
    ("calls past the filter", "way = \"io-uring\""),
    ("page faults", "way = \"userfaultfd\""),
    ("the machine measured", "way = \"perf\""),
    ("memory that outlives it", "way = \"shared-memory\""),
    ("messages that outlive it", "way = \"message-queue\""),
    ("semaphores that outlive it", "way = \"semaphores\""),
    ("a queue of messages by name", "way = \"named-queue\""),
    ("who touches what on a file system", "way = \"fanotify\""),
    ("who touches what beside a secret", "way = \"inotify\", path = \"FOLDER\""),
];

/// Attempts of the accomplice.
const WITH_HELP: &[(&str, &str)] = &[
    ("an undeclared program", "way = \"exec\", path = \"/bin/ls\""),
    ("a program in memory, with programs", "way = \"memfd\""),
    ("the other's secret by a declared program", "way = \"exec-cat\", path = \"FOLDER/secret\""),
    ("the secret in a declared folder", "way = \"read\", path = \"FOLDER/secret\""),
    ("the data folder in a declared folder", "way = \"read\", path = \"DATA/catalogue.sqlite\""),
    ("a new file in a declared folder", "way = \"create\", path = \"FOLDER\""),
    ("a process with users of its own", "way = \"fork-users\""),
    ("a session of its own", "way = \"session\""),
    ("memory that outlives it, with programs", "way = \"shared-memory\""),
    ("who touches what in the data folder", "way = \"inotify\", path = \"DATA\""),
    ("the daemon's socket, declared", "way = \"ask-daemon\", path = \"SOCKET\""),
    ("another port than the declared one", "way = \"connect\", port = UNDECLARED"),
    ("a signal for the daemon, with programs", "way = \"signal\", pid = DAEMON"),
    ("a signal for another worker, with programs", "way = \"signal\", pid = OTHER"),
    ("the daemon traced, with programs", "way = \"trace\", pid = DAEMON"),
];

/// What it said that it needs: it gets that.
const GRANTED: &[(&str, &str)] = &[
    ("the declared program", "way = \"exec\", path = \"/bin/true\""),
    ("the declared port", "way = \"connect\", port = DECLARED"),
    ("the declared file", "way = \"read\", path = \"FOLDER/open\""),
    ("the declared file by a declared program", "way = \"exec-cat\", path = \"FOLDER/open\""),
];

/// What the kernel leaves open, and the gap that `check` tells it as.
const LEFT_OPEN: &[(&str, &str, &str)] = &[
    ("names", "a list of the data folder in a declared folder", "way = \"list\", path = \"DATA\""),
    ("metadata", "size and times of the other's secret", "way = \"stat\", path = \"FOLDER/secret\""),
];

/// What some machines deny to everybody: no sandbox is to thank for that.
const DENIED_BY_SOME: [&str; 6] = ["MPTCP", "traced", "users of its own", "past the filter", "page faults", "memory"];

/// What came of an attempt.
type Told = BTreeMap<String, Result<(), String>>;

#[test]
fn every_way_out_is_closed_and_is_open_without_the_sandbox() {
    let [closed, open] = [true, false].map(attempts);
    let mut wrong = Vec::new();
    println!("{:52} {:36} without the sandbox", "attempt", "sandboxed");
    for (what, sandboxed) in &closed {
        let free = &open[what];
        println!("{what:52} {:36} {}", shown(sandboxed), shown(free));
        let granted = GRANTED.iter().any(|(granted, _)| granted == what);
        let left_open = LEFT_OPEN.iter().find(|(_, open, _)| open == what);
        let told = left_open.is_none_or(|(gap, ..)| is_told(gap));
        let is_open = granted || left_open.is_some();
        if !told || is_open != sandboxed.is_ok() || !is_open && !is_denied(sandboxed) && !is_a_gap(what) {
            wrong.push(format!("{what}: sandboxed: {sandboxed:?}"));
        }
        if is_denied(free) && !DENIED_BY_SOME.iter().any(|some| what.contains(some)) {
            wrong.push(format!("{what}: without the sandbox: {free:?}"));
        }
    }
    assert!(closed.len() >= 50 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No worker of the daemon's is at work here: it knows none of these by its own doing.
#[test]
fn a_worker_of_a_measurement_by_hand_is_turned_away_at_the_daemons_socket_as_well() {
    for sandboxed in [true, false] {
        let house = house(sandboxed);
        let socket = house.socket().display().to_string();
        house.schedule(&format!(
            "[[job]]\nname = \"asks\"\nagent = \"accomplice\"\n{NEVER}\nconfig = {{ attempt = {{ way = \"ask-daemon\", path = \"{socket}\" }}, sockets = [\"{socket}\"] }}\n"
        ));
        let daemon = house.start();
        let said = house.run(&["measure", "asks"]);
        let is_open = said.code == Some(0);
        assert!(is_open || said.out.contains("Permission denied"), "{said:?}");
        assert_eq!(is_open, !sandboxed, "sandboxed {sandboxed}: {said:?}\n{}", daemon.log_text());
        assert_eq!(daemon.log_text().contains("was turned away"), sandboxed);
        // Who asks by hand is answered.
        house.run(&["status"]).ok();
    }
}

fn shown(told: &Result<(), String>) -> String {
    match told {
        Ok(()) => "OPEN".into(),
        Err(why) if is_denied(told) => format!("denied: {}", why.split(" (os").next().unwrap_or_default()),
        Err(why) => format!("seen by the kernel: {}", why.split(" (os").next().unwrap_or_default()),
    }
}

fn is_denied(told: &Result<(), String>) -> bool {
    told.as_ref().is_err_and(|why| {
        ["Operation not permitted", "Permission denied", "Protocol not supported", "Address family not supported"]
            .iter()
            .any(|no| why.contains(no))
    })
}

/// What an older kernel does not enforce is told of, and not promised.
fn is_a_gap(what: &str) -> bool {
    is_told("TCP ports") && (what.contains("port") || what.contains("listener"))
        || is_told("other processes") && what.contains("a signal")
        || is_told("files")
}

fn is_told(gap: &str) -> bool {
    gaps().iter().any(|known| known.what == gap)
}

/// A house of libraries that mean harm, with what they are after.
fn house(sandboxed: bool) -> House {
    let house = House::ordinary("");
    let libraries = house.folder().join("libraries");
    fs::create_dir(&libraries).unwrap();
    for name in ["fugitive", "accomplice", "tame"] {
        fs::copy(example(name), libraries.join(format!("lib{name}.so"))).unwrap();
        house.give(&libraries.join(format!("lib{name}.so")));
    }
    fs::set_permissions(&libraries, Permissions::from_mode(0o755)).unwrap();
    house.give(&libraries);
    let free =
        if sandboxed { "" } else { "[plugin]\nfugitive.sandbox = \"none\"\naccomplice.sandbox = \"none\"\ntame.sandbox = \"none\"\n" };
    let main = format!("plugins = [{libraries:?}]\nschedules = [\"jobs.toml\"]\nlisten = \"127.0.0.1:0\"\n{free}");
    fs::write(house.folder().join("watchpost.toml"), main).unwrap();
    for (name, content) in [("secret", "Zwiebelkuchen-4711\n"), ("victim", "as it was\n"), ("doomed", ""), ("open", "for all\n")] {
        house.keep(name, content.as_bytes());
    }
    house
}

/// Makes every attempt once, sandboxed or not; tells what came of each.
fn attempts(sandboxed: bool) -> Told {
    let house = house(sandboxed);
    let neighbour = "[[job]]\nname = \"neighbour\"\nagent = \"tame\"\nevery = \"1s\"\n";
    house.schedule(neighbour);
    let daemon = house.start();
    let [declared, undeclared] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let known = Known { house: &house, daemon: &daemon, declared: &declared, undeclared: &undeclared };
    let mut schedule = String::from(neighbour);
    let mut names = BTreeMap::new();
    let alone = ALONE.iter().copied().map(|attempt| (attempt, "fugitive", ""));
    let left_open = LEFT_OPEN.iter().map(|(_, what, attempt)| (*what, *attempt));
    let helped = WITH_HELP.iter().chain(GRANTED).copied().chain(left_open).map(|attempt| (attempt, "accomplice", SAID));
    for (number, ((what, attempt), agent, said)) in alone.chain(helped).enumerate() {
        let secret = if number == ALONE.len() { ", secret = { file = \"secret\" }" } else { "" };
        let said = if said.is_empty() { String::new() } else { format!(", {said}{secret}") };
        let job =
            format!("[[job]]\nname = \"a{number}\"\nagent = \"{agent}\"\nevery = \"1s\"\nconfig = {{ attempt = {{ {attempt} }}{said} }}\n");
        schedule += &known.fill(&job);
        names.insert(format!("a{number}"), what.to_owned());
    }
    house.schedule(&schedule);
    house.run(&["reload"]).ok();
    let told = until(ATTEMPTS_TIMEOUT, || told(&house, &names)).expect("every attempt was made");
    drop(daemon);
    told
}

/// What came of every attempt, once each was made.
fn told(house: &House, names: &BTreeMap<String, String>) -> Option<Told> {
    let jobs: Vec<Value> = serde_json::from_str(&house.run(&["jobs", "list", "--json"]).ok()).unwrap();
    let of = |(job, what): (&String, &String)| {
        let known = jobs.iter().find(|known| known["name"] == job.as_str() && known["runs"].as_u64() > Some(0))?;
        let failed = known["kind"].is_string().then(|| known["why"].as_str().unwrap_or_default().to_owned());
        Some((what.clone(), failed.map_or(Ok(()), Err)))
    };
    names.iter().map(of).collect()
}

/// What is known only once the daemon runs.
struct Known<'k> {
    house: &'k House,
    daemon: &'k Daemon,
    declared: &'k TcpListener,
    undeclared: &'k TcpListener,
}

impl Known<'_> {
    fn fill(&self, text: &str) -> String {
        let path = |path: &Path| path.display().to_string();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
        let text = text.replace("SOCKET", &path(&self.house.socket())).replace("FOLDER", &path(self.house.folder()));
        let text = text.replace("UNDECLARED", &port(self.undeclared)).replace("DECLARED", &port(self.declared));
        text.replace("DATA", &path(&self.house.data()))
            .replace("DAEMON", &self.daemon.pid().to_string())
            .replace("OTHER", &self.neighbour())
    }

    fn neighbour(&self) -> String {
        let pid = || {
            let status: Value = serde_json::from_str(&self.house.run(&["status", "--json"]).ok()).unwrap();
            let tame = status["workers"].as_array()?.iter().find(|worker| worker["plugin"] == "tame")?.clone();
            tame["pid"].as_u64()
        };
        until(ATTEMPTS_TIMEOUT, pid).expect("the neighbour's worker").to_string()
    }
}
