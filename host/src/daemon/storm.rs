//! A storm: everything goes wrong and gets well again. Every step is kept, and told alone or with others; from a sample to its stored alarm it
//! takes little, and to the first who is told not much more; memory grows with the alarms that there are, not with what is told.
//!
//! `WATCHPOST_PROVE_STORM` steps (a fiftieth of a hundred thousand unless it is said); `cargo xtask prove storm` makes all of them.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::Connection;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::spawn_blocking,
};
use watchpost_journal::{Journal, Options};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

use super::{
    alarm_view::{AlarmView, NAME, SharedLedger},
    appender::Appender,
    delivery::{Delivery, Routing},
    host_alarms::Overheard,
    now_ns,
    view::{Begin, Running},
};
use crate::{
    alarm::{notice::Notice, store::FILE, watch::Watch},
    config,
    expose::host_metrics::HostMetrics,
    notify::outbox::Outbox,
    reading::{Cause, Reading, Record, Shape},
    schedule::UnixTime,
};

/// Steps of the daily run.
const STEPS: u64 = 2_000;
/// Series of one job: what one reading changes.
const SERIES: u64 = 50;
/// From one reading to the next: a thousand steps in a second.
const PACE: Duration = Duration::from_millis(50);
/// How much longer it may take where nothing is optimised, not even the database; `prove` holds a release to the rest.
const SLOWER: u32 = if cfg!(debug_assertions) { 4 } else { 1 };
/// From a sample to its stored alarm, for 99 of 100; the aim is a fifth of it.
const STORED_MAX: Duration = Duration::from_millis(500);
/// From a sample to the first who is told, for 99 of 100; the aim is a fifth of it.
const TOLD_MAX: Duration = Duration::from_secs(10);
/// What the process may have in memory: besides 50,000 alarms, little.
const MEMORY_MAX_KIB: u64 = 512 * 1024;
/// How long it may take until all is told.
const PATIENCE: Duration = Duration::from_secs(300);

type Seen = Arc<Mutex<HashMap<u64, Instant>>>;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where steps arrive, each by its number, and when first.
struct Receiver {
    port: u16,
    seen: Seen,
}

impl Receiver {
    /// One that takes posts of notices.
    async fn posts() -> Self {
        Self::serving(|stream, seen| async move {
            let mut stream = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).await.ok()? > 2 {
                let said = line.to_lowercase();
                length = said.strip_prefix("content-length: ").map_or(length, |number| number.trim().parse().unwrap());
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            let said: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let one = [said.clone()];
            for notice in said["notices"].as_array().map_or(&one[..], Vec::as_slice) {
                lock(&seen).entry(notice["seq"].as_u64().unwrap()).or_insert_with(Instant::now);
            }
            stream.write_all(b"HTTP/1.1 204 Fine\r\n\r\n").await.ok()
        })
        .await
    }

    /// One that takes lines of syslog.
    async fn lines() -> Self {
        Self::serving(|mut stream, seen| async move {
            let mut all = String::new();
            stream.read_to_string(&mut all).await.ok()?;
            for (_, rest) in all.match_indices("id=\"").map(|(at, found)| all.split_at(at + found.len())) {
                // instance, alarm and step
                let seq = rest.split('"').next().unwrap().rsplit('-').next().unwrap().parse().unwrap();
                lock(&seen).entry(seq).or_insert_with(Instant::now);
            }
            Some(())
        })
        .await
    }

    async fn serving<F: Future<Output = Option<()>> + Send + 'static>(serve: impl Fn(TcpStream, Seen) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Seen::default());
        let kept = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone()));
            }
        });
        Self { port, seen }
    }
}

fn shape(job: u64) -> Shape {
    let spec =
        MetricSpec { name: "queue_size".into(), kind: Kind::Gauge, unit: Unit::Messages, help: "H.".into(), keys: vec!["queue".into()] };
    let labels = vec![("site".into(), "paris".into())];
    Shape { job: format!("mx{job}"), agent: "queue".into(), target: "h:25".into(), labels, step_s: 60, metrics: vec![spec] }
}

