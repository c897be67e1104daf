//! How soon is answered, and what a large workbook takes.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use watchpost::{
    schedule::Zone,
    series::{
        archive::Consolidation,
        fetch::{Query, Series},
        output::write_xlsx,
        selector::Selector,
    },
};
use watchpost_plugin_api::{Kind, Unit};

use crate::{
    cost::{median, most_resident},
    ours::Ours,
    world,
};

const DAY: u64 = 86_400 / world::STEP as u64;
const SERIES: u64 = 20;
const POINTS: u64 = 1_000;
const TIMES: usize = 100;

/// Fetches a day of one series from its file, and 20 series of 1,000 points by HTTP from a daemon.
pub(crate) fn print(folder: &Path) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 / 10 * 10;
    let data = folder.join("data");
    let mut ours = Ours::open(&data, 1);
    ours.take(&(0..SERIES).map(|n| world::shape(world::job(n))).collect::<Vec<_>>());
    let of_day = (0..=DAY).map(|sample| (0, sample, now - (DAY - sample) as i64 * i64::from(world::STEP)));
    let others =
        (1..SERIES).flat_map(|n| (0..=POINTS).map(move |sample| (n, sample, now - (POINTS - sample) as i64 * i64::from(world::STEP))));
    let all: Vec<_> = of_day.chain(others).collect();
    for part in all.chunks(5_000) {
        let reading = |(n, sample, slot): &(u64, u64, i64)| world::reading_at(world::job(*n), *n, *sample, *slot);
        ours.take(&part.iter().map(reading).collect::<Vec<_>>());
    }
    ours.settle();
    let query = Query {
        selectors: vec![Selector::parse("connect_time{job=\"job-0\"}").unwrap()],
        from: now - DAY as i64 * i64::from(world::STEP),
        to: now,
        step: None,
        consolidation: Consolidation::Average,
    };
    let mut rows = 0;
    let times = (0..TIMES).map(|_| {
        let began = Instant::now();
        rows = ours.store.fetch(&query, now, []).unwrap()[0].rows.len();
        began.elapsed().as_secs_f64() * 1e3
    });
    println!("one day at {} s, {rows} rows from the file: {:.2} ms, median of {TIMES}", world::STEP, median(times.collect()));
    drop(ours);
    let (daemon, address) = daemon(folder);
    let from = now - POINTS as i64 * i64::from(world::STEP);
    let path = format!("/api/v1/fetch?series=connect_time&from={from}&to={now}&format=json");
    let mut bytes = 0;
    let times = (0..TIMES).map(|_| {
        let began = Instant::now();
        bytes = get(&address, &path).len();
        began.elapsed().as_secs_f64() * 1e3
    });
    println!("{SERIES} series of {POINTS} points by HTTP, {bytes} bytes of JSON: {:.2} ms, median of {TIMES}", median(times.collect()));
    drop(daemon);
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A daemon without jobs on the data that is there.
fn daemon(folder: &Path) -> (Daemon, String) {
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    fs::create_dir_all(folder.join("plugins")).unwrap();
    fs::write(folder.join("jobs.toml"), "").unwrap();
    let config = folder.join("watchpost.toml");
    fs::write(&config, format!("plugins = [\"plugins\"]\nschedules = [\"jobs.toml\"]\nlisten = \"{listen}\"\n")).unwrap();
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("watchpost");
    let mut command = Command::new(program);
    command.args(["run", "--log-level", "error", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    let daemon = Daemon(command.spawn().unwrap());
    crate::peers::wait_until("the daemon", || TcpStream::connect(&listen).is_ok() && get(&listen, "/-/ready").contains(" 200 "));
    (daemon, listen)
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A workbook of so many values.
pub(crate) fn workbook(values: u64) {
    let rows: Vec<_> = (1..=values / SERIES).map(|row| (world::time(row), Some(row as f64 / 7.0))).collect();
    let series = |n: u64| Series {
        metric: "connect_time".into(),
        labels: vec![("job".into(), world::job(n))],
        unit: Unit::Seconds,
        kind: Kind::Gauge,
        step: world::STEP,
        kept: world::STEP,
        rows: rows.clone(),
        gaps: Vec::new(),
    };
    let all: Vec<Series> = (0..SERIES).map(series).collect();
    let before = most_resident(std::process::id());
    let (began, mut out) = (Instant::now(), Vec::new());
    write_xlsx(&all, Zone::default(), &mut out).unwrap();
    let (took, most) = (began.elapsed().as_secs_f64(), most_resident(std::process::id()));
    println!(
        "a workbook of {values} values: {took:.1} s, {:.1} MB, at most {:.0} MiB more than the values themselves",
        out.len() as f64 / 1e6,
        most - before
    );
}
