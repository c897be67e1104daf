//! `watchpost rules test`: values in, the story of alarms out.

use std::path::Path;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Outcome as RunOutcome, Sample, Status};

use super::{
    Context,
    failure::{Failure, Outcome},
    load::now,
    print_json, table,
};
use crate::{
    alarm::{ledger::Ledger, store::NoOutbox, watch::Watch, x733::severity_name},
    config::{self, AlarmRule, Draft},
    reading::{Cause, Reading, Shape},
    schedule::parse_span,
    series::meant::of_every_run,
};

pub(super) const EXAMPLES: &str = "FILE has a table for each test; rules are those of the configuration:

  [[test]]
  name = \"slow for a while\"
  job = \"pop-paris\"
  metric = \"total_time\"
  every = \"30s\"
  values = [0.1, \"0.9 x3\", \"unknown\", 0.1]
  expect = [\"1m raised warning\", \"2m30s cleared\"]

A value may be repeated, unknown, or \"down\": the target is to blame. Times count from the first value. \"0..30 x60\" are sixty values on the
way from one to the other, and counter = true makes totals of them.

Example:
  watchpost rules test rules-test.toml";

const CANNOT: &str = "cannot test rules";
/// Values of one test, at most.
const VALUES_MAX: usize = 100_000;
/// When the first value comes: a Monday, 2026-01-05 00:00 UTC, unless it is said.
const START_S: i64 = 1_767_571_200;
/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    test: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    job: String,
    metric: String,
    /// Whether the values are a counter's totals.
    #[serde(default)]
    counter: bool,
    /// Labels of the metric.
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    every: String,
    /// Seconds since 1970.
    start: Option<i64>,
    values: Vec<Value>,
    expect: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Text(String),
}

/// What a value stands for.
#[derive(Clone, Copy)]
enum Given {
    Number(f64),
    /// On the way from the first to the second.
    Between(f64, f64),
    Unknown,
    Down,
}

/// What came of a test.
#[derive(Serialize)]
struct Done {
    name: String,
    passed: bool,
    expected: Vec<String>,
    story: Vec<String>,
}

pub(super) fn run(context: &Context, file: &Path) -> Outcome {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::of(format!("cannot read {}", file.display()), &error))?;
    let tests: File = toml::from_str(&text).map_err(|error| Failure::wrong(CANNOT, format!("{}: {error}", file.display())))?;
    let (draft, faults) = config::read(&context.file()?, now());
    if faults.stop() {
        return Err(Failure::Faults(faults));
    }
    let done = tests.test.iter().map(|test| done(test, &draft)).collect::<Result<Vec<_>, _>>()?;
    if context.json {
        print_json(&done)?;
    } else {
        done.iter().for_each(tell);
    }
    if done.iter().all(|done| done.passed) { Ok(()) } else { Err(Failure::Told(1)) }
}

fn tell(done: &Done) {
    println!("{} {}", if done.passed { "ok    " } else { "FAILED" }, table::plain(&done.name));
    if !done.passed {
        for (what, lines) in [("expected", &done.expected), ("found", &done.story)] {
            println!("  {what}:");
            lines.iter().for_each(|line| println!("    {}", table::plain(line)));
        }
    }
}

fn done(test: &Test, draft: &Draft) -> Result<Done, Failure> {
    let wrong = |why: String| Failure::wrong(CANNOT, format!("test {}: {why}", test.name));
    let every = parse_span(&test.every).map_err(|error| wrong(format!("`every`: {}", crate::chain(&error))))?;
    let step_s = i64::try_from(every.as_secs()).unwrap_or(i64::MAX);
    let values = values(&test.values).map_err(wrong)?;
    let shape = shape(test, draft, step_s).map_err(wrong)?;
    let folder = tempfile::tempdir().map_err(|error| Failure::of(CANNOT, &error))?;
    let failed = |error: crate::database::DatabaseError| Failure::of(CANNOT, &error);
    let mut ledger = Ledger::open(folder.path(), Box::new(NoOutbox), 0).map_err(failed)?;
    let start = test.start.unwrap_or(START_S);
    ledger.set(Watch::new(&draft.rules, [shape]), start * SECOND_NS);
    let mut story = Vec::new();
    for (value, at) in values.iter().zip(0_i64..) {
        ledger.take(at.unsigned_abs(), &reading(test, *value, start + step_s * at));
        for notice in ledger.commit().map_err(failed)? {
            let severity = severity_name(notice.severity);
            let after = elapsed(step_s * at);
            // An end is told by itself: how bad it was is known.
            story.push(if notice.step.ends() {
                format!("{after} {}", notice.step.name())
            } else {
                format!("{after} {} {severity}", notice.step.name())
            });
        }
    }
    Ok(Done { name: test.name.clone(), passed: story == test.expect, expected: test.expect.clone(), story })
}

