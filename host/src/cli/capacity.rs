//! `watchpost capacity`

mod table;

use std::path::PathBuf;

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use watchpost_plugin_api::{Kind, Unit};

use super::{
    Context,
    failure::{Failure, Outcome},
    fetch::fetched,
    table::plain,
    time,
};
use crate::series::{
    quantity,
    request::{FetchRequest, Format},
    trend::{Growth, Reached, Trend, trend},
};

pub(super) const EXAMPLES: &str =
    "Growth is the median of how much values grew between any two days; nine of ten times the truth lies between the two bounds, if the \
     coming days are like those before. Fewer than four days cannot be told from the hours of a day, and are marked so. A limit has the \
     unit of its series: 50GiB, 90%, 12000, 2s. Of a counter it is what is counted in a second that grows.

Examples:
  watchpost capacity 'total_time{job=\"pop-paris\"}' --limit 2s
  watchpost capacity '{site=\"paris\"}' --from now-90d -o growth.xlsx";

const CANNOT: &str = "cannot tell the capacity";
/// Rows an hour apart are asked for up to so many days back, beyond it rows a day apart.
const HOURLY_DAYS: i64 = 100;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Which series: a metric with matchers as PromQL has them.
    #[arg(required = true, value_name = "SERIES")]
    series: Vec<String>,
    /// What they must not reach, in their unit.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    limit: Option<String>,
    /// Where the past begins that counts.
    #[arg(long, default_value = "now-30d", allow_hyphen_values = true, value_name = "TIME")]
    from: String,
    /// Where it ends.
    #[arg(long, default_value = "now", allow_hyphen_values = true, value_name = "TIME")]
    to: String,
    /// The form of the answer: csv, json or xlsx [default: as FILE ends, else a table for people, with --json json].
    #[arg(long, value_name = "FORM")]
    format: Option<String>,
    /// The file that is written, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A series as `fetch` gives it.
#[derive(Deserialize)]
struct Told {
    metric: String,
    labels: serde_json::Map<String, Value>,
    unit: Unit,
    kind: Kind,
    step: i64,
    start: Option<i64>,
    values: Vec<Option<f64>>,
}

/// What is said of a series. What is not known is absent.
#[derive(Serialize)]
struct Capacity {
    series: String,
    unit: Unit,
    /// Of a counter, values are those of a second.
    kind: Kind,
    /// By the trend, at the last value.
    level: Option<f64>,
    growth_per_day: Option<f64>,
    growth_per_day_low: Option<f64>,
    growth_per_day_high: Option<f64>,
    /// Days from the first value to the last.
    days: Option<f64>,
    /// Whether whole days were compared.
    whole_days: Option<bool>,
    limit: Option<f64>,
    /// `reached`, `in sight`, `not in sight`; `unknown` without enough values, absent without a limit.
    outlook: Option<&'static str>,
    reached_earliest: Option<String>,
    reached: Option<String>,
    reached_latest: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let format = super::fetch::format_of_answer(arguments.format.as_deref(), arguments.output.as_deref(), context.json)?;
    let request = FetchRequest {
        series: arguments.series.clone(),
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        step: Some(step(arguments)),
        consolidation: None,
        format: Format::Json,
        zone: time::zone(),
        gaps: false,
        band: None,
    };
    let answer = fetched(context, CANNOT, &request)?;
    let told: Vec<Told> =
        serde_json::from_slice(&answer.body).map_err(|error| Failure::failed(CANNOT, format!("the answer is not understood: {error}")))?;
    let capacities = told.iter().map(|series| capacity(series, arguments.limit.as_deref())).collect::<Result<Vec<_>, _>>()?;
    let output = arguments.output.as_deref();
    let Some(format) = format.or(output.map(|_| Format::Csv)) else {
        table::print(&capacities);
        return Ok(());
    };
    table::sheet(&capacities).give(format, &capacities, output, CANNOT)
}

