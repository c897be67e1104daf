//! Alarms: a target that dies raises exactly one, whatever becomes of the daemon meanwhile, and its recovery clears it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use serde_json::Value;
use watchpost_testkit::ClosedPort;

use crate::{
    harness::{Daemon, House, greeter::serve_on, until},
    servers::job,
};

const SOON: Duration = Duration::from_secs(20);
const DOWN: &str = "[[job.threshold]]\nname = \"down\"\nmetric = \"up\"\ncritical = \"< 1\"\nraise_after = 2\n\
                    instruction = \"ring the postmaster\"\nlink = \"https://wiki.example/mx\"\n";

/// A house whose disk may be as full as it likes: that is this machine's affair.
pub(crate) fn house_of(schedule: &str) -> House {
    let house = House::new(schedule);
    let main = house.folder().join("watchpost.toml");
    fs::write(&main, fs::read_to_string(&main).unwrap() + "[host_alarms.disk_low]\nenabled = false\n").unwrap();
    house
}

pub(crate) fn json(house: &House, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&house.run(&words).ok()).unwrap()
}

fn steps(house: &House, alarm: u64) -> Vec<String> {
    let shown = json(house, &["alarms", "show", &alarm.to_string()]);
    shown["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect()
}

fn stage(house: &House) -> Option<String> {
    let open = json(house, &["alarms"]);
    assert!(open.as_array().unwrap().len() <= 1, "{open}");
    open[0]["stage"].as_str().map(str::to_owned)
}

#[test]
fn a_target_that_dies_raises_one_alarm_over_kills_and_its_recovery_clears_it() {
    let door = ClosedPort::take().unwrap();
    let port = door.port().unwrap();
    let house = house_of(&(job("mx", "every = \"1s\"", port) + DOWN));
    let mut daemon = house.start();
    until(SOON, || stage(&house).filter(|stage| stage == "active")).expect("it is raised");
    // Killed while the trouble goes on, twice: nothing is raised anew, nothing is told again.
    for _ in 0..2 {
        daemon.kill();
        daemon = house.start();
        let counted = || json(&house, &["alarms"])[0]["count"].as_u64();
        let before = counted().unwrap();
        until(SOON, || counted().filter(|count| *count > before)).expect("it is judged on");
        assert_eq!(steps(&house, 1), ["raised"]);
    }
    let shown = json(&house, &["alarms"]);
    let text = shown[0]["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("mx (127.0.0.1:{port}) is down: connect: ")), "{text}");
    assert_eq!((shown[0]["severity"].as_str(), shown[0]["rule"].as_str()), (Some("critical"), Some("down")), "{shown}");
    let scraped = daemon.get("/metrics").unwrap().body;
    assert!(scraped.contains("watchpost_host_alarms{severity=\"critical\"} 1\n"), "{scraped}");
    assert!(house.run(&["status"]).ok().contains("ALARMS: 1 critical"));

    drop(door);
    serve_on(port);
    until(SOON, || stage(&house).filter(|stage| stage == "cleared")).expect("it is cleared");
    assert_eq!(steps(&house, 1), ["raised", "cleared"]);
    assert!(house.run(&["alarms", "close", "1"]).ok().contains("closed"));
    assert_eq!(stage(&house), None);
    let codes = || {
        let events = json(&house, &["events", "--job", "mx"]);
        let codes: Vec<String> = events.as_array().unwrap().iter().map(|event| event["code"].as_str().unwrap().to_owned()).collect();
        ["alarm_raised", "alarm_cleared", "alarm_closed"].iter().all(|code| codes.iter().any(|known| known == code)).then_some(())
    };
    until(SOON, codes).expect("steps are events");
    assert!(daemon.stop().status.success());
    // Nobody need be asked: the files tell.
    assert_eq!(json(&house, &["alarms", "list", "--state", "all"])[0]["number"], 1);
}

#[test]
fn people_act_on_alarms_and_a_removed_threshold_withdraws_its_own() {
    let door = ClosedPort::take().unwrap();
    let house = house_of(&(job("mx", "every = \"1s\"", door.port().unwrap()) + DOWN));
    let daemon = house.start();
    let stream = follow(&daemon);
    until(SOON, || stage(&house).filter(|stage| stage == "active")).expect("it is raised");
    assert!(house.run(&["alarms", "own", "1"]).ok().contains("alarm 1: active"));
    assert!(house.run(&["alarms", "ack", "1", "--for", "2h"]).ok().contains("acknowledged"));
    assert!(house.run(&["alarms", "annotate", "1", "the provider works on it"]).ok().contains("active"));
    assert!(house.run(&["alarms", "shelve", "1", "--for", "1h"]).ok().contains("shelved"));
    let long = "ü".repeat(50_000);
    for (words, why) in [
        (
            ["alarms", "annotate", "1", &long].as_slice(),
            "error: cannot annotate alarm 1: a comment has up to 2000 characters, and this one has 50000\n",
        ),
        (&["alarms", "close", "1"], "its reason is still there"),
        (&["alarms", "own", "9"], "no alarm 9 goes on"),
        (&["alarms", "ack", "1", "--for", "soon"], "`soon` is no length of time"),
        (&["alarms", "show", "9"], "no alarm has the number 9"),
        (&["alarms", "list", "--state", "bad"], "`bad` is no state"),
    ] {
        let said = house.run(words);
        assert!(said.code != Some(0) && said.err.contains(why), "{words:?}: {said:?}");
    }
    let explained = house.run(&["alarms", "explain", "1"]).ok();
    for part in ["rule down on up{job=\"mx\"}", "critical < 1; raised after 2", "to do: ring the postmaster", "see https://wiki.example/mx"]
    {
        assert!(explained.contains(part), "{part} is not in\n{explained}");
    }
    assert!(explained.contains("annotated") && explained.contains("the provider works on it"), "{explained}");
    let rules = json(&house, &["rules"]);
    assert_eq!((rules[0]["name"].as_str(), rules[0]["raise_after"].as_str()), (Some("down"), Some("2")), "{rules}");

    // The listener shows them, and lets nobody act.
    let shown: Value = serde_json::from_str(&daemon.get("/api/v1/alarms?severity=critical").unwrap().body).unwrap();
    assert_eq!((shown[0]["number"].as_u64(), shown[0]["owner"].is_string()), (Some(1), true), "{shown}");
    assert_eq!(daemon.get("/api/v1/alarms?severity=bad").unwrap().status, 400);
    assert_eq!(daemon.get("/api/v1/alarms/1").unwrap().status, 200);

    // While it is maintained nobody is to be told.
    let silenced = || json(&house, &["alarms"])[0]["silenced"].as_str().map(str::to_owned);
    assert!(house.run(&["maintenance", "add", "{job=\"mx\"}", "--for", "30m", "--comment", "new disks"]).ok().contains("maintenance 1 of"));
    until(SOON, || silenced().filter(|why| why.starts_with("maintenance 1 by "))).expect("it is silenced");
    assert_eq!(json(&house, &["maintenance"])[0]["comment"], "new disks");
    assert!(house.run(&["maintenance", "end", "1"]).ok().contains("ended by"));
    until(SOON, || silenced().is_none().then_some(())).expect("it is told again");
    for (words, why) in [
        (["maintenance", "end", "1"].as_slice(), "no maintenance 1 goes on"),
        (&["maintenance", "add", "up{", "--for", "1h"], "`up{` is no series"),
        (&["maintenance", "add", "up", "--for", "soon"], "`soon` is no length of time"),
        (&["maintenance", "add", "{job=\"mxx\"}", "--for", "1h"], "no job is called `mxx`; did you mean `mx`?"),
        (&["maintenance", "add", "up", "--for", "1h", "--comment", &long], "a comment has up to 2000 characters, and this one has 50000"),
    ] {
        let said = house.run(words);
        assert!(said.code == Some(2) && said.err.contains(why), "{words:?}: {said:?}");
    }

    // What no alarm has now, and one may have later, is told of and announced.
    let said = house.run(&["maintenance", "add", "{sitee=\"paris\"}", "--for", "1h"]);
    assert!(
        said.code == Some(0) && said.err.starts_with("warning: no job has a label `sitee`; ") && said.out.contains("maintenance 2 of"),
        "{said:?}"
    );

    house.schedule(&job("mx", "every = \"1s\"", door.port().unwrap()));
    house.run(&["reload"]).ok();
    until(SOON, || stage(&house).is_none().then_some(())).expect("it is withdrawn");
    let all = ["raised", "owned", "acknowledged", "annotated", "shelved", "silenced", "unsilenced", "withdrawn"];
    assert_eq!(steps(&house, 1), all);
    let by = json(&house, &["alarms", "show", "1"])["steps"][1]["by"].clone();
    assert!(by.as_str().is_some_and(|by| !by.is_empty()), "{by}");
    assert!(daemon.stop().status.success());
    let told = stream.join().unwrap();
    assert_eq!(told, all);
}

/// Follows the live stream to its end; gives what happened.
fn follow(daemon: &Daemon) -> thread::JoinHandle<Vec<String>> {
    let mut stream = TcpStream::connect(daemon.listen()).unwrap();
    stream.write_all(format!("GET /api/v1/alarms/stream HTTP/1.1\r\nHost: {}\r\n\r\n", daemon.listen()).as_bytes()).unwrap();
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while !line.starts_with(": listening") {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the stream begins");
    }
    thread::spawn(move || {
        let mut rest = Vec::new();
        // The daemon ends it, in whatever way.
        let _ended = lines.read_to_end(&mut rest);
        let text = String::from_utf8_lossy(&rest).into_owned();
        text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect()
    })
}

#[test]
fn old_scripts_and_the_host_itself_raise_alarms() {
    let house = house_of("");
    let daemon = house.start();
    let said = house.run(&[
        "opcmsg",
        "a=backup",
        "o=tape1",
        "sev=major",
        "msg_t=it is full",
        "msg_g=Backup",
        "node=mx1",
        "-option",
        "job=7",
        "-id",
    ]);
    assert_eq!(said.ok(), "1\n");
    assert_eq!(
        house
            .run(&["opcmsg", "a=backup", "o=tape1", "sev=critical", "msg_t=it burns", "msg_g=Backup", "node=mx1", "-option", "job=7"])
            .ok(),
        ""
    );
    let open = json(&house, &["alarms"]);
    let seen = (open[0]["number"].as_u64(), open[0]["severity"].as_str(), open[0]["text"].as_str(), open[0]["count"].as_u64());
    assert_eq!(seen, (Some(1), Some("critical"), Some("backup: tape1: it burns"), Some(2)), "{open}");
    assert_eq!(open[0]["labels"][4], serde_json::json!(["job", "7"]), "{open}");
    let explained = house.run(&["alarms", "explain", "1"]).ok();
    assert!(
        explained.contains("no rule made it: it came by message (opcmsg) from ") && !explained.contains("configuration"),
        "{explained}"
    );
    assert!(explained.contains(", application backup, object tape1, group Backup, node mx1, the last of 2 "), "{explained}");
    assert!(explained.contains("\nof no series, but by message\n"), "{explained}");
    house.run(&["opcmsg", "a=backup", "o=tape1", "sev=normal", "msg_t=a new tape", "msg_g=Backup", "node=mx1"]).ok();
    assert_eq!(stage(&house).as_deref(), Some("cleared"));
    for (words, code, why) in [
        (["opcmsg", "a=backup"].as_slice(), 2, "`object` is missing"),
        (&["opcmsg", "a=x", "o=y", "msg_t=z", "sev=bad"], 2, "`bad` is no severity"),
        (&["opcmsg", "a=a name that has more than 32 bytes", "o=y", "msg_t=z"], 2, "has 34 bytes, 32 are allowed"),
    ] {
        let said = house.run(words);
        assert!(said.code == Some(code) && said.err.contains(why), "{words:?}: {said:?}");
    }

    house.schedule("nonsense");
    assert_eq!(house.run(&["reload"]).code, Some(2));
    let refused = || {
        let open = json(&house, &["alarms", "list", "--rule", "reload_refused"]);
        open[0]["stage"].as_str().map(str::to_owned)
    };
    until(SOON, || refused().filter(|stage| stage == "active")).expect("a refused reload is an alarm");
    let explained = house.run(&["alarms", "explain", "2"]).ok();
    assert!(
        explained.contains("no rule made it, but the host itself, which also ends it; [host_alarms.reload_refused] tunes that"),
        "{explained}"
    );
    house.schedule("");
    house.run(&["reload"]).ok();
    until(SOON, || refused().filter(|stage| stage == "cleared")).expect("it is over");
    assert!(daemon.stop().status.success());
}

#[test]
fn a_disk_with_less_room_than_was_asked_for_is_an_alarm_until_it_has_that() {
    // No disk is wholly free.
    let house = House::new("");
    let low = "[host_alarms.disk_low]\nfree_min = \"99.99%\"\nseverity = \"minor\"\ninstruction = \"buy another\"\n";
    house.add_to_main(low);
    let daemon = house.start();
    let text = house.alarm_is("disk_low", "active");
    assert!(text.contains(" % of the disk of ") && text.ends_with(" are free"), "{text}");
    let shown = json(&house, &["alarms"]);
    assert_eq!((shown[0]["severity"].as_str(), shown[0]["instruction"].as_str()), (Some("minor"), Some("buy another")), "{shown}");
    house.replace_in_main("99.99%", "0%");
    house.run(&["reload"]).ok();
    house.alarm_is("disk_low", "cleared");
    assert!(daemon.stop().status.success());
}

#[test]
fn rules_are_tested_without_a_daemon() {
    let slow = "[[job.threshold]]\nmetric = \"total_time\"\nwarning = \"> 500ms\"\nraise_after = 3\nclear_after = 2\n";
    let house = House::new(&(job("mx", "every = \"30s\"", 25) + slow + DOWN));
    let file = house.folder().join("tests.toml");
    let test = |values: &str, expect: &str| {
        let head = "[[test]]\nname = \"slow\"\njob = \"mx\"\nmetric = \"total_time\"\nevery = \"30s\"\n";
        fs::write(&file, format!("{head}values = {values}\nexpect = {expect}\n")).unwrap();
        house.run(&["rules", "test", file.to_str().unwrap()])
    };
    let values = "[0.1, \"0.9 x2\", \"unknown\", 0.9, \"0.1 x2\", \"down x3\", 0.1]";
    let expect = "[\"2m raised warning\", \"3m cleared\", \"4m raised critical\", \"5m cleared\"]";
    assert_eq!(test(values, expect).ok(), "ok     slow: down, total_time\n");
    let said = test(values, "[\"2m raised major\"]");
    assert!(
        said.code == Some(1)
            && said.out.starts_with(
                "FAILED slow: down, total_time\n  expected:\n    2m raised major\n  found:\n    2m raised warning by total_time\n"
            ),
        "{said:?}"
    );
    let said = test("[\"soon\"]", "[]");
    assert!(said.code == Some(2) && said.err.contains("test slow: `soon` is no value"), "{said:?}");
}

#[test]
fn a_test_of_rules_knows_what_its_job_depends_on() {
    let behind = job("mx", "every = \"30s\"\ndepends_on = \"link\"", 25) + DOWN;
    let house = House::new(&(behind + &job("link", "every = \"30s\"", 26) + DOWN));
    let file = house.folder().join("tests.toml");
    let test = |link: &str, expect: &str| {
        let head = "[[test]]\nname = \"dead\"\njob = \"mx\"\nmetric = \"up\"\nevery = \"30s\"\nvalues = [1, \"down x6\", 1]\n";
        fs::write(&file, format!("{head}{link}\nexpect = {expect}\n")).unwrap();
        house.run(&["rules", "test", file.to_str().unwrap()])
    };
    let dead = "depends_on = { link = [1, \"down x6\", 1] }";
    assert_eq!(test(dead, "[\"1m raised critical, silenced\", \"3m30s cleared\"]").ok(), "ok     dead: down\n");
    // The link is well: somebody is told, once that is known.
    let well = test("depends_on = { link = [\"1 x8\"] }", "[]");
    assert!(well.out.contains("1m raised critical, silenced") && well.out.contains("1m unsilenced critical"), "{well:?}");
    let wrong = test("depends_on = { lin = [1] }", "[]");
    assert!(wrong.code == Some(2) && wrong.err.contains("`mx` does not depend on `lin`; did you mean `link`?"), "{wrong:?}");
}

#[test]
fn alarms_of_a_newer_program_are_refused_at_the_start() {
    let house = House::new("");
    fs::create_dir(house.data()).unwrap();
    let file = house.data().join("alarms.sqlite");
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let said = house.run(&["run", "--log-level", "error"]);
    assert!(said.code == Some(1) && said.err.contains("alarms.sqlite has format 99, this program knows up to "), "{said:?}");
}
