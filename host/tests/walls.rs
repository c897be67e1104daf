//! The walls of the house: what a crate does not know, it cannot depend on.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Libraries of the host that a worker must not carry, and what brings them.
///
/// hyper is not among them: its client is what agents ask by HTTP with. Its server, and what is built on that, is the host's.
const HOST_ONLY: [&str; 13] = [
    "rrd",
    "librrd-sys",
    "rusqlite",
    "libsqlite3-sys",
    "axum",
    "hyper-util",
    "tower",
    "clap",
    "prometheus",
    "watchpost",
    "watchpost-journal",
    "tracing-subscriber",
    "toml",
];
/// What a plugin may depend on beside codecs.
const OF_PLUGINS: [&str; 3] = ["watchpost-plugin-api", "serde", "schemars"];
/// What several plugins share, and the wall holds for as for them: two agents read logs, and following one over rotation must not differ;
/// several ask a directory, ask by DNS, read the text of Prometheus, or hold sessions of SMTP, IMAP or POP3, and what a hostile one may send
/// is bounded in one place.
const SHARED_BY_PLUGINS: [&str; 5] =
    ["watchpost-directory", "watchpost-exposition", "watchpost-logs", "watchpost-mail", "watchpost-records"];
/// Agents' names that are words of the product too: a channel of type `exec`, `overlap = "queue"`, the kind of error `tls`.
const WORDS: [&str; 3] = ["exec", "queue", "tls"];
/// Crates that only turn bytes into values and back.
const CODECS: [&str; 8] = ["base64", "domain", "flate2", "md-5", "memchr", "serde_json", "sha2", "toml"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every crate that is built into `package`, by name: dependencies of tests and build scripts are not.
fn built_into(package: &str) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]).current_dir(root());
    let out = tree.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The packages of the workspace: name → folder, and the names of its own normal dependencies.
fn packages() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--offline", "--no-deps", "--format-version", "1"]).current_dir(root());
    let known: Value = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let package = |package: &Value| {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned();
        let normal = package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
        (text(&package["name"]), (folder, normal.map(|dependency| text(&dependency["name"])).collect()))
    };
    known["packages"].as_array().unwrap().iter().map(package).collect()
}

fn plugins() -> impl Iterator<Item = (String, BTreeSet<String>)> {
    let of_plugins = |(name, (folder, dependencies)): (String, (PathBuf, _))| {
        let plugin = folder.parent() == Some(&root().join("plugins"));
        plugin.then_some((name, dependencies))
    };
    packages().into_iter().filter_map(of_plugins)
}

#[test]
fn the_worker_carries_no_series_no_database_and_no_web() {
    for package in ["watchpost-worker", "watchpost-services"] {
        let known = built_into(package);
        assert!(known.contains("watchpost-plugin-api"), "{known:?}");
        let wrong: Vec<&str> = HOST_ONLY.into_iter().filter(|name| known.contains(*name)).collect();
        assert!(wrong.is_empty(), "{package} depends on {wrong:?}");
    }
}

#[test]
fn the_worker_speaks_http_as_a_client_only() {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--offline", "--no-deps", "--format-version", "1"]).current_dir(root());
    let known: Value = serde_json::from_slice(&metadata.output().unwrap().stdout).unwrap();
    let packages = known["packages"].as_array().unwrap();
    let services = packages.iter().find(|package| package["name"] == "watchpost-services").unwrap();
    let hyper = services["dependencies"].as_array().unwrap().iter().find(|dependency| dependency["name"] == "hyper").unwrap();
    assert_eq!(hyper["features"], serde_json::json!(["client", "http1"]));
}

#[test]
fn the_workers_program_links_what_the_system_has_and_nothing_else() {
    let worker = Path::new(env!("CARGO_BIN_EXE_watchpost")).with_file_name("watchpost-worker");
    let (host, worker) = (needed(Path::new(env!("CARGO_BIN_EXE_watchpost"))), needed(&worker));
    assert!(host.iter().any(|name| name.starts_with("librrd")), "the host links it, so it would be seen: {host:?}");
    let system = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"];
    let wrong: Vec<&String> = worker.iter().filter(|name| !system.iter().any(|known| name.starts_with(known))).collect();
    assert!(!worker.is_empty() && wrong.is_empty(), "{wrong:?} of {worker:?}");
}

