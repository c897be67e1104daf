//! The built library, loaded as a worker loads it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use serde_json::json;
use watchpost_plugin_api::Transport;
use watchpost_worker::load::Library;

fn library() -> Library {
    // `cargo test` puts libraries beside the test programs, and refreshes them there only.
    let beside: PathBuf = std::env::current_exe().unwrap().with_file_name("libwatchpost_exec.so");
    Library::load(&beside).unwrap_or_else(|refusal| panic!("{}: {refusal}", beside.display()))
}

#[test]
fn the_library_carries_the_agent_with_its_metrics_and_its_schema() {
    let library = library();
    let described = library.descriptor();
    assert_eq!(described.package, "watchpost-exec");
    let [agent] = described.agents.as_slice() else { panic!("{described:?}") };
    assert_eq!(agent.name, "exec");
    let metrics: Vec<(&str, &str)> = agent.metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.name())).collect();
    let expected = [
        ("total_time", "seconds"),
        ("state", "number"),
        ("lines_taken", "number"),
        ("lines_refused", "errors"),
        ("program_starts", "number"),
    ];
    assert_eq!(metrics, expected);
    assert_eq!(agent.schema["required"], json!(["argv", "format"]));
    for (key, property) in agent.schema["properties"].as_object().unwrap() {
        assert!(property["description"].as_str().is_some_and(|text| text.len() > 20), "`{key}` has no manual: {property}");
    }
    let argv = &agent.schema["properties"]["argv"];
    assert_eq!(argv["prefixItems"][0]["x-watchpost-path"], true, "a relative program is completed by the host: {argv}");
    assert_eq!(argv["items"], json!({ "type": "string" }), "an argument is left as it is");
    let secret = &agent.schema["properties"]["secret_env"]["additionalProperties"];
    assert_eq!(secret["x-watchpost-secret"], true, "{secret}");
}

#[test]
fn a_configuration_is_examined_across_the_boundary() {
    let config = json!({
        "argv": ["/bin/true", "-x"], "format": "nagios", "ports": [25, 465], "udp_ports": [53], "files": ["/etc/postfix"],
        "programs": ["/usr/bin/dig"],
    });
    let examined = library().examine("exec", &config.to_string()).unwrap();
    assert_eq!(examined.target, "true");
    assert!(!examined.repeatable, "a program may act on the world");
    let needs = examined.needs;
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!((needs.programs, needs.files), (paths(&["/bin/true", "/usr/bin/dig"]), paths(&["/bin/true", "/etc/postfix"])));
    let ports: Vec<(Transport, u16)> = needs.ports.iter().map(|port| (port.transport, port.number)).collect();
    assert_eq!(ports, [(Transport::Tcp, 25), (Transport::Tcp, 465), (Transport::Udp, 53)]);
}

#[test]
fn the_interpreter_of_a_script_is_known() {
    let tree = watchpost_testkit::Tree::new().unwrap();
    let script = tree.program("script", "exit 0").unwrap();
    let examined = library().examine("exec", &json!({ "argv": [script], "format": "nagios" }).to_string()).unwrap();
    assert_eq!(examined.needs.programs, [script, "/bin/sh".into()]);
}

fn check(config: serde_json::Value, path: &str, message: &str) {
    let error = library().examine("exec", &config.to_string()).unwrap_err();
    assert_eq!((error.kind().name(), error.path(), error.message()), ("config", path, message), "{config}");
}

#[test]
fn a_fault_of_a_configuration_crosses_with_its_path() {
    check(json!({ "format": "nagios" }), "", "missing field `argv`");
    check(json!({ "argv": ["/bin/true"] }), "", "missing field `format`");
    let formats = "`nagios`, `json-lines`, `influx`, `putval`, `prometheus`";
    check(json!({ "argv": ["/bin/true"], "format": "xml" }), "format", &format!("unknown variant `xml`, expected one of {formats}"));
    check(json!({ "argv": [], "format": "nagios" }), "argv", "is empty; a program is wanted, e.g. [\"/usr/bin/true\"]");
    let relative = "is no absolute path; a program is not looked for in PATH";
    check(json!({ "argv": ["true"], "format": "nagios" }), "argv[0]", relative);
    check(json!({ "argv": "/bin/true -x", "format": "nagios" }), "argv", "invalid type: string \"/bin/true -x\", expected a sequence");
    let error = library().examine("exec", &json!({ "argv": ["/bin/true"], "format": "nagios", "shell": true }).to_string()).unwrap_err();
    assert!(error.path() == "shell" && error.message().starts_with("unknown field `shell`"), "{error:?}");
}
