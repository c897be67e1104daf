//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_plugin_api::Transport;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_dns.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-dns");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "dns");
    let metrics: Vec<&str> = agent.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        metrics,
        [
            "resolve_time",
            "connect_time",
            "tls_time",
            "query_time",
            "total_time",
            "answers",
            "answer_ttl",
            "soa_serial",
            "serial_lag",
            "serials_distinct"
        ]
    );
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["agree", "ca_file", "expect", "host", "must_agree", "name", "port", "server_name", "transport", "type"]);
    assert_eq!(agent.schema["required"], json!(["host", "name"]));
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let check = |transport: &str, expected: &[Transport]| {
        let config = json!({ "host": "ns1", "name": "lab.test", "type": "mx", "port": 5300, "transport": transport });
        let examined = library().examine("dns", &config.to_string()).unwrap();
        assert_eq!(examined.target, "lab.test MX @ns1:5300");
        assert!(examined.repeatable && examined.needs.ports.iter().all(|port| port.number == 5300));
        assert_eq!(examined.needs.ports.iter().map(|port| port.transport).collect::<Vec<_>>(), expected, "{transport}");
    };
    check("auto", &[Transport::Udp, Transport::Tcp]);
    check("udp", &[Transport::Udp]);
    check("tcp", &[Transport::Tcp]);
    check("tls", &[Transport::Tcp]);
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("dns", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    let with = |key: &str, value: serde_json::Value| {
        let mut config = json!({ "host": "ns1", "name": "lab.test" });
        config[key] = value;
        config
    };
    check(json!({ "name": "lab.test" }), "", "missing field `host`");
    check(json!({ "host": "ns1" }), "", "missing field `name`");
    check(with("type", json!("MXX")), "type", "`MXX` is no record type; wanted is a type by name or number, e.g. \"MX\" or \"TYPE65280\"");
    check(with("transport", json!("doh")), "transport", "unknown variant `doh`, expected one of `auto`, `udp`, `tcp`, `tls`");
    check(with("expect", json!(7)), "expect", "invalid type: integer `7`, expected a string or a list of strings");
    check(with("expect", json!(["a", 7])), "expect[1]", "invalid type: integer `7`, expected a string");
    check(with("expect", json!([])), "expect", "is empty; leave it away where every answer is welcome");
    check(with("expect", json!("")), "expect", "is empty; a record is written as in a zone file");
    let alone = "the response code NXDOMAIN stands alone; with records beside it the answer is NOERROR";
    check(with("expect", json!(["192.0.2.1", "NXDOMAIN"])), "expect[1]", alone);
    let keys = "`host`, `port`, `name`, `type`, `expect`, `transport`, `server_name`, `ca_file`, `agree`, `must_agree`";
    check(with("nmae", json!("x")), "nmae", &format!("unknown field `nmae`, expected one of {keys}"));
}
