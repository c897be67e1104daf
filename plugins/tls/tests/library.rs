//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_plugin_api::Needs;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_tls.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-tls");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!((agent.name.as_str(), agent.metrics.len()), ("tls", 14));
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["ca_file", "host", "port", "require", "server_name", "starttls", "versions"]);
    assert_eq!(agent.schema["required"], json!(["host"]));
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({ "host": "mx", "starttls": "smtp", "ca_file": "/ca.pem" });
    let examined = library().examine("tls", &config.to_string()).unwrap();
    assert_eq!((examined.target.as_str(), examined.needs), ("mx:25", Needs::none().tcp(25).read("/ca.pem")));
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    let check = |key: &str, value: serde_json::Value, path: &str, message: &str| {
        let mut config = json!({ "host": "mx" });
        config[key] = value;
        let error = library().examine("tls", &config.to_string()).unwrap_err();
        assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
    };
    check("starttls", json!("ftp"), "starttls", "unknown variant `ftp`, expected one of `smtp`, `imap`, `pop3`, `ldap`");
    check("require", json!(["trust"]), "require[0]", "unknown variant `trust`, expected one of `trusted`, `name`, `time`");
    let keys = "`host`, `port`, `starttls`, `server_name`, `ca_file`, `versions`, `require`";
    check("tls", json!("implicit"), "tls", &format!("unknown field `tls`, expected one of {keys}"));
}