/// An hour; over a long past a day.
fn step(arguments: &Arguments) -> String {
    let now = crate::daemon::now_ns() / 1_000_000_000;
    let clock = crate::series::time::Clock { now, zone: time::zone() };
    let instants = crate::series::time::parse_range(&arguments.from, &arguments.to, clock);
    // What cannot be read is told by whoever answers.
    let long = instants.is_ok_and(|(from, to)| to - from > HOURLY_DAYS * 86_400);
    if long { "1d" } else { "1h" }.to_owned()
}

fn capacity(told: &Told, limit: Option<&str>) -> Result<Capacity, Failure> {
    let series = name(told);
    let limit = limit.map(|limit| quantity::parse(limit, told.unit)).transpose();
    let limit = limit.map_err(|error| Failure::wrong(format!("cannot take this limit for {}", plain(&series)), error.to_string()))?;
    let start = told.start.unwrap_or_default();
    let rows: Vec<_> = (0..).zip(&told.values).map(|(at, value)| (start + at * told.step, *value)).collect();
    let found = trend(&rows);
    let reached = found.zip(limit).map(|(trend, limit)| trend.reaches(limit));
    let outlook = limit.map(|_| match reached {
        None => "unknown",
        Some(Reached::Now) => "reached",
        Some(Reached::In { .. }) => "in sight",
        Some(Reached::Never) => "not in sight",
    });
    let on = |days: Option<f64>| found.zip(days).and_then(|(trend, days)| date(trend.at, days));
    let (earliest, likely, latest) = match reached {
        Some(Reached::In { earliest, likely, latest }) => (Some(earliest), likely, latest),
        _ => (None, None, None),
    };
    let growth = |of: fn(&Growth) -> f64| found.map(|trend| of(&trend.growth));
    let of = |what: fn(&Trend) -> f64| found.as_ref().map(what);
    Ok(Capacity {
        series,
        unit: told.unit,
        kind: told.kind,
        level: of(|trend| trend.level),
        growth_per_day: growth(|growth| growth.likely),
        growth_per_day_low: growth(|growth| growth.low),
        growth_per_day_high: growth(|growth| growth.high),
        days: of(|trend| trend.days),
        whole_days: found.map(|trend| trend.whole_days),
        limit,
        outlook,
        reached_earliest: on(earliest),
        reached: on(likely),
        reached_latest: on(latest),
    })
}

/// The day so many days after an instant, in UTC.
fn date(from: i64, days: f64) -> Option<String> {
    DateTime::from_timestamp(from + (days * 86_400.0) as i64, 0).map(|time| time.format("%Y-%m-%d").to_string())
}

/// As whoever reads it selects the series again: agent and target follow from the job.
fn name(told: &Told) -> String {
    let labels = told.labels.iter().filter(|(key, _)| !["agent", "target"].contains(&key.as_str()));
    let labels: Vec<_> = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    crate::series::selector::Shown { metric: &told.metric, labels: &labels }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: Vec<Option<f64>>) -> Told {
        let labels = [("agent", "queue"), ("job", "q"), ("target", "/var/spool"), ("queue", "deferred")];
        let labels = labels.map(|(key, value)| (key.to_owned(), Value::from(value))).into_iter().collect();
        Told { metric: "queue_bytes".into(), labels, unit: Unit::Bytes, kind: Kind::Gauge, step: 86_400, start: Some(0), values }
    }

    #[test]
    fn what_grows_reaches_its_limit_on_a_day() {
        let said = capacity(&told((0..10).map(|day| Some(1024.0 * f64::from(day))).collect()), Some("19KiB")).unwrap();
        assert_eq!((said.series.as_str(), said.outlook), ("queue_bytes{job=\"q\",queue=\"deferred\"}", Some("in sight")));
        assert_eq!((said.level, said.growth_per_day, said.reached.as_deref()), (Some(9216.0), Some(1024.0), Some("1970-01-20")));
    }

    #[test]
    fn of_unknown_values_nothing_is_made_up() {
        let said = capacity(&told(vec![None; 10]), Some("1GiB")).unwrap();
        assert_eq!((said.outlook, said.level, said.growth_per_day, said.reached), (Some("unknown"), None, None, None));
        assert_eq!(capacity(&told(vec![None; 10]), None).unwrap().outlook, None);
    }
}
