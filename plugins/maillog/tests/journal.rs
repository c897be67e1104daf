//! The journal of systemd in place of a file: by a script that does as journalctl does, and by journalctl itself on a journal made here.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchpost_maillog::{BACKLOG_BYTES, LINES, LINES_CUT, LINES_UNMATCHED, Maillog};
use watchpost_testkit::{Kit, Ran};

/// What of journalctl is used here: the newest entry, all entries, and those after a cursor.
const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 2
echo "$@" >> asked
after=
for word; do
    case "$word" in
        --after-cursor=*) after=${word#--after-cursor=} ;;
        -n) exec tail -n 1 entries ;;
    esac
done
if [ -f broken ]; then echo "Failed to open the journal: no" >&2; exit 1; fi
if [ -z "$after" ]; then cat entries; else sed "1,/\"$after\"/d" entries; fi
if [ -f endless ]; then exec sleep 60; fi
"#;

/// A journal that a script gives.
struct Scripted {
    folder: TempDir,
    kit: Kit<Maillog>,
    written: usize,
}

impl Scripted {
    fn new(from: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("entries"), "").unwrap();
        let program = folder.path().join("journalctl");
        fs::write(&program, SCRIPT).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let kit = agent(json!({ "program": program, "matches": ["SYSLOG_FACILITY=2"] }), from);
        Self { folder, kit, written: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, text: &str) {
        OpenOptions::new().append(true).open(self.path("entries")).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn write(&mut self, entries: usize) {
        let mut text = String::new();
        for _ in 0..entries {
            self.written += 1;
            let message = format!("connect from client{}[192.0.2.1]", self.written);
            let entry = json!({
                "__CURSOR": format!("c;{};", self.written), "__REALTIME_TIMESTAMP": "1795991330578815", "_HOSTNAME": "mx1",
                "SYSLOG_IDENTIFIER": "postfix/smtpd", "_PID": "12", "MESSAGE": message,
            });
            writeln!(text, "{entry}").unwrap();
        }
        self.append(&text);
    }

    async fn check(&mut self, lines: usize) -> Ran {
        let ran = self.kit.run().await;
        assert_eq!(ran.failure(), None);
        assert_eq!((ran.value(LINES), ran.value(LINES_UNMATCHED)), (Some(lines as f64), Some(0.0)), "{:?}", ran.outcome.events);
        ran
    }
}

fn agent(journal: Value, from: &str) -> Kit<Maillog> {
    let config = json!({ "journal": journal, "format": "postfix", "from": from, "line_bytes_max": 512 });
    Kit::new(&config).unwrap()
}

#[tokio::test]
async fn a_journal_is_read_on_after_the_last_entry_over_restarts_and_failures() {
    let mut journal = Scripted::new("end");
    journal.write(3);
    journal.check(0).await;
    journal.write(5);
    let cursor = journal.check(5).await.outcome.cursor.unwrap();
    journal.write(2);
    journal.check(7).await;
    // A run that was lost is done again, by another worker.
    let config = json!({ "program": journal.path("journalctl"), "matches": ["SYSLOG_FACILITY=2"] });
    journal.kit = agent(config, "end").cursor(cursor);
    journal.check(7).await;
    let asked = fs::read_to_string(journal.path("asked")).unwrap();
    let last = asked.lines().last().unwrap();
    assert!(last.starts_with("-o json ") && last.ends_with("--after-cursor=c;8; SYSLOG_FACILITY=2"), "{last}");
    fs::write(journal.path("broken"), "").unwrap();
    journal.write(4);
    let ran = journal.kit.run().await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "local" && message.ends_with("ended with 1: Failed to open the journal: no"), "{message}");
    assert!(ran.recorded().is_empty());
    fs::remove_file(journal.path("broken")).unwrap();
    journal.check(11).await;
}

#[tokio::test]
async fn an_empty_journal_has_no_first_entry_and_none_is_missed() {
    let mut journal = Scripted::new("end");
    journal.check(0).await;
    journal.write(3);
    journal.check(3).await;
    let mut journal = Scripted::new("start");
    journal.write(3);
    journal.check(3).await;
}

