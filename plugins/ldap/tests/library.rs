//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_ldap.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-ldap");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "ldap");
    let metrics: Vec<(&str, &str)> = agent.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.name())).collect();
    let times = ["resolve_time", "connect_time", "tls_time", "bind_time", "search_time", "entries_time", "total_time"];
    let mut expected: Vec<(&str, &str)> = times.map(|time| (time, "seconds")).into();
    expected.extend([("entries", "answers"), ("referrals", "answers")]);
    assert_eq!(metrics, expected);
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "attributes",
        "auth",
        "base",
        "ca_file",
        "entries_max",
        "entries_min",
        "expect",
        "filter",
        "host",
        "password",
        "port",
        "scope",
        "server_name",
        "socket",
        "tls",
        "user",
    ];
    assert_eq!(keys, expected);
    assert_eq!(agent.schema.get("required"), None, "either of two keys is enough, which `new` sees to");
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    let marked = properties.iter().filter(|(_, property)| property.to_string().contains("x-watchpost-secret"));
    assert_eq!(marked.map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["password"]);
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({ "host": "ldap", "tls": "implicit", "ca_file": "/etc/ca.pem", "user": "cn=u", "password": "p" });
    let examined = library().examine("ldap", &config.to_string()).unwrap();
    assert_eq!(examined.target, "ldap:636");
    assert_eq!(examined.needs.ports.iter().map(|port| port.number).collect::<Vec<_>>(), [636]);
    assert_eq!(examined.needs.files, [PathBuf::from("/etc/ca.pem")]);
    assert!(examined.repeatable);
    let examined = library().examine("ldap", &json!({ "socket": "/run/ldapi" }).to_string()).unwrap();
    assert_eq!(examined.target, "/run/ldapi");
    assert_eq!(examined.needs.sockets, [PathBuf::from("/run/ldapi")]);
    assert!(examined.needs.ports.is_empty());
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("ldap", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    let with = |key: &str, value: serde_json::Value| {
        let mut config = json!({ "host": "ldap" });
        config[key] = value;
        config
    };
    check(json!({}), "", "neither `host` nor `socket` is there");
    check(json!({ "host": 7 }), "host", "invalid type: integer `7`, expected a string");
    check(with("port", json!(0)), "port", "invalid value: integer `0`, expected a nonzero u16");
    check(with("tls", json!("ldaps")), "tls", "unknown variant `ldaps`, expected one of `none`, `starttls`, `implicit`");
    check(with("auth", json!("gssapi")), "auth", "unknown variant `gssapi`, expected `simple` or `external`");
    check(with("scope", json!("subtree")), "scope", "unknown variant `subtree`, expected one of `base`, `one`, `sub`");
    check(with("filter", json!("uid=a")), "filter", "a filter begins with a parenthesis, at character 1 of \"uid=a\"");
    check(with("attributes", json!(["cn", "c n"])), "attributes[1]", "`c n` is no attribute's name");
    check(with("entries_max", json!(0)), "entries_max", "invalid value: integer `0`, expected a nonzero u32");
    check(with("expect", json!(7)), "expect", "invalid type: integer `7`, expected a string or a list of strings");
    check(with("expect", json!(["cn=a", "mail"])), "expect[1]", "has no `=`; wanted is e.g. \"mail=alice@example.org\"");
    check(with("user", json!("cn=u")), "user", "needs `password` beside it");
    let keys = "`host`, `socket`, `port`, `tls`, `server_name`, `ca_file`, `user`, `password`, `auth`, `base`, `scope`, `filter`, \
                `attributes`, `entries_max`, `entries_min`, `expect`";
    check(with("hots", json!(1)), "hots", &format!("unknown field `hots`, expected one of {keys}"));
}
