//! The data folder: one daemon's at a time, and none's that is too old for it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    harness::{House, Said, http::ask, until},
    servers::{job, willing},
};

/// Files that every start writes anew, or SQLite keeps beside an open database.
const PASSING: [&str; 3] = ["lock", "-wal", "-shm"];

/// A house with a job that ran once, in which no daemon runs.
async fn lived_in() -> House {
    let server = willing().await;
    let house = House::new(&job("once", "every = \"1h\"", server.port()));
    let daemon = house.start();
    assert_eq!(ask(&house.socket(), "POST", "/api/v1/jobs/once/run").unwrap().status, 200);
    assert!(daemon.stop().status.success());
    house
}

/// Every file below a folder, with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !PASSING.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn check_refused(house: &House, why: &str) {
    let before = contents(&house.data());
    let Said { code, err, .. } = house.run(&["run"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(why), "{err}");
    let after = contents(&house.data());
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "changed by a daemon that was refused: {changed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_and_told_whose_the_folder_is() {
    let server = willing().await;
    let house = House::new(&job("fast", "every = \"1s\"", server.port()));
    let first = house.start();
    let Said { code, err, .. } = house.run(&["run"]);
    assert_eq!(code, Some(1), "{err}");
    let error = err.lines().next().unwrap_or(&err);
    assert!(error.starts_with("error: "), "nothing stands before the reason, no worker's start: {err}");
    assert!(error.contains("in use by another watchpost") && error.contains(&format!("(process {})", first.pid())), "{err}");
    assert_eq!(first.get("/-/ready").unwrap().status, 200, "the first goes on");
    assert_eq!(house.run(&["status"]).code, Some(0), "and answers on its socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_from_a_later_version_is_refused_and_left_as_it_is() {
    let house = lived_in().await;
    let path = house.data().join("journal/format");
    let text = fs::read_to_string(&path).unwrap();
    let (line, _) = text.trim_end().rsplit_once(' ').unwrap();
    let newer = line.replacen("watchpost-journal 1 ", "watchpost-journal 2 ", 1);
    assert_ne!(line, newer);
    fs::write(&path, format!("{newer} {:08x}\n", crc32c::crc32c(newer.as_bytes()))).unwrap();
    check_refused(&house, "cannot open the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_from_a_later_version_is_refused_and_left_as_it_is() {
    let house = lived_in().await;
    let catalogue = rusqlite::Connection::open(house.data().join("catalogue.sqlite")).unwrap();
    catalogue.pragma_update(None, "user_version", 99).unwrap();
    drop(catalogue);
    check_refused(&house, "cannot open the series");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_only_the_journal_knows_is_fetched_without_a_daemon() {
    let server = willing().await;
    let house = House::new(&job("once", "every = \"1h\"", server.port()));
    let daemon = house.start();
    assert_eq!(ask(&house.socket(), "POST", "/api/v1/jobs/once/run").unwrap().status, 200);
    daemon.kill();
    // As if it had been killed before the reading reached its series.
    for entry in fs::read_dir(house.data()).unwrap() {
        let path = entry.unwrap().path();
        match path.file_name().unwrap().to_str().unwrap() {
            "series" => fs::remove_dir_all(path).unwrap(),
            name if name.contains(".sqlite") => fs::remove_file(path).unwrap(),
            _ => {}
        }
    }
    let told = house.run(&["fetch", "total_time{job=\"once\"}", "--from", "now-1d", "--to", "now+1h", "--format", "csv"]).ok();
    assert!(told.lines().any(|row| row.split_once(',').is_some_and(|(_, cell)| cell.trim().parse::<f64>().is_ok())), "{told}");
}

/// After a clean stop nothing is torn: what was asked for is told, and that nothing could be put right if it were.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_told_by_whoever_reads_without_a_daemon() {
    let server = willing().await;
    let house = House::new(&job("calm", "every = \"1s\"", server.port()));
    let daemon = house.start();
    until(Duration::from_secs(30), || house.run(&["fetch", "up"]).code.filter(|code| *code == 0)).expect("it has a series");
    daemon.stop();
    let whole = house.run(&["fetch", "up", "--from", "now-5min"]);
    assert!(!whole.err.contains("damaged"), "{whole:?}");
    fs::write(house.data().join("series.checkpoint"), "garbage").unwrap();
    let told = house.run(&["fetch", "up", "--from", "now-5min"]);
    assert!(told.err.contains("series.checkpoint is damaged"), "{told:?}");
    let values = |table: &str| table.lines().filter(|line| line.ends_with(",1")).map(str::to_owned).collect::<Vec<_>>();
    assert!(!values(&whole.out).is_empty() && values(&told.out) == values(&whole.out), "{} {}", whole.out, told.out);
}
