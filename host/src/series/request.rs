//! What `fetch` asks: series, a range, a step, and the form of the answer.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    Position,
    archive::Consolidation,
    band::{Band, DEVIATIONS, DEVIATIONS_MAX, deviations_of},
    error::SeriesError,
    fetch::{LISTED_MAX, Query, Series, Taken},
    notes,
    output::{WorkbookError, write_csv, write_json, write_xlsx},
    selector::{Selector, SelectorError},
    store::SeriesStore,
    time::{self, Clock, TimeError},
};
use crate::{
    config::nearest,
    reading::Record,
    schedule::{ScheduleError, Zone},
};

/// How often files are looked for that are moved while they are read.
const TRIES: usize = 3;
/// What may be asked of `fetch` by parameters of a URL.
const PARAMETERS: [&str; 9] = ["series", "from", "to", "step", "consolidation", "format", "timezone", "gaps", "band"];

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for spreadsheets.
    Csv,
    /// A list of objects for programs.
    Json,
    /// A workbook with a chart, for spreadsheets and whoever is sent it.
    Xlsx,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Json, Self::Xlsx];

    /// Its name, which is the ending of its files as well.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Xlsx => "xlsx",
        }
    }

    /// The media type of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

/// What is asked, as it was written.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// SERIES, as the command line takes them.
    pub series: Vec<String>,
    /// Where the range begins, exclusive.
    pub from: String,
    /// Where the range ends, inclusive.
    pub to: String,
    /// The step wanted; the finest there is otherwise.
    pub step: Option<String>,
    /// How rows of a longer step are made.
    pub consolidation: Option<String>,
    /// The form of the answer.
    pub format: Format,
    /// Whose clocks are meant by times without a zone, and show the dates of a workbook.
    pub zone: Zone,
    /// Whether a table says why cells are empty; the other forms always do.
    pub gaps: bool,
    /// How many deviations the band of what is usual reaches that stands beside the values; nothing: none does.
    pub band: Option<f64>,
}

