//! Disks that are full: the writer stops and says so, reading goes on, and once there is room again all that was acknowledged is where a
//! daemon with room enough would have put it.
//!
//! The disks are small ones in a mount namespace of the test's own, which is why it runs itself once more.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use watchpost::series::store::{Applied, Options, SeriesStore};
use watchpost_journal::{Position, Reader};

use crate::{
    harness::{Daemon, House, until},
    servers::{job, willing},
};

const INSIDE: &str = "WATCHPOST_TEST_INSIDE_OWN_MOUNTS";
const THIS_TEST: &str = "full_disk::full_disks_stop_writers_and_lose_nothing_that_was_acknowledged";
/// Room for the files of a few jobs.
const DISK_BYTES: &str = "size=64m";
/// How long a busy machine may take to show what happens: a writer that stands still is told after ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A small disk in the place of a folder; it goes with the namespace.
struct Disk(PathBuf);

impl Disk {
    fn mounted_at(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK_BYTES, "tmpfs"]).arg(&folder).status().unwrap();
        assert!(mounted.success(), "no disk can be mounted at {}", folder.display());
        Self(folder)
    }

    /// Takes all the room that there is, to the last byte.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.0.join("ballast")).unwrap();
        for piece in [1 << 20, 4096, 1] {
            let error = std::iter::repeat_with(|| ballast.write_all(&vec![0; piece])).find_map(Result::err).unwrap();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disks_stop_writers_and_lose_nothing_that_was_acknowledged() {
    if env::var_os(INSIDE).is_some() {
        return the_story().await;
    }
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let own = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(words);
        command
    };
    let words: &[&str] = if root { &["--mount"] } else { &["--mount", "--map-root-user"] };
    if !own(words).arg("true").status().is_ok_and(|status| status.success()) {
        assert!(!root, "root cannot have mounts of its own");
        eprintln!("left out: an ordinary user may have no mounts of their own here");
        return;
    }
    let program = env::current_exe().unwrap();
    let inside = own(words).arg(program).args(["--exact", THIS_TEST, "--nocapture"]).env(INSIDE, "1").status().unwrap();
    assert!(inside.success(), "{inside}");
}

