//! `[[row]]`: one figure of a table that somebody asked for, and the series that give it.
//!
//! A table of figures is a file of rows; `watchpost coverage FILE` says which of them have a value.

use std::collections::HashMap;

use super::{
    At, Fault, Faults, Place, Rule,
    job::Checked,
    near::nearest,
    reader::{Field, Reader},
    text::Table,
};
use crate::series::selector::Selector;

/// Keys of a row.
const KEYS: [&str; 4] = ["number", "subsystem", "name", "series"];

/// The largest number of a row.
const NUMBER_MAX: u32 = 999_999;

/// Characters of a row's texts, at most.
const TEXT_CHARS_MAX: usize = 80;

/// One figure that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number in the table; no other row of the file bears it.
    pub number: u32,
    /// The part of the system that it is of: "POP server".
    pub subsystem: String,
    /// What it is called: "connect time".
    pub name: String,
    /// The series that give it.
    pub series: At<Selector>,
}

/// One `[[row]]` as written.
#[derive(Debug)]
pub(super) struct RawRow {
    place: Place,
    number: Field<i64>,
    subsystem: Field<String>,
    name: Field<String>,
    series: Field<String>,
}

impl RawRow {
    pub(super) fn parse(at: &At<&Table>, faults: &mut Faults) -> Self {
        let mut reader = Reader::new("`[[row]]`", &KEYS, at.value);
        let row = Self {
            place: at.place.clone(),
            number: reader.whole("number", faults),
            subsystem: reader.text("subsystem", faults),
            name: reader.text("name", faults),
            series: reader.text("series", faults),
        };
        reader.finish(faults);
        row
    }
}

/// Checks the rows of one file.
pub(super) fn check(rows: Vec<RawRow>, faults: &mut Faults) -> Vec<Row> {
    let mut first: HashMap<u32, Place> = HashMap::new();
    let mut check = |raw: RawRow| {
        let RawRow { place, number, subsystem, name, series } = raw;
        let number = number.required("number", &place, "a row has a number of its own: number = 24", faults);
        let number = number.and_then(|number| check_number(&number, &mut first, faults));
        let subsystem = subsystem.required("subsystem", &place, "what the figure is of: subsystem = \"POP server\"", faults);
        let subsystem = subsystem.and_then(|text| check_text("subsystem", text, faults));
        let name = name.required("name", &place, "what the figure is called: name = \"connect time\"", faults);
        let name = name.and_then(|text| check_text("name", text, faults));
        let series = series.required("series", &place, "what gives the figure: series = 'connect_time{job=\"pop-paris\"}'", faults);
        let series = series.and_then(|text| check_series(&text, faults));
        Some(Row { number: number?, subsystem: subsystem?, name: name?, series: series? })
    };
    rows.into_iter().filter_map(&mut check).collect()
}

/// Checks a row's number; one that another row has is told of, and the row is broken.
fn check_number(number: &At<i64>, first: &mut HashMap<u32, Place>, faults: &mut Faults) -> Option<u32> {
    let Some(value) = u32::try_from(number.value).ok().filter(|value| (1..=NUMBER_MAX).contains(value)) else {
        let fault = Fault::new(Rule::RowNumberOutOfRange, &number.place, format!("`number`: {} is out of range", number.value));
        faults.push(fault.hint(format!("1 to {NUMBER_MAX}")));
        return None;
    };
    if let Some(first) = first.get(&value) {
        let fault = Fault::new(Rule::RowNumberTwice, &number.place, format!("row {value}: declared twice"));
        faults.push(fault.hint(format!("first declared at {first}")));
        return None;
    }
    first.insert(value, number.place.clone());
    Some(value)
}

fn check_text(key: &str, text: At<String>, faults: &mut Faults) -> Option<String> {
    let length = text.chars().count();
    let why = match length {
        0 => "it is empty".to_owned(),
        TEXT_CHARS_MAX.. if length > TEXT_CHARS_MAX => format!("it has {length} characters, {TEXT_CHARS_MAX} are allowed"),
        _ if crate::plain(&text) != text.value => "it has characters that a terminal would obey".to_owned(),
        _ => return Some(text.value),
    };
    let shown: String = text.escape_debug().take(TEXT_CHARS_MAX).collect();
    faults.push(Fault::new(Rule::RowTextIllegal, &text.place, format!("`{key}`: \"{shown}\" is no text of a row")).hint(why));
    None
}

pub(super) fn check_series(text: &At<String>, faults: &mut Faults) -> Option<At<Selector>> {
    match Selector::parse(text) {
        Ok(selector) => Some(At { value: selector, place: text.place.clone() }),
        Err(error) => {
            let message = format!("`series`: \"{}\" selects no series", text.escape_debug());
            faults.push(Fault::new(Rule::RowSeriesIllegal, &text.place, message).hint(error.to_string()));
            None
        }
    }
}

/// Tells of every row that names a job which is not there.
///
/// `whole`: every job was read; otherwise a name is told of only if it is near to one that is known.
pub(super) fn tell_unknown_jobs(rows: &[Row], jobs: &[Checked], whole: bool, faults: &mut Faults) {
    let names: Vec<&str> = jobs.iter().filter_map(Checked::name).map(|name| name.as_str()).collect();
    let whole = whole && names.len() == jobs.len();
    for row in rows {
        let Some(job) = row.series.job().filter(|job| !names.contains(job)) else { continue };
        let hint = match nearest(job, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if whole => "`watchpost plan` lists all".to_owned(),
            None => continue,
        };
        let message = format!("row {}: no job is called `{}`", row.number, job.escape_debug());
        faults.push(Fault::new(Rule::RowJobUnknown, &row.series.place, message).hint(hint));
    }
}
