//! The same connections, as `ss` counts them.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    process::Command,
};

use serde_json::json;
use watchpost_testkit::Tree;

use crate::*;

/// Lines that `ss` prints; `None`, and a line that says why, where `cargo xtask test` looked for it in vain.
fn ss(words: &[&str]) -> Option<Vec<String>> {
    if std::env::var("WATCHPOST_TESTS_WITHOUT").unwrap_or_default().split_whitespace().any(|missing| missing == "iproute2") {
        eprintln!("left out: there is no ss");
        return None;
    }
    let output = Command::new("ss").arg("--no-header").args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn ss_counts_as_many_of_each_port_and_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let clients: Vec<_> = (0..40).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let (from, to) = (format!("sport = :{port}"), format!("dport = :{port}"));
    let Some(theirs) = ss(&["-tn", "state", "established", &from]) else { return };
    assert_eq!((active(&run(&json!({ "local": port })).await), theirs.len()), (40.0, 40));
    let theirs = ss(&["-tn", "state", "established", &to]).unwrap();
    assert_eq!((active(&run(&json!({ "remote": port })).await), theirs.len()), (40.0, 40));
    drop(clients);
}

#[tokio::test]
async fn ss_counts_as_many_of_a_unix_socket() {
    let tree = Tree::new().unwrap();
    let path = tree.at("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let clients: Vec<_> = (0..9).map(|_| (UnixStream::connect(&path).unwrap(), listener.accept().unwrap())).collect();
    let Some(theirs) = ss(&["-x", "src", path.to_str().unwrap()]) else { return };
    assert_eq!((active(&run(&json!({ "socket": path })).await), theirs.len()), (9.0, 9), "{theirs:?}");
    drop(clients);
}
