//! A daemon killed while it writes loses nothing that anybody outside was told.
//!
//! Reading order: this file (the story) · `witness` (notes what the daemon tells while it lives) · `known` (what the journal holds, and
//! whether all that was noted is there) · `answers` (what `fetch` says of it) · `chance` (when to kill).
//!
//! `WATCHPOST_PROVE_KILLS` kills are made while the daemon writes, and a fifth as many while it starts; `cargo xtask prove kill`
//! makes a hundred.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails as the test does")]

mod answers;
#[expect(dead_code, reason = "some of it is for the store alone")]
#[path = "../store/chance.rs"]
mod chance;
#[path = "../harness/mod.rs"]
mod harness;
mod known;
mod witness;

use std::{
    ops::Range,
    thread::sleep,
    time::{Duration, Instant},
};

use chance::Chance;
use harness::{Daemon, House, STOP_TIMEOUT, rrdtool, until};
use known::Known;
use watchpost_testkit::{Script, Server};
use witness::{Noted, Witnesses};

/// Jobs that run once a second.
const JOBS: usize = 60;
/// Servers they measure, each slower than the one before: runs end all through the second.
const SERVERS: usize = 12;
const SLOWER_BY: Duration = Duration::from_millis(60);
/// Jobs that run only when somebody asks, and is told the reading once it is durable.
const ASKED: [&str; 2] = ["asked-0", "asked-1"];
/// How long a daemon that is to be killed while it writes lives once it is ready, milliseconds: every job is due in the first second.
const LIFE_MS: Range<u64> = 1200..2800;
/// When a daemon that is to be killed while it starts is killed, milliseconds.
const START_MS: Range<u64> = 0..1500;
/// How long a worker may outlive its daemon.
const WORKER_TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_loses_nothing_that_it_acknowledged() {
    let kills = std::env::var("WATCHPOST_PROVE_KILLS").map_or(2, |count| count.parse().expect("WATCHPOST_PROVE_KILLS is a number"));
    let mut servers = Vec::new();
    for at in 0..SERVERS as u32 {
        let script = Script::new().pause(SLOWER_BY * at).say("220 ready").expect("EHLO").say("250 here").expect("QUIT").say("221 bye");
        servers.push(Server::start(script).await.unwrap());
    }
    let ports: Vec<u16> = servers.iter().map(Server::port).collect();
    // The story blocks; the servers go on beside it.
    tokio::task::spawn_blocking(move || Story::begin(&ports).told(kills)).await.unwrap();
}

fn schedule(ports: &[u16]) -> String {
    let job = |name: &str, every: &str, port: u16| {
        format!("[[job]]\nname = \"{name}\"\nagent = \"smtp\"\nevery = \"{every}\"\nconfig = {{ host = \"127.0.0.1\", port = {port} }}\n")
    };
    let fast = (0..JOBS).map(|at| job(&format!("fast-{at:02}"), "1s", ports[at % ports.len()]));
    // The first server says its word at once.
    fast.chain(ASKED.iter().map(|name| job(name, "1h", ports[0]))).collect()
}

/// A data folder and the daemons that were killed over it.
struct Story {
    house: House,
    known: Known,
    chance: Chance,
    figures: Figures,
}

/// What there is to report.
#[derive(Debug, Default)]
struct Figures {
    kills_writing: usize,
    kills_starting: usize,
    records_torn: usize,
    told_readings: usize,
    told_scrapes: usize,
    told_rows: usize,
    files_opened: usize,
    ready_max: Duration,
    /// The least time from an answer to the kill.
    told_before_kill_min: Option<Duration>,
}

impl Story {
    fn begin(ports: &[u16]) -> Self {
        Self { house: House::new(&schedule(ports)), known: Known::default(), chance: Chance::seeded(), figures: Figures::default() }
    }

    fn told(mut self, kills: usize) {
        for kill in 0..kills {
            self.killed_while_writing();
            if kill % 5 == 1 {
                self.killed_while_starting();
            }
        }
        self.ends_well();
        println!("{:#?}\n{} readings in the journal", self.figures, self.known.len());
        let Figures { told_readings, told_scrapes, told_rows, .. } = self.figures;
        assert!(told_readings.min(told_scrapes).min(told_rows) > kills, "a witness saw too little");
    }

