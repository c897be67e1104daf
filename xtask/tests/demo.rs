//! The demo, whole: the lab's real servers, the daemon as an ordinary user, a value of every job, and nothing left behind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the demo on what `cargo xtask test` has built. It needs root for Postfix, as the demo itself does.
fn demo(words: &[&str]) -> Output {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let lab = tempfile::Builder::new().prefix("demo").permissions(open()).tempdir().unwrap();
    let dir = lab.path().join("lab");
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["demo", "--once", "--built", "debug", "--port-base", "free", "--listen", &listen]).args(words);
    command.arg("--dir").arg(dir).output().unwrap()
}

fn open() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

#[test]
fn every_job_of_the_demo_gets_a_value_and_nothing_is_left() {
    let built = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("watchpost-worker");
    assert!(built.is_file(), "{} is not built: run `cargo build --workspace`, as `cargo xtask test` does", built.display());
    let output = demo(&[]);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    if std::env::var_os("WATCHPOST_TESTS_WITHOUT").is_none() {
        assert!(text.contains("watchpost measures 8 jobs, each has a value"), "{text}");
    }
    let root = text.lines().find_map(|line| line.trim().split_once("/bin/watchpost status --config ")).map(|(root, _)| root.to_owned());
    let root = root.unwrap_or_else(|| panic!("no command to try next in: {text}"));
    assert!(!Path::new(&root).exists(), "{root} was left behind");
    let left = Command::new("pgrep").args(["-f", &root]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes left");
}
