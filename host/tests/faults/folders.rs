//! What a daemon needs and cannot have: a port, folders and files, a data folder of its own time. It says which and why in one line, ends,
//! and leaves all as it was.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use watchpost_testkit::Server;

use crate::{
    harness::{House, http::ask},
    smtp::SMTP,
};

/// Files that every start writes anew, or SQLite keeps beside an open database.
const PASSING: [&str; 3] = ["/lock", "-wal", "-shm"];
/// Where a SQLite file keeps `user_version` (its file format, "The Database Header").
const USER_VERSION: std::ops::Range<usize> = 60..64;

/// Puts things back; what was put in their place must be as it was put.
type Undo = Box<dyn FnOnce()>;

/// One obstacle: how it comes about, the exit code, the error, where `DATA` and `HOUSE` stand for the folders, and the place of a
/// fault in the main file.
struct Obstacle {
    put: fn(&House) -> Undo,
    code: i32,
    says: &'static str,
    place: Option<&'static str>,
}

/// In the data folder, which the main file leaves to be the usual one.
const fn in_data(put: fn(&House) -> Undo, says: &'static str) -> Obstacle {
    Obstacle { put, code: 1, says, place: Some("1:1") }
}

const fn fault(put: fn(&House) -> Undo, says: &'static str, place: &'static str) -> Obstacle {
    Obstacle { put, code: 2, says, place: Some(place) }
}

