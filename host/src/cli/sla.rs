//! `watchpost sla`

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    fetch::format_of_answer,
    load::now,
    sheet::{Cell, Sheet},
    table, time,
};
use crate::{
    config::{self, Objective},
    objective::{
        Seconds,
        level::Level,
        period,
        tally::{Sums, sums},
    },
    series::request::Format,
};

pub(super) const EXAMPLES: &str = "An objective stands in watchpost.toml:

  [[objective]]
  name = \"mail in Paris\"
  series = 'up{site=\"paris\"}'
  target = \"99.9%\"
  timezone = \"Europe/Paris\"
  hours = \"MON-FRI 08:00-18:00\"

Of any metric but `up`, `good` says which values are: good = \"< 2s\". `period` is day, week, month, quarter or year; a month \
if it is not said. The level is the share of known time that was good. Time that is unknown, and time that was planned (the windows of a \
job were shut, or there was maintenance), is shown beside it and is no part of it. Sums are written every ten seconds; what was before the objective was there is \
not counted.

Examples:
  watchpost sla
  watchpost sla --month 2026-10
  watchpost sla --month 2026-10 -o october.xlsx";

const CANNOT: &str = "cannot tell service levels";
const HEAD: &[&str] = &[
    "objective",
    "series",
    "from",
    "to",
    "target",
    "level",
    "met",
    "good_s",
    "bad_s",
    "unknown_s",
    "planned_s",
    "budget_s",
    "budget_left",
    "counted_since",
    "counted_to",
];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The month, as 2026-10 [default: of each objective the period that goes on].
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
    /// The form of the answer: csv, json or xlsx [default: as FILE ends, else a table for people, with --json json].
    #[arg(long, value_name = "FORM")]
    format: Option<String>,
    /// The file that is written, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// An objective over some days, or one series of it. What is not known is absent.
#[derive(Serialize)]
struct Told {
    objective: String,
    /// The one series; all of them together where none is named.
    series: Option<String>,
    /// The first day, in the objective's zone.
    from: NaiveDate,
    /// The last day.
    to: Option<NaiveDate>,
    target: f64,
    #[serde(flatten)]
    level: Level,
    #[serde(flatten)]
    time: InSeconds,
    /// The first day on which anything was counted.
    counted_since: Option<NaiveDate>,
    /// When the last reading that was counted was due, UTC.
    counted_to: Option<String>,
}

/// Service time by what it was.
#[derive(Serialize)]
struct InSeconds {
    good_s: u64,
    bad_s: u64,
    unknown_s: u64,
    planned_s: u64,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let format = format_of_answer(arguments.format.as_deref(), arguments.output.as_deref(), context.json)?;
    let month = arguments
        .month
        .as_deref()
        .map(|month| period::month(month).ok_or_else(|| Failure::wrong(CANNOT, format!("`{month}` is no month; write it as 2026-10"))));
    let month = month.transpose()?;
    let file = context.file()?;
    let (draft, faults) = config::read(&file, now());
    let Some(config) = draft.config(&file).filter(|config| faults.hiding() == 0 || !config.objectives.is_empty()) else {
        return Err(Failure::Faults(faults));
    };
    if config.objectives.is_empty() {
        let why = format!("{} promises nothing; `watchpost sla --help` shows an [[objective]]", file.display());
        return Err(Failure::wrong(CANNOT, why));
    }
    let mut told = Vec::new();
    for objective in &config.objectives {
        told.extend(of(objective, &config.data.value, month)?);
    }
    let output = arguments.output.as_deref();
    let Some(format) = format.or(output.map(|_| Format::Csv)) else {
        print(&told);
        return Ok(());
    };
    Sheet { name: "Service levels", head: HEAD, rows: told.iter().map(cells).collect() }.give(format, &told, output, CANNOT)
}

