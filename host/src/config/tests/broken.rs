//! Each rule has a file that breaks only that rule, and its exact message.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    House, SOUND, golden, now,
    probe::{all_faults, house},
};
use crate::config::{Faults, Rule, ad_hoc};

/// Rules whose cases need a daemon's programs: `host/tests/cli` runs them.
const WITH_AGENTS: [&str; 2] = ["agents", "start"];

#[test]
fn every_rule_of_the_main_file_has_its_message() {
    golden::check("main", |case| {
        let house = House::new();
        for folder in ["empty", "pipes"] {
            fs::create_dir(house.path().join(folder)).unwrap();
        }
        let pipe = house.path().join("pipes/pipe.toml");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        house.lay("schedules/sound.toml", SOUND);
        house.lay("expired.pem", include_str!("expired.pem"));
        if case.extension().is_some_and(|ending| ending == "missing") {
            fs::remove_file(house.main()).unwrap();
        } else {
            house.lay("watchpost.toml", fs::read(case).unwrap());
        }
        remove_where_left_out(&house, case);
        said(house)
    });
}

/// A key that is left out means a folder, which must not be there.
fn remove_where_left_out(house: &House, case: &Path) {
    let stem = case.file_stem().unwrap().to_str().unwrap();
    if let Some(key) = stem.strip_suffix("-unreadable--left-out") {
        fs::remove_dir_all(house.path().join(key)).unwrap();
    }
}

#[test]
fn every_rule_of_a_schedule_file_has_its_message() {
    golden::check("schedule", |case| said(House::new().with("schedules/broken.toml", fs::read(case).unwrap())));
}

#[test]
fn every_rule_between_files_has_its_message() {
    golden::check("between", |case| said(house_of(case)));
}

#[test]
fn every_rule_of_a_config_has_its_message() {
    let only_root_gives_away = (!rustix::process::getuid().is_root()).then_some(Rule::SecretFileForeign);
    golden::check_but("bind", only_root_gives_away, |case| {
        let house = house().with("schedules/broken.toml", fs::read(case).unwrap());
        let faults = all_faults(&house);
        (house, faults)
    });
}

#[test]
fn every_rule_of_a_reload_has_its_message() {
    golden::check("reload", |case| {
        let house = House::new().with("schedules/sound.toml", SOUND);
        let old = house.load().unwrap().config;
        house.lay("watchpost.toml", fs::read(case).unwrap());
        let faults = house.load().unwrap().config.moved_from(&old);
        (house, faults.into())
    });
}

#[test]
fn every_rule_of_a_command_line_has_its_message() {
    golden::check("settings", |case| {
        let text = fs::read_to_string(case).unwrap();
        let settings: Vec<_> = text.lines().map(str::to_owned).collect();
        (House::new(), ad_hoc("probe", &settings, now()).unwrap_err())
    });
}

#[test]
fn whatever_is_wrong_is_told_at_once_and_nothing_twice_or_because_of_another() {
    golden::check_together("together", |case| {
        let house = house();
        house.lay_all(case);
        let faults = all_faults(&house);
        (house, faults)
    });
}

#[test]
fn every_rule_has_one_file_of_its_own_and_no_file_is_of_no_rule() {
    let claims = ["main", "schedule", "between", "bind", "reload", "settings"];
    let mut files: BTreeMap<String, usize> = BTreeMap::new();
    for case in claims.iter().chain(&WITH_AGENTS).flat_map(|claim| golden::cases(claim)) {
        let (stem, rule) = (case.file_stem().unwrap().to_str().unwrap(), golden::rule_of(&case));
        assert!(Rule::ALL.iter().any(|known| known.name() == rule), "{}: there is no such rule", case.display());
        *files.entry(rule.to_owned()).or_default() += usize::from(stem == rule);
    }
    let wrong: Vec<_> = Rule::ALL.iter().map(|rule| (rule.name(), files.get(rule.name()).copied().unwrap_or_default())).collect();
    let wrong: Vec<_> = wrong.iter().filter(|(_, files)| *files != 1).collect();
    assert!(wrong.is_empty(), "rules and the number of their files: {wrong:?}");
}

fn said(house: House) -> (House, Faults) {
    let faults = match house.load() {
        Ok(loaded) => loaded.warnings,
        Err(faults) => faults,
    };
    (house, faults)
}

fn house_of(case: &Path) -> House {
    let house = House::new();
    house.lay_all(case);
    house
}