#[tokio::test]
async fn a_journal_that_does_not_end_is_left_in_time_and_read_on() {
    let mut journal = Scripted::new("start");
    journal.write(100);
    fs::write(journal.path("endless"), "").unwrap();
    journal.kit = agent(json!({ "program": journal.path("journalctl") }), "start").timeout(Duration::from_secs(2));
    let ran = journal.check(100).await;
    assert_eq!(ran.value(BACKLOG_BYTES), None, "how much is left nobody knows");
    journal.write(10);
    fs::remove_file(journal.path("endless")).unwrap();
    let ran = journal.check(110).await;
    assert_eq!(ran.value(BACKLOG_BYTES), Some(0.0));
}

#[tokio::test]
async fn a_long_entry_is_cut_and_counted_once_and_what_is_no_entry_fails() {
    let mut journal = Scripted::new("start");
    journal.write(1);
    let long = |cursor: &str, letters: usize| format!("{{\"__CURSOR\":\"{cursor}\",\"MESSAGE\":\"{}\"}}\n", "x".repeat(letters));
    journal.append(&long("c;long;", 1000));
    // Too long for its cursor to be found: it is counted with the next one.
    journal.append(&long("c;huge;", 1_000_000));
    let counts = |ran: &Ran| (ran.value(LINES), ran.value(LINES_CUT));
    assert_eq!(counts(&journal.kit.run().await), (Some(2.0), Some(1.0)));
    journal.write(1);
    assert_eq!(counts(&journal.kit.run().await), (Some(4.0), Some(2.0)));
    assert_eq!(counts(&journal.kit.run().await), (Some(4.0), Some(2.0)));
    journal.append("-- No entries --\n");
    assert_eq!(journal.kit.run().await.failure(), None);
    journal.append("mail password=hunter2\n");
    let ran = journal.kit.run().await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "local" && message.ends_with("writes what is no entry: mail password ***"), "{message}");
}

/// Writes entries in the journal's export format; a message that is no text is written with its length.
/// Source: systemd, "Journal Export Format".
fn export(entries: std::ops::Range<u64>, messages: impl Fn(u64) -> Vec<u8>) -> Vec<u8> {
    let mut text = Vec::new();
    for number in entries {
        let (time, message) = (1_795_991_330_000_000 + number, messages(number));
        write!(text, "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n").unwrap();
        write!(text, "_HOSTNAME=mx1\nSYSLOG_IDENTIFIER=postfix/smtpd\nSYSLOG_FACILITY=2\n_PID=12\nMESSAGE\n").unwrap();
        text.extend_from_slice(&(message.len() as u64).to_le_bytes());
        text.extend_from_slice(&message);
        text.extend_from_slice(b"\n\n");
    }
    text
}

fn add(journal: &Path, name: &str, text: &[u8]) {
    let from = journal.join(format!("{name}.export"));
    fs::write(&from, text).unwrap();
    let mut remote = Command::new("/usr/lib/systemd/systemd-journal-remote");
    let output = remote.arg("-o").arg(journal.join(format!("{name}.journal"))).arg(&from).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_real_journal_is_read_by_the_real_journalctl() {
    let folder = tempfile::tempdir().unwrap();
    let connect = |number: u64| match number {
        // Neither text nor one line.
        7 => b"warning: \xff\xfe\nnumbers".to_vec(),
        8 => [&b"warning: "[..], &[b'x'; 9000]].concat(),
        _ => format!("connect from client{number}[192.0.2.1]").into_bytes(),
    };
    add(folder.path(), "one", &export(1..21, connect));
    let mut kit = agent(json!({ "folder": folder.path(), "matches": ["SYSLOG_FACILITY=2"] }), "start");
    let value = |ran: &Ran, class: &str| {
        assert_eq!(ran.failure(), None);
        ran.outcome.samples.iter().find(|sample| sample.labels == [class]).map(|sample| sample.value)
    };
    let ran = kit.run().await;
    assert_eq!((value(&ran, "connect"), value(&ran, "warning")), (Some(18.0), Some(2.0)), "{:?}", ran.outcome.events);
    assert_eq!((ran.value(LINES_CUT), ran.value(LINES_UNMATCHED)), (Some(1.0), Some(0.0)));
    // journald goes on in another file.
    add(folder.path(), "two", &export(21..31, connect));
    let ran = kit.run().await;
    assert_eq!((value(&ran, "connect"), ran.value(LINES)), (Some(28.0), Some(30.0)));
    let ran = kit.run().await;
    assert_eq!(ran.value(LINES), Some(30.0));
    let mut none = agent(json!({ "folder": folder.path(), "matches": ["SYSLOG_FACILITY=3"] }), "start");
    assert_eq!(none.run().await.value(LINES), Some(0.0));
}
