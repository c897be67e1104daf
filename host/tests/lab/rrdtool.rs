//! Debian's rrdtool reads every file, also while the daemon writes it.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    demo::{ALL_RAN_TIMEOUT, BEAT, Demo},
    harness::until,
    programs,
    scrape::until_scraped,
};

/// A sample is in its file within a second (DESIGN "Series"); this is for a machine that is busy.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How far two readers of one value may be apart: rrdtool prints eleven digits.
const TOLERANCE: f64 = 1e-9;
/// How long rrdtool and the daemon are at one file together.
const TOGETHER: Duration = Duration::from_secs(8);
const TOTAL: &str = "watchpost_total_time_seconds";

/// Rows by time, each by data source; unknown is `None`.
type Rows = BTreeMap<i64, BTreeMap<String, Option<f64>>>;

#[test]
fn rrdtool_takes_every_file_and_finds_the_values_that_fetch_gives() {
    if !programs::there("rrdtool") {
        return;
    }
    let Some(demo) = Demo::shared() else { return };
    let names: Vec<String> = demo.jobs().into_iter().map(|job| job.name).chain([BEAT.into()]).collect();
    for job in &names {
        demo.wait_for_up(job, "1", ALL_RAN_TIMEOUT);
        let file = file_of(&demo, job);
        let sources = sources(&file);
        assert!(["up", "run_duration", "total_time"].iter().all(|name| sources.iter().any(|source| source == name)), "{sources:?}");
        is_drawn(&file, &sources);
        values_agree(&demo, job, &file, &sources);
    }
    assert_eq!(fs::read_dir(demo.house.data().join("series")).unwrap().count(), names.len());
}

/// Runs rrdtool on files that a daemon writes.
///
/// It does not wait for the lock that a writer holds for a moment, but fails; whoever reads beside a writer asks again (rrdfetch(1) has
/// no option for it).
fn rrdtool(words: &[&str]) -> String {
    let said = until(FLUSH_TIMEOUT, || {
        let output = programs::run("rrdtool", words);
        let is_locked = String::from_utf8_lossy(&output.stderr).contains("could not lock RRD");
        assert!(output.status.success() || is_locked, "rrdtool {words:?}: {output:?}");
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    });
    said.unwrap_or_else(|| panic!("the file is always locked for rrdtool {words:?}"))
}

fn file_of(demo: &Demo, job: &str) -> String {
    let file: PathBuf = demo.house.data().join("series").join(job).join("_.rrd");
    assert!(until(FLUSH_TIMEOUT, || file.exists().then_some(())).is_some(), "there is no {}", file.display());
    file.to_str().expect("names of jobs are ASCII").into()
}

