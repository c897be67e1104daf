//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_sysmon.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let [agent] = library.descriptor().agents.as_slice() else { panic!("{:?}", library.descriptor()) };
    let metrics: Vec<&str> = agent.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!((agent.name.as_str(), metrics), ("sysmon", vec!["faults", "lines", "backlog_bytes", "fault_codes"]));
    assert_eq!(agent.schema["required"], json!(["format"]));
    for (key, property) in agent.schema["properties"].as_object().unwrap() {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("sysmon", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    check(json!({ "log": "a" }), "", "missing field `format`");
    check(json!({ "format": "postfix" }), "", "has neither `log` nor `journal`: where do the lines come from?");
    check(json!({ "format": "intermail", "journal": {} }), "journal", "is for the formats \"postfix\", \"dovecot\" and \"words\"");
    check(json!({ "log": "/", "format": "postfix" }), "log", "names no file");
    let empty = "is empty; with the format \"words\" it says what makes a line an error";
    check(json!({ "log": "a", "format": "words" }), "words", empty);
    check(json!({ "log": "a", "format": "words", "words": { "major": ["a", ""] } }), "words.major[1]", "is empty");
    check(json!({ "log": "a", "format": "postfix", "words": { "major": ["a"] } }), "words", "is for the format \"words\"");
    let many = "is too many: five severities of each process and the codes make up to 100 series";
    check(json!({ "log": "a", "format": "intermail", "codes_max": 15 }), "codes_max", many);
    let bound = "is from 1 to 18: five severities of each make up to 95 series";
    check(json!({ "log": "a", "format": "postfix", "processes_max": 19 }), "processes_max", bound);
}
