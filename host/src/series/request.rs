//! What `fetch` asks: series, a range, a step, and the form of the answer.

use std::io;

use super::{
    Position,
    archive::Consolidation,
    error::SeriesError,
    fetch::{Query, Series},
    notes,
    output::{WorkbookError, write_csv, write_json, write_xlsx},
    selector::{Selector, SelectorError},
    store::SeriesStore,
    time::{self, TimeError},
};
use crate::{
    config::nearest,
    reading::Record,
    schedule::{ScheduleError, Zone},
};

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
    /// Whose clocks show the dates of a workbook.
    pub zone: Zone,
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
    /// A zone that is none.
    #[error("{0}")]
    Zone(#[from] ScheduleError),
    /// A parameter that is none.
    #[error("`{0}` is no parameter of fetch")]
    Parameter(String),
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing has that name and those labels; each with what was probably meant.
    #[error("{}", .0.join("; "))]
    NoSeries(Vec<String>),
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
        matches!(self, Self::NoSeries(_) | Self::Asked(_) | Self::Workbook(WorkbookError::TooLarge { .. }))
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
        let mut request = Self { series: Vec::new(), from, to, step: None, consolidation: None, format, zone };
        for (key, value) in pairs {
            match key.as_str() {
                "series" => request.series.push(value.clone()),
                "from" => request.from.clone_from(value),
                "to" => request.to.clone_from(value),
                "step" => request.step = Some(value.clone()),
                "consolidation" => request.consolidation = Some(value.clone()),
                "format" => request.format = format_of(value)?,
                "timezone" => request.zone = Zone::parse(value)?,
                other => return Err(AskedWrong::Parameter(other.into())),
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
        pairs
    }

    /// Answers from a store and the journal's span.
    pub fn answer(
        &self,
        store: &mut SeriesStore,
        now: i64,
        journal: impl Fn() -> Box<dyn Iterator<Item = (Position, Record)>>,
    ) -> Result<Fetched, FetchError> {
        let (mut found, mut missed): (Vec<Series>, _) = (Vec::new(), Vec::new());
        let queries = self.queries(now)?;
        for (query, asked) in queries.iter().zip(&self.series) {
            let matching = store.fetch(query, now, journal())?;
            if matching.is_empty() {
                missed.push(format!("no series matches {asked}: {}", store.hint(&query.selector)));
            }
            for series in matching {
                if !found.iter().any(|known| known.metric == series.metric && known.labels == series.labels) {
                    found.push(series);
                }
            }
        }
        if found.is_empty() {
            return Err(FetchError::NoSeries(missed));
        }
        let mut notes = missed;
        notes.extend(notes::of_steps(&found, queries.first().and_then(|query| query.step), self.format));
        let mut body = Vec::new();
        match self.format {
            Format::Csv => write_csv(&found, &mut body)?,
            Format::Json => write_json(&found, &mut body)?,
            Format::Xlsx => write_xlsx(&found, self.zone, &mut body)?,
        }
        Ok(Fetched { body, notes })
    }

    fn queries(&self, now: i64) -> Result<Vec<Query>, AskedWrong> {
        if self.series.is_empty() {
            return Err(AskedWrong::Nothing);
        }
        let (from, to) = (time::parse(&self.from, now)?, time::parse(&self.to, now)?);
        if from >= to {
            return Err(AskedWrong::Range { from: self.from.clone(), to: self.to.clone() });
        }
        let step = self.step.as_deref().map(|step| time::parse_duration(step).ok_or_else(|| AskedWrong::Step(step.into()))).transpose()?;
        let how = self.consolidation.as_deref().unwrap_or("AVERAGE");
        let consolidation = Consolidation::from_name(&how.to_ascii_uppercase()).ok_or_else(|| AskedWrong::Consolidation(how.into()))?;
        let selectors = self.series.iter().map(|series| {
            let selector = Selector::parse(series).map_err(|source| AskedWrong::Selector { series: series.clone(), source })?;
            Ok(Query { selector, from, to, step, consolidation })
        });
        selectors.collect()
    }
}

/// Reads the name of a format.
pub fn format_of(name: &str) -> Result<Format, AskedWrong> {
    Format::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| AskedWrong::Format(name.into()))
}

/// Says which name was probably meant, else lists those there are.
fn near(written: &str, names: &[&str]) -> String {
    match nearest(written, names.iter().copied()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("there are {}", names.join(", ")),
    }
}
