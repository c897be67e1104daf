//! Messages that the agent `roundtrip` sends through Postfix and finds at Dovecot, beside what Postfix's log and the files say of them.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{Said, until},
    servers::Lab,
    watch::Watch,
};

/// How long Postfix may take to deliver what it deferred: a queue run every 10 s, and a busy machine.
const DEFERRED_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a log may be behind.
const LOG_TIMEOUT: Duration = Duration::from_secs(10);
/// What a time may differ from Postfix's `delay=` beside its own resolution: two processes look at one event on a busy machine.
const TOLERANCE: f64 = 2.0;
/// Whose mailbox all jobs share.
const BOB: &str = "bob@lab.test";

#[test]
fn a_message_is_found_in_every_way_as_fast_as_postfix_says_and_nothing_else_is_touched() {
    let Some(lab) = Lab::up() else { return };
    let login = format!("user = \"{BOB}\", password = {{ file = {:?} }}", lab.password_file("bob"));
    let imaps = format!("port = {}, tls = \"implicit\", server_name = \"mail.lab.test\", ca_file = {:?}", lab.port("imaps"), lab.ca_file());
    let ways = [
        ("polled", format!("imap = {{ host = \"127.0.0.1\", {imaps}, {login} }}")),
        ("told", format!("imap = {{ host = \"127.0.0.1\", port = {}, {login}, watch = \"idle\" }}", lab.port("imap"))),
        ("fetched", format!("pop3 = {{ host = \"127.0.0.1\", port = {}, {login}, poll = \"200ms\" }}", lab.port("pop3"))),
        ("filed", format!("maildir = {{ path = {:?} }}", maildir(&lab).display().to_string())),
    ];
    let schedule: String = ways.iter().map(|(name, receive)| job(&lab, name, receive)).collect();
    let watch = Watch::start(lab, &schedule);
    // Dovecot makes the Maildir when bob first comes.
    run(&watch, "polled").ok();
    let stranger = deliver_another(&watch);
    for (name, _) in &ways {
        let before = delays(&watch).len();
        let said = run(&watch, name).ok();
        let (time, resolution) = (value(&said, "roundtrip_time"), value(&said, "resolution"));
        let (time, resolution) = (time.unwrap_or_else(|| panic!("{said}")), resolution.unwrap());
        let delay = until(LOG_TIMEOUT, || delays(&watch).get(before).copied()).expect("Postfix logs each delivery");
        // Dovecot gathers half a second of news before it tells.
        let gathered = if *name == "told" { 0.5 } else { 0.0 };
        let fits = time > delay - resolution - TOLERANCE && time < delay + resolution + gathered + TOLERANCE;
        assert!(fits, "{name}: {time} s, known to {resolution} s; Postfix says {delay} s");
        assert!(resolution <= time && resolution <= 5.0, "{name}: known to {resolution} s only");
        assert_eq!((value(&said, "in_flight"), value(&said, "messages_lost")), (Some(0.0), Some(0.0)), "{name}: {said}");
        assert_eq!(value(&said, "messages_arrived"), value(&said, "messages_sent"), "{name}: {said}");
        let hops: Vec<f64> =
            samples(&said).filter(|sample| sample["metric"] == "hop_time").map(|sample| sample["value"].as_f64().unwrap()).collect();
        assert!(hops.len() == 2 && hops.iter().all(|hop| *hop <= time + 2.0), "Postfix and Dovecot are on the way: {hops:?}");
    }
    let left = files(&watch.lab);
    assert_eq!(left.len(), 1, "each job deletes its own, and nothing else: {left:?}");
    assert!(fs::read_to_string(&left[0]).unwrap().contains(&stranger));
}