    fn killed_while_writing(&mut self) {
        let daemon = self.restarted();
        let witnesses = Witnesses::of(daemon.listen(), self.house.socket(), &ASKED);
        let life = within(&mut self.chance, LIFE_MS);
        sleep(life);
        let killed = self.kill(daemon);
        let noted = witnesses.end();
        let before = self.known.len();
        self.known.grow(&self.house.data());
        self.known.holds(&noted);
        self.count(&noted, killed);
        println!(
            "killed after {life:?}: {} readings more, told before: {} readings, {} scrapes, {} rows",
            self.known.len() - before,
            noted.readings.len(),
            noted.pictures.len(),
            noted.rows.len()
        );
        self.files_open();
        answers::agree(&self.house, &self.known);
        self.figures.kills_writing += 1;
    }

    fn killed_while_starting(&mut self) {
        let daemon = self.house.spawn();
        sleep(within(&mut self.chance, START_MS));
        self.kill(daemon);
        self.known.grow(&self.house.data());
        self.files_open();
        self.figures.kills_starting += 1;
    }

    /// Starts the next daemon: in time, and with the answers of the one before it.
    fn restarted(&mut self) -> Daemon {
        let mut daemon = self.house.spawn();
        let ready = daemon.wait_ready();
        println!("ready after {ready:?} with {} readings in the journal", self.known.len());
        self.figures.ready_max = self.figures.ready_max.max(ready);
        self.figures.records_torn += daemon.log_text().matches("an unfinished record at the end was put aside").count();
        if self.known.len() > 0 {
            answers::agree(&self.house, &self.known);
        }
        daemon
    }

    /// Kills a daemon without a word; nothing of it is left but files. Gives when.
    fn kill(&self, daemon: Daemon) -> Instant {
        let workers = daemon.workers();
        let now = Instant::now();
        daemon.kill();
        let gone = until(WORKER_TIMEOUT, || workers.iter().all(|worker| !worker.lives()).then_some(()));
        assert!(gone.is_some(), "{workers:?} outlive their daemon");
        now
    }

    fn files_open(&mut self) {
        let files = rrdtool::files(&self.house.data());
        let answers = rrdtool::of_each("info", &files, "");
        assert_eq!(answers.len(), files.len(), "rrdtool answers for each file");
        for (file, answer) in files.iter().zip(answers) {
            answer.unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        }
        self.figures.files_opened += files.len();
    }

    /// After all that, a daemon measures every job, and ends as it should.
    fn ends_well(&mut self) {
        let daemon = self.restarted();
        let all_up = until(Duration::from_secs(20), || {
            let metrics = daemon.get("/metrics").ok()?.body;
            let up = metrics.lines().filter(|line| line.starts_with("watchpost_up{") && line.ends_with(" 1") && line.contains("fast-"));
            (up.count() == JOBS).then_some(())
        });
        assert!(all_up.is_some(), "not every job is up:\n{}", self.house.run(&["status"]).out);
        let ended = daemon.stop();
        assert!(ended.status.success() && ended.took < STOP_TIMEOUT, "{ended:?}");
        assert!(!self.house.socket().exists(), "the socket is left behind");
        self.known.grow(&self.house.data());
        self.files_open();
        answers::agree(&self.house, &self.known);
    }

    fn count(&mut self, noted: &Noted, killed: Instant) {
        let figures = &mut self.figures;
        figures.told_readings += noted.readings.len();
        figures.told_scrapes += noted.pictures.len();
        figures.told_rows += noted.rows.len();
        let last = noted.last.map(|last| killed.saturating_duration_since(last));
        figures.told_before_kill_min = figures.told_before_kill_min.into_iter().chain(last).min();
    }
}

/// Some time within this range of milliseconds.
fn within(chance: &mut Chance, milliseconds: Range<u64>) -> Duration {
    Duration::from_micros(milliseconds.start * 1_000 + chance.below((milliseconds.end - milliseconds.start) * 1_000))
}