const OBSTACLES: [Obstacle; 17] = [
    Obstacle { put: port_taken, code: 1, says: "`listen`: cannot listen on PORT: Address already in use", place: Some("1:10") },
    // The data folder.
    in_data(|house| file_instead(&house.data()), "`data`: cannot use the data folder DATA: not a directory"),
    in_data(|house| mode(&house.data(), 0o500), "`data`: cannot use the data folder DATA: Permission denied"),
    in_data(|house| mode(&house.data(), 0o000), "`data`: cannot use the data folder DATA: Permission denied"),
    Obstacle {
        place: Some("3:8"),
        ..in_data(nowhere_to_make_it, "`data`: cannot use the data folder HOUSE/closed/data: Permission denied")
    },
    in_data(
        |house| mode(&house.data().join("journal"), 0o000),
        "`data`: cannot open the journal: cannot write DATA/journal/lock: Permission denied",
    ),
    in_data(
        |house| mode(&house.data().join("cursors"), 0o000),
        "`data`: cannot open the cursors: cannot read DATA/cursors: Permission denied",
    ),
    in_data(
        |house| mode(&house.data().join("catalogue.sqlite"), 0o000),
        "`data`: cannot open the series: cannot use the catalogue of series: DATA/catalogue.sqlite cannot be used: \
         unable to open database file",
    ),
    // Of a later version.
    in_data(
        |house| sealed(&house.data().join("journal/format"), |text| text.replacen("watchpost-journal 1 ", "watchpost-journal 2 ", 1)),
        "`data`: cannot open the journal: journal has format version 2, known up to 1",
    ),
    in_data(
        |house| sealed(&house.data().join("journal/consumers/series"), |text| text.replacen("consumer 1 ", "consumer 2 ", 1)),
        "`data`: cannot open the journal: position in DATA/journal/consumers/series has version 2, known up to 1",
    ),
    in_data(
        |house| database(&house.data().join("catalogue.sqlite")),
        "`data`: cannot open the series: cannot use the catalogue of series: DATA/catalogue.sqlite has format 99",
    ),
    in_data(
        |house| database(&day_of_events(house)),
        "`data`: cannot open the events: DATA/events/DAY has format 99, this program knows up to 1",
    ),
    in_data(newer_cursors, "`data`: cannot open the cursors: DATA/cursors has format version 99, known up to "),
    // The configuration.
    Obstacle {
        put: |house| mode(&house.folder().join("watchpost.toml"), 0o000),
        code: 2,
        says: "cannot read HOUSE/watchpost.toml: Permission denied",
        place: None,
    },
    fault(|house| mode(&house.folder().join("jobs.toml"), 0o000), "`schedules`: cannot read HOUSE/jobs.toml: Permission denied", "3:14"),
    fault(schedules_closed, "`schedules`: cannot read HOUSE/closed: Permission denied", "3:14"),
    fault(plugins_closed, "`plugins`: cannot read folder HOUSE/closed: Permission denied", "2:12"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_daemon_cannot_have_is_told_in_one_line_and_nothing_is_touched() {
    let server = Server::start((SMTP.neighbour)()).await.unwrap();
    let port = server.port();
    let schedule = format!(
        "[[job]]\nname = \"yearly\"\nagent = \"smtp\"\ncron = \"0 0 1 1 *\"\ntimezone = \"UTC\"\n\
         config = {{ host = \"127.0.0.1\", port = {port} }}\n"
    );
    let house = House::ordinary(&schedule);
    let daemon = house.start();
    assert_eq!(ask(&house.socket(), "POST", "/api/v1/jobs/yearly/run").unwrap().status, 200);
    assert!(daemon.stop().status.success());
    // The last reading of a job that runs seldom is kept there.
    assert!(house.data().join("cursors").exists());
    for obstacle in OBSTACLES {
        check(&house, &obstacle);
    }
    // None of them has left anything in the way.
    let daemon = house.start();
    assert!(daemon.stop().status.success());
}

fn check(house: &House, obstacle: &Obstacle) {
    let before = contents(house.folder());
    let day = day_of_events(house);
    let undo = (obstacle.put)(house);
    let says = obstacle.says.replace("DATA", &shown(&house.data())).replace("HOUSE", &shown(house.folder()));
    let says = says.replace("PORT", &listen(house)).replace("DAY", &day.file_name().unwrap().to_string_lossy());
    let said = house.run(&["run"]);
    let checked = (obstacle.code == 2).then(|| house.run(&["check"]));
    undo();
    for said in checked.iter().chain([&said]) {
        let errors: Vec<&str> = said.err.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
        let [error] = errors[..] else { panic!("{says}: {said:?}") };
        assert!(error.starts_with(&says), "{error}\nis not\n{says}");
        assert_eq!(said.code, Some(obstacle.code), "{said:?}");
        let place = said.err.lines().find_map(|line| line.strip_prefix("  --> "));
        let expected = obstacle.place.map(|place| format!("{}/watchpost.toml:{place}", house.folder().display()));
        assert_eq!(place, expected.as_deref(), "{said:?}");
    }
    let after = contents(house.folder());
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{says}: changed are {changed:?}");
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Every file below a folder, with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !PASSING.iter().any(|ending| shown(&path).ends_with(ending)) {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// What the configuration says to listen on.
fn listen(house: &House) -> String {
    let text = fs::read_to_string(house.folder().join("watchpost.toml")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("listen = \"")?.strip_suffix('"')).unwrap_or_default().to_owned()
}

fn day_of_events(house: &House) -> PathBuf {
    let days = fs::read_dir(house.data().join("events")).unwrap().map(|entry| entry.unwrap().path());
    days.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "sqlite")).expect("it has told of its start")
}

/// Gives a file or folder another mode.
fn mode(path: &Path, mode: u32) -> Undo {
    let (path, before) = (path.to_owned(), fs::metadata(path).unwrap().permissions());
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    Box::new(move || fs::set_permissions(&path, before).unwrap())
}

/// Gives a file other content.
fn content(path: &Path, change: impl Fn(&[u8]) -> Vec<u8>) -> Undo {
    let (path, before) = (path.to_owned(), fs::read(path).unwrap());
    let other = change(&before);
    assert_ne!(before, other);
    fs::write(&path, &other).unwrap();
    Box::new(move || {
        assert!(fs::read(&path).unwrap() == other, "{} was written", path.display());
        fs::write(&path, before).unwrap();
    })
}

/// Changes a line that ends in its checksum.
fn sealed(path: &Path, change: fn(&str) -> String) -> Undo {
    content(path, |bytes| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let line = change(text.trim_end().rsplit_once(' ').unwrap().0);
        format!("{line} {:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes()
    })
}

/// Makes a database one of a later format.
fn database(path: &Path) -> Undo {
    content(path, |bytes| {
        let mut bytes = bytes.to_vec();
        bytes[USER_VERSION].copy_from_slice(&99_u32.to_be_bytes());
        bytes
    })
}

fn newer_cursors(house: &House) -> Undo {
    content(&house.data().join("cursors"), |bytes| {
        let mut bytes = bytes.to_vec();
        bytes[7] = 99;
        bytes
    })
}

fn port_taken(house: &House) -> Undo {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let undo = configured(house, "127.0.0.1:0", &format!("127.0.0.1:{port}"));
    Box::new(move || {
        undo();
        drop(other);
    })
}

/// Changes the main file.
fn configured(house: &House, from: &str, to: &str) -> Undo {
    content(&house.folder().join("watchpost.toml"), |bytes| String::from_utf8_lossy(bytes).replace(from, to).into_bytes())
}

/// Puts a file where a folder was.
fn file_instead(folder: &Path) -> Undo {
    let (folder, aside) = (folder.to_owned(), folder.with_extension("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "a file").unwrap();
    Box::new(move || {
        assert_eq!(fs::read(&folder).unwrap(), b"a file");
        fs::remove_file(&folder).unwrap();
        fs::rename(&aside, &folder).unwrap();
    })
}

/// Makes a folder that nobody can enter, and changes the main file to name it.
fn closed_folder(house: &House, from: &str, to: &str) -> Undo {
    let folder = house.folder().join("closed");
    fs::create_dir(&folder).unwrap();
    house.give(&folder);
    let (open, undo) = (mode(&folder, 0o000), configured(house, from, to));
    Box::new(move || {
        undo();
        open();
        // It is empty.
        fs::remove_dir(&folder).unwrap();
    })
}

fn schedules_closed(house: &House) -> Undo {
    closed_folder(house, "schedules = [\"jobs.toml\"]", "schedules = [\"closed\"]")
}

fn plugins_closed(house: &House) -> Undo {
    closed_folder(house, "plugins = [", "plugins = [\"closed\", ")
}

fn nowhere_to_make_it(house: &House) -> Undo {
    closed_folder(house, "schedules", "data = \"closed/data\"\nschedules")
}
