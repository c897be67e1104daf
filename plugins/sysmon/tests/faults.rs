//! What is counted and told of each server's errors.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{Read, Write},
    path::Path,
};

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_sysmon::Sysmon;
use watchpost_testkit::{Kit, Ran};

struct Scene {
    folder: TempDir,
    kit: Kit<Sysmon>,
}

impl Scene {
    fn new(format: &str, more: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("mail.log");
        fs::write(&log, "").unwrap();
        let mut config = json!({ "log": log, "format": format, "from": "start" });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let kit = Kit::new(&config).unwrap();
        Self { folder, kit }
    }

    async fn run(&mut self, text: &[u8]) -> Ran {
        let log = self.folder.path().join("mail.log");
        OpenOptions::new().append(true).open(log).unwrap().write_all(text).unwrap();
        let ran = self.kit.run().await;
        assert_eq!(ran.failure(), None);
        ran
    }
}

/// `process severity` → faults; the zeros of `other`, which every run has, are left out.
fn faults(ran: &Ran) -> BTreeMap<String, u64> {
    let mut faults = all_faults(ran);
    faults.retain(|name, count| *count > 0 || !name.starts_with("other "));
    faults
}

fn all_faults(ran: &Ran) -> BTreeMap<String, u64> {
    let of_faults = ran.outcome.samples.iter().filter(|sample| sample.metric == "faults");
    of_faults.map(|sample| (sample.labels.join(" "), sample.value as u64)).collect()
}

/// `process code` → faults.
fn codes(ran: &Ran) -> BTreeMap<String, u64> {
    let of_codes = ran.outcome.samples.iter().filter(|sample| sample.metric == "fault_codes");
    of_codes.map(|sample| (sample.labels.join(" "), sample.value as u64)).collect()
}

fn told(ran: &Ran) -> Vec<String> {
    ran.outcome.events.iter().map(|event| format!("{:?} {} {}", event.severity, event.code, event.text)).collect()
}

fn expected(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect()
}

fn corpus(name: &str) -> Vec<u8> {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../maillog/tests/corpora/{name}.log.gz"));
    let mut text = Vec::new();
    GzDecoder::new(fs::File::open(packed).unwrap()).read_to_end(&mut text).unwrap();
    text
}

#[tokio::test]
async fn postfix_says_its_severity_first_and_no_message_can_pretend_one() {
    let mut scene = Scene::new("postfix", &json!({}));
    let text = b"Nov 22 05:01:47 mx1 postfix/smtpd[1]: warning: hostname a.example does not resolve to address 192.0.2.1\n\
        Nov 22 05:01:47 mx1 postfix/smtpd[1]: warning: hostname b.example does not resolve to address 192.0.2.2\n\
        Nov 22 05:01:48 mx1 postfix/submission/smtpd[2]: fatal: no SASL authentication mechanisms\n\
        Nov 22 05:01:48 mx1 postfix/qmgr[3]: panic: qmgr_entry_select\n\
        Nov 22 05:01:48 mx1 postfix/smtpd[1]: 4A1B2C3D4E: warning: queue file size limit exceeded\n\
        Nov 22 05:01:49 mx1 postfix/cleanup[4]: 4A1B2C3D4E: info: header Subject: fatal: panic: error: x from a[192.0.2.1]; from=<a>\n\
        Nov 22 05:01:49 mx1 dovecot: imap(a)<1><2>: Error: not Postfix\n";
    let ran = scene.run(text).await;
    let counts = [("smtpd warning", 3), ("smtpd major", 1), ("qmgr critical", 1)];
    assert_eq!(faults(&ran), expected(&counts));
    let lines = told(&ran);
    assert!(lines[0].starts_with("Critical panic qmgr: qmgr_entry_select") && lines[1].starts_with("Major fatal smtpd: "), "{lines:?}");
    let ran = scene.run(b"Nov 22 05:02:47 mx1 postfix/qmgr[3]: panic: qmgr_entry_select\n").await;
    assert_eq!(faults(&ran)["qmgr critical"], 2);
    assert_eq!(told(&ran), ["Critical panic qmgr: qmgr_entry_select (1 times again)"]);
}

#[tokio::test]
async fn a_log_without_a_fault_has_none_and_says_so() {
    let mut scene = Scene::new("postfix", &json!({}));
    let none = expected(&[("other indeterminate", 0), ("other warning", 0), ("other minor", 0), ("other major", 0), ("other critical", 0)]);
    for line in [b"".as_slice(), b"Nov 22 05:01:47 mx1 postfix/smtpd[1]: connect from a.example[192.0.2.1]\n"] {
        assert_eq!(all_faults(&scene.run(line).await), none);
    }
    let ran = scene.run(b"Nov 22 05:02:47 mx1 postfix/qmgr[3]: panic: qmgr_entry_select\n").await;
    assert_eq!((all_faults(&ran).len(), faults(&ran)), (6, expected(&[("qmgr critical", 1)])));
}

