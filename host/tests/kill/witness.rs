//! Notes what a daemon tells the world, as fast as it tells it: nobody is told a reading before it is durable.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

use crate::{
    answers,
    harness::http::{Answer, Failed, ask, get},
};

/// Between two questions of one witness.
const PAUSE: Duration = Duration::from_millis(10);

/// What was told.
#[derive(Default)]
pub(crate) struct Noted {
    /// Readings that somebody asked for, as JSON.
    pub(crate) readings: HashSet<String>,
    /// What `/metrics` showed of one job in one scrape.
    pub(crate) pictures: HashSet<Picture>,
    /// What `fetch` gave of a job's total_time at a slot.
    pub(crate) rows: HashSet<(String, i64, String)>,
    /// When the last answer was there.
    pub(crate) last: Option<Instant>,
}

/// All samples of one job at one moment: the job, and `family value`s as written.
pub(crate) type Picture = (String, BTreeSet<String>);

/// Threads that ask and note, each with its own way.
pub(crate) struct Witnesses {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Noted>>,
}

impl Witnesses {
    /// Begins to ask a daemon.
    pub(crate) fn of(listen: SocketAddr, socket: PathBuf, asked: &'static [&str]) -> Self {
        let mut witnesses = Self { over: Arc::default(), threads: Vec::new() };
        for job in asked {
            let socket = socket.clone();
            witnesses.ask(
                move || ask(&socket, "POST", &format!("/api/v1/jobs/{job}/run")),
                |noted, body| {
                    noted.readings.insert(body);
                },
            );
        }
        witnesses.ask(move || get(listen, "/metrics"), |noted, body| noted.pictures.extend(pictures(&body)));
        let series = "total_time%7Bjob%3D~%22fast-.*%22%7D";
        let path = format!("/api/v1/fetch?series={series}&from=now-20s&to=now&format=csv");
        witnesses.ask(move || ask(&socket, "GET", &path), |noted, body| noted.rows.extend(rows(&body)));
        witnesses
    }

    fn ask(&mut self, ask: impl Fn() -> Result<Answer, Failed> + Send + 'static, note: impl Fn(&mut Noted, String) + Send + 'static) {
        let over = self.over.clone();
        self.threads.push(spawn(move || {
            let mut noted = Noted::default();
            while !over.load(Ordering::Relaxed) {
                // No answer: it is being killed. An answer that is no success tells nothing.
                if let Some(answer) = ask().ok().filter(|answer| answer.status == 200) {
                    noted.last = Some(Instant::now());
                    note(&mut noted, answer.body);
                }
                sleep(PAUSE);
            }
            noted
        }));
    }

    /// Ends them and gives what they noted.
    pub(crate) fn end(self) -> Noted {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Noted::default();
        for thread in self.threads {
            let noted = thread.join().expect("a witness understands what it is told");
            all.readings.extend(noted.readings);
            all.pictures.extend(noted.pictures);
            all.rows.extend(noted.rows);
            all.last = all.last.max(noted.last);
        }
        all
    }
}

/// What a scrape shows, by job.
fn pictures(metrics: &str) -> Vec<Picture> {
    let mut jobs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#') && !line.starts_with("watchpost_host_")) {
        let (family, rest) = line.split_once('{').expect("a sample has labels");
        let (labels, value) = rest.rsplit_once("} ").expect("a sample has a value");
        let job = labels.split("job=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a sample has a job");
        jobs.entry(job.to_owned()).or_default().insert(format!("{family} {value}"));
    }
    jobs.into_iter().collect()
}

/// What is known of every job in an answer of `fetch`.
fn rows(csv: &str) -> Vec<(String, i64, String)> {
    let jobs = answers::parse(csv).into_iter();
    jobs.flat_map(|(job, rows)| rows.into_iter().filter_map(move |(slot, value)| Some((job.clone(), slot, value?)))).collect()
}
