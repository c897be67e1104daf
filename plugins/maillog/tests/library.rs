//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_maillog.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-maillog");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!((agent.name.as_str(), agent.metrics.len()), ("maillog", 20));
    let properties = agent.schema["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = properties.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["events", "format", "from", "journal", "line_bytes_max", "log", "only", "reinjected"]);
    assert_eq!(agent.schema["required"], json!(["format"]));
    for (key, property) in properties {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({ "log": "/var/log/mail.log", "format": "postfix" });
    let examined = library().examine("maillog", &config.to_string()).unwrap();
    assert_eq!(examined.target, "postfix /var/log/mail.log");
    assert_eq!(examined.needs.files, [PathBuf::from("/var/log")]);
    assert!(examined.repeatable);
    let config = json!({ "journal": { "matches": ["SYSLOG_FACILITY=2"] }, "format": "postfix" });
    let examined = library().examine("maillog", &config.to_string()).unwrap();
    assert_eq!(examined.target, "postfix journal SYSLOG_FACILITY=2");
    assert_eq!(examined.needs.programs, [PathBuf::from("/usr/bin/journalctl")]);
    assert_eq!(examined.needs.files[0], PathBuf::from("/var/log/journal"));
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("maillog", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    let with = |key: &str, value: serde_json::Value| {
        let mut config = json!({ "log": "mail.log", "format": "exim" });
        config[key] = value;
        config
    };
    check(json!({ "log": "mail.log" }), "", "missing field `format`");
    check(with("log", json!("/")), "log", "names no file");
    check(json!({ "format": "postfix" }), "", "has neither `log` nor `journal`: where do the lines come from?");
    check(with("journal", json!({})), "journal", "is for jobs without `log`");
    let journal = |format: &str, journal: serde_json::Value| json!({ "format": format, "journal": journal });
    check(journal("exim", json!({})), "journal", "is for the formats \"postfix\", \"dovecot\", \"sendmail\" and \"opensmtpd\"");
    check(journal("postfix", json!({ "program": "journalctl" })), "journal.program", "is no absolute path");
    for option in ["--file=/etc/shadow", "-f", "a=b", "=", ""] {
        let path = "journal.matches[1]";
        check(journal("postfix", json!({ "matches": ["_PID=1", option] })), path, "is no FIELD=value of a journal entry");
    }
    check(with("line_bytes_max", json!(100)), "line_bytes_max", "is from 256 to 1048576");
    check(with("only", json!(["a"])), "only", "is for the formats \"postfix\", \"dovecot\" and \"intermail\"");
    check(with("reinjected", json!(["a"])), "reinjected", "is for the format \"postfix\"");
    check(with("reinjected", json!(["a", ""])), "reinjected[1]", "is empty");
    check(with("events", json!({ "A": ["connections"] })), "events", "is for the format \"intermail\"");
}
