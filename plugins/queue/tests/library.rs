//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_queue.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-queue");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "queue");
    let metrics: Vec<(&str, &str, Vec<&str>)> = agent
        .metrics
        .iter()
        .map(|metric| (metric.name.as_str(), metric.unit.name(), metric.keys.iter().map(String::as_str).collect()))
        .collect();
    let expected = [
        ("connect_time", "seconds", vec![]),
        ("query_time", "seconds", vec![]),
        ("total_time", "seconds", vec![]),
        ("queue_size", "messages", vec!["queue"]),
        ("queue_bytes", "bytes", vec!["queue"]),
        ("queue_oldest_age", "seconds", vec!["queue"]),
        ("waiting", "messages", vec!["queue", "age"]),
    ];
    assert_eq!(metrics, expected);
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["entries_max", "kind", "path", "top"]);
    assert_eq!(agent.schema["required"], json!(["kind", "path"]));
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    assert!(properties["path"].to_string().contains("x-watchpost-path"), "a relative path is completed by the host");
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let examine = |kind: &str| library().examine("queue", &json!({ "kind": kind, "path": "/q" }).to_string()).unwrap();
    let examined = examine("postfix");
    assert_eq!(examined.target, "/q");
    assert_eq!(examined.needs.sockets, [PathBuf::from("/q/public/showq")]);
    assert_eq!(examined.needs.files, [PathBuf::from("/q/corrupt")]);
    assert!(examined.repeatable && examined.needs.programs.is_empty(), "no program is started");
    for kind in ["exim", "sendmail", "opensmtpd", "directory", "maildir"] {
        let needs = examine(kind).needs;
        assert_eq!((needs.files, needs.sockets.len(), needs.removes.len()), (vec![PathBuf::from("/q")], 0, 0), "{kind}");
    }
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("queue", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    let kinds = "`postfix`, `exim`, `sendmail`, `opensmtpd`, `directory`, `maildir`";
    check(json!({ "kind": "exim" }), "", "missing field `path`");
    check(json!({ "kind": "qmail", "path": "/q" }), "kind", &format!("unknown variant `qmail`, expected one of {kinds}"));
    check(json!({ "kind": "exim", "path": "" }), "path", "is empty; a folder is wanted, e.g. \"/var/spool/postfix\"");
    let entries_max = json!({ "kind": "exim", "path": "/q", "entries_max": 0 });
    check(entries_max, "entries_max", "invalid value: integer `0`, expected a nonzero u32");
    check(json!({ "kind": "exim", "path": "/q", "top": 21 }), "top", "21 is more than an event can list; at most 20");
    let unknown = "unknown field `queue`, expected one of `kind`, `path`, `entries_max`, `top`";
    check(json!({ "kind": "exim", "path": "/q", "queue": "hold" }), "queue", unknown);
}
