//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_webmail.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-webmail");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "webmail");
    let metrics: Vec<(&str, &str)> = agent.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.name())).collect();
    let times = ["resolve", "connect", "tls", "authenticate", "select", "search", "download", "compose_send", "logout", "total"];
    let times = times.map(|time| format!("{time}_time"));
    let mut expected: Vec<(&str, &str)> = times.iter().map(|time| (time.as_str(), "seconds")).collect();
    expected.push(("download_bytes", "bytes"));
    assert_eq!(metrics, expected);
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "body_max",
        "ca_file",
        "headers",
        "leave_out",
        "password",
        "redirect_ports",
        "says",
        "script",
        "server_name",
        "steps",
        "url",
        "user",
    ];
    assert_eq!(keys, [&expected[..], &["values"]].concat());
    assert_eq!(agent.schema["required"], json!(["url"]));
    let parts = agent.schema["$defs"].as_object().unwrap().values().filter_map(|part| part["properties"].as_object());
    for (key, property) in parts.flatten().chain(properties) {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    let marked = properties.iter().filter(|(_, property)| property.to_string().contains("x-watchpost-secret"));
    assert_eq!(marked.map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["password"]);
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({ "url": "https://Mail.test/rc", "script": "roundcube", "ca_file": "/etc/ca.pem", "user": "u", "password": "p" });
    let examined = library().examine("webmail", &config.to_string()).unwrap();
    assert_eq!(examined.target, "https://mail.test/rc");
    assert_eq!(examined.needs.ports.iter().map(|port| port.number).collect::<Vec<_>>(), [80, 443]);
    assert_eq!(examined.needs.files, [PathBuf::from("/etc/ca.pem")]);
    assert!(!examined.repeatable, "it sends a message");
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("webmail", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    check(json!({}), "", "missing field `url`");
    check(json!({ "url": "https://a/", "script": "squirrel" }), "script", "unknown variant `squirrel`, expected `roundcube`");
    check(json!({ "url": "https://a/", "steps": [{ "name": "a" }, {}] }), "steps[1]", "missing field `name`");
    let span = "\"1m\" is no time in whole seconds, as \"15s\"";
    check(json!({ "url": "https://a/", "steps": [{ "name": "a", "within": "1m" }] }), "steps[0].within", span);
    let otherwise = "unknown variant `dns`, expected `protocol` or `auth`";
    let expect = json!([{ "status": [200], "otherwise": "dns" }]);
    check(json!({ "url": "https://a/", "steps": [{ "name": "a", "expect": expect }] }), "steps[0].expect[0].otherwise", otherwise);
    let take = json!({ "t": { "between": "x" } });
    let known =
        ["header", "json", "cookie", "after", "until", "all", "html", "optional", "public"].map(|key| format!("`{key}`")).join(", ");
    let unknown = format!("unknown field `between`, expected one of {known}");
    check(json!({ "url": "https://a/", "steps": [{ "name": "a", "take": take }] }), "steps[0].take.t.between", &unknown);
}
