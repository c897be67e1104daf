//! The guides that the README leads to: each is there, and what it has a reader write is accepted.

use std::fs;

use crate::{
    harness::House,
    page::{Page, workspace},
};

/// How the table of guides begins.
const TABLE: &str = "| in | stands |";
/// A job that rows, rules and objectives of a guide may be about.
const JOB: &str =
    "[[job]]\nname = \"mx1\"\nagent = \"smtp\"\nevery = \"30s\"\nlabels = { site = \"paris\" }\nconfig = { host = \"127.0.0.1\" }\n";

#[test]
fn every_guide_is_in_the_readmes_table() {
    let mut told: Vec<String> = guides();
    let docs = fs::read_dir(workspace().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut there: Vec<String> =
        docs.filter(|path| path.is_file()).map(|path| format!("docs/{}", path.file_name().unwrap().to_str().unwrap())).collect();
    told.sort_unstable();
    there.sort_unstable();
    assert!(!there.is_empty());
    assert_eq!(told, there);
}

#[test]
fn check_accepts_what_each_guide_has_its_reader_write() {
    for guide in guides() {
        let page = Page::of(&guide);
        let house = House::new(JOB);
        let mut own = Vec::new();
        for file in page.files() {
            if file.name == "watchpost.toml" {
                house.add_to_main(file.text);
            } else {
                fs::write(house.folder().join(file.name), file.text).unwrap();
                // A template of tickets is named by a channel, and is no schedule.
                if !page.files().any(|main| main.text.contains(&format!("template = \"{}\"", file.name))) {
                    own.push(format!("\"{}\"", file.name));
                }
            }
        }
        house.replace_in_main("schedules = [", &format!("schedules = [{}", own.iter().map(|name| format!("{name}, ")).collect::<String>()));
        let said =
            house.command(&["check"]).env("SNMP_COMMUNITY", "public").env("DESK_TOKEN", "t").env("ICINGA_PASSWORD", "i").output().unwrap();
        assert!(said.status.success(), "{guide}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn the_commands_that_guides_name_are_there() {
    let house = House::new(JOB);
    for guide in guides() {
        for mentioned in Page::of(&guide).mentioned().filter_map(|span| span.strip_prefix("watchpost ")) {
            let words: Vec<&str> =
                mentioned.split(' ').take_while(|word| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')).collect();
            let said = house.run(&[&words[..], &["--help"]].concat());
            assert_eq!(said.code, Some(0), "{guide}: `{mentioned}`: {said:?}");
        }
    }
}

/// The guides of the README's table; folders are not read here.
fn guides() -> Vec<String> {
    let page = Page::read();
    page.first_cells(TABLE).filter(|name| !name.ends_with('/')).map(str::to_owned).collect()
}
