//! `watchpost coverage`

use std::path::{Path, PathBuf};

use hyper::Method;
use serde::Serialize;
use watchpost_plugin_api::{Kind, Unit};

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    print_json,
    table::{self, grouped, plain},
    terminal, time,
};
use crate::{
    config::{self, Row},
    console::readable,
    daemon::{DataFolder, left, now_ns, take_what_is_left},
    latest::{Found, SeriesNow},
    series::store::{Options, SeriesStore},
};

pub(super) const EXAMPLES: &str = "FILE is a schedule with rows, whether the daemon runs it or not; a row is

  [[row]]
  number = 31
  subsystem = \"POP server\"
  name = \"availability\"
  series = 'up{job=\"pop-paris\"}'

It has a value if one of its series has. Of several the table shows the smallest and the largest; a counter shows its total, and by how \
much it rose in each second since the run before. `events{job=\"…\"}` is how many events the last run reported. While no daemon runs, the \
values are those of the moment when one measured last. The exit code is 0 if every row has a value, else 1.

Examples:
  watchpost coverage schedules/esm.toml
  watchpost coverage schedules/esm.toml --json";

/// Selectors that the daemon is asked for at once; a URL holds some thousand characters.
const ASKED_AT_ONCE: usize = 50;
/// Lines of a reason below its row, at most.
const REASON_LINES: usize = 2;
/// How far a reason is moved in below its row.
const INDENT: &str = "    ";
/// Characters of a name that are left, however narrow the terminal.
const NAME_CHARS_MIN: usize = 12;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The schedule file that holds the rows.
    file: PathBuf,
}

#[derive(Serialize)]
struct Answer {
    rows: Vec<Covered>,
    with_value: usize,
    total: usize,
}

/// A row and what is known of it.
#[derive(Serialize)]
struct Covered {
    number: u32,
    subsystem: String,
    name: String,
    /// Which series, as the file has it.
    series: String,
    /// `ok`: every series has a value; `partly`: some have; `unknown`: none has.
    status: &'static str,
    /// The last value; of several series the smallest.
    value: Option<f64>,
    /// The largest of several.
    value_max: Option<f64>,
    unit: Option<Unit>,
    kind: Option<Kind>,
    /// By how much the one counter rose in each second since the run before.
    rate: Option<f64>,
    /// Seconds since it was measured; of several series the oldest.
    age: Option<f64>,
    /// Why there is no value, or not of each series.
    why: Option<String>,
    /// Each of them.
    found: Vec<SeriesNow>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let file = &arguments.file;
    let cannot = format!("cannot tell the coverage of {}", file.display());
    let rows = config::rows_of(file).map_err(Failure::Faults)?;
    if rows.is_empty() {
        return Err(Failure::wrong(cannot, "it has no row; rows are `[[row]]` tables of a schedule file"));
    }
    let found = found(context, &cannot, &rows)?;
    let now = now_ns() as f64 / 1e9;
    let mut covered: Vec<Covered> = rows.into_iter().zip(found).map(|(row, found)| Covered::of(row, found, now)).collect();
    covered.sort_by_key(|row| row.number);
    let with_value = covered.iter().filter(|row| row.value.is_some()).count();
    let answer = Answer { with_value, total: covered.len(), rows: covered };
    if context.json {
        print_json(&answer)?;
    } else {
        tell(&answer);
    }
    if answer.with_value == answer.total { Ok(()) } else { Err(Failure::Told(1)) }
}

/// What is known of each row's series: by the daemon, or by what one left.
fn found(context: &Context, cannot: &str, rows: &[Row]) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::with_capacity(rows.len());
    for some in rows.chunks(ASKED_AT_ONCE) {
        let pairs: Vec<_> = some.iter().map(|row| ("series", row.series.as_str().to_owned())).collect();
        let path = format!("/api/v1/latest?{}", query(&pairs));
        let Some(answer) = context.ask_if_it_runs(cannot, Method::GET, &path)? else {
            return from_files(&context.data_folder()?, cannot, rows);
        };
        let found: Vec<Found> = answer.read()?;
        if found.len() != some.len() {
            return Err(Failure::failed(cannot, "the daemon's answer is of other rows"));
        }
        all.extend(found);
    }
    Ok(all)
}

/// Without a daemon: files and journal, with the data folder locked for as long as it takes.
fn from_files(data: &Path, cannot: &str, rows: &[Row]) -> Result<Vec<Found>, Failure> {
    let of = |error: &dyn std::error::Error| Failure::of(cannot, error);
    if !data.is_dir() {
        let why = format!("there is no data folder {}: nothing was ever measured with this configuration", data.display());
        return Err(Failure::failed(cannot, why));
    }
    let folder = DataFolder::lock(data).map_err(|error| of(&error))?;
    let mut store = SeriesStore::open(folder.path(), Options::default()).map_err(|error| of(&error))?;
    take_what_is_left(&folder, &mut store).map_err(|error| of(&error))?;
    let snapshot = left(&folder, &store).map_err(|error| of(&error))?;
    if snapshot.now_ns > 0 {
        eprintln!("note: no daemon runs; this is what one measured last, {} ago", time::span((now_ns() - snapshot.now_ns) as f64 / 1e9));
    }
    Ok(rows.iter().map(|row| snapshot.find(&row.series.value)).collect())
}

