//! Libraries that change under a running daemon: the new one takes over, and is switched back from where it is worse.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;
use watchpost::reading::{Cause, Reading};

use crate::{
    harness::{House, journal, until},
    house::{house, job, status, worker},
    zoo::example,
};

/// What stands in the library before the word that says what it does.
const MARK: &[u8] = b"watchpost-turncoat-does:";
/// Long enough for a look, a trial of two runs a second apart, and a busy machine.
const LONG: Duration = Duration::from_secs(40);

const ONE_JOB: &str = r#"
[[job]]
name = "tame"
agent = "tame"
every = "1s"
config = {}

[[job]]
name = "witness"
agent = "beast"
every = "1s"
config = { does = "well" }
"#;

/// Another version of the well-behaved agent, which does as `word` says.
pub(crate) fn version(word: &str) -> Vec<u8> {
    let mut library = fs::read(example("turncoat")).unwrap();
    let at = library.windows(MARK.len()).position(|bytes| bytes == MARK).expect("the mark is in the library") + MARK.len();
    library[at..at + 8].copy_from_slice(format!("{word:.<8}").as_bytes());
    library
}

/// A version that declares a metric under another name.
fn renamed() -> Vec<u8> {
    let (old, new) = (b"extra_of_turncoat", b"other_of_turncoat");
    let mut library = version("renamed");
    let places: Vec<usize> = (0..library.len() - old.len()).filter(|&at| &library[at..at + old.len()] == old).collect();
    assert!(!places.is_empty());
    for at in places {
        library[at..at + old.len()].copy_from_slice(new);
    }
    library
}

fn library(house: &House) -> PathBuf {
    house.folder().join("plugins/libtame.so")
}

/// Puts a file in place in one step, as an installer does.
fn put(path: &Path, bytes: &[u8]) {
    let draft = path.with_file_name("draft");
    fs::write(&draft, bytes).unwrap();
    fs::rename(draft, path).unwrap();
}

/// A house whose agent `tame` comes from the library that has versions.
pub(crate) fn house_of_versions(schedule: &str) -> House {
    house_of("well", schedule)
}

/// A house whose agent `tame` comes from this version of that library.
pub(crate) fn house_of(word: &str, schedule: &str) -> House {
    let house = house(schedule, &[]);
    put(&library(&house), &version(word));
    house
}

fn events(house: &House) -> Vec<Value> {
    serde_json::from_str(&house.run(&["events", "--json", "--limit", "1000"]).ok()).unwrap()
}

