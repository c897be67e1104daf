//! Each rule has a file that breaks only that rule, and its exact message.

use std::{fs, path::Path};

use super::{House, SOUND, golden};

fn faults_of(house: &House) -> String {
    match house.load() {
        Ok(loaded) => format!("accepted\n{}", house.shown(&loaded.warnings)).trim_end().into(),
        Err(faults) => house.shown(&faults),
    }
}

#[test]
fn every_rule_of_the_main_file_has_its_message() {
    golden::check("main", |case| {
        let house = House::new().with("schedules/sound.toml", SOUND).with("watchpost.toml", fs::read(case).unwrap());
        fs::create_dir(house.path().join("empty")).unwrap();
        faults_of(&house)
    });
}

#[test]
fn every_rule_of_a_schedule_file_has_its_message() {
    golden::check("schedule", |case| faults_of(&House::new().with("schedules/broken.toml", fs::read(case).unwrap())));
}

#[test]
fn every_rule_between_files_has_its_message() {
    golden::check("between", |case| {
        let files = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path());
        let place = |house: House, file: &Path| {
            let name = file.file_name().unwrap().to_str().unwrap();
            house.with(&format!("schedules/{name}"), fs::read(file).unwrap())
        };
        faults_of(&files.fold(House::new(), |house, file| place(house, &file)))
    });
}

#[test]
fn all_faults_of_all_files_come_at_once() {
    let house = House::new()
        .with("watchpost.toml", "lissten = \"x\"\nlisten = \"nowhere\"\nplugins = [\"plugins\"]\nschedules = [\"schedules\"]\n")
        .with("schedules/a.toml", "[[job]]\nname = \"A\"\nagent = 3\nevery = \"30\"\ntimeout = \"1 year\"\nzone = \"UTC\"\n")
        .with("schedules/b.toml", "[[job]]\nname = \"b\"\n[[job]\n");
    let faults = house.load().unwrap_err();
    let places: Vec<_> = faults.iter().map(|fault| (fault.place.file.file_stem().unwrap().to_str().unwrap(), fault.place.line)).collect();
    assert_eq!(places, [("a", 2), ("a", 3), ("a", 4), ("a", 5), ("a", 6), ("b", 3), ("watchpost", 1), ("watchpost", 2)], "{faults}");
}
