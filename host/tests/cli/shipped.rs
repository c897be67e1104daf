//! Every schedule and every sample that we ship is taken by `check`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::harness::House;

#[test]
fn every_schedule_and_every_sample_is_taken() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let schedules = toml_files(&root.join("schedules"));
    let plugins: Vec<PathBuf> = folders(&root.join("plugins"));
    assert!(!schedules.is_empty() && !plugins.is_empty());
    let samples = plugins.iter().map(|plugin| plugin.join("sample.toml"));
    samples.chain(schedules).for_each(|file| taken(&file));
}

fn taken(file: &Path) {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    // A shipped file names secrets and authorities that whoever copies it has; here they are made.
    let house = House::new(&with_own_secrets(&text));
    for named in named_files(&text) {
        crate::write_secret(&house.folder().join(&named), "geheim");
    }
    let said = house.run(&["check", "--json"]);
    let answer = crate::parsed(&said.out);
    // A sample names spools and logs of servers that this machine need not have; `check` warns of them, rightly.
    let is_elsewhere = |fault: &&serde_json::Value| fault["rule"] == "config-file-unreadable";
    let faults: Vec<_> = answer["faults"].as_array().unwrap().iter().filter(|fault| !is_elsewhere(fault)).collect();
    assert!(said.code == Some(0) && faults.is_empty(), "{}: {said:?}", file.display());
    assert!(answer["jobs"].as_u64() > Some(0), "{}", file.display());
}

/// Keeps every path below the house, and reads secrets of the environment and of systemd from files instead.
fn with_own_secrets(text: &str) -> String {
    text.replace("\"../", "\"").replace("{ env = ", "{ file = ").replace("{ credential = ", "{ file = ")
}

/// The files that a schedule names: `file = "…"` and `ca_file = "…"`.
fn named_files(text: &str) -> Vec<String> {
    let own = with_own_secrets(text);
    let names = own.split("file = \"").skip(1).filter_map(|rest| rest.split_once('"'));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}
