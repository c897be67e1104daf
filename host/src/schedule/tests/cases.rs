//! Schedules in files under `cases/`, each with what it must say; `UPDATE=1` writes what it says today.
//!
//! A case is `key = value` lines, `---`, and the answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use super::super::{Holidays, Overlap, ScheduleError, Timetable, UnixTime, Windows, Zone, parse_span};
use super::{at, chain};

type Keys = BTreeMap<String, String>;

#[test]
fn a_schedule_runs_when_its_case_says() {
    check("runs", |keys| {
        let timetable = timetable(keys).unwrap();
        let after = at(&keys["after"]);
        let rhythm = timetable.rhythm(after);
        let mut said =
            vec![timetable.to_string(), format!("interval {} s, step {} s", rhythm.interval().as_secs(), rhythm.step().as_secs())];
        let dues = timetable.upcoming(after, keys["count"].parse().unwrap());
        said.extend(dues.map(|due| timetable.zone().format(due)));
        said.join("\n")
    });
}

#[test]
fn a_faulty_schedule_is_refused_with_what_would_be_right() {
    check("refused", |keys| match settle(keys) {
        Ok(()) => "accepted".to_owned(),
        Err(error) => chain(&error),
    });
}

fn settle(keys: &Keys) -> Result<(), ScheduleError> {
    keys.get("overlap").map_or(Ok(Overlap::Skip), |word| Overlap::parse(word))?;
    let timeout = keys.get("timeout").map(|text| parse_span(text)).transpose()?;
    timetable(keys)?.rhythm(UnixTime::from_secs(0)).deadline(timeout)?;
    Ok(())
}

fn timetable(keys: &Keys) -> Result<Timetable, ScheduleError> {
    let zone = keys.get("timezone").map_or(Ok(Zone::default()), |name| Zone::parse(name))?;
    let timetable = match (keys.get("every"), keys.get("cron")) {
        (Some(every), None) => Timetable::every(every, "pop-paris", zone),
        (None, Some(cron)) => Timetable::cron(cron, zone),
        _ => panic!("a case has either every or cron"),
    };
    timetable?.within(windows(keys)?, keys.get("after").map_or(UnixTime::from_secs(0), |after| at(after)))
}

/// Windows stand side by side with `|` between, holidays with spaces.
fn windows(keys: &Keys) -> Result<Option<Windows>, ScheduleError> {
    let holidays = keys.get("holidays").map(|list| Holidays::parse(&list.replace(' ', "\n")).unwrap());
    let list = |key| keys.get(key).into_iter().flat_map(|list: &String| list.split('|'));
    Windows::parse(list("active"), list("blackout"), Arc::new(holidays.unwrap_or_default()))
}

fn check(claim: &str, answer: impl Fn(&Keys) -> String) {
    let files = files(claim);
    assert!(files.len() > 2, "no cases found for {claim}");
    let wrong: Vec<_> = files.iter().filter_map(|file| differs(file, &answer)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files(claim: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schedule/cases").join(claim);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn differs(file: &Path, answer: impl Fn(&Keys) -> String) -> Option<String> {
    let text = fs::read_to_string(file).unwrap();
    let (input, expected) = text.split_once("---\n").unwrap();
    let keys = input.lines().map(|line| line.split_once(" = ").unwrap_or_else(|| panic!("{line}")));
    let said = answer(&keys.map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
    if env::var_os("UPDATE").is_some() {
        fs::write(file, format!("{input}---\n{said}\n")).unwrap();
    } else if said != expected.trim_end() {
        return Some(format!("{}:\nexpected {expected}said     {said}", file.display()));
    }
    None
}