#[test]
fn a_message_that_is_deferred_is_in_flight_then_late_and_its_time_is_right_when_it_comes() {
    let Some(lab) = Lab::up() else { return };
    let login = format!("user = \"{BOB}\", password = {{ file = {:?} }}", lab.password_file("bob"));
    let by_imap = format!("imap = {{ host = \"127.0.0.1\", port = {}, {login} }}", lab.port("imap"));
    let filed = format!("maildir = {{ path = {:?} }}", maildir(&lab).display().to_string());
    let schedule = [job(&lab, "imap", &by_imap), job(&lab, "filed", &filed)].concat();
    let schedule = schedule.replace("wait = \"20s\"", "wait = \"500ms\", late_after = \"2s\"");
    let watch = Watch::start(lab, &schedule);
    // Dovecot makes the Maildir, at the latest when this message comes.
    run(&watch, "imap").ok();
    until(LOG_TIMEOUT, || (!delays(&watch).is_empty()).then_some(())).expect("the first message comes");

    watch.lab.stop("dovecot");
    let sent = taken(&watch);
    assert_cannot_connect(&run(&watch, "imap"));
    assert_eq!(taken(&watch), sent, "nothing is sent to a mailbox that cannot be looked into");
    let begun = Instant::now();
    let said = run(&watch, "filed").ok();
    assert_eq!((value(&said, "in_flight"), value(&said, "messages_late")), (Some(1.0), Some(0.0)), "{said}");
    assert_eq!(value(&said, "roundtrip_time"), None, "what has not come has no time: {said}");
    std::thread::sleep(Duration::from_millis(2500));
    let said = run(&watch, "filed").ok();
    assert_eq!(value(&said, "messages_late"), Some(1.0), "{said}");
    assert!(value(&said, "oldest_age").unwrap() >= 2.5, "{said}");

    let before = delays(&watch).len();
    watch.lab.start("dovecot");
    let come = until(DEFERRED_TIMEOUT, || {
        // Where Postfix is unpacked there is no such program in its place; then its own queue runs do it.
        let _hurried = Command::new("postqueue").arg("-c").arg(watch.lab.dir.join("postfix/etc")).arg("-f").output();
        std::thread::sleep(Duration::from_millis(500));
        (delays(&watch).len() >= before + 2).then(|| begun.elapsed())
    });
    let come = come.unwrap_or_else(|| panic!("Postfix delivers nothing: {}", log(&watch))).as_secs_f64();
    let said = run(&watch, "filed").ok();
    let (worst, resolution) = (value(&said, "worst_time").unwrap_or_else(|| panic!("{said}")), 0.1);
    let delay = delays(&watch)[before..].iter().copied().fold(0.0, f64::max);
    assert!((worst - delay).abs() <= resolution + TOLERANCE && worst <= come + TOLERANCE, "{worst} s; Postfix says {delay} s");
    assert_eq!((value(&said, "messages_lost"), value(&said, "messages_duplicate")), (Some(0.0), Some(0.0)), "{said}");
    assert!(value(&said, "messages_arrived").unwrap() >= 2.0, "{said}");

    watch.lab.stop("postfix");
    assert_cannot_connect(&run(&watch, "filed"));
}

/// A job that runs when it is told to, waits long and sends by the door of mail in.
fn job(lab: &Lab, name: &str, receive: &str) -> String {
    let smtp = lab.port("smtp");
    format!(
        "[[job]]\nname = \"{name}\"\nagent = \"roundtrip\"\nevery = \"300d\"\ntimeout = \"30s\"\n\
         config = {{ host = \"127.0.0.1\", port = {smtp}, from = \"probe@lab.test\", to = \"{BOB}\", wait = \"20s\", receive = {{ {receive} }} }}\n\n"
    )
}

fn run(watch: &Watch, job: &str) -> Said {
    watch.house.run(&["jobs", "run", job, "--json"])
}

fn samples(said: &str) -> impl Iterator<Item = Value> + use<> {
    let reading: Value = serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"));
    reading["outcome"]["samples"].as_array().unwrap().clone().into_iter()
}

fn value(said: &str, metric: &str) -> Option<f64> {
    samples(said).find(|sample| sample["metric"] == metric).map(|sample| sample["value"].as_f64().unwrap())
}

#[track_caller]
fn assert_cannot_connect(said: &Said) {
    let reading: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    let message = &reading["outcome"]["status"]["Failed"]["message"];
    assert!(said.code == Some(1) && message.as_str().is_some_and(|text| text.starts_with("cannot connect to 127.0.0.1:")), "{said:?}");
    assert!(value(&said.out, "in_flight").is_none(), "{said:?}");
}

/// Bob's Maildir.
fn maildir(lab: &Lab) -> PathBuf {
    lab.dir.join("mail/lab.test/bob")
}

/// The messages in it.
fn files(lab: &Lab) -> Vec<PathBuf> {
    let list = |folder: &str| fs::read_dir(maildir(lab).join(folder)).unwrap().map(|entry| entry.unwrap().path());
    list("new").chain(list("cur")).collect()
}

/// Puts a message into the mailbox that is nobody's; gives a word of it.
fn deliver_another(watch: &Watch) -> String {
    let port = format!("port={}", watch.lab.port("smtp"));
    let set = ["host=127.0.0.1", &port, "from=probe@lab.test", "to=bob@lab.test", "submit=true"].map(|pair| ["--set", pair]).concat();
    let before = files(&watch.lab).len();
    watch.house.run(&[&["measure", "--agent", "smtp"][..], &set].concat()).ok();
    until(LOG_TIMEOUT, || (files(&watch.lab).len() > before).then_some(())).expect("it comes");
    "Subject: Watchpost probe".into()
}

fn log(watch: &Watch) -> String {
    fs::read_to_string(watch.lab.dir.join("postfix/log")).unwrap()
}

/// Messages that Postfix has taken.
fn taken(watch: &Watch) -> usize {
    log(watch).lines().filter(|line| line.contains("message-id=")).count()
}

/// Seconds from taking to delivery, as Postfix tells of each delivery to bob.
fn delays(watch: &Watch) -> Vec<f64> {
    let log = log(watch);
    let sent = log.lines().filter(|line| line.contains("to=<bob@lab.test>") && line.contains("status=sent"));
    sent.map(|line| line.split_once("delay=").unwrap().1.split(',').next().unwrap().parse().unwrap()).collect()
}