fn reading(job: u64, is_bad: bool) -> Reading {
    let at_ns = now_ns();
    let samples = (0..SERIES).map(|queue| Sample {
        metric: "queue_size".into(),
        labels: vec![format!("q{queue}")],
        value: if is_bad { 101.0 } else { 1.0 },
    });
    let outcome = Outcome { status: Status::Ok, samples: samples.collect(), ..Outcome::failed(ErrorKind::LOCAL, "", at_ns) };
    let slot = at_ns / 1_000_000_000;
    Reading { job: format!("mx{job}"), cause: Cause::Schedule, slot, due_ns: at_ns, stale_ns: i64::MAX, outcome }
}

/// A configuration with both ways to be told.
fn written(folder: &Path, posts: u16, lines: u16) -> config::Config {
    for name in ["plugins", "schedules"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let main = format!(
        "listen = \"127.0.0.1:0\"\n\
         [[channel]]\nname = \"posts\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{posts}/\"\n\
         [[channel]]\nname = \"lines\"\ntype = \"syslog\"\nserver = \"tcp://127.0.0.1:{lines}\"\n\
         [[route]]\nchannels = [\"posts\"]\ngroup_by = [\"job\"]\ngroup_wait = \"1s\"\n\
         [[route]]\nchannels = [\"lines\"]\n"
    );
    fs::write(folder.join("watchpost.toml"), main).unwrap();
    let schedule = "[[job]]\nname = \"mx0\"\nagent = \"queue\"\nevery = \"60s\"\n\
                    [[rule]]\nname = \"full\"\nseries = 'queue_size{site=\"paris\"}'\nminor = \"> 100\"\n";
    fs::write(folder.join("schedules/a.toml"), schedule).unwrap();
    let now = UnixTime::from_secs(now_ns() / 1_000_000_000);
    config::load(&folder.join("watchpost.toml"), now).unwrap_or_else(|faults| panic!("{faults}")).config
}

fn memory_kib(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_matches([':', '\t', ' ']).split(' ').next().unwrap().parse().unwrap()
}

/// The value that 99 of 100 do not exceed, and the one in the middle.
fn spread(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort();
    let at = |hundredth: usize| took.get(took.len() * hundredth / 100).copied().unwrap_or_default();
    (at(50), at(99))
}

/// Looks every few milliseconds at what is stored; gives how long that took, and when each step's sample was measured.
fn watch_steps(file: &Path, measured: &Mutex<HashMap<(String, bool), Instant>>, steps: u64) -> (Vec<Duration>, HashMap<u64, Instant>) {
    let connection = Connection::open(file).unwrap();
    let mut select = connection.prepare("SELECT seq, notice FROM steps WHERE seq > ?1 ORDER BY seq").unwrap();
    let (mut last, mut took, mut of_steps, began) = (0_i64, Vec::new(), HashMap::new(), Instant::now());
    while (of_steps.len() as u64) < steps {
        assert!(began.elapsed() < PATIENCE, "{} of {steps} are stored", of_steps.len());
        let found = select.query_map([last], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).unwrap();
        let found: Vec<(i64, String)> = found.map(Result::unwrap).collect();
        let now = Instant::now();
        for (seq, text) in found {
            let notice: Notice = serde_json::from_str(&text).unwrap();
            let at = lock(measured)[&(notice.job, notice.active)];
            took.push(now.saturating_duration_since(at));
            of_steps.insert(notice.seq, at);
            last = seq;
        }
        thread::sleep(Duration::from_millis(3));
    }
    (took, of_steps)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_all_is_stored_at_once_and_told_soon_alone_or_with_others() {
    let wanted: u64 = std::env::var("WATCHPOST_PROVE_STORM").map_or(STEPS, |count| count.parse().unwrap());
    let jobs = (wanted / (2 * SERIES)).max(1);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let (posts, lines) = (Receiver::posts().await, Receiver::lines().await);
    let config = written(folder.path(), posts.port, lines.port);
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    let journal = Arc::new(journal);
    let (appender, overheard, poke) = (Appender::new(journal.clone()), Overheard::default(), Arc::default());
    let routing = Routing::default();
    routing.set(&config);
    let ledger = SharedLedger::open(&data, journal.durable_end(), routing, appender.clone()).unwrap();
    ledger.lend().set(Watch::new(&config.rules, (0..jobs).map(shape)), now_ns());
    let metrics = Arc::new(HostMetrics::new("0", SystemTime::now()).unwrap());
    let view = AlarmView::new(ledger.clone(), overheard.clone(), metrics, Arc::clone(&poke));
    let mut view = Running::start(NAME, Begin::ItsPlace, journal.clone(), &data.join("journal"), view).unwrap();
    let delivery = Delivery::open((&data.join(FILE), ledger.turns()), appender.clone(), overheard, poke).unwrap();
    delivery.set(&config.channels).await;
    let before_kib = memory_kib("VmRSS");

    // When each series' sample was measured, and when its step was stored.
    let measured: Arc<Mutex<HashMap<(String, bool), Instant>>> = Arc::default();
    let stored = {
        let (measured, file) = (measured.clone(), data.join(FILE));
        spawn_blocking(move || watch_steps(&file, &measured, jobs * 2 * SERIES))
    };
    let began = Instant::now();
    let mut tick = tokio::time::interval(PACE);
    for is_bad in [true, false] {
        for job in 0..jobs {
            tick.tick().await;
            lock(&measured).insert((format!("mx{job}"), is_bad), Instant::now());
            drop(appender.append(&Record::Reading(reading(job, is_bad))));
        }
    }
    let sent = began.elapsed();
    let (took, of_steps) = stored.await.unwrap();
    let outbox = Outbox::open(&data.join(FILE), ledger.turns()).unwrap();
    let waits = |channel: &str| {
        let backlog = outbox.backlog(channel, now_ns()).unwrap();
        backlog.due > 0 || backlog.next_ns.is_some()
    };
    while waits("posts") || waits("lines") {
        assert!(
            began.elapsed() < PATIENCE + sent,
            "{} and {} of {} told",
            lock(&posts.seen).len(),
            lock(&lines.seen).len(),
            of_steps.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let all = began.elapsed();
    delivery.stop().await;
    view.stop();
    let (posts, lines) = (lock(&posts.seen).clone(), lock(&lines.seen).clone());
    let first = of_steps.iter().filter_map(|(seq, at)| {
        let told = [posts.get(seq), lines.get(seq)].into_iter().flatten().min()?;
        Some(told.saturating_duration_since(*at))
    });
    let first: Vec<Duration> = first.collect();
    let (stored, told) = (spread(took), spread(first.clone()));
    let (peak_kib, after_kib) = (memory_kib("VmHWM"), memory_kib("VmRSS"));
    println!(
        "{} steps of {jobs} jobs in {sent:?}, all told after {all:?}; sample to stored alarm p50 {:?}, p99 {:?}; to the first channel p50 {:?}, p99 {:?}; \
         memory {before_kib} KiB before, {peak_kib} KiB at most, {after_kib} KiB after; posts {}, lines {}",
        of_steps.len(),
        stored.0,
        stored.1,
        told.0,
        told.1,
        posts.len(),
        lines.len()
    );
    assert_eq!(first.len(), of_steps.len(), "a step was told to nobody");
    assert_eq!(lines.len(), of_steps.len(), "a step is missing in what is told one by one");
    assert!(stored.1 < SLOWER * STORED_MAX, "{stored:?}");
    assert!(told.1 < SLOWER * TOLD_MAX, "{told:?}");
    assert!(peak_kib < MEMORY_MAX_KIB, "{peak_kib} KiB");
}
