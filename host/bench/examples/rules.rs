//! What rules cost: 100,000 series and two rules on each, in the ledger of alarms and in Debian's Prometheus.
//!
//! ```text
//! rules FOLDER
//! ```
//!
//! Both see the same: a hundred values of each of a thousand jobs, time after time, and rules that none of them crosses. Of each the CPU with
//! the rules less that without them is told: of ours that of a process that takes readings as the journal gives them, of Prometheus that of
//! its whole process while it scrapes one page of all series. What either does besides, decoding readings, scraping, storing, is in both runs
//! and falls out.

#![expect(clippy::unwrap_used, reason = "a program that measures has nobody to tell")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use watchpost::{
    alarm::{ledger::Ledger, store::NoOutbox, watch::Watch},
    config,
    reading::{Cause, Reading, Record, Shape},
    schedule::UnixTime,
};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome, Sample, Status};

/// Jobs, and series of each.
const JOBS: usize = 1_000;
const SERIES: usize = 100;
/// Times that ours takes them all.
const OURS: i64 = 60;
/// Seconds between two scrapes, and between two looks at the rules.
const EVERY_S: u64 = 5;
/// Scrapes that count, after some that do not.
const SCRAPES: u64 = 12;
const BEFORE: u64 = 4;
/// Rounds.
const ROUNDS: usize = 2;
/// Monday, 2026-03-30, 00:00 UTC.
const MONDAY: i64 = 1_774_828_800;
/// Ticks of a second in `/proc/PID/stat`. Source: time(7).
const TICKS: f64 = 100.0;

fn main() {
    let folder = std::env::args().nth(1).unwrap();
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    let page = Arc::new(page());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let known = Command::new("prometheus").arg("--version").output().is_ok_and(|out| out.status.success());
    for round in 0..ROUNDS {
        let ledger = |name: &str, has_rules| in_ledger(&folder.join(format!("{name}-{round}")), has_rules);
        let (with, without) = (ledger("ours-with", true), ledger("ours-without", false));
        ours.push([with, without]);
        eprintln!("round {round}: ours {with:.2} s with rules, {without:.2} s without");
        if known {
            let without = in_prometheus(&folder.join(format!("without-{round}")), &page, false);
            let with = in_prometheus(&folder.join(format!("with-{round}")), &page, true);
            theirs.push([with, without]);
            eprintln!("round {round}: prometheus {with:.2} s with rules, {without:.2} s without");
        }
    }
    println!("{} series, 2 rules each, none crossed; CPU in user and kernel, medians of {ROUNDS}", JOBS * SERIES);
    println!("{:<12} {:>12} {:>14} {:>12} {:>22} {:>10}", "", "CPU s with", "CPU s without", "values", "ns of a value and rule", "ours is");
    let of = |all: &[[f64; 2]], at: usize| median(all.iter().filter_map(|pair| pair.get(at).copied()).collect());
    let per = |all: &[[f64; 2]], times: f64| (of(all, 0) - of(all, 1)) / (times * (JOBS * SERIES * 2) as f64) * 1e9;
    let (our_times, their_times) = (OURS as f64, SCRAPES as f64);
    for (name, all, times) in [("watchpost", &ours, our_times), ("prometheus", &theirs, their_times)] {
        if all.is_empty() {
            println!("{name:<12} not installed: package prometheus");
            continue;
        }
        let figure = per(all, times);
        let ratio = if name == "watchpost" { String::new() } else { format!("{:.1}x less", figure / per(&ours, our_times)) };
        let values = (times as usize) * JOBS * SERIES;
        println!("{name:<12} {:>12.2} {:>14.2} {values:>12} {figure:>22.0} {ratio:>10}", of(all, 0), of(all, 1));
    }
}

/// Seconds of CPU in which readings are taken from their bytes and judged.
fn in_ledger(house: &Path, has_rules: bool) -> f64 {
    for folder in ["plugins", "schedules"] {
        fs::create_dir_all(house.join(folder)).unwrap();
    }
    fs::write(house.join("watchpost.toml"), "").unwrap();
    let rules = "[[rule]]\nname = \"high\"\nseries = 'queue_size'\nmajor = \"> 1000000\"\n[[rule]]\nname = \"low\"\nseries = 'queue_size'\nminor = \"< 1\"\n";
    fs::write(house.join("schedules/a.toml"), rules).unwrap();
    let (draft, _) = config::read(&house.join("watchpost.toml"), UnixTime::from_secs(MONDAY));
    assert_eq!(draft.rules.len(), 2);
    let mut ledger = Ledger::open(house, Box::new(NoOutbox), 0).unwrap();
    let rules = if has_rules { draft.rules.as_slice() } else { &[] };
    ledger.set(Watch::new(rules, (0..JOBS).map(shape)), 0);
    // As the journal gives them.
    let records: Vec<Vec<u8>> = (0..JOBS).map(|job| postcard::to_allocvec(&Record::Reading(reading(job))).unwrap()).collect();
    let (mut position, begun) = (0, cpu(std::process::id()));
    for round in 0..OURS {
        for record in &records {
            let Record::Reading(mut reading) = postcard::from_bytes(record).unwrap() else { continue };
            reading.slot = MONDAY + 5 * round;
            ledger.take(position, &reading);
            position += 1;
        }
        ledger.look((MONDAY + 5 * round) * 1_000_000_000);
        assert!(ledger.commit().unwrap().is_empty(), "nothing is crossed");
    }
    cpu(std::process::id()) - begun
}

