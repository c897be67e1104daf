//! What `watchpost fetch` says over the span of the journal.

use std::collections::BTreeMap;

use crate::{harness::House, known::Known};

/// How far back is asked, seconds: the span of the journal, but for the largest counts of kills.
const SPAN_S: i64 = 600;

/// Values of each job by slot, as written.
pub(crate) type Rows = BTreeMap<String, BTreeMap<i64, Option<String>>>;

/// Asserts that `fetch` gives exactly what the journal holds: every value at its slot, and unknown everywhere else.
pub(crate) fn agree(house: &House, known: &Known) {
    let slots = || known.slots().values().flat_map(BTreeMap::keys);
    let (Some(first), Some(last)) = (slots().min(), slots().max()) else { return };
    let from = (*first).max(last - SPAN_S) - 1;
    let words = ["fetch", "total_time{job=~\"fast-.*\"}", "--from", &from.to_string(), "--to", &last.to_string(), "--format", "csv"];
    let told = parse(&house.run(&words).ok());
    for (job, known) in known.slots().iter().filter(|(job, _)| job.starts_with("fast-")) {
        let told = told.get(job).unwrap_or_else(|| panic!("`fetch` does not know {job}"));
        for slot in from + 1..=*last {
            let (known, told) = (known.get(&slot).cloned().flatten(), told.get(&slot).cloned().flatten());
            assert_eq!(told, known, "{job} at {slot}: what `fetch` tells, and what the journal holds");
        }
    }
}

/// Takes apart a table of one metric of many jobs.
pub(crate) fn parse(csv: &str) -> Rows {
    let mut lines = csv.lines();
    let head = lines.next().expect("a table has a head");
    let jobs: Vec<&str> = head.split("job=\"\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut rows = Rows::new();
    for line in lines {
        let mut cells = line.split(',');
        let time = chrono::DateTime::parse_from_rfc3339(cells.next().expect("a row has a time")).unwrap().timestamp();
        for (job, cell) in jobs.iter().zip(cells) {
            let value = Some(cell.to_owned()).filter(|cell| !cell.is_empty());
            rows.entry((*job).to_owned()).or_default().insert(time, value);
        }
    }
    rows
}
