//! Rows that ask for what no job can give.

use super::Job;
use crate::{
    config::{Fault, Row, Rule},
    series::meant::{Miss, miss},
};

/// Tells of every row whose series no job can give, as far as that is known before anything has run.
///
/// `all`: these are all the jobs there are; otherwise a row is told of only if the job that it names is one of them.
pub(super) fn warnings(rows: &[Row], jobs: &[Job], all: bool) -> Vec<Fault> {
    let warning = |row: &Row| {
        let selector = &row.series.value;
        // A job that is not there was told of with the files.
        let named = selector.job();
        let is_there = named.is_some_and(|name| jobs.iter().any(|job| job.name() == name));
        if !is_there && (named.is_some() || !all) {
            return None;
        }
        let of_row = jobs.iter().filter(|job| named.is_none_or(|name| job.name() == name));
        let miss = miss(selector, of_row.map(|job| &job.shape))?;
        // A metric that nobody declares may still come with a run; one that is nearly called so is misspelt.
        if matches!(miss, Miss::Metric { meant: None, .. }) {
            return None;
        }
        let fault = Fault::new(Rule::RowSeriesUnknown, &row.series.place, format!("row {}: {}", row.number, miss.what()));
        Some(fault.maybe_hint(miss.hint()))
    };
    rows.iter().filter_map(warning).collect()
}
