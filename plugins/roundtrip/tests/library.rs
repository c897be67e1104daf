//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::{Value, json};
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_roundtrip.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

fn config(keys: Value) -> Value {
    let mut config = json!({ "host": "mx", "from": "a@b", "to": "c@d", "receive": { "maildir": { "path": "/m" } } });
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-roundtrip");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "roundtrip");
    let metrics: Vec<&str> = agent.metrics.iter().map(|metric| metric.name.as_str()).collect();
    for metric in ["roundtrip_time", "resolution", "worst_time", "hop_time", "in_flight", "messages_lost", "messages_sent"] {
        assert!(metrics.contains(&metric), "{metrics:?}");
    }
    assert_eq!(agent.schema["required"], json!(["host", "from", "to", "receive"]));
    for (key, property) in agent.schema["properties"].as_object().unwrap() {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    for kind in ["ImapReceive", "Pop3Receive", "MaildirReceive"] {
        for (key, property) in agent.schema["$defs"][kind]["properties"].as_object().unwrap() {
            assert!(property["description"].as_str().is_some_and(|text| text.len() > 10), "`{kind}.{key}` has no manual: {property}");
            assert_eq!(property.to_string().contains("x-watchpost-secret"), key == "password", "{property}");
        }
    }
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let examined = library().examine("roundtrip", &config(json!({ "tls": "starttls" })).to_string()).unwrap();
    assert_eq!(examined.target, "mx:587 to c@d");
    assert_eq!((examined.needs.files, examined.needs.removes), (vec![PathBuf::from("/m")], vec![PathBuf::from("/m")]));
    assert!(!examined.repeatable);
}

fn check(config: Value, path: &str, message: &str) {
    let error = library().examine("roundtrip", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    check(json!({ "host": "mx", "from": "a@b", "to": "c@d" }), "", "missing field `receive`");
    let span = "is no time; a whole number and ms, s, m, h or d are wanted, at most 30d, e.g. \"5s\"";
    check(config(json!({ "wait": "5" })), "wait", span);
    check(config(json!({ "late_after": "2d" })), "lost_after", "is not longer than `late_after`: a message is late before it is lost");
    let imap = |keys: Value| {
        let mut imap = json!({ "host": "i", "user": "u", "password": "p" });
        imap.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        config(json!({ "receive": { "imap": imap } }))
    };
    check(imap(json!({ "port": 0 })), "receive.imap.port", "invalid value: integer `0`, expected a nonzero u16");
    check(imap(json!({ "mailbox": "" })), "receive.imap.mailbox", "is empty; a mailbox is wanted, e.g. \"INBOX\"");
    check(imap(json!({ "watch": "stare" })), "receive.imap.watch", "unknown variant `stare`, expected `poll` or `idle`");
    check(config(json!({ "receive": { "mbox": {} } })), "receive.mbox", "unknown field `mbox`, expected one of `imap`, `pop3`, `maildir`");
    let wanted = "is empty; one of `imap`, `pop3` and `maildir` is wanted, e.g. { maildir = { path = \"/home/probe/Maildir\" } }";
    check(config(json!({ "receive": {} })), "receive", wanted);
    let mut two = imap(json!({}));
    two["receive"]["maildir"] = json!({ "path": "/m" });
    check(two, "receive", "holds several mailboxes; one of `imap`, `pop3` and `maildir` is wanted, and a job of its own for each");
}
