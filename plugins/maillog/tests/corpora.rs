//! Whole logs of each server: what is counted is what is in them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use flate2::read::GzDecoder;
use serde_json::json;
use watchpost_maillog::{LINES_UNMATCHED, Maillog};
use watchpost_testkit::{Kit, Ran};

async fn counted(name: &str, config: serde_json::Value) -> (Ran, BTreeMap<String, u64>) {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("mail.log");
    let mut text = Vec::new();
    GzDecoder::new(fs::File::open(corpora.join(format!("{name}.log.gz"))).unwrap()).read_to_end(&mut text).unwrap();
    fs::write(&log, text).unwrap();
    let mut whole = json!({ "log": log, "from": "start" });
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let ran = Kit::<Maillog>::new(&whole).unwrap().run().await;
    assert_eq!(ran.failure(), None, "{name}");
    let counts = ran.outcome.samples.iter().map(|sample| {
        let label = sample.labels.first().map(|value| format!(" {value}")).unwrap_or_default();
        (format!("{}{label}", sample.metric), sample.value as u64)
    });
    let counts = counts.collect();
    (ran, counts)
}

async fn check(name: &str, config: serde_json::Value) -> BTreeMap<String, u64> {
    let (ran, counts) = counted(name, config).await;
    let text: String = counts.iter().map(|(what, count)| format!("{what} {count}\n")).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/corpora/{name}.counts"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&file).unwrap(), "{name}");
    assert_eq!(ran.value(LINES_UNMATCHED), Some(0.0), "{:?}", ran.outcome.events);
    let lines = counts.iter().filter(|(what, _)| what.starts_with("class_lines ") || *what == "lines_foreign");
    assert_eq!(lines.map(|(_, count)| count).sum::<u64>(), counts["lines"], "{name}: each line is of one class");
    counts
}

fn agree(counts: &BTreeMap<String, u64>, expected: &[(&str, u64)]) {
    for (what, count) in expected {
        assert_eq!(counts.get(*what), Some(count), "{what}");
    }
}

#[tokio::test]
async fn postfix_two_hosts() {
    let edge = check("postfix-edge1", json!({ "format": "postfix", "reinjected": ["reinject"] })).await;
    let store = check("postfix-store1", json!({ "format": "postfix" })).await;
    // What the client sent and was told, and what `postqueue` and pflogsumm saw of it: 60 recipients refused; 97 messages deferred at
    // first, 34 recipients given up; every queue file removed in the end. Counted apart from this pack, from the same lines.
    agree(
        &edge,
        &[
            ("messages_received", 1483),
            ("class_lines reject", 60),
            ("class_lines expired", 34),
            ("messages_deferred", 364),
            ("messages_bounced", 203),
            ("messages_processed", 3089),
            ("class_lines handed_to_filter", 3036),
            ("messages_sent", 3050),
        ],
    );
    // 807 connections are those that the other host accepted from this one; the others are the filter's and the world's.
    let connects = store["class_lines connect"];
    agree(&edge, &[("relay_connections", connects + 1306 + 958), ("relay_errors", 0), ("messages_unsized", 0)]);
    // Each recipient's copy has its message's size: counted apart from this pack.
    agree(&store, &[("stored_bytes", 231_082_706), ("messages_unsized", 0)]);
    agree(&store, &[("messages_stored", 1708), ("messages_sent", 1720), ("messages_bounced", 35), ("received_bytes", 102_073_357)]);
    // Each message once: those that came back from the filter are not received again, and their bytes neither.
    let queued: u64 = ["queued", "queued_reinjected"].iter().map(|class| edge[&format!("class_lines {class}")]).sum();
    assert_eq!((queued, edge["class_lines queued_reinjected"]), (3089, 1419));
}

#[tokio::test]
async fn without_the_name_of_the_reinjecting_service_each_queue_file_has_its_bytes() {
    let (_, edge) = counted("postfix-edge1", json!({ "format": "postfix" })).await;
    agree(&edge, &[("messages_received", 1483 + 1419), ("class_lines queued", 3089), ("received_bytes", 422_664_794)]);
}

#[tokio::test]
async fn exim() {
    let counts = check("exim", json!({ "format": "exim" })).await;
    // eximstats of the same log: 320 received, 503 messages to 598 addresses, 41 failed.
    agree(
        &counts,
        &[
            ("messages_received", 320),
            ("class_lines delivered", 503),
            ("messages_sent", 598),
            ("messages_bounced", 41),
            ("received_bytes", 43_342_402),
        ],
    );
}

#[tokio::test]
async fn sendmail() {
    let counts = check("sendmail", json!({ "format": "sendmail" })).await;
    // 249 of the client's 250 messages had a recipient; 509 recipients were accepted.
    agree(
        &counts,
        &[
            ("connections", 250),
            ("messages_received", 249),
            ("class_lines sent", 254),
            ("messages_sent", 509),
            ("messages_deferred", 64),
            ("messages_bounced", 23 + 3),
            ("received_bytes", 49_718_636),
        ],
    );
}

#[tokio::test]
async fn opensmtpd() {
    let counts = check("opensmtpd", json!({ "format": "opensmtpd" })).await;
    agree(
        &counts,
        &[
            ("messages_received", 196),
            ("class_lines envelope", 376),
            ("messages_sent", 348),
            ("messages_deferred", 16),
            ("messages_bounced", 12),
            ("class_lines expired", 16),
        ],
    );
}

#[tokio::test]
async fn exchange() {
    let counts = check("exchange", json!({ "format": "exchange" })).await;
    // The generator's recipients by their end: 789 delivered, 136 sent out, 25 failed; probes count nowhere.
    agree(
        &counts,
        &[
            ("messages_stored", 789),
            ("messages_sent", 136),
            ("messages_bounced", 25),
            ("class_lines health_probe", 20),
            ("received_bytes", 80_779_926),
        ],
    );
}

#[tokio::test]
async fn domino() {
    let counts = check("domino", json!({ "format": "domino" })).await;
    agree(&counts, &[("messages_stored", 190), ("messages_sent", 158), ("messages_bounced", 15), ("messages_received", 48)]);
}

#[tokio::test]
async fn intermail() {
    let counts = check("intermail", json!({ "format": "intermail" })).await;
    // By severity and process in the generator's own words, summed up; 360 statistics lines, and 5 real ones.
    agree(
        &counts,
        &[
            ("class_lines note", 139 + 155 + 148),
            ("class_lines warn", 33 + 20 + 24),
            ("class_lines erro", 15 + 8 + 18),
            ("class_lines urgt", 7 + 3 + 5),
            ("class_lines fatl", 8 + 7 + 10),
            ("class_lines stat", 365),
            ("messages_stored", 156),
        ],
    );
    let config = json!({ "format": "intermail", "only": ["mta"], "events": { "SslHandshakeSucceeded": ["connections"] } });
    let (_, counts) = counted("intermail", config).await;
    agree(&counts, &[("class_lines note", 139), ("class_lines fatl", 8), ("lines_foreign", 965 - 202)]);
    assert!(counts["connections"] > 0);
}