async fn the_story() {
    let server = willing().await;
    let calm = job("calm", "every = \"1s\"", server.port());
    let house = House::new(&calm);
    let data = Disk::mounted_at(house.data());
    let series = Disk::mounted_at(house.data().join("series"));
    let daemon = house.start();
    until(PATIENCE, || house.run(&["fetch", "up{job=\"calm\"}"]).code.filter(|code| *code == 0)).expect("it has a series");

    // No room for the file of a new series.
    series.fill();
    house.schedule(&(calm + &job("new", "every = \"1s\"", server.port())));
    house.run(&["reload"]).ok();
    stopped(&daemon, "series", "1");
    told(&house, &["writer_stopped series"]);
    let text = house.alarm_is("writer_stopped", "active");
    assert!(text.starts_with("series cannot be written: "), "{text}");
    reading_goes_on(&house, &daemon, &["calm", "new"]);
    series.free();
    stopped(&daemon, "series", "0");
    told(&house, &["writer_stopped series", "writer_resumed series"]);
    house.alarm_is("writer_stopped", "cleared");

    // No room for anything.
    data.fill();
    stopped(&daemon, "journal", "1");
    reading_goes_on(&house, &daemon, &[]);
    // Nor can be made durable what the series have: that holds until it is, whatever is entered meanwhile.
    until(PATIENCE, || daemon.log_text().contains("series files cannot be made durable").then_some(())).expect("it is logged");
    stopped(&daemon, "series", "1");
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(500));
        let metrics = daemon.get("/metrics").unwrap().body;
        assert!(metrics.contains("watchpost_host_writer_stopped{writer=\"series\"} 1"), "{}", daemon.log_text());
    }
    data.free();
    stopped(&daemon, "journal", "0");
    // That the series stood still, too, may come after it. Soon after, what all have of the journal is freed: no clean run can be made of it then.
    let all = ["writer_stopped series", "writer_resumed series", "writer_stopped journal", "writer_resumed journal"];
    let met = until(PATIENCE, || events(&house).starts_with(&all.map(str::to_owned)).then_some(()));
    assert!(met.is_some(), "{:?} and not {all:?}", events(&house));
    let ran = house.run(&["jobs", "run", "calm"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    until(PATIENCE, || gaps(&house).contains(&"not_stored".to_owned()).then_some(())).expect("what was not stored has its cause");
    daemon.stop();
    assert!(clean_run(&house.data()) == files(&house.data()), "files are not those of a daemon that had room");
}

/// Waits until the metric says that a writer stands still, or that none does.
fn stopped(daemon: &Daemon, writer: &str, value: &str) {
    let line = format!("watchpost_host_writer_stopped{{writer=\"{writer}\"}} {value}");
    let shown = until(PATIENCE, || daemon.get("/metrics").ok().filter(|answer| answer.body.contains(&line)));
    assert!(shown.is_some(), "not {line}\n{}", daemon.log_text());
}

/// Waits until these events were reported, in this order, and no others of writers.
fn told(house: &House, expected: &[&str]) {
    let met = until(PATIENCE, || (events(house) == expected).then_some(()));
    assert!(met.is_some(), "{:?} and not {expected:?}", events(house));
}

/// What was reported of writers.
fn events(house: &House) -> Vec<String> {
    let events: Value = serde_json::from_str(&house.run(&["events", "--json"]).ok()).unwrap();
    let said = |event: &Value| {
        let code = event["code"].as_str().filter(|code| code.starts_with("writer_"))?;
        Some(format!("{code} {}", event["text"].as_str()?.split(' ').next()?))
    };
    events.as_array().or_else(|| events["events"].as_array()).unwrap().iter().filter_map(said).collect()
}

/// What was measured is shown, and what was stored is read.
fn reading_goes_on(house: &House, daemon: &Daemon, shown: &[&str]) {
    let metrics = daemon.get("/metrics").unwrap();
    assert_eq!(metrics.status, 200);
    for job in shown {
        let up = until(PATIENCE, || {
            let metrics = daemon.get("/metrics").ok()?.body;
            metrics.lines().any(|line| line.starts_with("watchpost_up{") && line.contains(&format!("job=\"{job}\""))).then_some(())
        });
        assert!(up.is_some(), "{job} is not shown");
    }
    let fetched: Value = serde_json::from_str(&house.run(&["fetch", "up{job=\"calm\"}", "--from", "now-5min", "--json"]).ok()).unwrap();
    let known = fetched[0]["values"].as_array().unwrap().iter().filter(|value| !value.is_null()).count();
    assert!(known > 0, "{fetched}");
}

fn gaps(house: &House) -> Vec<String> {
    let answer: Value = serde_json::from_str(&house.run(&["fetch", "up{job=\"calm\"}", "--from", "now-5min", "--json"]).ok()).unwrap();
    answer[0]["gaps"].as_array().unwrap().iter().filter_map(|gap| Some(gap["cause"].as_str()?.to_owned())).collect()
}

/// The files that a store makes of the journal that nothing ever stopped.
fn clean_run(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let clean = tempfile::tempdir().unwrap();
    let mut store = SeriesStore::open(clean.path(), Options::default()).unwrap();
    let mut records = 0;
    for (position, record) in watchpost::daemon::records(Reader::offline(&data.join("journal"), Position::START).unwrap()) {
        assert_eq!(store.apply(position, &record).unwrap(), Applied::Taken);
        records += 1;
    }
    assert!(records > 10 && store.flush().files_behind == 0);
    files(clean.path())
}

fn files(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let jobs = fs::read_dir(data.join("series")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let files = jobs.flat_map(|job| fs::read_dir(job).unwrap().map(|entry| entry.unwrap().path()));
    files.map(|path| (path.strip_prefix(data).unwrap().display().to_string(), fs::read(&path).unwrap())).collect()
}
