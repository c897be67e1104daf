//! Single lines, good and hostile: of which class they are, and that none is more than unknown.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{collections::BTreeMap, fs};

use proptest::prelude::*;
use serde_json::json;
use watchpost_maillog::Maillog;
use watchpost_testkit::{Kit, Ran};

const FORMATS: [&str; 8] = ["postfix", "dovecot", "exim", "sendmail", "opensmtpd", "exchange", "domino", "intermail"];

async fn read(format: &str, text: &[u8]) -> Ran {
    read_with(json!({ "format": format }), text).await
}

async fn read_with(mut config: serde_json::Value, text: &[u8]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::write(&log, text).unwrap();
    config["log"] = json!(log);
    config["from"] = json!("start");
    Kit::<Maillog>::new(&config).unwrap().run().await
}

/// What lines count to, without what is 0; and the backlog's and the lines' own numbers left out.
async fn check(format: &str, lines: &[&str], expected: &[(&str, u64)]) {
    let ran = read(format, (lines.join("\n") + "\n").as_bytes()).await;
    assert_eq!(ran.failure(), None);
    let counts = ran.outcome.samples.iter().filter(|sample| sample.value > 0.0 && sample.metric != "lines");
    let counts: BTreeMap<String, u64> = counts
        .map(|sample| {
            let label = sample.labels.first().map(|value| format!(" {value}")).unwrap_or_default();
            (sample.metric.replace("class_lines", "").trim_start().to_owned() + label.trim_start_matches(' '), sample.value as u64)
        })
        .collect();
    let expected: BTreeMap<String, u64> = expected.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
    assert_eq!(counts, expected, "{format}: {lines:?}: {:?}", ran.outcome.events);
}

fn of(program: &str, message: &str) -> String {
    format!("Nov 22 05:01:47 mx1 {program}: {message}")
}

#[tokio::test]
async fn what_an_address_or_a_reply_says_is_no_status() {
    let delivery = |to: &str, status: &str| {
        of(
            "postfix/smtp[1]",
            &format!("4A1B2C3D4E: to=<{to}>, relay=mx.a.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status={status}"),
        )
    };
    let hostile = delivery("\"a, dsn=5, status=bounced (x)\"@b.example", "sent (250 ok)");
    check("postfix", &[&hostile], &[("sent", 1), ("messages_sent", 1), ("relay_connections", 1)]).await;
    let reply = delivery("a@b.example", "deferred (host said: 450 >, relay=x, dsn=2.0.0, status=sent (250 ok))");
    check("postfix", &[&reply], &[("deferred", 1), ("messages_deferred", 1), ("relay_connections", 1)]).await;
    let header =
        of("postfix/cleanup[1]", "4A1B2C3D4E: info: header Subject: to=<a>, relay=x, status=sent (250 ok) from a[192.0.2.1]; from=<a>");
    check("postfix", &[&header], &[("header_info", 1)]).await;
}

#[tokio::test]
async fn a_repeated_line_counts_as_often_as_it_says() {
    let line = of("postfix/smtpd[1]", "message repeated 3 times: [ connect from a[192.0.2.1]]");
    check("postfix", &[&line], &[("connect", 3), ("connections", 3)]).await;
    let line = of("postfix/smtpd[1]", "message repeated 99999999999999999999 times: [ connect from a]");
    check("postfix", &[&line], &[("lines_unmatched", 1)]).await;
}

