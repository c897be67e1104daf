//! Answers as files that other programs load.

mod xlsx;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use chrono::DateTime;
use serde::{Serialize, Serializer};
use watchpost_plugin_api::{Kind, Unit};

use super::band::Band;
use super::fetch::Series;
use super::gap::Gap;
use super::selector::Shown;

pub use xlsx::{WorkbookError, write_xlsx};

/// Lines of pictures and charts, dark enough for white paper, told apart by the colour-blind too. Source: Okabe and Ito, "Color Universal
/// Design".
pub(super) const COLOURS: [u32; 7] = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0x56B4E9, 0xE69F00, 0x000000];

/// Labels that a column's title leaves out: the job says them.
const IMPLIED: [&str; 2] = ["agent", "target"];

/// Writes a table: `time` (RFC 3339, UTC), then a column for each series, titled as its selector; unknown is an empty cell.
///
/// Shape: one row for each time that any series has, so that several steps fit one table. Source: RFC 4180, but for the end of a
/// line: a bare line feed, as `awk`, `cut` and `join` want it and every spreadsheet takes it. `with_causes`: then a column for each series,
/// titled `cause of ` it, that says why a cell is empty. `bands`: of each series between which values it usually is, or none at all; they stand in
/// two columns for each, titled `low of ` and `high of ` it.
pub fn write_csv(series: &[Series], bands: &[Band], with_causes: bool, out: &mut dyn Write) -> io::Result<()> {
    let explained = if with_causes { series } else { &[] };
    let causes = explained.iter().map(|series| format!("cause of {}", title(series)));
    let ends = series.iter().zip(bands).flat_map(|(series, _)| ["low", "high"].map(|end| format!("{end} of {}", title(series))));
    write_line(out, ["time".to_owned()].into_iter().chain(series.iter().map(title)).chain(ends).chain(causes))?;
    for time in times(series) {
        let cells = series.iter().map(|series| series.at(time).map(|value| value.to_string()).unwrap_or_default());
        let causes = explained.iter().map(|series| cause_at(series, time).map(Gap::said).unwrap_or_default());
        let ends = series.iter().zip(bands).flat_map(|(series, band)| {
            let row = series.row_of(time).and_then(|row| band.rows.get(row).copied()?);
            row.map_or_else(Default::default, |(low, high)| [low, high].map(|end| end.to_string()))
        });
        write_line(out, [rfc3339(time)].into_iter().chain(cells).chain(ends).chain(causes))?;
    }
    Ok(())
}

/// Why the series has no value in its row at this time, if it has a row there.
fn cause_at(series: &Series, time: i64) -> Option<&Gap> {
    let is_row = series.rows.first().is_some_and(|(first, _)| (time - first) % i64::from(series.step.max(1)) == 0);
    series.gap_at(time).filter(|_| is_row && series.at(time).is_none())
}

/// Every time that any of the series has a row for.
fn times(series: &[Series]) -> BTreeSet<i64> {
    let mut times = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for one in series {
        // Nearly always all have the same.
        let (first, last) = (one.rows.first().map(|row| row.0), one.rows.last().map(|row| row.0));
        if seen.insert((one.step, first, last)) {
            times.extend(one.rows.iter().map(|row| row.0));
        }
    }
    times
}

/// Writes a list of objects: `series` (what selects it), `metric`, `labels`, `unit`, `kind`, `step`, `start` (time of the first value),
/// `values`, where unknown is `null`, and `gaps` (why: after `from` and up to `to` was `cause`, with a `detail` of some); with bands, `band`:
/// `deviations`, and for each value `low` and `high`.
pub fn write_json(series: &[Series], bands: &[Band], out: &mut dyn Write) -> io::Result<()> {
    let bands = bands.iter().map(Some).chain(std::iter::repeat(None));
    let all: Vec<Object<'_>> = series.iter().zip(bands).map(|(series, band)| Object::of(series, band)).collect();
    serde_json::to_writer(&mut *out, &all)?;
    writeln!(out)
}

#[derive(Serialize)]
struct Object<'a> {
    series: String,
    metric: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    unit: Unit,
    kind: Kind,
    step: u32,
    start: Option<i64>,
    values: Values<'a>,
    gaps: &'a [Gap],
    #[serde(skip_serializing_if = "Option::is_none")]
    band: Option<&'a Band>,
}

impl<'a> Object<'a> {
    fn of(series: &'a Series, band: Option<&'a Band>) -> Self {
        let labels = series.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let start = series.rows.first().map(|(time, _)| *time);
        let Series { metric, unit, kind, step, rows, gaps, .. } = series;
        Self { series: title(series), metric, labels, unit: *unit, kind: *kind, step: *step, start, values: Values(rows), gaps, band }
    }
}

struct Values<'a>(&'a [(i64, Option<f64>)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(_, value)| value))
    }
}

/// A series as whoever reads the answer selects it again.
pub(super) fn title(series: &Series) -> String {
    selector_of(&series.metric, &series.labels)
}

