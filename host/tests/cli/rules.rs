//! Rules that take agents to be broken: each has a file under `src/config/cases/agents` that breaks it alone, with the exact message.
//!
//! `UPDATE=1` writes what is said today. In a case `PLUGINS` is the folder of the agents we ship, and comes last, for its length differs;
//! `more` and `other` hold the library of one of them each, `bad` a file that is none.

use std::{
    any::Any,
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    harness::{Daemon, House, plugin_library},
    parsed,
};

#[test]
fn every_rule_about_agents_has_its_message() {
    check("agents", |case, broken| {
        let stem = case.file_name().unwrap().to_str().unwrap();
        broken == [stem.split_once("--").map_or(stem, |(rule, _)| rule)]
    });
}

#[test]
fn no_fault_of_files_hides_one_of_an_agent_or_makes_one_up() {
    check("agents-together", |_, broken| broken.len() > 1);
}

fn check(claim: &str, breaks_what_it_should: impl Fn(&Path, &[&str]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases").join(claim);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() > 3, "{cases:?}");
    let wrong: Vec<String> = cases.iter().filter_map(|case| differs(case, &breaks_what_it_should)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn differs(case: &Path, breaks_what_it_should: &impl Fn(&Path, &[&str]) -> bool) -> Option<String> {
    let house = house_of(case);
    let said = house.run(&["check", "--json"]);
    let answer = parsed(&said.out);
    let faults = answer["faults"].as_array().unwrap();
    let broken: Vec<&str> = faults.iter().map(|fault| fault["rule"].as_str().unwrap()).collect();
    if !breaks_what_it_should(case, &broken) {
        return Some(format!("{} breaks {broken:?}: {said:?}", case.display()));
    }
    let stops = faults.iter().any(|fault| fault["weight"] == "error");
    assert_eq!((said.code, &answer["ok"], said.err.as_str()), (Some(if stops { 2 } else { 0 }), &Value::from(!stops), ""), "{said:?}");
    differs_from_file(case, &shown(&house, &house.run(&["check"]).err))
}

/// What was said, without the places of this house.
fn shown(house: &House, said: &str) -> String {
    said.replace(&format!("{}/", house.folder().display()), "").replace(&house.plugins().display().to_string(), "PLUGINS")
}

fn differs_from_file(case: &Path, shown: &str) -> Option<String> {
    let file = case.with_extension("txt");
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, shown).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    (expected != shown).then(|| format!("{}\n--- expected\n{expected}\n--- said\n{shown}\n", file.display()))
}

/// What stands in a daemon's way when it starts, by the name of its case.
type InTheWay = fn(&House) -> Box<dyn Any>;

const IN_THE_WAY: [(&str, InTheWay); 5] = [
    ("data-in-use", |house| Box::new(house.start())),
    ("data-unusable", |house| Box::new(fs::write(house.data(), "a file"))),
    ("data-unusable--newer", |house| {
        fs::create_dir(house.data()).unwrap();
        let catalogue = rusqlite::Connection::open(house.data().join("catalogue.sqlite")).unwrap();
        catalogue.pragma_update(None, "user_version", 99).unwrap();
        Box::new(catalogue)
    }),
    ("listen-unusable", |_| Box::new(())),
    ("rrdcached-unusable", |_| Box::new(())),
];

#[test]
fn every_rule_of_a_start_has_its_message() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("127.0.0.1:{}", taken.local_addr().unwrap().port());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases/start");
    let check = |case: &PathBuf, in_the_way: &[InTheWay]| {
        let house = House::new("");
        let main = fs::read_to_string(case).unwrap();
        fs::write(house.folder().join("watchpost.toml"), main.replace("127.0.0.1:TAKEN", &port)).unwrap();
        let things: Vec<_> = in_the_way.iter().map(|put| put(&house)).collect();
        let said = house.run(&["run", "--log-level", "error"]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        let owner = things.iter().find_map(|thing| thing.downcast_ref::<Daemon>()).map_or(0, Daemon::pid);
        let shown = shown(&house, &said.err).replace(&port, "127.0.0.1:TAKEN").replace(&format!("process {owner}"), "process OTHER");
        differs_from_file(case, &shown)
    };
    let mut wrong: Vec<String> = Vec::new();
    for (name, put) in IN_THE_WAY {
        wrong.extend(check(&folder.join(format!("{name}.toml")), &[put]));
    }
    // Neither hides the other.
    wrong.extend(check(&folder.with_file_name("start-together").join("folder-and-port.toml"), &[IN_THE_WAY[1].1]));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let cases =
        fs::read_dir(folder).unwrap().filter(|entry| entry.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|e| e == "toml")));
    assert_eq!(cases.count(), IN_THE_WAY.len());
}

fn house_of(case: &Path) -> House {
    let house = House::new("");
    let plugins = house.plugins().display().to_string();
    for entry in fs::read_dir(case).unwrap() {
        let file = entry.unwrap().path();
        let text = fs::read_to_string(&file).unwrap().replace("PLUGINS", &plugins);
        fs::write(house.folder().join(file.file_name().unwrap()), text).unwrap();
    }
    for folder in ["more", "other", "bad"] {
        fs::create_dir(house.folder().join(folder)).unwrap();
    }
    for library in ["more/libfirst.so", "other/libsecond.so"] {
        fs::copy(plugin_library("smtp"), house.folder().join(library)).unwrap();
    }
    fs::write(house.folder().join("bad/libtext.so"), "a text\n").unwrap();
    house
}
