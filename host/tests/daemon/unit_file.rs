//! The unit that we ship for systemd.

use std::{fs, path::PathBuf, process::Command};

use crate::programs;

/// Where the unit expects the program.
const PROGRAM: &str = "/opt/watchpost/watchpost";
/// The exposure that `systemd-analyze security` may find, of 100.
const EXPOSURE_MAX: &str = "20";

/// Where packages have their units.
const OTHERS: [&str; 3] = ["/lib/systemd/system/", "/usr/lib/systemd/system/", "/etc/systemd/system/"];

/// The unit with the program that was built, in a folder of its own.
fn unit() -> (tempfile::TempDir, PathBuf, String) {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/watchpost.service");
    let text = fs::read_to_string(shipped).unwrap().replace(PROGRAM, env!("CARGO_BIN_EXE_watchpost"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("watchpost.service");
    fs::write(&path, &text).unwrap();
    (folder, path, text)
}

#[test]
fn systemd_takes_the_unit_without_a_word_and_finds_it_closed() {
    if !programs::there("systemd-analyze") {
        return;
    }
    let (_folder, path, _) = unit();
    let analyze = |words: &[&str]| {
        let output = Command::new("systemd-analyze").args(words).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), said)
    };
    let (fine, said) = analyze(&["verify"]);
    // Units of other packages, which it reads too, are not ours to mend.
    let is_others = |line: &&str| OTHERS.iter().any(|folder| line.starts_with(folder));
    let ours: Vec<&str> = said.lines().filter(|line| !line.is_empty() && !is_others(line)).collect();
    assert!(fine && ours.is_empty(), "{said}");
    let (fine, said) = analyze(&["security", "--offline=true", "--threshold", EXPOSURE_MAX]);
    assert!(fine, "{said}");
}

#[test]
fn the_unit_starts_reloads_and_watches_as_the_daemon_knows_it() {
    let (_folder, _, text) = unit();
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let found = values.next().unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(values.next(), None, "{key} twice");
        found
    };
    assert_eq!((value("Type"), value("DynamicUser"), value("StateDirectory")), ("notify", "yes", "watchpost"));
    assert!(value("WatchdogSec").strip_suffix('s').and_then(|seconds| seconds.parse::<u32>().ok()) > Some(10));
    // Wrong configuration ends it with this code (DESIGN, "Command line").
    assert_eq!(value("RestartPreventExitStatus"), "2");
    for command in ["ExecStart", "ExecReload"] {
        let mut words = value(command).split(' ');
        let help = Command::new(words.next().unwrap()).args(words).arg("--help").output().unwrap();
        assert!(help.status.success(), "{command}: {help:?}");
    }
}