/// What is wrong with what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AskedWrong {
    /// No SERIES at all.
    #[error("name at least one series, for example connect_time{{job=\"pop-paris\"}}")]
    Nothing,
    /// A SERIES that is none.
    #[error("`{series}` is no series: {source}")]
    Selector {
        /// As it was written.
        series: String,
        /// Where and why.
        #[source]
        source: SelectorError,
    },
    /// An end of the range that is no time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A range that ends before it begins.
    #[error("a range ends after it begins: from {from}, to {to}")]
    Range {
        /// Where it begins, as it was written.
        from: String,
        /// Where it ends, as it was written.
        to: String,
    },
    /// A step that is none.
    #[error("`{0}` is no step; write seconds or a length as 5m")]
    Step(String),
    /// A consolidation that is none.
    #[error("`{given}` is no consolidation; {hint}", given = .0, hint = near(.0, &Consolidation::ALL.map(Consolidation::name)))]
    Consolidation(String),
    /// A format that is none.
    #[error("`{given}` is no format; {hint}", given = .0, hint = near(.0, &Format::ALL.map(Format::name)))]
    Format(String),
    /// Neither yes nor no.
    #[error("`{given}` is no answer to {key}; write true or false")]
    Answer {
        /// As it was written.
        given: String,
        /// What was asked.
        key: &'static str,
    },
    /// A band that is none.
    #[error("`{0}` is no number of deviations; write one up to {DEVIATIONS_MAX}, as 3, or true for {DEVIATIONS}")]
    Deviations(String),
    /// A band beside what has no room for it.
    #[error("a workbook has no band of what is usual: ask for csv or json, or for a picture")]
    NoBand,
    /// A zone that is none.
    #[error("{0}")]
    Zone(#[from] ScheduleError),
    /// A parameter that is none.
    #[error("`{given}` is no parameter here; {hint}", hint = near(.given, .known))]
    Parameter {
        /// As it was written.
        given: String,
        /// Those that there are.
        known: &'static [&'static str],
    },
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing has that name and those labels; each with what was probably meant.
    #[error("{}", .0.join("; "))]
    NoSeries(Vec<String>),
    /// More series than one listing tells.
    #[error("more than {LISTED_MAX} series are meant, and no more are listed at once: name fewer, as in {{job=\"pop-paris\"}}")]
    TooMany,
    /// The question is wrong.
    #[error(transparent)]
    Asked(#[from] AskedWrong),
    /// The store fails.
    #[error("the series cannot be read")]
    Store(#[from] SeriesError),
    /// A workbook has no room for it, or cannot be made.
    #[error(transparent)]
    Workbook(#[from] WorkbookError),
    /// The answer cannot be written.
    #[error("the answer cannot be written")]
    Write(#[from] io::Error),
}

impl FetchError {
    /// Whether the question is wrong, not the store.
    pub fn is_asked_wrong(&self) -> bool {
        matches!(self, Self::NoSeries(_) | Self::TooMany | Self::Asked(_) | Self::Workbook(WorkbookError::TooLarge { .. }))
            || matches!(self, Self::Store(SeriesError::TooManyRows { .. }))
    }
}

/// What is given.
#[derive(Debug)]
pub struct Fetched {
    /// The answer in the form that was asked for.
    pub body: Vec<u8>,
    /// What whoever reads the answer should know besides.
    pub notes: Vec<String>,
}

impl FetchRequest {
    /// Reads a request from the parameters of a URL.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, AskedWrong> {
        let (from, to, format, zone) = ("now-1h".into(), "now".into(), Format::Json, Zone::default());
        let mut request = Self { series: Vec::new(), from, to, step: None, consolidation: None, format, zone, gaps: false, band: None };
        for (key, value) in pairs {
            match key.as_str() {
                "series" => request.series.push(value.clone()),
                "from" | "since" => request.from.clone_from(value),
                "to" | "until" => request.to.clone_from(value),
                "step" => request.step = Some(value.clone()),
                "consolidation" => request.consolidation = Some(value.clone()),
                "format" => request.format = format_of(value)?,
                "timezone" => request.zone = Zone::parse(value)?,
                "gaps" => request.gaps = yes_or_no("gaps", value)?,
                "band" if value == "false" => request.band = None,
                "band" => request.band = Some(deviations_of(value).ok_or_else(|| AskedWrong::Deviations(value.clone()))?),
                other => return Err(AskedWrong::Parameter { given: other.into(), known: &PARAMETERS }),
            }
        }
        Ok(request)
    }

    /// Writes the request as the parameters of a URL.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<(&'static str, String)> = self.series.iter().map(|series| ("series", series.clone())).collect();
        pairs.push(("from", self.from.clone()));
        pairs.push(("to", self.to.clone()));
        pairs.extend(self.step.clone().map(|step| ("step", step)));
        pairs.extend(self.consolidation.clone().map(|how| ("consolidation", how)));
        pairs.push(("format", self.format.name().into()));
        pairs.push(("timezone", self.zone.name().into()));
        pairs.extend(self.gaps.then(|| ("gaps", "true".into())));
        pairs.extend(self.band.map(|deviations| ("band", deviations.to_string())));
        pairs
    }

    /// Answers from a store, which is lent for moments only, and from the journal.
    ///
    /// `journal`: the journal's records that an answer needs, in order. `usual`: what is usual of series, so many deviations to either side.
    pub fn answer(
        &self,
        store: &Mutex<SeriesStore>,
        now: i64,
        journal: impl Fn(&Taken) -> Box<dyn Iterator<Item = (Position, Record)>>,
        usual: impl Fn(&[Series], f64) -> Result<Vec<Band>, SeriesError>,
    ) -> Result<Fetched, FetchError> {
        let query = self.query(now)?;
        if self.band.is_some() && self.format == Format::Xlsx {
            return Err(AskedWrong::NoBand.into());
        }
        let step = query.step;
        let mut tries_left = TRIES;
        loop {
            tries_left -= 1;
            let taken = lend(store).ask(query.clone(), now)?;
            let found = taken.read(journal(&taken));
            // A file that was moved while it was read is looked for where it is now.
            if tries_left > 0 && !lend(store).has_still(&taken) {
                continue;
            }
            let found = found?;
            let bands = self.band.map(|deviations| usual(&found, deviations)).transpose()?.unwrap_or_default();
            return self.written(&found, &bands, taken.missed(), step);
        }
    }

    fn written(&self, found: &[Series], bands: &[Band], missed: &[(Selector, String)], step: Option<u32>) -> Result<Fetched, FetchError> {
        let mut notes: Vec<String> = missed.iter().map(|(asked, hint)| format!("no series matches {asked}: {hint}")).collect();
        if found.is_empty() {
            return Err(FetchError::NoSeries(notes));
        }
        notes.extend(notes::of_steps(found, step, self.format));
        let mut body = Vec::new();
        match self.format {
            Format::Csv => write_csv(found, bands, self.gaps, &mut body)?,
            Format::Json => write_json(found, bands, &mut body)?,
            Format::Xlsx => write_xlsx(found, self.zone, &mut body)?,
        }
        Ok(Fetched { body, notes })
    }

    fn query(&self, now: i64) -> Result<Query, AskedWrong> {
        if self.series.is_empty() {
            return Err(AskedWrong::Nothing);
        }
        let (from, to) = time::parse_range(&self.from, &self.to, Clock { now, zone: self.zone })?;
        if from >= to {
            return Err(AskedWrong::Range { from: self.from.clone(), to: self.to.clone() });
        }
        let step = self.step.as_deref().map(|step| time::parse_duration(step).ok_or_else(|| AskedWrong::Step(step.into()))).transpose()?;
        let how = self.consolidation.as_deref().unwrap_or("AVERAGE");
        let consolidation = Consolidation::from_name(&how.to_ascii_uppercase()).ok_or_else(|| AskedWrong::Consolidation(how.into()))?;
        Ok(Query { selectors: selectors(&self.series)?, from, to, step, consolidation })
    }
}

/// Reads selectors as they were written.
pub(super) fn selectors(written: &[String]) -> Result<Vec<Selector>, AskedWrong> {
    let read = |series: &String| Selector::parse(series).map_err(|source| AskedWrong::Selector { series: series.clone(), source });
    written.iter().map(read).collect()
}

/// Lends the store; one whose holder panicked is as good as before, for every row is checked when it is written.
pub(super) fn lend(store: &Mutex<SeriesStore>) -> MutexGuard<'_, SeriesStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the name of a format.
pub fn format_of(name: &str) -> Result<Format, AskedWrong> {
    Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| AskedWrong::Format(name.into()))
}

/// Reads an answer to a question of a URL.
pub(super) fn yes_or_no(key: &'static str, value: &str) -> Result<bool, AskedWrong> {
    value.parse().map_err(|_| AskedWrong::Answer { given: value.into(), key })
}

/// Says which name was probably meant, else lists those there are.
fn near(written: &str, names: &[&str]) -> String {
    match nearest(written, names.iter().copied()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("there are {}", names.join(", ")),
    }
}
