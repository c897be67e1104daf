//! `watchpost fetch`

use std::{io::Write, path::Path};

use hyper::Method;
use watchpost_journal::Reader;

use super::{
    Context, Failure, Outcome,
    client::{ask, query},
};
use crate::{
    daemon::{DataFolder, now_ns, records, take_what_is_left},
    reading::Record,
    series::{
        Position,
        request::{FetchError, FetchRequest, Format, format_of},
        store::{Options, SeriesStore},
    },
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Which series: a metric with matchers as PromQL has them.
    #[arg(required = true, value_name = "SERIES")]
    series: Vec<String>,
    /// Where the range begins: now-1h, -2d, 2026-03-29, an RFC 3339 time, or seconds since 1970.
    #[arg(long, default_value = "now-1h", allow_hyphen_values = true, value_name = "TIME")]
    from: String,
    /// Where the range ends.
    #[arg(long, default_value = "now", allow_hyphen_values = true, value_name = "TIME")]
    to: String,
    /// The step of the rows; the finest there is otherwise.
    #[arg(long, value_name = "LENGTH")]
    step: Option<String>,
    /// How rows of a longer step are made: AVERAGE, MIN, MAX or LAST.
    #[arg(long, value_name = "HOW")]
    consolidation: Option<String>,
    /// The form of the answer: csv or json [default: csv, with --json json].
    #[arg(long, value_name = "FORM")]
    format: Option<String>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let format = match &arguments.format {
        Some(name) => format_of(name).map_err(|error| Failure::Wrong(error.to_string()))?,
        None if context.json => Format::Json,
        None => Format::Csv,
    };
    let request = FetchRequest {
        series: arguments.series.clone(),
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        step: arguments.step.clone(),
        consolidation: arguments.consolidation.clone(),
        format,
    };
    let data = context.data_folder()?;
    let body = match ask(&data, Method::GET, &format!("/api/v1/fetch?{}", query(&request.to_pairs())))? {
        Some(answer) => {
            answer.success()?;
            answer.body.to_vec()
        }
        None => from_files(&data, &request)?,
    };
    std::io::stdout().write_all(&body).map_err(|error| Failure::of("cannot write the answer", &error))
}

/// Without a daemon: files and journal, with the data folder locked for as long as it takes.
fn from_files(data: &Path, request: &FetchRequest) -> Result<Vec<u8>, Failure> {
    if !data.is_dir() {
        return Err(Failure::Failed(format!("there is no data folder {}", data.display())));
    }
    let folder = DataFolder::lock(data).map_err(|error| Failure::of("cannot read the series", &error))?;
    let mut store = SeriesStore::open(folder.path(), Options::default()).map_err(|error| Failure::of("cannot read the series", &error))?;
    take_what_is_left(&folder, &mut store).map_err(|error| Failure::of("cannot read the series", &error))?;
    let journal = folder.path().join("journal");
    let answer = request.answer(&mut store, now_ns() / 1_000_000_000, || offline(&journal));
    answer.map_err(|error| match error {
        FetchError::NoSeries(_) | FetchError::Asked(_) => Failure::Wrong(crate::chain(&error)),
        other => Failure::Failed(crate::chain(&other)),
    })
}

fn offline(journal: &Path) -> Box<dyn Iterator<Item = (Position, Record)>> {
    match Reader::offline(journal, watchpost_journal::Position::START) {
        Ok(reader) => Box::new(records(reader)),
        // No journal: the files alone.
        Err(_) => Box::new(std::iter::empty()),
    }
}
