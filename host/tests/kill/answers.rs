//! What `watchpost fetch` says over the span of the journal.

use std::collections::BTreeMap;

use crate::{harness::House, known::Known};

/// How far back is asked, seconds: the span of the journal, but for the largest counts of kills.
const SPAN_S: i64 = 600;

/// Values of each job by slot, as written.
pub(crate) type Rows = BTreeMap<String, BTreeMap<i64, Option<String>>>;

/// Asserts that `fetch` gives what the journal holds: every value at its slot, and unknown everywhere else.
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
            let (known, told) = (known.as_deref(), told.as_deref());
            assert!(alike(told, known), "{job} at {slot}: `fetch` tells {told:?}, and the journal holds {known:?}");
        }
    }
}

/// Whether both are the same value, or unknown: librrd reads the last digits of what it is given as it likes, by three units in the last
/// place, and what is no longer told from the journal is told from its files.
pub(crate) fn alike(told: Option<&str>, known: Option<&str>) -> bool {
    let number = |text: &str| text.parse::<f64>().expect("a value is a number");
    match (told.map(number), known.map(number)) {
        (Some(told), Some(known)) => (told - known).abs() <= 8.0 * f64::EPSILON * known.abs(),
        (told, known) => told == known,
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
