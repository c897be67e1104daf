//! `watchpost rules test`: values in, the story of alarms out.

mod behind;

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{ErrorKind, Kind, MetricSpec, Unit};
use watchpost_services::outcome::{Event, Outcome as RunOutcome, Sample, Status};

use super::{
    Context,
    failure::{Failure, Outcome},
    load::now,
    print_json, table,
};
use crate::{
    alarm::{ledger::Ledger, store::NoOutbox, together::find, watch::Watch, x733::severity_name},
    config::{self, AlarmRule, Draft, LooksAt},
    reading::{Cause, Reading, Shape},
    schedule::parse_span,
    series::{
        meant::of_every_run,
        selector::{NAME_LABEL, Selector},
    },
};

pub(super) const EXAMPLES: &str = "FILE has a table for each test; rules are those of the configuration:

  [[test]]
  name = \"slow for a while\"
  job = \"pop-paris\"
  metric = \"total_time\"
  every = \"30s\"
  values = [0.1, \"0.9 x3\", \"unknown\", 0.1]
  expect = [\"1m raised warning\", \"2m30s cleared\"]

A value may be repeated, unknown, or \"down\": the target is to blame. Times count from the first value. \"0..30 x60\" are sixty values on the way from one to the other, and counter = true makes totals of them. \"event major disk_full: no room\" is a run that reports something, and \"nothing\" one that has nothing to say: these need no metric. Of an expression, rule = \"NAME\" with series = { a = [1, 2], b = [3, 4] } gives the values of each of its names. depends_on = { link-paris = [1, \"down x3\"] } tells how that fares which the job depends on, a value beside each of its own; what nobody would be told of then is expected as \"1m raised major, silenced\".

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
    /// Whose values these are; those of events need none.
    metric: Option<String>,
    /// Whether the values are a counter's totals.
    #[serde(default)]
    counter: bool,
    /// Labels of the metric.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    every: String,
    /// Seconds since 1970.
    start: Option<i64>,
    #[serde(default)]
    values: Vec<Value>,
    /// A rule over an expression, and the values of each of its names.
    rule: Option<String>,
    #[serde(default)]
    series: BTreeMap<String, Vec<Value>>,
    /// What its job depends on, as the configuration names it, and the values of that.
    #[serde(default)]
    depends_on: BTreeMap<String, Vec<Value>>,
    expect: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Text(String),
}

/// What a value stands for.
#[derive(Clone)]
enum Given {
    Number(f64),
    /// On the way from the first to the second.
    Between(f64, f64),
    Unknown,
    Down,
    /// A run that reports something.
    Event(Event),
    /// A run that gives nothing, and is well.
    Nothing,
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
    let told = told(test, draft).map_err(wrong)?;
    let shape = shape(test, &told, draft, step_s).map_err(wrong)?;
    let behind = behind::all(test, draft, step_s).map_err(wrong)?;
    let folder = tempfile::tempdir().map_err(|error| Failure::of(CANNOT, &error))?;
    let failed = |error: crate::database::DatabaseError| Failure::of(CANNOT, &error);
    let mut ledger = Ledger::open(folder.path(), Box::new(NoOutbox), 0).map_err(failed)?;
    let start = test.start.unwrap_or(START_S);
    ledger.depend(behind::depends(test, &shape, &behind, draft));
    ledger.set(Watch::new(&draft.rules, std::iter::once(shape).chain(behind.iter().map(|one| one.shape().clone()))), start * SECOND_NS);
    let mut story = Vec::new();
    let readings = told.iter().map(|told| told.values.len()).max().unwrap_or(0);
    let mut position = 0;
    for at in 0..i64::try_from(readings).unwrap_or(0) {
        let at_s = start + step_s * at;
        let others = behind.iter().map(|one| reading(one.job(), std::slice::from_ref(one.told()), at, at_s));
        for reading in others.chain([reading(&test.job, &told, at, at_s)]) {
            ledger.take(position, &reading);
            position += 1;
        }
        if !behind.is_empty() {
            ledger.look(at_s * SECOND_NS);
        }
        for notice in ledger.commit().map_err(failed)?.into_iter().filter(|notice| behind.iter().all(|one| one.job() != notice.job)) {
            let severity = severity_name(notice.severity);
            let after = elapsed(step_s * at);
            // An end is told by itself: how bad it was is known.
            story.push(if notice.step.ends() {
                format!("{after} {}", notice.step.name())
            } else {
                // What nobody is told of is there all the same.
                let silenced = if notice.silenced.is_some() { ", silenced" } else { "" };
                format!("{after} {} {severity}{silenced}", notice.step.name())
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
                    "nothing" => Some(Given::Nothing),
                    event if event.starts_with("event ") => event_of(event).map(Given::Event),
                    number => match number.split_once("..") {
                        Some((from, to)) => from.trim().parse().ok().zip(to.trim().parse().ok()).map(|(from, to)| Given::Between(from, to)),
                        None => number.parse().ok().map(Given::Number),
                    },
                };
                given.zip(times).ok_or_else(|| format!("`{text}` is no value; write 0.1, \"0.1 x20\", \"unknown\", \"down\", \"nothing\" or \"event major disk_full: no room\""))?
            }
        };
        if all.len().saturating_add(times) > VALUES_MAX {
            return Err(format!("there are more than {VALUES_MAX} values"));
        }
        all.extend((0..times).map(|at| match &given {
            Given::Between(from, to) => Given::Number(from + (to - from) * at as f64 / times.saturating_sub(1).max(1) as f64),
            given => given.clone(),
        }));
    }
    Ok(all)
}

/// Reads an event: `event major disk_full: no room`.
fn event_of(text: &str) -> Option<Event> {
    let (severity, rest) = text.strip_prefix("event ")?.split_once(' ')?;
    let (code, text) = rest.split_once(": ").unwrap_or((rest, "of a test"));
    let severity = serde_json::from_value(severity.into()).ok()?;
    Some(Event { severity, code: code.to_owned(), text: text.to_owned() })
}

/// What one series says, one value after the other.
struct Told {
    /// Empty where only events are told.
    metric: String,
    labels: BTreeMap<String, String>,
    values: Vec<Given>,
}

/// The series of a test: one, or those of the names of an expression.
fn told(test: &Test, draft: &Draft) -> Result<Vec<Told>, String> {
    let Some(name) = &test.rule else {
        return Ok(vec![Told {
            metric: test.metric.clone().unwrap_or_default(),
            labels: test.labels.clone(),
            values: values(&test.values)?,
        }]);
    };
    let is_it = |rule: &&AlarmRule| rule.name.value == *name && rule.of_job.as_ref().is_none_or(|job| *job == test.job);
    let rule = draft.rules.iter().find(is_it).map(|rule| &rule.looks_at);
    let Some(LooksAt::Expression(expression)) = rule else { return Err(format!("no rule over an expression is called `{name}`")) };
    let names = expression.formula.value.names().iter().zip(&expression.series);
    let own = |name: &str, selector: &Selector| -> Result<Told, String> {
        let written = test.series.get(name).ok_or_else(|| format!("`series` has no values of `{name}`"))?;
        let of_job = |label: &str| ["agent", "job", "target"].contains(&label) || own_labels(&test.job, draft).any(|(key, _)| key == label);
        let fixed: BTreeMap<String, String> = selector.fixed().map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
        let metric = fixed.get(NAME_LABEL).cloned().ok_or_else(|| format!("the series of `{name}` name no metric"))?;
        let labels = fixed.into_iter().filter(|(label, _)| label != NAME_LABEL && !of_job(label)).collect();
        Ok(Told { metric, labels, values: values(written)? })
    };
    names.map(|(name, selector)| own(name, &selector.value)).collect()
}

fn own_labels<'d>(job: &str, draft: &'d Draft) -> impl Iterator<Item = (&'d str, &'d str)> {
    let job = draft.jobs.iter().find(|known| known.name.as_str() == job);
    job.into_iter().flat_map(|job| &job.asks.labels).map(|(key, value)| (key.as_str(), value.value.as_str()))
}

