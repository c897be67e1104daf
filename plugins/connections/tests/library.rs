//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_connections.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-connections");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "connections");
    let metrics: Vec<_> = agent.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.name(), metric.keys.join(" "))).collect();
    assert_eq!(metrics, [("connections_active", "connections", String::new()), ("sockets", "connections", "state".into())]);
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["local", "remote", "socket"]);
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let examine = |config: serde_json::Value| library().examine("connections", &config.to_string()).unwrap();
    let examined = examine(json!({ "local": [25, "127.0.0.1:465"] }));
    assert_eq!(examined.target, "*:25 127.0.0.1:465");
    assert_eq!(examined.needs.files, [PathBuf::from("/proc/net/tcp"), PathBuf::from("/proc/net/tcp6")]);
    assert!(examined.repeatable && examined.needs.ports.is_empty() && examined.needs.programs.is_empty(), "nothing is connected to");
    assert_eq!(examine(json!({ "socket": "private/lmtp" })).needs.files, [PathBuf::from("/proc/net/unix")]);
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("connections", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    check(json!({}), "", "neither `local`, `remote` nor `socket` is there");
    let wanted = "expected a port from 1 to 65535, an address with a port as \"192.0.2.1:25\", or a list of these";
    check(json!({ "local": 0 }), "local", &format!("invalid value: integer `0`, {wanted}"));
    check(json!({ "remote": "mx:25" }), "remote", &format!("invalid value: string \"mx:25\", {wanted}"));
    let one = "invalid value: integer `70000`, expected a port from 1 to 65535, or an address with a port as \"192.0.2.1:25\"";
    check(json!({ "local": [25, 70000] }), "local[1]", one);
    check(json!({ "port": 25 }), "port", "unknown field `port`, expected one of `local`, `remote`, `socket`");
}
