//! `new-agent`: what it writes works as it stands. That a crate builds outside this repository, and its test passes, the README's story shows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    harness::{House, Said},
    refused,
};

/// Runs the command in a folder.
fn new_agent(house: &House, folder: &Path, words: &[&str]) -> Said {
    let output = house.bare(&[&["new-agent"], words].concat()).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn place() -> (House, TempDir) {
    (House::new(""), tempfile::tempdir().unwrap())
}

fn typed(folder: &Path, line: &str) -> Output {
    Command::new("sh").args(["-c", line]).current_dir(folder).output().unwrap()
}

#[test]
fn a_script_passes_its_own_test_which_can_fail() {
    let (house, folder) = place();
    for (language, program, breaks) in [("shell", "measure.sh", "s/entries=/entrys=/"), ("python", "measure.py", "s/len(ages)/1/")] {
        let answer: Value =
            serde_json::from_str(&new_agent(&house, folder.path(), &[language, "--lang", language, "--json"]).ok()).unwrap();
        assert_eq!(answer["name"], language);
        let test = answer["next"][0].as_str().unwrap();
        let passed = typed(folder.path(), test);
        assert!(passed.status.success(), "{passed:?}");
        typed(folder.path(), &format!("sed -i '{breaks}' {language}/{program}"));
        assert!(!typed(folder.path(), test).status.success(), "{test} does not see what it is to see");
    }
}

#[test]
fn a_crate_brings_the_interface_as_it_is_or_names_that_of_a_clone() {
    let (house, folder) = place();
    new_agent(&house, folder.path(), &["spool"]).ok();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in ["plugin-api/src/abi.rs", "plugin-api/testkit/src/kit.rs", "host/services/src/run.rs"] {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        assert_eq!(read(folder.path().join("spool/api").join(file)), read(workspace.join(file)), "{file}");
    }
    let api = workspace.join("plugin-api");
    new_agent(&house, folder.path(), &["other", "--api", api.to_str().unwrap()]).ok();
    assert!(!folder.path().join("other/api").exists());
    let known = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(folder.path().join("other"))
        .output()
        .unwrap();
    let known: Value = serde_json::from_slice(&known.stdout).unwrap();
    let paths: Vec<&str> = known["packages"][0]["dependencies"].as_array().unwrap().iter().filter_map(|it| it["path"].as_str()).collect();
    assert_eq!(paths, [api.to_str().unwrap(), api.join("testkit").to_str().unwrap()]);
}

#[test]
fn what_cannot_be_written_is_one_error_and_leaves_nothing() {
    let (house, folder) = place();
    let cannot = |words: &[&str], why: &str| refused(&new_agent(&house, folder.path(), words), 2, &[why]);
    for name in ["Spool", "9", "a-b", "host", "../spool", "", "match"] {
        cannot(&[name], "cannot write agent");
    }
    cannot(&["a", "--api", "/nowhere"], "/nowhere is no interface of agents: No such file or directory");
    cannot(&["a", "--lang", "shell", "--api", "/"], "is no interface of agents");
    cannot(&["smtp"], "libwatchpost_smtp.so is there already, and of two agents of one name neither is used");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    fs::create_dir(folder.path().join("spool")).unwrap();
    cannot(&["spool"], "spool is there already");
    assert_eq!(fs::read_dir(folder.path().join("spool")).unwrap().count(), 0);
}