/// Texts of the events with this code, the earliest first.
fn told(house: &House, code: &str) -> Vec<String> {
    events(house).iter().filter(|event| event["code"] == code).map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

/// Replaces the library and waits for one more event of this code; gives its text.
fn replace(house: &House, bytes: &[u8], code: &str) -> String {
    let before = told(house, code).len();
    put(&library(house), bytes);
    let one_more = || told(house, code).get(before).cloned();
    until(LONG, one_more).unwrap_or_else(|| panic!("no {code}: {:#?}", events(house)))
}

/// Waits until a job has run well once more.
fn runs_well(house: &House, name: &str) {
    let ok = || job(&status(house), name)["ok"].as_u64().unwrap();
    let before = ok();
    until(LONG, || (ok() > before).then_some(())).unwrap_or_else(|| panic!("{}", status(house)));
}

/// Scheduled readings by job.
pub(crate) fn by_job(house: &House) -> BTreeMap<String, Vec<Reading>> {
    let mut readings: BTreeMap<String, Vec<Reading>> = BTreeMap::new();
    for reading in journal::readings(&house.data()).into_iter().filter(|reading| reading.cause == Cause::Schedule) {
        readings.entry(reading.job.clone()).or_default().push(reading);
    }
    readings
}

/// No slot is missing and none is there twice.
pub(crate) fn check_slots(job: &str, readings: &[Reading], step: i64) {
    for pair in readings.windows(2) {
        assert_eq!(pair[1].slot - pair[0].slot, step, "{job}: {:?} then {:?}", pair[0], pair[1]);
    }
}

/// What a changed library comes to, its reason, and what is left: its runs are one to a second, whatever library they ran in.
fn check(cases: &[(Vec<u8>, &str, &str)]) {
    let house = house_of_versions(ONE_JOB);
    let daemon = house.start();
    runs_well(&house, "tame");
    let pid = worker(&status(&house), "zoo")["pid"].clone();
    for (bytes, code, why) in cases {
        let said = replace(&house, bytes, code);
        assert!(said.contains(why), "{code}: {said}");
        runs_well(&house, "tame");
        let note = worker(&status(&house), "tame")["note"].clone();
        assert_eq!(note.as_str().is_some_and(|note| note.contains(why)), *code != "library_accepted", "{code}: {note}");
    }
    let zoo = worker(&status(&house), "zoo").clone();
    assert_eq!((&zoo["pid"], &zoo["crashes"]), (&pid, &0.into()), "another library's worker is not touched");
    // Workers that were switched away from are gone.
    until(LONG, || (daemon.workers().len() == 2).then_some(())).expect("two workers are left");
    assert!(daemon.stop().status.success());
    let readings = by_job(&house);
    for name in ["tame", "witness"] {
        check_slots(name, &readings[name], 1);
    }
    assert!(readings["witness"].iter().all(|reading| reading.outcome.status.is_ok()));
    let failed = readings["tame"].iter().filter(|reading| !reading.outcome.status.is_ok()).count();
    let may_fail = cases.iter().filter(|(_, code, _)| *code == "library_switched_back").count();
    assert!(failed <= may_fail, "{failed} runs failed, one each of {may_fail} bad libraries may");
}

#[test]
fn a_library_that_is_no_worse_takes_over_and_one_that_crashes_or_panics_is_switched_back_from() {
    check(&[
        (version("well2"), "library_accepted", "passed its trial"),
        (version("aborts"), "library_switched_back", "died of signal 6 (SIGABRT: abort)"),
        (version("panics"), "library_switched_back", "panic: this version panics"),
        (version("well3"), "library_accepted", "passed its trial"),
    ]);
}

#[test]
fn a_library_that_forgets_a_metric_or_fails_by_its_own_doing_is_switched_back_from() {
    check(&[
        (version("limits"), "library_switched_back", "limit: more than this version has a bound allows"),
        (version("forgets"), "library_switched_back", "it no longer records `extra_of_turncoat`"),
    ]);
}

#[test]
fn a_library_that_cannot_take_over_is_refused_and_nothing_changes() {
    let whole = version("well2");
    check(&[
        (version("refuses"), "library_refused", "it refuses job tame: `takes_ms`: this version takes nothing"),
        (renamed(), "library_refused", "it no longer declares metric `extra_of_turncoat` of agent tame, which job tame has"),
        (fs::read(example("major")).unwrap(), "library_refused", "it was built for another version of the agent interface"),
        (whole[..whole.len() / 2].to_vec(), "library_refused", "it is cut off"),
        (b"text".to_vec(), "library_refused", "it is no shared library"),
    ]);
}

/// What was left out while its plugin was disabled says nothing of a job, and what an operator says last holds.
#[test]
fn a_job_that_was_never_well_is_not_held_against_a_library_that_came_while_its_plugin_was_disabled() {
    let house = house_of("limits", ONE_JOB);
    let _daemon = house.start();
    let failed = || job(&status(&house), "tame")["kind"] == "limit";
    until(LONG, || failed().then_some(())).expect("it fails, as ever");
    house.run(&["plugins", "disable", "tame"]).ok();
    until(LONG, || (job(&status(&house), "tame")["kind"] == "skipped").then_some(())).expect("it is left out");
    let brought = house.folder().join("brought");
    fs::create_dir(&brought).unwrap();
    let brought = brought.join("libtame.so");
    let install = |word: &str| {
        let mut library = version("limits");
        // Another one, and as bad.
        library.extend_from_slice(word.as_bytes());
        fs::write(&brought, library).unwrap();
        house.run(&["plugins", "install", brought.to_str().unwrap()]).ok()
    };
    let said = install("one");
    assert!(said.contains("took over its 1 job; its plugin is disabled, and once that is enabled it is on trial"), "{said}");
    house.run(&["plugins", "enable", "tame"]).ok();
    until(LONG, || told(&house, "library_accepted").pop()).unwrap_or_else(|| panic!("{:#?}", events(&house)));
    assert_eq!(told(&house, "library_switched_back"), [""; 0]);
    assert!(failed(), "{}", status(&house));
    // One that crashes is sent back, and the one before it is wanted by then.
    house.run(&["plugins", "disable", "tame"]).ok();
    fs::write(&brought, version("aborts")).unwrap();
    house.run(&["plugins", "install", brought.to_str().unwrap()]).ok();
    house.run(&["plugins", "enable", "tame"]).ok();
    until(LONG, || told(&house, "library_switched_back").pop()).unwrap_or_else(|| panic!("{:#?}", events(&house)));
    until(LONG, || failed().then_some(())).unwrap_or_else(|| panic!("{}", status(&house)));
    assert_ne!(worker(&status(&house), "tame")["state"], "disabled");
}

/// The file that was sent back still lies in the folder when the daemon starts again.
#[test]
fn a_library_that_was_sent_back_is_not_taken_at_the_next_start_until_it_changes() {
    let house = house_of_versions(ONE_JOB);
    let daemon = house.start();
    runs_well(&house, "tame");
    replace(&house, &version("limits"), "library_switched_back");
    let replaced = told(&house, "library_replaced").len();
    assert!(daemon.stop().status.success());
    let daemon = house.start();
    runs_well(&house, "tame");
    // Long enough for the watch of the folder to have seen it.
    sleep(Duration::from_secs(4));
    let all = status(&house);
    let (tame, note) = (job(&all, "tame"), worker(&all, "tame")["note"].as_str().unwrap_or_default());
    assert!(tame["health"] == "ok" && tame["failed"].as_object().is_some_and(|failed| failed.is_empty()), "{tame}");
    assert!(note.contains("switched back from it: job tame: limit"), "{note}");
    assert_eq!(told(&house, "library_replaced").len(), replaced, "it is not tried again");
    replace(&house, &version("well2"), "library_accepted");
    assert!(fs::read_dir(house.data().join("libraries")).unwrap().all(|entry| entry.unwrap().file_name() == "instead.json"));
    assert!(daemon.stop().status.success());
}

/// A copy that takes its time is taken once it is whole, and not before.
#[test]
fn a_library_that_is_still_being_copied_is_left_alone() {
    let house = house_of_versions(ONE_JOB);
    let _daemon = house.start();
    let whole = version("well2");
    let path = library(&house);
    fs::remove_file(&path).unwrap();
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path).unwrap();
    for part in whole.chunks(whole.len().div_ceil(12)) {
        file.write_all(part).unwrap();
        file.sync_all().unwrap();
        sleep(Duration::from_millis(400));
    }
    drop(file);
    let accepted = until(LONG, || told(&house, "library_accepted").pop());
    assert!(accepted.is_some(), "{:#?}", events(&house));
    assert_eq!(told(&house, "library_refused"), [""; 0], "it was not tried before it was whole");
    assert_eq!(told(&house, "library_replaced").len(), 1);
}

