//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_smtp.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-smtp");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "smtp");
    let metrics: Vec<&str> = agent.metrics.iter().map(|metric| metric.name.as_str()).collect();
    let times = ["resolve", "connect", "banner", "tls", "ehlo", "authenticate", "mail", "rcpt", "data", "quit", "transmission", "total"];
    assert_eq!(metrics, times.map(|time| format!("{time}_time")));
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["ca_file", "from", "host", "password", "port", "server_name", "submit", "tls", "to", "user"]);
    assert_eq!(agent.schema["required"], json!(["host"]));
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    let marked = properties.iter().filter(|(_, property)| property.to_string().contains("x-watchpost-secret"));
    assert_eq!(marked.map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["password"]);
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({ "host": "mx", "tls": "starttls", "ca_file": "/etc/ca.pem", "from": "a@b", "to": "c@d", "submit": true });
    let examined = library().examine("smtp", &config.to_string()).unwrap();
    assert_eq!(examined.target, "mx:587");
    assert_eq!(examined.needs.ports.iter().map(|port| port.number).collect::<Vec<_>>(), [587]);
    assert_eq!(examined.needs.files, [PathBuf::from("/etc/ca.pem")]);
    assert!(!examined.repeatable);
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("smtp", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    check(json!({}), "", "missing field `host`");
    check(json!({ "host": 7 }), "host", "invalid type: integer `7`, expected a string");
    check(json!({ "host": "mx", "port": 0 }), "port", "invalid value: integer `0`, expected a nonzero u16");
    check(json!({ "host": "mx", "tls": "ssl" }), "tls", "unknown variant `ssl`, expected one of `none`, `starttls`, `implicit`");
    check(json!({ "host": "mx", "from": "a@b" }), "from", "needs `to` beside it");
    let keys = "`host`, `port`, `tls`, `server_name`, `ca_file`, `user`, `password`, `from`, `to`, `submit`";
    check(json!({ "host": "mx", "hots": 1 }), "hots", &format!("unknown field `hots`, expected one of {keys}"));
}
