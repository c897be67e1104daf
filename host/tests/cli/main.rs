//! The command line as people and programs meet it: what it prints, where, and with which exit code.
//!
//! Reading order: `checking` (before anything runs) · `ordinary` (the same, by a user who may not read all) · `rules` (what `check`
//! says of each fault of an agent's) · `errors` (every refusal) · `help` (every example) · `measuring` (one run, here and now) ·
//! `adhoc` (of an agent without a file) · `asking` (a daemon that runs, or none) · `capacity` (where series go) · `coverage` (which rows have a value) · `imports` (series of other programs) · `interrupted` (the same, killed in its middle) · `init` (a first schedule) · `new_agent` and `test_agent` (a first agent) · `screen` (its status) · `sla` (what was promised) · `steps` (how far rows are
//! apart) · `workbook` (what spreadsheets open) · `listener` (the same for programs) · `series` (which there are, and pictures of them) · `terminal` (and pipes) · `reloading` and `unchangeable` (a configuration that changes) · `shipped` (files that we give to
//! others). Servers are scripted; real ones are in `lab`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

#[path = "../harness/mod.rs"]
mod harness;
#[expect(dead_code, reason = "some of it is for the stories of the lab")]
#[path = "../lab/programs.rs"]
mod programs;

mod adhoc;
mod asking;
mod capacity;
mod checking;
mod coverage;
mod errors;
mod help;
mod imports;
mod init;
mod interrupted;
mod judging;
mod listener;
mod measuring;
mod new_agent;
mod ordinary;
mod reloading;
mod rules;
mod screen;
mod series;
mod shipped;
mod sla;
mod steps;
mod terminal;
mod test_agent;
mod unchangeable;
mod workbook;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;
use watchpost_testkit::{Script, Server};

use harness::{House, Said};

/// A server that greets and takes leave.
async fn willing() -> Server {
    let script = Script::new().say("220 ready").expect("EHLO").say("250 here").expect("QUIT").say("221 bye");
    Server::start(script).await.unwrap()
}

/// A job of the agent `smtp` against a port.
fn job(name: &str, timing: &str, port: u16) -> String {
    format!("[[job]]\nname = \"{name}\"\nagent = \"smtp\"\n{timing}\nconfig = {{ host = \"127.0.0.1\", port = {port} }}\n")
}

/// Writes a secret as the host wants it: for its owner alone.
fn write_secret(file: &Path, secret: &str) {
    fs::create_dir_all(file.parent().expect("it is in a folder")).unwrap();
    fs::write(file, format!("{secret}\n")).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Runs a command whose answer is JSON.
fn json(house: &House, words: &[&str]) -> Value {
    parsed(&house.run(&[words, &["--json"]].concat()).ok())
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A command that failed with this code, said nothing on standard output, and this, somewhere, on standard error.
fn refused(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
    assert!(said.err.starts_with("error: "), "{}", said.err);
    for part in parts {
        assert!(said.err.contains(part), "no {part:?} in:\n{}", said.err);
    }
}