/// A worker that dies comes back with the code that it had, whatever lies in the folder by then.
#[test]
fn a_library_replaced_under_its_feet_does_not_come_in_by_a_crash() {
    let house = house_of_versions(ONE_JOB);
    let _daemon = house.start();
    runs_well(&house, "tame");
    replace(&house, b"text", "library_refused");
    let pid = worker(&status(&house), "tame")["pid"].as_i64().unwrap();
    let process = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let back = |status: Value| (worker(&status, "tame")["restarts"] == 1 && worker(&status, "tame")["state"] == "ready").then_some(());
    until(LONG, || back(status(&house))).unwrap_or_else(|| panic!("{}", status(&house)));
    runs_well(&house, "tame");
}

/// 1,000 jobs of another library, and 20 of the one that is replaced three times, once by one that crashes.
#[test]
fn a_thousand_jobs_of_other_libraries_run_on_and_no_run_is_lost_or_doubled() {
    const OTHERS: usize = 1000;
    const OURS: usize = 20;
    let other =
        |number: usize| format!("[[job]]\nname = \"other-{number}\"\nagent = \"beast\"\nevery = \"5s\"\nconfig = {{ does = \"well\" }}\n");
    // Half of them take most of their second: they are under way when the library changes.
    let ours = |number: usize| {
        let takes = if number.is_multiple_of(2) { 0 } else { 700 };
        format!("[[job]]\nname = \"ours-{number}\"\nagent = \"tame\"\nevery = \"2s\"\nconfig = {{ takes_ms = {takes} }}\n")
    };
    let schedule: String = (0..OTHERS).map(other).chain((0..OURS).map(ours)).collect();
    let house = house_of_versions(&schedule);
    let daemon = house.start();
    runs_well(&house, "ours-0");
    let before = status(&house);
    for (word, code) in [("well2", "library_accepted"), ("aborts", "library_switched_back"), ("well3", "library_accepted")] {
        replace(&house, &version(word), code);
    }
    let after = status(&house);
    let zoo = worker(&after, "zoo");
    assert_eq!((&zoo["pid"], &zoo["crashes"]), (&worker(&before, "zoo")["pid"], &0.into()), "{zoo}");
    let skipped: u64 = after["jobs"].as_array().unwrap().iter().map(|job| job["skipped"].as_u64().unwrap()).sum();
    assert_eq!(skipped, 0);
    assert!(daemon.stop().status.success());
    let readings = by_job(&house);
    assert_eq!(readings.len(), OTHERS + OURS);
    let mut lost = Vec::new();
    for (name, readings) in &readings {
        let is_other = name.starts_with("other");
        check_slots(name, readings, if is_other { 5 } else { 2 });
        let failed = readings.iter().filter(|reading| !reading.outcome.status.is_ok());
        lost.extend(failed.map(|reading| (name.clone(), reading.outcome.status.clone())));
    }
    // One run shows that the bad library crashes; a run beside it is repeated, and lost only if that one crashes as well.
    assert!(lost.iter().all(|(name, _)| name.starts_with("ours")) && lost.len() <= OURS, "{lost:?}");
    let runs: usize = readings.values().map(Vec::len).sum();
    eprintln!("{runs} runs, {} of them lost to the library that crashes", lost.len());
}
