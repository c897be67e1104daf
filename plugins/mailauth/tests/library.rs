//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_plugin_api::{Needs, Transport};
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_mailauth.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-mailauth");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!((agent.name.as_str(), agent.metrics.len()), ("mailauth", 28));
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["addresses", "ca_file", "domain", "lists", "require", "resolver", "selectors", "sts_port"]);
    assert_eq!(agent.schema["required"], json!(["domain", "resolver"]));
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({ "domain": "lab.test", "resolver": "127.0.0.1:5300", "ca_file": "/ca.pem" });
    let examined = library().examine("mailauth", &config.to_string()).unwrap();
    assert_eq!(examined.target, "lab.test @127.0.0.1:5300");
    assert_eq!(examined.needs, Needs::none().udp(5300).tcp(5300).tcp(443).read("/ca.pem"));
    assert!(examined.needs.ports.iter().any(|port| port.transport == Transport::Udp));
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    let check = |key: &str, value: serde_json::Value, path: &str, message: &str| {
        let mut config = json!({ "domain": "lab.test", "resolver": "127.0.0.1" });
        config[key] = value;
        let error = library().examine("mailauth", &config.to_string()).unwrap_err();
        assert_eq!((error.kind().name(), error.path()), ("config", path), "{config}");
        assert!(error.message().contains(message), "{error}");
    };
    check("require", json!(["spf", "dane"]), "require[1]", "unknown variant `dane`, expected one of `mx`, `spf`, `dkim`");
    check("addresses", json!(["192.0.2"]), "addresses[0]", "invalid IP address syntax");
    check("selectors", json!(["a..b"]), "selectors[0]", "`a..b` is no name");
    check("sts_port", json!(0), "sts_port", "nonzero");
    check("selector", json!("s1"), "selector", "unknown field `selector`");
}