#[tokio::test]
async fn connections_of_postfix_fail_in_three_ways() {
    let lines = [
        of("postfix/smtpd[1]", "lost connection after RCPT from a[192.0.2.1]"),
        of("postfix/smtpd[1]", "timeout after DATA from a[192.0.2.1]"),
        of("postfix/smtpd[1]", "warning: Connection concurrency limit exceeded: 51 from a[192.0.2.1] for service smtp"),
        of("postfix/smtpd[1]", "warning: a[192.0.2.1]: SASL LOGIN authentication failed: x, sasl_username=b"),
        of("postfix/smtpd[1]", "table hash:/etc/postfix/virtual(0,lock|fold_fix) has changed -- restarting"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = [
        ("lost_connection", 1),
        ("timeout", 1),
        ("connection_refused", 1),
        ("auth_failed", 1),
        ("service_note", 1),
        ("connection_errorsfailed", 1),
        ("connection_errorstimed_out", 1),
        ("connection_errorsrejected", 1),
    ];
    check("postfix", &lines, &expected).await;
}

#[tokio::test]
async fn bytes_count_once_however_often_a_message_is_tried() {
    let active = of("postfix/qmgr[1]", "4A1B2C3D4E: from=<a@b.example>, size=1000, nrcpt=1 (queue active)");
    let known = of("postfix/cleanup[1]", "4A1B2C3D4E: message-id=<1@b.example>");
    let removed = of("postfix/qmgr[1]", "4A1B2C3D4E: removed");
    let lines = [known.as_str(), &active, &active, &removed, &known, &active];
    let expected = [("message_id", 2), ("queued", 2), ("requeued", 1), ("removed", 1), ("messages_processed", 1), ("received_bytes", 2000)];
    check("postfix", &lines, &expected).await;
}

#[tokio::test]
async fn dovecot_tells_logins_messages_and_failures() {
    let lines = [
        of("dovecot", "imap-login: Login: user=<(auth failed, >, method=PLAIN, rip=192.0.2.1, lip=192.0.2.2, mpid=1, session=<a>"),
        of("dovecot", "pop3-login: Info: Login: user=<a>, method=PLAIN, rip=192.0.2.1"),
        of("dovecot", "imap-login: Disconnected (auth failed, 1 attempts in 6 secs): user=<a>, method=PLAIN, rip=192.0.2.1"),
        of("dovecot", "imap-login: Disconnected: Inactivity (no auth attempts in 180 secs): user=<>, rip=192.0.2.1"),
        of(
            "dovecot",
            "imap-login: Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10): user=<a>, rip=192.0.2.1",
        ),
        of("dovecot", "pop3(a)<12><x>: Disconnected: Logged out top=0/0, retr=2/1431, del=0/2, size=2862"),
        of("dovecot", "lmtp(a@b)<12><x>: msgid=<1@b>: saved mail to INBOX"),
        of("dovecot", "lmtp(a@b)<12><x>: sieve: msgid=<1@b>: stored mail into mailbox 'Junk'"),
        "Nov 22 05:01:47 imap(a)<1><b>: Error: open() failed".to_owned(),
        of("sshd[1]", "Error: not Dovecot's"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = [
        ("imap_login", 1),
        ("pop3_login", 1),
        ("auth_failed", 1),
        ("timeout", 1),
        ("connection_refused", 1),
        ("pop3_session_end", 1),
        ("stored", 2),
        ("error", 1),
        ("lines_foreign", 1),
        ("connections", 5),
        ("connection_errorsfailed", 1),
        ("connection_errorstimed_out", 1),
        ("connection_errorsrejected", 1),
        ("messages_retrieved", 2),
        ("messages_received", 1),
        ("messages_stored", 2),
        ("messages_unsized", 2),
    ];
    check("dovecot", &lines, &expected).await;
}

#[tokio::test]
async fn a_message_by_lmtp_is_received_once_and_stored_for_each_recipient() {
    let lines = [
        of("dovecot", "lmtp(7): Connect from 192.0.2.1"),
        of("dovecot", "lmtp(a@b)<7><aNadD:R>: msgid=<1@b>, size=1000: saved mail to INBOX"),
        of("dovecot", "lmtp(c@b)<7><aNadD:R2>: msgid=<1@b>, size=1000: saved mail to INBOX"),
        of("dovecot", "lmtp(d@b)<7><aNadD:R3>: sieve: msgid=<x size=9: saved mail to y>, size=1000: stored mail into mailbox 'Junk'"),
        of("dovecot", "lmtp(e@b)<7><bNadD>: msgid=<: saved mail to y>, size=500: save failed to INBOX: Quota exceeded"),
        of("dovecot", "lmtp(a@b)<7><cNadD:T2:R2>: msgid=<2@b>: saved mail to INBOX"),
        of("dovecot", "lda(a@b)<8>: msgid=<3@b>, size=20: saved mail to INBOX"),
        of("dovecot", "lmtp(7): Disconnect from 192.0.2.1: Logged out (state=READY)"),
        of("dovecot", "lmtp(7): Disconnect from 192.0.2.1: Connection closed (state=READY)"),
        of("dovecot", "lmtp(7): Disconnect from 192.0.2.1: Connection closed (state=DATA)"),
        of("dovecot", "lmtp(7): Disconnect from 192.0.2.1: Disconnected for inactivity (unfinished DATA command) (state=DATA)"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = [
        ("lmtp_connect", 1),
        ("stored", 5),
        ("delivery_failed", 1),
        ("lmtp_disconnect", 2),
        ("lmtp_lost", 1),
        ("lmtp_timeout", 1),
        ("connections", 1),
        ("connection_errorsfailed", 1),
        ("connection_errorstimed_out", 1),
        ("messages_received", 3),
        ("received_bytes", 1020),
        ("messages_stored", 5),
        ("stored_bytes", 3020),
        ("messages_unsized", 1),
    ];
    check("dovecot", &lines, &expected).await;
}

#[tokio::test]
async fn pop3_and_imap_are_jobs_of_their_own() {
    let text = [
        of("dovecot", "imap-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1"),
        of("dovecot", "pop3-login: Login: user=<a>, method=PLAIN, rip=192.0.2.1"),
        of("dovecot", "pop3-login: Disconnected: Inactivity (no auth attempts in 180 secs): user=<>, rip=192.0.2.1"),
        of(
            "dovecot",
            "imap(a)<1><x>: Disconnected: Logged out in=76 out=3984 deleted=0 expunged=0 trashed=0 hdr_count=1 hdr_bytes=9 body_count=2 body_bytes=2932",
        ),
        of("dovecot", "pop3(a)<12><x>: Disconnected: Logged out top=0/0, retr=5/1431, del=0/2, size=2862"),
        of("dovecot", "lmtp(7): Connect from 192.0.2.1"),
    ];
    for (only, connections, timed_out, retrieved, foreign) in [("pop3", 2, 1, 5, 3), ("imap", 1, 0, 2, 4), ("lmtp", 1, 0, 0, 5)] {
        let ran = read_with(json!({ "format": "dovecot", "only": [only] }), (text.join("\n") + "\n").as_bytes()).await;
        let value = |metric: &str, labels: &[&str]| {
            ran.outcome.samples.iter().find(|sample| sample.metric == metric && sample.labels == labels).map(|sample| sample.value as u64)
        };
        assert_eq!(value("connections", &[]), Some(connections), "{only}");
        assert_eq!(value("connection_errors", &["timed_out"]), Some(timed_out), "{only}");
        assert_eq!(value("connection_errors", &["rejected"]), Some(0), "{only}");
        assert_eq!(value("messages_retrieved", &[]), Some(retrieved), "{only}");
        assert_eq!(value("lines_foreign", &[]), Some(foreign), "{only}");
    }
}

#[tokio::test]
async fn a_name_does_not_stand_for_others_that_begin_with_it() {
    let text =
        [of("postfix/smtpd[1]", "connect from a[192.0.2.1]"), of("postfix/smtp[1]", "connect to a[192.0.2.1]:25: Connection refused")];
    let ran = read_with(json!({ "format": "postfix", "only": ["postfix/smtp"] }), (text.join("\n") + "\n").as_bytes()).await;
    let value = |metric| ran.outcome.samples.iter().find(|sample| sample.metric == metric).map(|sample| sample.value as u64);
    assert_eq!((value("lines_foreign"), value("relay_connections"), value("relay_errors")), (Some(1), Some(1), Some(1)));
}

#[tokio::test]
async fn connections_to_relays_count_once_and_not_when_one_is_used_again() {
    let to = |pid: u32, id: &str, recipient: &str, relay: &str, times: &str, status: &str| {
        let text = format!("{id}: to=<{recipient}@b.example>, relay={relay}, delay=1, delays={times}, dsn=2.0.0, status={status}");
        of(&format!("postfix/smtp[{pid}]"), &text)
    };
    let lines = [
        // Two recipients over one connection, another process for a third, and the same process once more for a fourth.
        to(1, "4A1B2C3D4E", "a", "mx[192.0.2.1]:25", "0/0/1/1", "sent (250 ok)"),
        to(2, "4A1B2C3D4E", "c", "mx[192.0.2.1]:25", "0/0/1/1", "sent (250 ok)"),
        to(1, "4A1B2C3D4E", "b", "mx[192.0.2.1]:25", "0/0/1/2", "sent (250 ok)"),
        to(1, "4A1B2C3D4E", "d", "mx[192.0.2.1]:25", "0/3/1/1", "sent (250 ok)"),
        to(1, "4A1B2C3D4F", "a", "mx[192.0.2.1]:25, conn_use=2", "0/0/0/1", "sent (250 ok)"),
        // Three that fail: refused, refused with words, broken; the last two have lines of their deliveries too.
        of("postfix/smtp[1]", "connect to mx[192.0.2.2]:25: Connection refused"),
        to(1, "4A1B2C3D50", "a", "none", "0/0/0/0", "deferred (connect to mx[192.0.2.2]:25: Connection refused)"),
        of("postfix/smtp[1]", "4A1B2C3D51: host mx[192.0.2.3] refused to talk to me: 421 too busy"),
        to(1, "4A1B2C3D51", "a", "mx2[192.0.2.4]:25", "0/0/0/0", "deferred (lost connection with mx2[192.0.2.4] while sending RCPT TO)"),
        // A try that was put off, before the next host took the message.
        of("postfix/smtp[1]", "4A1B2C3D52: host mx[192.0.2.3] said: 450 x] refused to talk to me: 4 (in reply to RCPT TO command)"),
        to(1, "4A1B2C3D52", "a", "mx2[192.0.2.4]:25", "0/0/0/0", "sent (250 ok)"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = [
        ("sent", 6),
        ("deferred", 2),
        ("delivery_note", 3),
        ("messages_sent", 6),
        ("messages_deferred", 2),
        ("relay_connections", 3 + 3 + 2),
        ("relay_errors", 3),
    ];
    check("postfix", &lines, &expected).await;
}

#[tokio::test]
async fn what_a_mailbox_takes_has_the_size_of_its_queue_file() {
    let stored = |id: &str, recipient: &str, how: &str| {
        let text = format!("{id}: to=<{recipient}@b.example>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent ({how})");
        of("postfix/local[1]", &text)
    };
    let lines = [
        of("postfix/qmgr[1]", "4A1B2C3D4E: from=<a@b.example>, size=1000, nrcpt=3 (queue active)"),
        stored("4A1B2C3D4E", "a", "delivered to maildir"),
        stored("4A1B2C3D4E", "b", "delivered to maildir"),
        stored("4A1B2C3D4E", "c", "forwarded as 4A1B2C3D4F"),
        of("postfix/qmgr[1]", "4A1B2C3D4E: removed"),
        stored("4A1B2C3D4E", "d", "delivered to maildir"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = [
        ("requeued", 1),
        ("stored", 3),
        ("forwarded", 1),
        ("removed", 1),
        ("messages_sent", 3),
        ("messages_stored", 3),
        ("stored_bytes", 2000),
        ("messages_unsized", 1),
        ("messages_processed", 1),
    ];
    check("postfix", &lines, &expected).await;
}

#[tokio::test]
async fn a_figure_that_a_log_does_not_tell_is_not_there() {
    let ran = read("dovecot", b"").await;
    let recorded = ran.recorded();
    assert!(recorded.contains(&"messages_stored") && !recorded.contains(&"messages_deferred"), "{recorded:?}");
    assert!(!recorded.contains(&"stored_bytes"), "unless it is told to, Dovecot does not log sizes: {recorded:?}");
    let ran = read("intermail", b"").await;
    assert!(!ran.recorded().contains(&"connections"), "{:?}", ran.recorded());
}

#[tokio::test]
async fn an_unknown_line_is_shown_bounded_and_without_secrets() {
    let ran = read("postfix", b"\x1b[2J login a password=hunter2\nNov 22 05:01:47 mx1 postfix/unheard-of[1]: x\n").await;
    let told: Vec<&str> = ran.outcome.events.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(told, ["\\u{1b}[2J login a password ***", "Nov 22 05:01:47 mx1 postfix/unheard-of[1]: x"]);
}

/// Beginnings behind which each pack looks further.
const FRONTS: [&str; 12] = [
    "",
    "Nov 22 05:01:47 mx1 postfix/smtp[1]: 4A1B2C3D4E: to=<a>, relay=b, ",
    "Nov 22 05:01:47 mx1 postfix/qmgr[1]: 4A1B2C3D4E: from=<a>, size=",
    "Nov 22 05:01:47 mx1 postfix/smtpd[1]: message repeated ",
    "Nov 22 05:01:47 mx1 dovecot: imap(a)<",
    "Nov 22 05:01:47 imap-login: Info: ",
    "2026-11-22 05:01:47.123 1xUzYk-00000t-0A ",
    "Nov 22 05:01:47 mx1 sm-mta[1]: 6AM51l6P028409: to=<a>, delay=",
    "Nov 22 05:01:47 mx1 smtpd[1]: 62e53597aa798345 mta delivery ",
    "2026-11-20T07:00:20.519Z,,,,EX01,,,SMTP,RECEIVE,\"",
    "[012209:000028-F2B29908] 20/11/2026 08:00:01   Router: Message ",
    "20180626 041036126-0400 mx1 mta 2003 18 0 Warn;",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_line_whatsoever_is_more_than_unknown(lines in proptest::collection::vec((0..FRONTS.len(), "[ -~]{0,60}|.{0,60}"), 1..40), format in 0..FORMATS.len()) {
        let mut text = Vec::new();
        for (front, line) in &lines {
            text.extend_from_slice(FRONTS[*front].as_bytes());
            text.extend_from_slice(line.replace('\n', " ").as_bytes());
            text.push(b'\n');
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ran = runtime.block_on(read(FORMATS[format], &text));
        prop_assert_eq!(ran.failure(), None);
    }
}
