//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_serverstats.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-serverstats");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "serverstats");
    let own = ["commands", "operations", "messages_deleted", "queries_failed", "cache_lookups", "entries_sent"];
    for name in ["connections_active", "connections", "queries", "messages_stored", "stored_bytes"].iter().chain(&own) {
        assert!(agent.metrics.iter().any(|metric| metric.name == *name), "{name}");
    }
    let properties = agent.schema["properties"].as_object().unwrap();
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    assert_eq!(agent.schema["required"], json!(["source"]));
    for secret in ["key", "token", "password"] {
        assert!(properties[secret].to_string().contains("x-watchpost-secret"), "{secret}: {}", properties[secret]);
    }
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let examine = |config: serde_json::Value| library().examine("serverstats", &config.to_string()).unwrap();
    let examined = examine(json!({ "source": "dovecot", "url": "http://127.0.0.1:9900/metrics", "service": "auth" }));
    assert_eq!((examined.target.as_str(), examined.needs.ports[0].number), ("127.0.0.1:9900 auth", 9900));
    assert!(examined.repeatable);
    let examined = examine(json!({ "source": "slapd", "socket": "/run/slapd/ldapi", "auth": "external" }));
    assert_eq!((examined.target.as_str(), examined.needs.sockets), ("/run/slapd/ldapi", vec![PathBuf::from("/run/slapd/ldapi")]));
    let examined = examine(json!({ "source": "bind", "url": "https://dns:8053/json/v1/server", "ca_file": "/ca.pem" }));
    assert_eq!(examined.needs.files, [PathBuf::from("/ca.pem")]);
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("serverstats", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    let sources = "`dovecot`, `doveadm`, `slapd`, `bind`, `prometheus`";
    check(json!({ "source": "exim" }), "source", &format!("unknown variant `exim`, expected one of {sources}"));
    check(json!({}), "", "missing field `source`");
    let one = |map: serde_json::Value| json!({ "source": "prometheus", "url": "http://a/", "map": [map] });
    check(one(json!({ "from": "a" })), "map[0]", "missing field `to`");
    check(one(json!({ "from": "a", "to": "b", "scale": 2 })), "map[0].scale", {
        "unknown field `scale`, expected one of `from`, `to`, `labels`, `by`, `zero_if`, `optional`, `kind`, `unit`, `help`"
    });
    check(one(json!({ "from": "a", "to": "b-c" })), "map[0].to", "a metric name is [a-z][a-z0-9_]*");
    check(one(json!({ "from": 5, "to": "b" })), "map[0].from", "invalid type: integer `5`, expected a string or a list of strings");
    let units = "`seconds`, `bytes`, `ratio`, `messages`, `connections`, `queries`, `errors`, `answers`, `days`, `number`";
    check(
        one(json!({ "from": "a", "to": "b", "unit": "miles" })),
        "map[0].unit",
        &format!("unknown variant `miles`, expected one of {units}"),
    );
    // The maps of a job come after those that are ready; a fault still names the place in the job.
    let ready = json!({ "source": "bind", "url": "http://a/", "map": [{ "from": "a", "to": "x" }, { "from": "", "to": "y" }] });
    check(ready, "map[1].from", "no name is there; wanted is e.g. 'requests_total{code=\"200\",method=*}'");
}