/// What selects a series of this metric and these labels.
pub(super) fn selector_of(metric: &str, labels: &[(String, String)]) -> String {
    let labels: Vec<_> = labels.iter().filter(|(key, _)| !IMPLIED.contains(&key.as_str())).cloned().collect();
    Shown { metric, labels: &labels }.to_string()
}

/// What a value of a series is, for people: of a counter, one in a second.
pub(super) fn unit_of(unit: Unit, kind: Kind) -> String {
    let unit = serde_json::to_value(unit).ok().and_then(|unit| unit.as_str().map(str::to_owned)).unwrap_or_default();
    match kind {
        Kind::Gauge => unit,
        Kind::Counter => format!("{unit} per second"),
    }
}

fn rfc3339(time: i64) -> String {
    DateTime::from_timestamp(time, 0).map_or_else(|| time.to_string(), |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn write_line(out: &mut dyn Write, cells: impl Iterator<Item = String>) -> io::Result<()> {
    let cells: Vec<_> = cells.map(quoted).collect();
    writeln!(out, "{}", cells.join(","))
}

/// A cell of a table, in quotes where it has to be. Source: RFC 4180.
pub(crate) fn quoted(cell: String) -> String {
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::series::gap::Cause;

    pub(super) fn series(metric: &str, step: u32, rows: &[(i64, Option<f64>)]) -> Series {
        let labels = [("agent", "smtp"), ("job", "mx"), ("target", "h:25"), ("site", "a\"b")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        Series {
            metric: metric.into(),
            labels,
            unit: Unit::Seconds,
            kind: Kind::Gauge,
            step,
            kept: step,
            rows: rows.to_vec(),
            gaps: Vec::new(),
        }
    }

    fn written(write: impl Fn(&[Series], &mut dyn Write) -> io::Result<()>) -> String {
        let down = Gap { from: 60, to: 120, cause: Cause::TargetDown, detail: Some("tls".into()) };
        let a = Series { gaps: vec![down], ..series("a", 60, &[(60, Some(0.5)), (120, None)]) };
        let all = [a, series("b", 120, &[(120, Some(1e-7))])];
        let mut out = Vec::new();
        write(&all, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_a_row_for_every_time_and_leaves_unknown_empty() {
        let expected = "time,\"a{job=\"\"mx\"\",site=\"\"a\\\"\"b\"\"}\",\"b{job=\"\"mx\"\",site=\"\"a\\\"\"b\"\"}\"\n\
                        1970-01-01T00:01:00Z,0.5,\n\
                        1970-01-01T00:02:00Z,,0.0000001\n";
        assert_eq!(written(|series, out| write_csv(series, &[], false, out)), expected);
    }

    #[test]
    fn a_table_says_why_cells_are_empty_where_that_is_asked_for() {
        let told = written(|series, out| write_csv(series, &[], true, out));
        let lines: Vec<_> = told.lines().collect();
        assert!(lines[0].ends_with(r#","cause of a{job=""mx"",site=""a\""b""}","cause of b{job=""mx"",site=""a\""b""}""#), "{told}");
        assert_eq!(lines[1..], ["1970-01-01T00:01:00Z,0.5,,,", "1970-01-01T00:02:00Z,,0.0000001,target_down: tls,"]);
    }

    #[test]
    fn objects_have_their_begin_and_null_where_unknown() {
        let all: Value = serde_json::from_str(&written(|series, out| write_json(series, &[], out))).unwrap();
        assert_eq!(all[0]["values"], json!([0.5, null]));
        assert_eq!(all[0]["gaps"], json!([{ "from": 60, "to": 120, "cause": "target_down", "detail": "tls" }]));
        assert_eq!(all[1]["gaps"], json!([]));
        assert_eq!([&all[0]["start"], &all[0]["step"], &all[1]["step"]], [&json!(60), &json!(60), &json!(120)]);
        assert_eq!([&all[0]["labels"]["target"], &all[0]["unit"]], [&json!("h:25"), &json!("seconds")]);
    }

    #[test]
    fn what_is_usual_stands_beside_the_values() {
        let (low, high) = (0.25, 0.75);
        let bands =
            [Band { deviations: 2.0, rows: vec![Some((low, high)), None] }, Band { deviations: 2.0, rows: vec![Some((low, high))] }];
        let told = written(|series, out| write_csv(series, &bands, false, out));
        let lines: Vec<_> = told.lines().collect();
        assert!(lines[0].contains(r#","low of a{job=""mx"",site=""a\""b""}","high of a{job=""mx"",site=""a\""b""}","low of b"#), "{told}");
        assert_eq!(lines[1..], ["1970-01-01T00:01:00Z,0.5,,0.25,0.75,,", "1970-01-01T00:02:00Z,,0.0000001,,,0.25,0.75"]);
        let all: Value = serde_json::from_str(&written(|series, out| write_json(series, &bands, out))).unwrap();
        assert_eq!(all[0]["band"], json!({ "deviations": 2.0, "low": [0.25, null], "high": [0.75, null] }));
    }
}