/// Were they built with other features than what they measure, that would be built once more, and be another thing.
#[test]
fn what_benches_measure_with_has_every_crate_as_the_daemon_has_it() {
    let features = |words: &[&str]| -> BTreeSet<String> {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--offline", "--prefix", "none", "--format", "{p} {f}"]).args(words).current_dir(root());
        let out = tree.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).unwrap();
        text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
    };
    let daemon = features(&["--edges", "normal,build"]);
    let benches = features(&["--edges", "normal,build,dev", "--package", "watchpost-bench", "--package", "watchpost-worker"]);
    assert!(daemon.len() > 100, "{daemon:?}");
    let other: Vec<&String> = benches.difference(&daemon).filter(|line| !line.starts_with("watchpost-bench ")).collect();
    assert!(other.is_empty(), "{other:#?}");
}

/// Shared libraries that a program names.
fn needed(program: &Path) -> Vec<String> {
    let out = Command::new("readelf").arg("--dynamic").arg(program).output().unwrap();
    assert!(out.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&out.stderr));
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.split_once("(NEEDED)")?.1.split(['[', ']']).nth(1)).map(str::to_owned).collect()
}

#[test]
fn the_agents_interface_knows_no_crate_of_the_host() {
    let own: BTreeSet<String> = packages().into_keys().collect();
    let known = built_into("watchpost-plugin-api");
    assert_eq!(known.intersection(&own).collect::<Vec<_>>(), ["watchpost-plugin-api"]);
}

#[test]
fn a_plugin_knows_the_interface_and_codecs_only() {
    let mut seen = 0;
    let shared = packages().into_iter().filter(|(name, _)| SHARED_BY_PLUGINS.contains(&name.as_str()));
    for (plugin, dependencies) in plugins().chain(shared.map(|(name, (_, dependencies))| (name, dependencies))) {
        let allowed = |name: &&String| [&OF_PLUGINS[..], &SHARED_BY_PLUGINS, &CODECS].concat().contains(&name.as_str());
        let wrong: Vec<&String> = dependencies.iter().filter(|name| !allowed(name)).collect();
        assert!(wrong.is_empty() && dependencies.contains("watchpost-plugin-api"), "{plugin} depends on {wrong:?}");
        seen += 1;
    }
    assert!(seen > 0, "there is no plugin");
}

/// Comments and tests may give examples; what the program does depends on no plugin's name.
#[test]
fn the_hosts_sources_name_no_plugin() {
    let packages = packages();
    let plugins: Vec<String> = plugins().map(|(name, _)| name).collect();
    let host = ["watchpost", "watchpost-worker", "watchpost-services", "watchpost-journal"];
    for package in host {
        let (folder, dependencies) = &packages[package];
        let known: Vec<&String> = plugins.iter().filter(|plugin| dependencies.contains(*plugin)).collect();
        assert!(known.is_empty(), "{package} depends on {known:?}");
        for source in sources(&folder.join("src")) {
            let text = fs::read_to_string(&source).unwrap();
            for plugin in &plugins {
                let agent = plugin.trim_start_matches("watchpost-");
                let names = [format!("\"{agent}\""), plugin.replace('-', "_"), plugin.clone()];
                let names = if WORDS.contains(&agent) { &names[1..] } else { &names[..] };
                let found = names.iter().find(|name| code(&text).any(|line| line.contains(name.as_str())));
                assert_eq!(found, None, "{} names the plugin {plugin}", source.display());
            }
        }
    }
}

/// The lines that are program: no comments, and nothing from the tests on, which end a file here.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| line.trim() != "#[cfg(test)]").filter(|line| !line.trim_start().starts_with("//"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