/// A job as the configuration has it, with its metrics in the unit that the bounds are of.
fn shape(test: &Test, told: &[Told], draft: &Draft, step_s: i64) -> Result<Shape, String> {
    let job = draft.jobs.iter().find(|job| job.name.as_str() == test.job).ok_or_else(|| format!("no job is called `{}`", test.job))?;
    let shape = |unit: Unit| {
        let kind = if test.counter { Kind::Counter } else { Kind::Gauge };
        let mut metrics: Vec<MetricSpec> = Vec::new();
        for told in told.iter().filter(|told| !told.metric.is_empty() && of_every_run().iter().all(|spec| spec.name != told.metric)) {
            let keys = told.labels.keys().cloned();
            match metrics.iter_mut().find(|spec| spec.name == told.metric) {
                Some(known) => known.keys.extend(keys.filter(|key| !known.keys.contains(key)).collect::<Vec<_>>()),
                None => metrics.push(MetricSpec { name: told.metric.clone(), kind, unit, help: "Of a test.".into(), keys: keys.collect() }),
            }
        }
        metrics.iter_mut().for_each(|spec| spec.keys.sort());
        Shape {
            job: test.job.clone(),
            agent: job.asks.agent.value.clone(),
            target: "test".into(),
            labels: own_labels(&test.job, draft).map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            step_s: u32::try_from(step_s).unwrap_or(u32::MAX),
            metrics,
        }
    };
    let is_meant = |rule: &&AlarmRule| match &rule.looks_at {
        LooksAt::Series(series) => {
            series.value.fixed().all(|(label, name)| label != NAME_LABEL || told.iter().any(|told| told.metric == name))
        }
        LooksAt::Expression(_) => test.rule.as_ref() == Some(&rule.name.value),
        LooksAt::Events(_) => false,
    };
    let fits = |unit: Unit, shape: &Shape| {
        draft.rules.iter().filter(is_meant).all(|rule| {
            let unit = match &rule.looks_at {
                LooksAt::Expression(expression) => {
                    find(expression, None, std::iter::once(shape)).ok().and_then(|found| found.measure).map(|measure| measure.unit().0)
                }
                _ => Some(unit),
            };
            let mut bounds = rule.bounds.iter().flatten().chain(&rule.rearm);
            unit.is_some_and(|unit| bounds.all(|bound| bound.value.limit(unit).is_ok()))
        })
    };
    let units = [Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Days, Unit::Number];
    let unit = units.into_iter().find(|unit| fits(*unit, &shape(*unit))).unwrap_or(Unit::Number);
    Ok(shape(unit))
}

