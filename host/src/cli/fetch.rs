//! `watchpost fetch`

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use hyper::Method;
use watchpost_journal::Reader;

use super::{
    Context,
    asked::Asked,
    client::query,
    failure::{Failure, Outcome},
    load::now,
    table::plain,
};
use crate::{
    alarm::usual::bands,
    config,
    daemon::{DataFolder, now_ns, records, take_what_is_left},
    reading::Record,
    series::{
        Position, checkpoint,
        fetch::Series,
        request::{FetchError, FetchRequest, Fetched, Format, format_of},
        store::{Options, SeriesStore},
    },
};

pub(super) const EXAMPLES: &str =
    "A table has a column for each series and a row for each time in UTC; an empty cell is unknown. Its lines end with a line \
     feed alone, as awk and cut want them. Where the rows cannot be as far apart as asked, standard error says how far they are. \
     A workbook shows dates of your own zone (TZ), a chart, and a sheet of gaps.
     Why values are unknown is told with them (of a table with --gaps): not_scheduled (paused, removed, not_due, not_active), \
     blackout, skipped, clock_stepped, host_down, target_down and agent_failed (with the kind of failure), interrupted, not_stored \
     (it was due, and could not be written down), not_recorded (the run gave other values). Nothing is said of readings that are awaited.
     With --band, a column each for the lower and the upper end of what is usual, learned from the five weeks before the last row.

Examples:
  watchpost fetch 'connect_time{job=\"pop-paris\"}' --from now-1h
  watchpost fetch 'total_time{job=~\"pop-.*\"}' 'up{site=\"paris\"}' --json
  watchpost fetch 'up{job=\"pop-paris\"}' --from -1d --gaps
  watchpost fetch total_time --from -1d --step 1h --consolidation MAX
  watchpost fetch total_time --from -1d --band
  watchpost fetch '{job=\"pop-paris\"}' -o paris.xlsx";

/// How each failure begins.
const CANNOT: &str = "cannot fetch";

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// A table has a column for each series that says why cells are empty, as `host_down` or `target_down: timeout`.
    #[arg(long)]
    gaps: bool,
    /// The form of the answer: csv, json or xlsx [default: as FILE ends, else csv, with --json json].
    #[arg(long, value_name = "FORM")]
    format: Option<String>,
    /// The file that is written, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let format = format(context, arguments)?;
    let request = FetchRequest { gaps: arguments.gaps, ..arguments.asked.request("now-1h", format) };
    let Fetched { body, notes } = fetched(context, CANNOT, &request)?;
    for note in &notes {
        eprintln!("note: {}", plain(note));
    }
    match &arguments.output {
        Some(file) => std::fs::write(file, &body).map_err(|error| Failure::of(format!("cannot write {}", file.display()), &error)),
        None => std::io::stdout().write_all(&body).map_err(|error| Failure::of("cannot write the answer", &error)),
    }
}

/// Asks the daemon if one runs, else files and journal; `cannot` begins the error.
pub(super) fn fetched(context: &Context, cannot: &str, request: &FetchRequest) -> Result<Fetched, Failure> {
    let path = format!("/api/v1/fetch?{}", query(&request.to_pairs()));
    match context.ask_if_it_runs(cannot, Method::GET, &path)? {
        Some(answer) => {
            answer.success()?;
            Ok(Fetched { body: answer.body.to_vec(), notes: answer.notes() })
        }
        None => from_files(context, cannot, request),
    }
}

/// The form of the answer; a table for programs where none is named.
fn format(context: &Context, arguments: &Arguments) -> Result<Format, Failure> {
    Ok(format_of_answer(arguments.format.as_deref(), arguments.output.as_deref(), context.json)?.unwrap_or(Format::Csv))
}

/// The form that is named, else that of the file, else of `--json`. A workbook is for no terminal.
pub(super) fn format_of_answer(named: Option<&str>, output: Option<&Path>, json: bool) -> Result<Option<Format>, Failure> {
    let ending = output.and_then(Path::extension).and_then(|ending| ending.to_str());
    let format = match named {
        Some(name) => Some(format_of(name).map_err(|error| Failure::wrong(CANNOT, error.to_string()))?),
        None => ending.and_then(|ending| format_of(&ending.to_ascii_lowercase()).ok()).or(json.then_some(Format::Json)),
    };
    if format == Some(Format::Xlsx) && output.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::wrong(CANNOT, "a workbook is no text for a terminal: name a file, as in `-o series.xlsx`"));
    }
    Ok(format)
}

/// Without a daemon: files and journal, with the data folder locked for as long as it takes.
fn from_files(context: &Context, cannot: &str, request: &FetchRequest) -> Result<Fetched, Failure> {
    let (folder, store) = left(&context.data_folder()?, cannot)?;
    let journal = folder.path().join("journal");
    // A configuration that is at fault has no rules to ask.
    let rules = context.file().map(|file| config::read(&file, now()).0.rules).unwrap_or_default();
    let (store, now_s) = (Mutex::new(store), now_ns() / 1_000_000_000);
    let usual = |series: &[Series], deviations| bands(&store, series, deviations, (&rules, request.zone, now_s));
    let answer = request.answer(&store, now_s, |_| offline(&journal), usual);
    answer.map_err(|error| failure(cannot, &error))
}

/// The store that an ended daemon left, with what its journal has besides, and the lock on its folder.
pub(super) fn left(data: &Path, cannot: &str) -> Result<(DataFolder, SeriesStore), Failure> {
    if !data.is_dir() {
        let why = format!("there is no data folder {}: nothing was ever measured with this configuration", data.display());
        return Err(Failure::failed(cannot, why));
    }
    let folder = DataFolder::lock(data).map_err(|error| Failure::of(cannot, &error))?;
    let mut store = SeriesStore::open(folder.path(), Options::default()).map_err(|error| Failure::of(cannot, &error))?;
    let left = take_what_is_left(&folder, &mut store).map_err(|error| Failure::of(cannot, &error))?;
    if left.checkpoint_lost {
        let file = folder.path().join(checkpoint::FILE_NAME);
        eprintln!(
            "note: {} is damaged: files that a crash has torn cannot be put right, all others are as they were",
            plain(&file.display().to_string())
        );
    }
    store.nobody_measures();
    Ok((folder, store))
}

/// Whose fault it is that series are not read.
pub(super) fn failure(cannot: &str, error: &FetchError) -> Failure {
    if error.is_asked_wrong() { Failure::wrong(cannot, crate::chain(error)) } else { Failure::of(cannot, error) }
}

fn offline(journal: &Path) -> Box<dyn Iterator<Item = (Position, Record)>> {
    match Reader::offline(journal, watchpost_journal::Position::START) {
        Ok(reader) => Box::new(records(reader)),
        // No journal: the files alone.
        Err(_) => Box::new(std::iter::empty()),
    }
}
