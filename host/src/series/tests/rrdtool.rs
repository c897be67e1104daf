//! Debian's rrdtool as a witness.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Rows of `rrdtool fetch` by time.
pub(super) type Rows = BTreeMap<i64, Vec<Option<f64>>>;

/// Runs rrdtool and gives what it printed.
pub(super) fn run(arguments: &[&str]) -> Result<String, String> {
    let done = Command::new("rrdtool").args(arguments).env("TZ", "UTC").output();
    let done = done.expect("rrdtool is missing: install the package rrdtool");
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&done.stderr).into_owned())
}

/// Fetches rows; also gives the names of the data sources.
pub(super) fn fetch(file: &Path, how: &str, from: i64, to: i64, step: u32) -> Result<(Vec<String>, Rows), String> {
    let [from, to, step] = [from.to_string(), to.to_string(), step.to_string()];
    let text = run(&["fetch", &file.to_string_lossy(), how, "-s", &from, "-e", &to, "-r", &step])?;
    let mut lines = text.lines();
    let names = lines.next().unwrap_or_default().split_whitespace().map(Into::into).collect();
    let rows = lines.filter_map(|line| {
        let (time, values) = line.split_once(':')?;
        let values = values.split_whitespace().map(|value| value.parse::<f64>().ok().filter(|value| !value.is_nan()));
        Some((time.parse().ok()?, values.collect()))
    });
    Ok((names, rows.collect()))
}

/// Whether two values are the same but for the last digits.
pub(super) fn alike(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(other.abs()),
        (one, other) => one.is_none() && other.is_none(),
    }
}