fn shape(job: usize) -> Shape {
    let spec =
        MetricSpec { name: "queue_size".into(), kind: Kind::Gauge, unit: Unit::Messages, help: "H.".into(), keys: vec!["queue".into()] };
    let labels = vec![("site".into(), "paris".into())];
    Shape { job: format!("job-{job}"), agent: "a".into(), target: format!("host-{job}:25"), labels, step_s: 5, metrics: vec![spec] }
}

fn reading(job: usize) -> Reading {
    let mut outcome = Outcome::failed(ErrorKind::LOCAL, "", MONDAY * 1_000_000_000);
    outcome.status = Status::Ok;
    outcome.samples = (0..SERIES)
        .map(|series| Sample { metric: "queue_size".into(), labels: vec![format!("queue-{series}")], value: value(job, series) })
        .collect();
    Reading { job: format!("job-{job}"), cause: Cause::Schedule, slot: MONDAY, due_ns: 0, stale_ns: i64::MAX, outcome }
}

fn value(job: usize, series: usize) -> f64 {
    (job * SERIES + series) as f64 % 977.0 + 1.0
}

/// The same series as a page to scrape.
fn page() -> String {
    let mut page = String::from("# TYPE watchpost_queue_size gauge\n");
    for job in 0..JOBS {
        for series in 0..SERIES {
            page += &format!(
                "watchpost_queue_size{{agent=\"a\",job=\"job-{job}\",target=\"host-{job}:25\",site=\"paris\",queue=\"queue-{series}\"}} {}\n",
                value(job, series)
            );
        }
    }
    page
}

/// Seconds of CPU of Prometheus while it scrapes so often.
fn in_prometheus(folder: &Path, page: &Arc<String>, has_rules: bool) -> f64 {
    fs::create_dir_all(folder).unwrap();
    let target = serve(page.clone());
    let rules = if has_rules {
        "groups:\n- name: all\n  rules:\n  - alert: high\n    expr: watchpost_queue_size > 1000000\n  - alert: low\n    expr: watchpost_queue_size < 1\n"
    } else {
        "groups: []\n"
    };
    fs::write(folder.join("rules.yml"), rules).unwrap();
    let config = format!(
        "global:\n  scrape_interval: {EVERY_S}s\n  scrape_timeout: {EVERY_S}s\n  evaluation_interval: {EVERY_S}s\nrule_files: [rules.yml]\n\
         scrape_configs:\n- job_name: all\n  honor_labels: true\n  static_configs:\n  - targets: ['{target}']\n"
    );
    fs::write(folder.join("prometheus.yml"), config).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new("prometheus");
    command.current_dir(folder).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]);
    command.arg(format!("--web.listen-address={address}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let peer = Ended(command.spawn().unwrap());
    thread::sleep(Duration::from_secs(BEFORE * EVERY_S));
    let (begun, evaluated) = (cpu(peer.0.id()), evaluations(&address.to_string()));
    let end = Instant::now() + Duration::from_secs(SCRAPES * EVERY_S);
    thread::sleep(end.saturating_duration_since(Instant::now()));
    let took = cpu(peer.0.id()) - begun;
    let evaluated = evaluations(&address.to_string()) - evaluated;
    let wanted = if has_rules { 2.0 * SCRAPES as f64 } else { 0.0 };
    assert!((evaluated - wanted).abs() <= 2.0, "{evaluated} evaluations, {wanted} were wanted");
    took
}

/// Ends it with its value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// How many rules Prometheus says that it has evaluated.
fn evaluations(address: &str) -> f64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let counts = lines.filter(|line| line.starts_with("prometheus_rule_evaluations_total"));
    counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Serves the page to whoever asks, until the program ends; gives the address.
fn serve(page: Arc<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                page.len()
            );
            // A peer that is ended does not read to the end.
            let _told = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(page.as_bytes()));
        }
    });
    address
}

/// Seconds of CPU of a process, threads included.
fn cpu(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Source: proc(5), fields 14 and 15; the name before them may have any characters.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let upper = figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN);
    figures.get(figures.len().saturating_sub(1) / 2).map_or(upper, |lower| (lower + upper) / 2.0)
}
