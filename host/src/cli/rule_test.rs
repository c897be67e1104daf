//! `watchpost rules test`: values in, the story of alarms out.

mod behind;
mod story;

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use story::{Given, Line, elapsed};
use watchpost_plugin_api::{Kind, MetricSpec, Unit};
use watchpost_services::outcome::Event;

use super::{
    Context,
    failure::{Failure, Outcome},
    print_json, table,
};
use crate::{
    alarm::{notice::Step, together::find, x733::SEVERITIES},
    config::{AlarmRule, Draft, LooksAt, nearest},
    reading::Shape,
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

A value may be repeated, unknown, or \"down\": the target is to blame. Times count from the first value. \"0..30 x60\" are sixty values on the way from one to the other, and counter = true makes totals of them. \"event major disk_full: no room\" is a run that reports something, and \"nothing\" one that has nothing to say: these need no metric. Of an expression, rule = \"NAME\" beside job, with series = { a = [1, 2], b = [3, 4] } gives the values of each of its names. depends_on = { link-paris = [1, \"down x3\"] } tells how that fares which the job depends on, a value beside each of its own; what nobody would be told of then is expected as \"1m raised major, silenced\". Time goes on between values and ends with the last one; until = \"1h\" lets it go on without any: what is absent is missed, what came and went settles, and a day after it was cleared an alarm is closed. Each step is told with its rule, \"1m raised warning by slow\", and may be expected with or without it.

Example:
  watchpost rules test rules-test.toml";

const CANNOT: &str = "cannot test rules";
/// Values of one test, at most.
const VALUES_MAX: usize = 100_000;
/// When the first value comes: a Monday, 2026-01-05 00:00 UTC, unless it is said.
const START_S: i64 = 1_767_571_200;
/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;
/// How long time goes on in a test, at most, seconds: ten years.
const UNTIL_MAX_S: i64 = 3_653 * 86_400;

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
    /// How long time goes on, from the first value: to the last one unless it is said.
    until: Option<String>,
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
enum What {
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
    /// The rules that were held to its values.
    rules: Vec<String>,
    expected: Vec<String>,
    story: Vec<String>,
}

pub(super) fn run(context: &Context, file: &Path) -> Outcome {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::of(format!("cannot read {}", file.display()), &error))?;
    let tests: File = toml::from_str(&text)
        .map_err(|error| Failure::wrong(CANNOT, format!("{}: {}", file.display(), crate::in_one_line(&text, &error))))?;
    let draft = context.draft()?;
    let done = tests.test.iter().map(|test| done(test, &draft)).collect::<Result<Vec<_>, _>>()?;
    if context.json {
        print_json(&done)?;
    } else {
        done.iter().for_each(tell);
    }
    if done.iter().all(|done| done.passed) { Ok(()) } else { Err(Failure::Told(1)) }
}

fn tell(done: &Done) {
    let rules = if done.rules.is_empty() { "no rule looks at its values".to_owned() } else { done.rules.join(", ") };
    println!("{} {}: {}", if done.passed { "ok    " } else { "FAILED" }, table::plain(&done.name), table::plain(&rules));
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
    test.expect.iter().try_for_each(|expected| expectable(expected)).map_err(wrong)?;
    let told = told(test, draft).map_err(wrong)?;
    let shape = shape(test, &told, draft, step_s).map_err(wrong)?;
    let behind = behind::all(test, draft, step_s).map_err(wrong)?;
    let until_s = until(test, &told, step_s).map_err(wrong)?;
    let given = Given { test, told: &told, behind: &behind, step_s, until_s };
    let story = given.story(shape, draft)?;
    let passed =
        story.lines.len() == test.expect.len() && story.lines.iter().zip(&test.expect).all(|(line, expected)| line.is_as(expected));
    let lines = story.lines.iter().map(Line::said).collect();
    Ok(Done { name: test.name.clone(), passed, rules: story.rules, expected: test.expect.clone(), story: lines })
}

/// Refuses what no step is told as.
fn expectable(expected: &str) -> Result<(), String> {
    let mut words = expected.split([' ', ',']);
    let (_when, step, severity) = (words.next(), words.next().unwrap_or_default(), words.next());
    let known = |kind: &str, word: &str, all: &mut dyn Iterator<Item = &'static str>| {
        let all: Vec<&str> = all.collect();
        if all.contains(&word) {
            return Ok(());
        }
        let near = nearest(word, all.iter().copied())
            .map_or_else(|| format!("write one of {}", all.join(", ")), |near| format!("did you mean `{near}`?"));
        Err(format!("`expect`: \"{}\": `{}` is no {kind}; {near}", crate::plain(expected), crate::plain(word)))
    };
    known("step", step, &mut Step::ALL.iter().map(|step| step.name()))?;
    match severity.filter(|word| *word != "by") {
        Some(severity) => known("severity", severity, &mut SEVERITIES.iter().map(|(name, _)| *name)),
        None => Ok(()),
    }
}

/// When the test is over, seconds after its first value: with its last one, unless it goes on.
fn until(test: &Test, told: &[Told], step_s: i64) -> Result<i64, String> {
    let values = told.iter().map(|told| told.values.len()).max().unwrap_or(0);
    let last_s = step_s.saturating_mul(i64::try_from(values).unwrap_or(i64::MAX).saturating_sub(1).max(0));
    let Some(until) = &test.until else { return Ok(last_s) };
    let until_s = parse_span(until).map_err(|error| format!("`until`: {}", crate::chain(&error)))?.as_secs();
    let until_s = i64::try_from(until_s).unwrap_or(i64::MAX);
    if until_s < last_s {
        return Err(format!("`until`: {until} is before the last value, which comes after {}", elapsed(last_s)));
    }
    if until_s > UNTIL_MAX_S {
        return Err("`until`: a test is over after ten years".to_owned());
    }
    Ok(until_s)
}

/// Reads values: `0.1`, `"0.1 x20"`, `"unknown"`, `"down x3"`.
fn values(written: &[Value]) -> Result<Vec<What>, String> {
    let mut all = Vec::new();
    for value in written {
        let (given, times) = match value {
            Value::Number(number) => (What::Number(*number), 1),
            Value::Text(text) => {
                let (what, times) = text.rsplit_once(" x").map_or((text.as_str(), Some(1)), |(what, times)| (what, times.parse().ok()));
                let given = match what.trim() {
                    "unknown" => Some(What::Unknown),
                    "down" => Some(What::Down),
                    "nothing" => Some(What::Nothing),
                    event if event.starts_with("event ") => event_of(event).map(What::Event),
                    number => match number.split_once("..") {
                        Some((from, to)) => from.trim().parse().ok().zip(to.trim().parse().ok()).map(|(from, to)| What::Between(from, to)),
                        None => number.parse().ok().map(What::Number),
                    },
                };
                given.zip(times).ok_or_else(|| format!("`{text}` is no value; write 0.1, \"0.1 x20\", \"unknown\", \"down\", \"nothing\" or \"event major disk_full: no room\""))?
            }
        };
        if all.len().saturating_add(times) > VALUES_MAX {
            return Err(format!("there are more than {VALUES_MAX} values"));
        }
        all.extend((0..times).map(|at| match &given {
            What::Between(from, to) => What::Number(from + (to - from) * at as f64 / times.saturating_sub(1).max(1) as f64),
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
    values: Vec<What>,
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
