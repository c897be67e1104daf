//! `series import`, killed in its middle: who asked for it, the daemon that does it, or the command that does it alone. All of it is there
//! then, or nothing; and a second import gives what one gives that nobody killed. rrdtool is the witness.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    harness::{Daemon, House, rrdtool, until},
    job, willing,
};

const JOBS: u64 = 6;
const STEP: i64 = 60;
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Killed {
    /// The command, which a daemon answers.
    Client,
    Daemon,
    /// The command, where no daemon runs.
    Alone,
}

/// When: with the first copy of a file, with the last one, or with the first that has its name among the series.
const MOMENTS: [(&str, Moment); 3] = [
    ("connect_time", |house| copies(house) >= 1),
    ("banner_time", |house| copies(house) as u64 == JOBS),
    ("total_time", |house| taken_in(house) >= 1),
];
type Moment = fn(&House) -> bool;

/// Copies that are being made.
fn copies(house: &House) -> usize {
    fs::read_dir(house.data().join("series/.import")).map_or(0, Iterator::count)
}

/// Copies that have their names, and wait for others to take over their rows.
fn taken_in(house: &House) -> usize {
    rrdtool::files(&house.data()).iter().filter(|file| file.to_string_lossy().contains(".import.")).count()
}

/// Files of another program, one for each job; large enough for a copy to take a while.
fn others(folder: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(folder).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let (last, rows) = (now / STEP * STEP - STEP, 200);
    let made = (0..JOBS).map(|n| {
        let file = folder.join(format!("mx-{n}.rrd"));
        let begin = (last - rows * STEP).to_string();
        let create =
            ["create", "--step", "60", "--start", &begin, "DS:value:GAUGE:120:0:U", "RRA:AVERAGE:0.5:1:150000", "RRA:MAX:0.5:60:20000"];
        let update: Vec<String> =
            (1..=rows).map(|row| format!("{}:{}", last - (rows - row) * STEP, (row * 7 + n as i64 * 31) as f64 / 8.0)).collect();
        for (word, rest) in [("create", create[1..].iter().map(|word| (*word).to_owned()).collect()), ("update", update)] {
            let status = Command::new("rrdtool").arg(word).arg(&file).args(rest).stdout(Stdio::null()).status();
            assert!(status.expect("rrdtool is missing: install the package rrdtool").success());
        }
        file
    });
    made.collect()
}

fn known(file: &Path, source: &str, range: (i64, i64)) -> BTreeMap<i64, f64> {
    let values = rrdtool::values(file, source, range.0, range.1);
    values.into_iter().filter(|(time, _)| time % STEP == 0).collect()
}

/// A house whose jobs have measured for a moment, with what others measured before.
struct Story {
    house: House,
    theirs: Vec<BTreeMap<i64, f64>>,
}

impl Story {
    fn begin(port: u16) -> Self {
        let jobs: String = (0..JOBS).map(|n| job(&format!("mx-{n}"), "every = \"1s\"", port)).collect();
        let house = House::new(&jobs);
        let files = others(&house.folder().join("others"));
        for (metric, _) in MOMENTS {
            let files = house.folder().join("others/mx-*.rrd");
            let text = format!("[[import]]\nfiles = {:?}\njob = \"{{name}}\"\nmetric = \"{metric}\"\n", files.display().to_string());
            house.keep(&format!("{metric}.toml"), text.as_bytes());
        }
        let theirs = files.iter().map(|file| {
            let last = rrdtool::last_slot(file).unwrap();
            known(file, "value", (last - 200 * STEP, last))
        });
        let theirs: Vec<_> = theirs.collect();
        assert!(theirs.iter().all(|known| known.len() > 150));
        Self { house, theirs }
    }

    /// A daemon that has measured all jobs.
    fn daemon(&self) -> Daemon {
        let daemon = self.house.start();
        let measured = || (0..JOBS).all(|n| self.ours(n).exists()).then_some(());
        assert!(until(PATIENCE, measured).is_some(), "{}", daemon.log_text());
        daemon
    }

    fn ours(&self, n: u64) -> PathBuf {
        self.house.data().join(format!("series/mx-{n}/_.rrd"))
    }

    /// Jobs that have what others measured.
    fn has(&self, metric: &str) -> u64 {
        let has = |n: &u64| {
            let theirs = &self.theirs[*n as usize];
            let (first, last) = (*theirs.keys().next().unwrap(), *theirs.keys().next_back().unwrap());
            let mut ours = known(&self.ours(*n), metric, (first - STEP, last));
            ours.retain(|time, _| theirs.contains_key(time));
            assert!(ours.is_empty() || ours == *theirs, "{metric} of mx-{n} has a part of it");
            !ours.is_empty()
        };
        (0..JOBS).filter(has).count() as u64
    }

    fn import(&self, metric: &str) -> Command {
        let mapping = self.house.folder().join(format!("{metric}.toml")).display().to_string();
        let mut command = self.house.command(&["series", "import", "--mapping", &mapping]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Waits for the moment; false if the import was over before.
    fn comes(&self, moment: Moment, import: &mut Child) -> bool {
        let seen = until(PATIENCE, || match (moment(&self.house), import.try_wait().unwrap()) {
            (true, None) => Some(true),
            (_, Some(_)) => Some(false),
            (false, None) => None,
        });
        seen.expect("the moment, or the import's end")
    }

    fn told(&self, killed: Killed) {
        let mut daemon = Some(self.daemon());
        let mut met = 0;
        for (metric, moment) in MOMENTS {
            if let Some(daemon) = daemon.take_if(|_| killed == Killed::Alone) {
                daemon.stop();
            }
            let mut import = self.import(metric).spawn().unwrap();
            met += usize::from(self.comes(moment, &mut import));
            match killed {
                Killed::Daemon => daemon.take().unwrap().kill(),
                Killed::Client | Killed::Alone => drop(import.kill()),
            }
            import.wait().unwrap();
            // Whoever comes next finds it whole or not at all.
            let daemon_now = daemon.take().unwrap_or_else(|| self.daemon());
            let over = || (taken_in(&self.house) == 0 && (killed != Killed::Client || copies(&self.house) == 0)).then_some(());
            assert!(until(PATIENCE, over).is_some(), "{killed:?}: {}", daemon_now.log_text());
            let has = self.has(metric);
            assert!(has == 0 || has == JOBS, "{killed:?} was killed: {has} of {JOBS} files are imported as {metric}");
            // Once more, to its end.
            let mapping = self.house.folder().join(format!("{metric}.toml")).display().to_string();
            self.house.run(&["series", "import", "--mapping", &mapping]).ok();
            let done = until(PATIENCE, || (copies(&self.house) + taken_in(&self.house) == 0 && self.has(metric) == JOBS).then_some(()));
            assert!(done.is_some(), "{killed:?}, then again: {metric} of {} jobs: {}", self.has(metric), daemon_now.log_text());
            daemon = Some(daemon_now);
        }
        assert!(met > 0, "no import was met in its middle");
        assert!(!self.house.data().join("series/.import").exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_client_is_killed_is_whole_or_not_at_all() {
    let server = willing().await;
    Story::begin(server.port()).told(Killed::Client);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_daemon_is_killed_is_whole_or_not_at_all() {
    let server = willing().await;
    Story::begin(server.port()).told(Killed::Daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_a_daemon_that_is_killed_is_whole_or_not_at_all() {
    let server = willing().await;
    Story::begin(server.port()).told(Killed::Alone);
}
