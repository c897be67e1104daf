//! Every refusal of every command: one form, `error: what failed: why`, on standard error, and the exit code that says whose fault it is.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    harness::{House, Said, until},
    job,
};

/// Another user, who owns nothing.
const NOBODY: u32 = 65534;

/// What is refused, and how it begins; `~` stands for the house's folder.
const REFUSED: &[(&[&str], i32, &str)] = &[
    // Wrong usage, as clap finds it.
    (&["statsu"], 2, "wrong usage: unrecognized subcommand 'statsu'"),
    (&["status", "--jsn"], 2, "wrong usage: unexpected argument '--jsn' found"),
    (&["measure"], 2, "wrong usage: the following required arguments were not provided"),
    (&["measure", "relay", "--agent", "smtp"], 2, "wrong usage: the argument '[JOB]' cannot be used with '--agent <AGENT>'"),
    (&["measure", "relay", "--set", "a=b"], 2, "wrong usage: the argument '[JOB]' cannot be used with '--set <KEY=VALUE>'"),
    (&["measure", "relay", "--plugins", "/"], 2, "wrong usage: the argument '[JOB]' cannot be used with '--plugins <FOLDER>'"),
    (&["plan", "-n", "0"], 2, "wrong usage: invalid value '0' for '--count <COUNT>': a whole number from 1 to 100000 is wanted"),
    (&["plan", "-n", "-1"], 2, "wrong usage: unexpected argument '-1' found"),
    (&["plan", "-n", "100001"], 2, "wrong usage: invalid value '100001' for '--count <COUNT>': a whole number from 1 to 100000 is wanted"),
    (&["plan", "-n", "many"], 2, "wrong usage: invalid value 'many' for '--count <COUNT>': a whole number"),
    (&["jobs", "rnu", "relay"], 2, "wrong usage: unrecognized subcommand 'rnu'"),
    (&["jobs", "run"], 2, "wrong usage: the following required arguments were not provided"),
    (&["completions", "csh"], 2, "wrong usage: invalid value 'csh' for '<SHELL>'"),
    (&["run", "--log", "xml"], 2, "wrong usage: invalid value 'xml' for '--log <LOG>'"),
    (&["run", "--log-level", "=="], 2, "`--log-level ==`: "),
    // Wrong names.
    (&["plan", "rely"], 2, "cannot plan job `rely`: no job is called so; did you mean `relay`?"),
    (&["plan", "never"], 2, "cannot plan job `never`: no job is called so; `watchpost plan` lists all"),
    (&["measure", "rely"], 2, "cannot measure job `rely`: no job is called so; did you mean `relay`?"),
    (&["agents", "smpt"], 2, "cannot explain agent `smpt`: no library carries it; did you mean `smtp`?"),
    (&["measure", "--agent", "smpt"], 2, "`agent`: no library carries \"smpt\""),
    (&["measure", "--agent", "smtp", "--set", "host"], 2, "setting 1: no `=` in it"),
    (&["measure", "--agent", "smtp", "--plugins", "~/gone"], 2, "cannot look for agents in ~/gone: No such file or directory"),
    // No daemon, no data.
    (&["status"], 1, "cannot tell the status: no daemon runs on ~/data; start one with `watchpost run`"),
    (&["jobs"], 1, "cannot list the jobs: no daemon runs on ~/data; start one with `watchpost run`"),
    (&["jobs", "list"], 1, "cannot list the jobs: no daemon runs on ~/data"),
    (&["jobs", "run", "relay"], 1, "cannot run job `relay`: no daemon runs on ~/data"),
    (&["jobs", "pause", "relay"], 1, "cannot pause job `relay`: no daemon runs on ~/data"),
    (&["jobs", "resume", "relay"], 1, "cannot resume job `relay`: no daemon runs on ~/data"),
    (&["reload"], 1, "cannot reload: no daemon runs on ~/data"),
    (&["fetch", "up"], 1, "cannot fetch: there is no data folder ~/data"),
    (&["fetch", "up", "--format", "cvs"], 2, "cannot fetch: `cvs` is no format; did you mean csv?"),
    (&["events"], 1, "cannot list events: there is no data folder ~/data"),
    // What cannot be written.
    (&["man", "--output", "~/jobs.toml"], 1, "cannot write man pages to ~/jobs.toml: "),
];

#[test]
fn every_refusal_says_what_failed_and_why_and_whose_fault_it_is() {
    let house = House::new(&job("relay", "every = \"5s\"", 25));
    let folder = house.folder().display().to_string();
    for (words, code, begins) in REFUSED {
        let words: Vec<String> = words.iter().map(|word| word.replace('~', &folder)).collect();
        let said = house.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        check(&said, *code, &begins.replace('~', &folder));
    }
}

#[test]
fn a_configuration_that_is_missing_or_none_is_told_with_its_place() {
    let house = House::new("");
    let main = house.folder().join("watchpost.toml");
    fs::write(&main, "data == 1\n").unwrap();
    for words in [&["check"] as &[&str], &["agents"], &["plan"], &["measure", "a"], &["status"], &["fetch", "up"], &["reload"], &["run"]] {
        let said = house.run(words);
        check(&said, 2, "not TOML: ");
        assert!(said.err.contains(&format!("--> {}:1:", main.display())), "{said:?}");
    }
    fs::remove_file(&main).unwrap();
    check(&house.run(&["check"]), 2, &format!("cannot read {}: No such file or directory", main.display()));
}

#[test]
fn who_may_not_ask_is_told_who_may() {
    let house = House::new("");
    fs::set_permissions(house.folder(), Permissions::from_mode(0o755)).unwrap();
    let _daemon = house.start();
    if !rustix::process::getuid().is_root() {
        return; // only root can become another user
    }
    // In a folder that everybody reaches, unlike a clone below /root.
    let program = house.folder().join("watchpost");
    fs::copy(house.bare(&[]).get_program(), &program).unwrap();
    let mut command = Command::new(program);
    command.args(["status", "--config"]).arg(house.folder().join("watchpost.toml")).stdin(Stdio::null());
    command.uid(NOBODY).gid(NOBODY);
    // A child that another test forks in that moment may still hold the copy open for writing: ETXTBSY, until it execs.
    let output = until(Duration::from_secs(10), || command.output().ok()).expect("the copy can be run");
    let said =
        Said { code: output.status.code(), out: String::from_utf8(output.stdout).unwrap(), err: String::from_utf8(output.stderr).unwrap() };
    check(
        &said,
        1,
        &format!(
            "cannot tell the status: {} is closed to you; only the user who runs the daemon (uid 0) may ask it",
            house.data().display()
        ),
    );
}

/// One line for people (and what clap adds below), nothing for programs.
fn check(said: &Said, code: i32, begins: &str) {
    assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
    let error = said.err.lines().find(|line| !line.starts_with("warning: ")).unwrap_or_default();
    assert!(error.starts_with(&format!("error: {begins}")), "no {begins:?} in:\n{}", said.err);
    let (what, why) = error.trim_start_matches("error: ").split_once(": ").unwrap_or_default();
    assert!(!what.is_empty() && !why.is_empty() || error.ends_with(':'), "not what and why: {error}");
    // The number of an operating system's error tells a reader nothing.
    assert!(said.err.contains("\n  --> ") || !said.err.contains("os error"), "{}", said.err);
    assert!(!said.err.contains("panicked") && !said.err.contains('\u{1b}'), "{}", said.err);
}
