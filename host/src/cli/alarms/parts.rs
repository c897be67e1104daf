//! What an expression came to of late, and what its names were worth: from what is stored of their series.

use std::collections::BTreeMap;

use hyper::Method;

use super::{Context, VALUES_TOLD, query, table, time};
use crate::{alarm::record::Alarm, cli::failure::Failure, config::SeriesExpression, daemon::now_ns};

/// Series of one name that are told one by one, at most.
const TOLD_MAX: usize = 3;
/// Seconds that are looked back, at most.
const BACK_S: i64 = 86_400;

/// One instant: what the expression came to, and the values of each of its names.
#[derive(serde::Serialize)]
pub(super) struct Row {
    time: i64,
    value: Option<f64>,
    parts: BTreeMap<String, Vec<Option<f64>>>,
}

/// One series as the API gives it.
#[derive(serde::Deserialize)]
struct Series {
    start: Option<i64>,
    step: i64,
    values: Vec<Option<f64>>,
}

impl Series {
    fn rows(&self) -> impl Iterator<Item = (i64, Option<f64>)> + '_ {
        (0..).zip(&self.values).filter_map(|(row, value)| Some((self.start? + self.step * row, *value)))
    }

    fn at(&self, time: i64) -> Option<f64> {
        self.rows().find(|(end, _)| *end >= time && *end < time + self.step).and_then(|(_, value)| value)
    }
}

/// What it was of late, the newest last; without a daemon nobody is asked.
pub(super) fn of_late(context: &Context, alarm: &Alarm, expression: &SeriesExpression, cannot: &str) -> Result<Vec<Row>, Failure> {
    let formula = &expression.formula.value;
    let end = alarm.life.cleared_ns.unwrap_or_else(now_ns) / 1_000_000_000;
    let mut of_names: Vec<(String, Vec<Series>)> = Vec::new();
    for (name, selector) in formula.names().iter().zip(&expression.series) {
        let pairs = [
            ("series", within(selector.value.as_str(), alarm)),
            ("from", (end - BACK_S).to_string()),
            ("to", end.to_string()),
            ("format", "json".to_owned()),
        ];
        let answer = context.ask_if_it_runs(cannot, Method::GET, &format!("/api/v1/fetch?{}", query(&pairs)))?;
        // Series may be dropped: then there is less to tell.
        of_names.push((name.clone(), answer.and_then(|answer| answer.read().ok()).unwrap_or_default()));
    }
    let mut times: Vec<i64> = of_names
        .iter()
        .flat_map(|(_, all)| all)
        .flat_map(Series::rows)
        .filter(|(_, value)| value.is_some())
        .map(|(time, _)| time)
        .collect();
    times.sort_unstable();
    times.dedup();
    let row = |time: &i64| {
        let parts: BTreeMap<String, Vec<Option<f64>>> =
            of_names.iter().map(|(name, all)| (name.clone(), all.iter().map(|series| series.at(*time)).collect())).collect();
        let value = formula.value(|name| of_names.get(name).and_then(|(name, _)| parts.get(name)).map(Vec::as_slice).unwrap_or_default());
        Row { time: *time, value, parts }
    };
    Ok(times.iter().skip(times.len().saturating_sub(VALUES_TOLD)).map(row).collect())
}

/// A selector that means the series of the alarm's group only.
fn within(selector: &str, alarm: &Alarm) -> String {
    let subject = &alarm.subject;
    let job = Some(("job".to_owned(), subject.job.clone())).filter(|_| !subject.job.is_empty());
    let labels = subject.labels.iter().cloned().chain(job).map(|(label, value)| format!("{label}={value:?}")).collect::<Vec<_>>().join(",");
    match selector.trim_end().strip_suffix('}') {
        _ if labels.is_empty() => selector.to_owned(),
        Some(open) if open.trim_end().ends_with(['{', ',']) => format!("{open}{labels}}}"),
        Some(open) => format!("{open},{labels}}}"),
        None => format!("{selector}{{{labels}}}"),
    }
}

/// Prints them: a column for the whole, and one for each name.
pub(super) fn print(rows: &[Row], expression: &SeriesExpression) {
    let shown = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| value.to_string());
    let parts = |values: &[Option<f64>]| {
        let first: Vec<String> = values.iter().take(TOLD_MAX).map(|value| shown(*value)).collect();
        let more = values.len().saturating_sub(TOLD_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        if first.is_empty() { "unknown".to_owned() } else { format!("{}{more}", first.join(", ")) }
    };
    let names = expression.formula.value.names();
    let row = |row: &Row| {
        let of_names = names.iter().map(|name| parts(row.parts.get(name).map(Vec::as_slice).unwrap_or_default()));
        [time::local(row.time as f64), shown(row.value)].into_iter().chain(of_names).collect::<Vec<_>>()
    };
    let head: Vec<&str> = ["time", "value"].into_iter().chain(names.iter().map(String::as_str)).collect();
    table::print(&head, &rows.iter().map(row).collect::<Vec<_>>());
}
