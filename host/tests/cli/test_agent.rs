//! `test-agent`: agents that keep to what is expected pass, and each that does not is told by its check.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{harness::House, parsed};

/// A library of agents that do not keep to something, each in its way.
fn lapses() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/liblapses.so")
}

/// What each check of the one job came to: name and verdict, and all that was seen.
fn checks(house: &House, library: &Path, words: &[&str]) -> (Option<i32>, Vec<(String, String)>, String) {
    let said = house.run(&[&["test-agent", library.to_str().unwrap(), "--json"], words].concat());
    let answer: Value = parsed(&said.out);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = answer["jobs"][0]["checks"].as_array().unwrap();
    let verdicts = checks.iter().map(|check| (text(&check["name"]), text(&check["verdict"]))).collect();
    (said.code, verdicts, checks.iter().map(|check| format!("{}: {}\n", check["name"], check["seen"])).collect())
}

/// The checks that an agent fails, and all that was seen.
fn failed(words: &[&str]) -> (Vec<String>, String) {
    let house = House::new("");
    let (code, verdicts, seen) = checks(&house, &lapses(), &[words, &["--runs", "60"]].concat());
    let failed: Vec<String> = verdicts.into_iter().filter(|(_, verdict)| verdict == "failed").map(|(name, _)| name).collect();
    // The other agent of the library has no job here.
    assert_eq!(code, Some(1), "{words:?}: {seen}");
    (failed, seen)
}

#[test]
fn each_lapse_is_told_by_its_check_and_by_no_other() {
    for (lapse, checks, words) in [
        ("none", &[] as &[&str], "refused"),
        ("undeclared", &["metrics"], "`undeclared` was not declared"),
        ("memory", &["memory"], "MiB after"),
        ("files", &["descriptors"], "before 60 runs"),
        ("zero", &["unreachable"], "the run ended well"),
        ("cut", &["cancellation"], "the run before has not ended"),
    ] {
        let (failed, seen) = failed(&["--agent", "lapse", "--set", &format!("lapse={lapse}"), "--set", "host=here"]);
        assert!(failed == checks && seen.contains(words), "{lapse} fails {failed:?}:\n{seen}");
    }
    let (failed, seen) = failed(&["--agent", "lapse", "--set", "lapse=abort", "--set", "host=here"]);
    assert!(["runs", "worker"].iter().all(|check| failed.iter().any(|name| name == check)), "{failed:?}:\n{seen}");
    let (failed, seen) = self::failed(&["--agent", "lax", "--set", "x=1"]);
    assert!(failed == ["unknown key"] && seen.contains("deny_unknown_fields"), "{failed:?}:\n{seen}");
}

/// A thousand runs of one that takes its time would take hours.
#[test]
fn runs_take_no_longer_than_they_may_and_what_they_do_not_show_is_left_out() {
    let house = House::new("");
    let slow = ["--agent", "lapse", "--set", "lapse=slow", "--set", "host=here", "--runs", "100000", "--within"];
    for (within, tells) in [("1s", "left_out"), ("8s", "passed")] {
        let begun = std::time::Instant::now();
        let (_, verdicts, seen) = checks(&house, &lapses(), &[&slow as &[&str], &[within]].concat());
        assert!(begun.elapsed() < std::time::Duration::from_secs(120), "{:?}", begun.elapsed());
        let verdict = |name: &str| verdicts.iter().find(|(known, _)| known == name).map(|(_, verdict)| verdict.clone()).unwrap();
        assert_eq!((verdict("runs").as_str(), verdict("memory").as_str()), ("left_out", tells), "{within}: {seen}");
        assert!(seen.contains(&format!("more were not over within {} s: --within gives them more time", &within[..1])), "{seen}");
    }
}

/// Its worker keeps its memory to itself, from its own user too.
#[test]
fn an_ordinary_user_sees_what_a_worker_holds_or_is_told_why_not() {
    let house = House::ordinary("");
    let library = house.folder().join("liblapses.so");
    std::fs::copy(lapses(), &library).unwrap();
    house.give(&library);
    for lapse in ["none", "files", "memory"] {
        let words = ["--agent", "lapse", "--set", &format!("lapse={lapse}"), "--set", "host=here", "--runs", "60"];
        let (_, verdicts, seen) = checks(&house, &library, &words);
        let verdict = |name: &str| verdicts.iter().find(|(known, _)| known == name).map(|(_, verdict)| verdict.clone()).unwrap();
        assert_eq!(verdict("memory"), if lapse == "memory" { "failed" } else { "passed" }, "{lapse}: {seen}");
        match verdict("descriptors").as_str() {
            "left_out" => assert!(seen.contains("on Linux 6.2"), "{lapse}: {seen}"),
            told => assert_eq!(told, if lapse == "files" { "failed" } else { "passed" }, "{lapse}: {seen}"),
        }
    }
}

/// The sandbox knows no port but those that the job said: it must not answer in the place of the network.
#[test]
fn a_port_that_nobody_listens_at_is_told_by_the_network_and_not_by_the_sandbox() {
    let house = House::ordinary("");
    let library = house.plugins().join("libwatchpost_smtp.so");
    let (_, verdicts, seen) = checks(&house, &library, &["--set", "host=127.0.0.1", "--set", "port=1", "--runs", "3"]);
    assert!(verdicts.contains(&("unreachable".into(), "passed".into())), "{seen}");
    let line = seen.lines().find(|line| line.contains("unreachable")).unwrap();
    assert!(line.contains("connect: ") && !line.contains("denied"), "{seen}");
}

#[test]
fn a_target_that_is_not_there_gives_a_kind_and_no_sample() {
    let house = House::new("");
    let library = house.plugins().join("libwatchpost_dns.so");
    let (code, verdicts, seen) = checks(&house, &library, &["--set", "host=127.0.0.1", "--set", "name=lab.test", "--runs", "20"]);
    assert_eq!(code, Some(0), "{seen}");
    assert!(verdicts.contains(&("unreachable".into(), "passed".into())) && seen.contains("connect: cannot reach 127.0.0.1:"), "{seen}");
}

#[test]
fn an_agent_without_a_job_is_untested_and_that_is_no_success() {
    let house = House::new("");
    let library = house.plugins().join("libwatchpost_dns.so");
    let jobs = house.keep("none.toml", b"[[job]]\nname = \"a\"\nagent = \"smtp\"\nevery = \"1m\"\nconfig = { host = \"mx1\" }\n");
    let said = house.run(&["test-agent", library.to_str().unwrap(), "--jobs", jobs.to_str().unwrap()]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("no job for agent `dns`"), "{said:?}");
    let said = house.run(&["test-agent", "/nowhere.so", "--jobs", jobs.to_str().unwrap()]);
    assert!(said.code == Some(1) && said.err.contains("No such file"), "{said:?}");
    let said = house.run(&["test-agent", library.to_str().unwrap(), "--agent", "foo", "--set", "host=a"]);
    assert!(said.code == Some(2) && said.err.contains("it carries dns, and no agent `foo`"), "{said:?}");
}