/// An objective, and each of its series where there are several.
fn of(objective: &Objective, data: &Path, month: Option<(NaiveDate, NaiveDate)>) -> Result<Vec<Told>, Failure> {
    let days = month.or_else(|| objective.period.around(objective.zone.day(now())));
    let days = days.ok_or_else(|| Failure::failed(CANNOT, "the calendar ends here"))?;
    let found = sums(data, objective, days).map_err(|error| Failure::of(CANNOT, &error))?;
    let mut all = vec![told(objective, days, None, found.all(), &found)];
    if found.series.len() > 1 {
        all.extend(found.series.iter().map(|(series, time)| told(objective, days, Some(series.clone()), *time, &found)));
    }
    Ok(all)
}

fn told(objective: &Objective, (from, after): (NaiveDate, NaiveDate), series: Option<String>, time: Seconds, sums: &Sums) -> Told {
    let Seconds { good, bad, unknown, planned } = time;
    Told {
        objective: objective.name.value.clone(),
        series,
        from,
        to: after.pred_opt(),
        target: objective.target,
        level: Level::of(time, objective.target),
        time: InSeconds { good_s: good, bad_s: bad, unknown_s: unknown, planned_s: planned },
        counted_since: sums.since,
        counted_to: sums.to.and_then(|to| chrono::DateTime::from_timestamp(to, 0)).map(|to| to.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
    }
}

fn print(told: &[Told]) {
    let head = ["objective", "from", "target", "level", "met", "bad", "may be bad", "left", "unknown", "planned", "counted since"];
    let rows: Vec<Vec<String>> = told.iter().map(row).collect();
    table::print(&head, &rows);
}

fn row(told: &Told) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let met = match told.level.met {
        Some(true) => "yes".to_owned(),
        Some(false) => "NO".to_owned(),
        None => unknown(),
    };
    let span = |seconds: u64| if seconds == 0 { "-".to_owned() } else { time::span(seconds as f64) };
    vec![
        told.series.as_ref().map_or_else(|| told.objective.clone(), |series| format!("  {series}")),
        told.from.to_string(),
        percent(told.target),
        told.level.level.map_or_else(unknown, percent),
        met,
        span(told.time.bad_s),
        time::span(told.level.budget_s),
        told.level.budget_left.map_or_else(|| "-".to_owned(), |left| format!("{:.0} %", left * 100.0)),
        span(told.time.unknown_s),
        span(told.time.planned_s),
        told.counted_since.map_or_else(|| "nothing yet".to_owned(), |day| day.to_string()),
    ]
}

/// A share with as many figures as promises have: 99.95 %. Rounded down, so that what is not kept never reads as if it were.
fn percent(share: f64) -> String {
    let text = format!("{:.4}", (share * 1e6 + 1e-6).floor() / 1e4);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn cells(told: &Told) -> Vec<Cell> {
    let day = |day: Option<NaiveDate>| Cell::text(day.map(|day| day.to_string()).as_deref());
    let seconds = |seconds: u64| Cell::Number(seconds as f64);
    vec![
        Cell::text(Some(&told.objective)),
        Cell::text(told.series.as_deref()),
        day(Some(told.from)),
        day(told.to),
        Cell::Number(told.target),
        Cell::number(told.level.level),
        Cell::text(told.level.met.map(|met| if met { "true" } else { "false" })),
        seconds(told.time.good_s),
        seconds(told.time.bad_s),
        seconds(told.time.unknown_s),
        seconds(told.time.planned_s),
        Cell::Number(told.level.budget_s),
        Cell::number(told.level.budget_left),
        day(told.counted_since),
        Cell::text(told.counted_to.as_deref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up_to_what_was_promised() {
        for (share, expected) in [(0.999, "99.9 %"), (0.999_899_99, "99.9899 %"), (1.0, "100 %"), (0.999_999_9, "99.9999 %"), (0.5, "50 %")]
        {
            assert_eq!(percent(share), expected);
        }
    }
}