fn reading(job: &str, told: &[Told], at: i64, at_s: i64) -> Reading {
    let mut outcome = RunOutcome::failed(ErrorKind::LOCAL, "unknown in a test", at_s.saturating_mul(SECOND_NS));
    let place = usize::try_from(at).unwrap_or(usize::MAX);
    let keys = |metric: &str| -> std::collections::BTreeSet<&String> {
        told.iter().filter(|told| told.metric == metric).flat_map(|told| told.labels.keys()).collect()
    };
    for told in told {
        match told.values.get(place) {
            Some(Given::Number(value)) => {
                outcome.status = Status::Ok;
                let labels = keys(&told.metric).into_iter().map(|key| told.labels.get(key).cloned().unwrap_or_default()).collect();
                outcome.samples.push(Sample { metric: told.metric.clone(), labels, value: *value });
            }
            Some(Given::Event(event)) => {
                outcome.status = Status::Ok;
                outcome.events.push(event.clone());
            }
            Some(Given::Nothing) => outcome.status = Status::Ok,
            Some(Given::Down) => {
                outcome.status = Status::Failed { kind: ErrorKind::CONNECT, message: "down in a test".into() };
                outcome.samples.clear();
                break;
            }
            Some(Given::Unknown | Given::Between(..)) | None => {}
        }
    }
    let due_ns = at_s.saturating_mul(SECOND_NS);
    Reading { job: job.to_owned(), cause: Cause::Schedule, slot: at_s, due_ns, stale_ns: i64::MAX, outcome }
}

/// A time as spans are written: `1h2m30s`, `0s`.
fn elapsed(seconds: i64) -> String {
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}
