//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_imap.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-imap");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "imap");
    let metrics: Vec<(&str, &str)> = agent.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.name())).collect();
    let times = ["resolve", "connect", "banner", "tls", "authenticate", "select", "search", "download", "logout", "total"];
    let times = times.map(|time| format!("{time}_time"));
    let mut expected: Vec<(&str, &str)> = times.iter().map(|time| (time.as_str(), "seconds")).collect();
    expected.extend([("mailbox_size", "messages"), ("search_found", "messages"), ("download_bytes", "bytes")]);
    assert_eq!(metrics, expected);
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = ["auth", "ca_file", "download", "download_max", "host", "mailbox", "password", "port", "search", "select"];
    assert_eq!(keys, [&expected[..], &["server_name", "tls", "uid", "user"]].concat());
    assert_eq!(agent.schema["required"], json!(["host"]));
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    let marked = properties.iter().filter(|(_, property)| property.to_string().contains("x-watchpost-secret"));
    assert_eq!(marked.map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["password"]);
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({ "host": "imap", "tls": "implicit", "ca_file": "/etc/ca.pem", "user": "u", "password": "p" });
    let examined = library().examine("imap", &config.to_string()).unwrap();
    assert_eq!(examined.target, "imap:993");
    assert_eq!(examined.needs.ports.iter().map(|port| port.number).collect::<Vec<_>>(), [993]);
    assert_eq!(examined.needs.files, [PathBuf::from("/etc/ca.pem")]);
    assert!(examined.repeatable);
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("imap", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    check(json!({}), "", "missing field `host`");
    check(json!({ "host": 7 }), "host", "invalid type: integer `7`, expected a string");
    check(json!({ "host": "imap", "port": 0 }), "port", "invalid value: integer `0`, expected a nonzero u16");
    check(json!({ "host": "imap", "uid": 0 }), "uid", "invalid value: integer `0`, expected a nonzero u32");
    check(json!({ "host": "imap", "tls": "ssl" }), "tls", "unknown variant `ssl`, expected one of `none`, `starttls`, `implicit`");
    let auth = "unknown variant `md5`, expected one of `auto`, `login`, `plain`, `xoauth2`";
    check(json!({ "host": "imap", "auth": "md5" }), "auth", auth);
    check(json!({ "host": "imap", "download_max": 0 }), "download_max", "invalid value: integer `0`, expected a nonzero u32");
    check(json!({ "host": "imap", "user": "u" }), "user", "needs `password` beside it");
    let keys = ["host", "port", "tls", "server_name", "ca_file", "user", "password", "auth", "mailbox", "select", "search", "download"];
    let keys = keys.map(|key| format!("`{key}`")).join(", ");
    check(json!({ "host": "imap", "hots": 1 }), "hots", &format!("unknown field `hots`, expected one of {keys}, `uid`, `download_max`"));
}