impl Covered {
    fn of(row: Row, found: Found, now: f64) -> Self {
        let Found { series: found, miss } = found;
        let values = || found.iter().filter_map(|series| series.value);
        let with_value: Vec<&SeriesNow> = found.iter().filter(|series| series.value.is_some()).collect();
        let only = if let [only] = with_value.as_slice() { Some(*only) } else { None };
        let status = match with_value.len() {
            0 => "unknown",
            known if known < found.len() => "partly",
            _ => "ok",
        };
        let age = with_value.iter().filter_map(|series| series.time).map(|time| (now - time).max(0.0)).reduce(f64::max);
        let alike = |first: &&SeriesNow| with_value.iter().all(|series| (series.unit, series.kind) == (first.unit, first.kind));
        let first = with_value.first().copied().filter(alike);
        let unit = first.map(|series| series.unit);
        Self {
            number: row.number,
            subsystem: row.subsystem,
            name: row.name,
            series: row.series.as_str().to_owned(),
            status,
            value: values().reduce(f64::min),
            value_max: if only.is_some() { None } else { values().reduce(f64::max) },
            unit,
            kind: first.map(|series| series.kind),
            rate: only.and_then(|series| series.rate),
            age,
            why: miss.or_else(|| why(&found, now)),
            found,
        }
    }

    /// The value as people read it.
    fn shown(&self) -> String {
        let unit = self.unit.unwrap_or(Unit::Number);
        let shown = |value: f64| readable::value(value, unit);
        let Some(value) = self.value else { return "-".to_owned() };
        match (self.value_max, self.rate) {
            (Some(max), _) if max > value => format!("{} to {}", shown(value), shown(max)),
            (_, Some(rate)) => {
                let per_second = readable::value(rate, if unit == Unit::Bytes { unit } else { Unit::Number });
                format!("{}, {per_second}/s", shown(value))
            }
            _ => shown(value),
        }
    }
}

/// Why series have no value: the first reason, and how many more there are.
fn why(series: &[SeriesNow], now: f64) -> Option<String> {
    let mut unknown = series.iter().filter_map(|series| Some((series, series.unknown.as_ref()?)));
    let (first, reason) = unknown.next()?;
    let job = first.labels.get("job").map(String::as_str).unwrap_or_default();
    let since = reason.since.filter(|_| reason.health != "ok");
    let since = since.map_or(String::new(), |since| format!(" {} for {}", reason.health, time::span(now - since)));
    let more = match unknown.count() {
        0 => String::new(),
        more => format!("; and {} more", grouped(more)),
    };
    Some(format!("job {job}{since}: {}{more}", reason.why))
}

/// Prints the rows below their subsystems, each with its reason, and how many have a value.
fn tell(answer: &Answer) {
    let head = ["no", "name", "value", "age", "status"];
    let columns = terminal::columns().unwrap_or(usize::MAX);
    let cells = |row: &Covered, name: String| {
        let age = row.age.map_or("-".to_owned(), time::span);
        vec![row.number.to_string(), name, row.shown(), age, row.status.to_owned()]
    };
    let whole: Vec<Vec<String>> = answer.rows.iter().map(|row| cells(row, row.name.clone())).collect();
    let too_wide = table::lines(&head, &whole).iter().map(|line| line.chars().count()).max().unwrap_or(0).saturating_sub(columns);
    let longest = answer.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let fitting = longest.saturating_sub(too_wide).max(NAME_CHARS_MIN);
    let rows: Vec<Vec<String>> = answer.rows.iter().map(|row| cells(row, terminal::cut(&row.name, fitting))).collect();
    let mut lines = table::lines(&head, &rows).into_iter();
    println!("{}", terminal::cut(&lines.next().unwrap_or_default(), columns));
    let mut subsystem = None;
    for (row, line) in answer.rows.iter().zip(lines) {
        if subsystem != Some(&row.subsystem) {
            subsystem = Some(&row.subsystem);
            println!("{}", terminal::cut(&plain(&row.subsystem), columns));
        }
        println!("{}", terminal::cut(&line, columns));
        for line in reason(row, columns) {
            println!("{INDENT}{line}");
        }
    }
    println!("{} of {} rows have a value", grouped(answer.with_value), grouped(answer.total));
}

/// The lines of a row's reason.
fn reason(row: &Covered, columns: usize) -> Vec<String> {
    let Some(why) = row.why.as_ref().map(|why| plain(why)) else { return Vec::new() };
    if columns == usize::MAX {
        return vec![why];
    }
    let width = columns.saturating_sub(INDENT.len());
    let lines = terminal::wrapped(&why, width);
    lines.iter().take(REASON_LINES).map(|line| terminal::cut(line, width)).collect()
}