/// Reads values: `0.1`, `"0.1 x20"`, `"unknown"`, `"down x3"`.
fn values(written: &[Value]) -> Result<Vec<Given>, String> {
    let mut all = Vec::new();
    for value in written {
        let (given, times) = match value {
            Value::Number(number) => (Given::Number(*number), 1),
            Value::Text(text) => {
                let (what, times) = text.rsplit_once(" x").map_or((text.as_str(), Some(1)), |(what, times)| (what, times.parse().ok()));
                let given = match what.trim() {
                    "unknown" => Some(Given::Unknown),
                    "down" => Some(Given::Down),
                    number => match number.split_once("..") {
                        Some((from, to)) => from.trim().parse().ok().zip(to.trim().parse().ok()).map(|(from, to)| Given::Between(from, to)),
                        None => number.parse().ok().map(Given::Number),
                    },
                };
                given.zip(times).ok_or_else(|| format!("`{text}` is no value; write 0.1, \"0.1 x20\", \"unknown\" or \"down\""))?
            }
        };
        if all.len().saturating_add(times) > VALUES_MAX {
            return Err(format!("there are more than {VALUES_MAX} values"));
        }
        all.extend((0..times).map(|at| match given {
            Given::Between(from, to) => Given::Number(from + (to - from) * at as f64 / times.saturating_sub(1).max(1) as f64),
            given => given,
        }));
    }
    Ok(all)
}

/// A job as the configuration has it, with the metric in the unit that its bounds are of.
fn shape(test: &Test, draft: &Draft, step_s: i64) -> Result<Shape, String> {
    let job = draft.jobs.iter().find(|job| job.name.as_str() == test.job).ok_or_else(|| format!("no job is called `{}`", test.job))?;
    let keys: Vec<String> = test.labels.keys().cloned().collect();
    let of_metric = |rule: &&AlarmRule| rule.series.value.fixed().all(|(label, name)| label != "__name__" || name == test.metric);
    let bounds = || draft.rules.iter().filter(of_metric).flat_map(|rule| rule.bounds.iter().flatten().chain(&rule.rearm));
    let units = [Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Days, Unit::Number];
    let unit = units.into_iter().find(|unit| bounds().all(|bound| bound.value.limit(*unit).is_ok())).unwrap_or(Unit::Number);
    let kind = if test.counter { Kind::Counter } else { Kind::Gauge };
    let metric = MetricSpec { name: test.metric.clone(), kind, unit, help: "Of a test.".into(), keys };
    let is_ours = of_every_run().iter().any(|spec| spec.name == test.metric);
    Ok(Shape {
        job: test.job.clone(),
        agent: job.asks.agent.value.clone(),
        target: "test".into(),
        labels: job.asks.labels.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect(),
        step_s: u32::try_from(step_s).unwrap_or(u32::MAX),
        metrics: if is_ours { Vec::new() } else { vec![metric] },
    })
}

fn reading(test: &Test, value: Given, at_s: i64) -> Reading {
    let mut outcome = RunOutcome::failed(ErrorKind::LOCAL, "unknown in a test", at_s.saturating_mul(SECOND_NS));
    match value {
        Given::Number(value) => {
            outcome.status = Status::Ok;
            outcome.samples = vec![Sample { metric: test.metric.clone(), labels: test.labels.values().cloned().collect(), value }];
        }
        Given::Down => outcome.status = Status::Failed { kind: ErrorKind::CONNECT, message: "down in a test".into() },
        Given::Unknown | Given::Between(..) => {}
    }
    let due_ns = at_s.saturating_mul(SECOND_NS);
    Reading { job: test.job.clone(), cause: Cause::Schedule, slot: at_s, due_ns, stale_ns: i64::MAX, outcome }
}

/// A time as spans are written: `1h2m30s`, `0s`.
fn elapsed(seconds: i64) -> String {
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}