/// The data sources of a file, as rrdtool lists them.
fn sources(file: &str) -> Vec<String> {
    let info = rrdtool(&["info", file]);
    let names = info.lines().filter_map(|line| line.strip_prefix("ds[")?.split_once("].index = "));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn is_drawn(file: &str, sources: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("graph.png");
    let mut words = vec!["graph".to_owned(), image.display().to_string(), "--start=-5min".into()];
    for (index, source) in sources.iter().enumerate() {
        words.extend([format!("DEF:v{index}={file}:{source}:AVERAGE"), format!("LINE1:v{index}#00{:02x}00", 16 * (index % 16))]);
    }
    rrdtool(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let drawn = fs::read(&image).unwrap();
    assert!(drawn.starts_with(b"\x89PNG\r\n") && drawn.len() > 1000, "{} bytes", drawn.len());
}

/// Compares all up to the slot of the last run that is known to have ended.
fn values_agree(demo: &Demo, job: &str, file: &str, sources: &[String]) {
    let last = demo.status(job)["last_run"].as_f64().unwrap();
    let (from, to) = ((last - 300.0) as i64, last as i64);
    let series: Vec<String> = sources.iter().map(|source| format!("{source}{{job=\"{job}\"}}")).collect();
    let (from_word, to_word) = (from.to_string(), to.to_string());
    let mut words = vec!["fetch", "--format", "json", "--from", &from_word, "--to", &to_word];
    words.extend(series.iter().map(String::as_str));
    let ours = rows_of_fetch(&demo.house.run(&words).ok());
    assert!(ours.values().any(|row| row["up"] == Some(1.0)), "{job}: {ours:?}");
    let mut theirs = Rows::new();
    let agree = until(FLUSH_TIMEOUT, || {
        theirs = rows_of_rrdtool(file, from, to);
        sleep(Duration::from_millis(100));
        differences(&ours, &theirs).is_empty().then_some(())
    });
    assert!(agree.is_some(), "{job}: time, source, fetch, rrdtool: {:?}", differences(&ours, &theirs));
}

fn rows_of_fetch(json: &str) -> Rows {
    let mut rows = Rows::new();
    let answer: Value = serde_json::from_str(json).unwrap();
    for series in answer.as_array().unwrap() {
        let (start, step) = (series["start"].as_i64().unwrap(), series["step"].as_i64().unwrap());
        let metric = series["metric"].as_str().unwrap();
        for (time, value) in (0..).map(|row| start + row * step).zip(series["values"].as_array().unwrap()) {
            rows.entry(time).or_default().insert(metric.into(), value.as_f64());
        }
    }
    rows
}

/// Source: rrdfetch(1): a line of names, an empty one, then `time: value value …`; the rows are those that end after `start`.
fn rows_of_rrdtool(file: &str, from: i64, to: i64) -> Rows {
    let text = rrdtool(&["fetch", file, "AVERAGE", "--start", &from.to_string(), "--end", &to.to_string()]);
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let rows = lines.filter_map(|line| {
        let (time, values) = line.split_once(": ")?;
        let values = values.split_whitespace().map(|value| value.parse::<f64>().ok().filter(|value| value.is_finite()));
        Some((time.parse().ok()?, names.iter().map(|name| (*name).to_owned()).zip(values).collect()))
    });
    rows.collect()
}

/// Every value that one has and the other has not, or has otherwise.
fn differences<'a>(ours: &'a Rows, theirs: &'a Rows) -> Vec<(i64, &'a str, Option<f64>, Option<f64>)> {
    let last = ours.keys().next_back().copied().unwrap_or(0);
    let times = ours.keys().chain(theirs.keys().filter(|time| **time <= last));
    let cells = times.flat_map(|time| {
        let row = ours.get(time).or_else(|| theirs.get(time)).into_iter().flatten();
        row.map(move |(source, _)| {
            let value = |rows: &Rows| rows.get(time).and_then(|row| row.get(source).copied()).flatten();
            (*time, source.as_str(), value(ours), value(theirs))
        })
    });
    cells.filter(|(.., ours, theirs)| !same(*ours, *theirs)).collect()
}

fn same(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()),
        (None, None) => true,
        _ => false,
    }
}

#[test]
fn rrdtool_reading_in_a_loop_loses_no_value_that_the_daemon_writes() {
    if !programs::there("rrdtool") {
        return;
    }
    let Some(demo) = Demo::shared() else { return };
    demo.wait_for_up(BEAT, "1", ALL_RAN_TIMEOUT);
    let file = file_of(&demo, BEAT);
    let (reads, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let begun = Instant::now();
    let seen = scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                rrdtool(&["fetch", &file, "AVERAGE", "--start", "-1min"]);
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        let seen = samples_seen(&demo);
        over.store(true, Ordering::Relaxed);
        seen
    });
    let reads = reads.into_inner();
    assert!(seen.len() >= 6 && reads >= 50, "{} samples, {reads} reads in {:?}", seen.len(), begun.elapsed());
    let mut lost = seen;
    until(FLUSH_TIMEOUT, || {
        let now = demo.status(BEAT)["last_run"].as_f64().unwrap() as i64;
        let rows = rows_of_rrdtool(&file, now - 120, now);
        lost.retain(|sample| !rows.values().any(|row| same(row.get("total_time").copied().flatten(), Some(*sample))));
        sleep(Duration::from_millis(100));
        lost.is_empty().then_some(())
    });
    assert!(lost.is_empty(), "lost: {lost:?}");
}

/// The values of a job that somebody saw while both were at work, each once.
fn samples_seen(demo: &Demo) -> Vec<f64> {
    let mut seen: Vec<String> = Vec::new();
    until_scraped(
        TOGETHER,
        || demo.scrape(),
        |scrape| {
            seen.extend(scrape.value(TOTAL, BEAT).filter(|value| !seen.iter().any(|known| known == value)).map(str::to_owned));
            None::<()>
        },
    );
    seen.iter().map(|value| value.parse().unwrap()).collect()
}
