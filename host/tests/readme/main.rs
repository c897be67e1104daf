//! The README, followed by a newcomer who reads it to the letter: whatever it says to type is typed, whatever it says to write is written.
//!
//! Reading order: `page` (what the README says) · `story` (what each of its lines must answer) · `clone` (where it is followed) ·
//! `terminal` (who types) · `newcomer` (follows it) · `refusals` (whether they read as it says) · `guides` (what the README leads to).
//!
//! What differs from the page: ports and the lab's folder, which others may use; the versions of an agent's dependencies, which are those
//! that the workspace has already; and how long the compiler thinks about it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

#[path = "../harness/mod.rs"]
mod harness;
#[expect(dead_code, reason = "some of it is for the stories of the lab")]
#[path = "../lab/programs.rs"]
mod programs;
#[expect(dead_code, reason = "some of it is for the stories of the lab")]
#[path = "../lab/servers.rs"]
mod servers;

mod clone;
mod guides;
mod newcomer;
mod page;
mod refusals;
mod story;
mod terminal;

use std::{fs, process::Command};

use newcomer::Newcomer;
use page::{Page, Part};
use servers::Lab;

#[test]
fn whoever_follows_the_readme_measures_a_server_and_an_agent_of_his_own() {
    if !programs::there("curl") {
        return;
    }
    let Some(lab) = Lab::up() else { return };
    let mut newcomer = Newcomer::new(lab);
    for part in Page::read().parts() {
        match part {
            Part::Line(line) => newcomer.types(line),
            Part::Sample(text) => newcomer.compares(text),
            Part::File(file) => newcomer.writes(file),
        }
    }
    newcomer.leaves();
}

#[test]
fn every_command_of_the_readme_is_run_by_a_test() {
    let page = Page::read();
    let mut typed: Vec<&str> = page.parts().filter_map(|part| if let Part::Line(line) = part { Some(line) } else { None }).collect();
    let known: Vec<&str> = story::LINES.iter().map(|line| line.typed).chain(story::ELSEWHERE.map(|(typed, _, _)| typed)).collect();
    for mentioned in page.mentioned() {
        let is_run = known.iter().any(|known| known.starts_with(mentioned)) || story::LISTS.iter().any(|(list, _)| *list == mentioned);
        assert!(is_run, "no test runs `{mentioned}`");
    }
    for line in &typed {
        assert!(known.contains(line), "no test runs `{line}`");
    }
    typed.sort_unstable();
    assert_eq!(known.iter().find(|known| typed.binary_search(known).is_err()), None, "the README does not say this any more");
    for (typed, test, words) in story::ELSEWHERE {
        let text = fs::read_to_string(page::workspace().join(test)).unwrap_or_else(|error| panic!("{test} should run `{typed}`: {error}"));
        assert!(text.contains(words), "{test} does not run `{typed}`");
    }
}

#[test]
fn the_agent_of_the_readme_has_25_to_45_lines() {
    let page = Page::read();
    let source = page.files().find(|file| file.name.ends_with(".rs")).expect("there is an agent");
    let lines = source.text.lines().count();
    assert!((25..=45).contains(&lines), "{lines} lines");
}

#[test]
fn the_agent_of_the_readme_is_the_one_that_new_agent_writes() {
    let said = |text: &str| {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("//"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let written = fs::read_to_string(page::workspace().join("host/src/scaffold/rust/lib.rs.in")).unwrap();
    let written = written.replace("@NAME@", "spool").replace("@TYPE@", "SpoolAgent");
    assert_eq!(said(Page::read().fenced("rust")), said(&written));
}

#[test]
fn prometheus_takes_the_readmes_scrape_configuration() {
    if !programs::there("promtool") {
        return;
    }
    let (page, folder) = (Page::read(), tempfile::tempdir().unwrap());
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, page.fenced("yaml")).unwrap();
    let said = programs::output_of("promtool", &["check", "config", file.to_str().unwrap()]);
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn the_proofs_and_the_benches_are_listed() {
    for (typed, names) in story::LISTS {
        let mut words = typed.split(' ');
        let output = Command::new(words.next().unwrap()).args(words).current_dir(page::workspace()).output().unwrap();
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(output.status.success() && names.iter().all(|name| said.contains(name)), "{typed}: {output:?}");
    }
}