#[tokio::test]
async fn a_real_postfix_log_has_its_warnings_and_errors() {
    let mut scene = Scene::new("postfix", &json!({}));
    let ran = scene.run(&corpus("postfix-edge1")).await;
    // grep -c of `postfix/…: warning: `, with and without a queue id, and of `: error: `, by the word before the process number.
    assert_eq!(faults(&ran), expected(&[("smtpd minor", 31), ("smtpd warning", 45), ("cleanup warning", 14)]));
    assert!(told(&ran).len() <= 10, "messages that differ in numbers are one: {:?}", told(&ran));
}

#[tokio::test]
async fn dovecot_and_words_are_read_too() {
    let mut scene = Scene::new("dovecot", &json!({}));
    let text = b"Nov 22 05:01:47 mx1 dovecot: imap(alice)<12><ab>: Error: Mailbox INBOX: open() failed\n\
        Nov 22 05:01:47 mx1 dovecot: master: Fatal: cannot bind\n\
        Nov 22 05:01:47 imap-login: Warning: too slow\n\
        Nov 22 05:01:47 mx1 dovecot: auth: Panic: file x.c: line 2\n\
        Nov 22 05:01:47 mx1 dovecot: imap-login: Info: Login: user=<Error: x>, method=PLAIN\n\
        Nov 22 05:01:47 mx1 dovecot: lmtp(a)<1><b>: msgid=<1@a>: saved mail to INBOX\n";
    let ran = scene.run(text).await;
    assert_eq!(faults(&ran), expected(&[("imap minor", 1), ("master major", 1), ("imap-login warning", 1), ("auth critical", 1)]));
    let mut scene = Scene::new("words", &json!({ "words": { "critical": ["out of memory"], "minor": ["error"] } }));
    let ran = scene.run(b"Nov 22 05:01:47 mx1 kernel: Out of Memory: error\nNov 22 05:01:47 mx1 cron[1]: an ERROR\n").await;
    assert_eq!(faults(&ran), expected(&[("kernel critical", 1), ("cron minor", 1)]));
}

#[tokio::test]
async fn intermails_severities_are_counted_by_process() {
    let mut scene = Scene::new("intermail", &json!({}));
    let ran = scene.run(&corpus("intermail")).await;
    // expected.json of the generator; notes are no faults.
    let counts = [
        ("mta warning", 33),
        ("mta minor", 15),
        ("mta major", 7),
        ("mta critical", 8),
        ("popserv warning", 20),
        ("popserv minor", 8),
        ("popserv major", 3),
        ("popserv critical", 7),
        ("mss warning", 24),
        ("mss minor", 18),
        ("mss major", 5),
        ("mss critical", 10),
    ];
    assert_eq!(faults(&ran), expected(&counts));
    // Names of events, counted apart from this agent; the four that came last are beyond `codes_max`.
    let some = codes(&ran);
    assert_eq!((some["mta RmeInvalidCOSAttribute"], some.len()), (17, 15));
    assert_eq!(some.values().sum::<u64>(), faults(&ran).values().sum::<u64>());
    let mut scene = Scene::new("intermail", &json!({ "processes_max": 3, "codes_max": 40 }));
    let all = codes(&scene.run(&corpus("intermail")).await);
    assert_eq!((all["mss NioConnRefused"], all["popserv ClusterUnableToPingMSS"], all.len()), (13, 3, 18));
}

#[tokio::test]
async fn a_flood_of_names_and_messages_stays_bounded() {
    let mut scene = Scene::new("postfix", &json!({ "processes_max": 2 }));
    let mut text = String::new();
    for (at, letter) in ('a'..='z').cycle().take(300).enumerate() {
        let word: String = std::iter::repeat_n(letter, at / 26 + 1).collect();
        text += &format!("Nov 22 05:01:47 mx1 postfix/{word}[1]: error: {word} password=hunter2\n");
    }
    let ran = scene.run(text.as_bytes()).await;
    assert_eq!(faults(&ran), expected(&[("a minor", 1), ("b minor", 1), ("other minor", 298)]));
    assert_eq!(told(&ran).len(), 51);
    assert!(!ran.everything().contains("hunter2"));
}
