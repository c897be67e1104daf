//! `watchpost series`

mod import;

use std::{io::IsTerminal, path::PathBuf, sync::Mutex};

use clap::Subcommand;
use hyper::Method;

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    fetch, print_json,
    table::{self, counted, plain},
    time,
};
use crate::series::{
    drop::{DropRequest, Dropped},
    fetch::{Kept, KeptArchive, KeptFile},
    listing::ListRequest,
    notes::length,
    rename::{RenameRequest, Renamed},
};

/// How a failure to rename begins.
const CANNOT_RENAME: &str = "cannot rename series";
/// How a failure to drop begins.
const CANNOT_DROP: &str = "cannot drop series";

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the series that are kept, with their last values; of counters, their totals.
    #[command(after_help = "Examples:\n  watchpost series ls\n  watchpost series ls '{job=\"pop-paris\"}' --json")]
    Ls {
        /// Which series: a metric with matchers as PromQL has them. All of them, if none is named.
        #[arg(value_name = "SERIES")]
        series: Vec<String>,
    },
    /// Drops series for good, with their files.
    ///
    /// A job that runs on begins a new file with its next reading.
    #[command(after_help = "Series that lie in one file are dropped together or not at all.\n\n\
                            Example:\n  watchpost series drop '{job=\"pop-paris\"}' --dry-run")]
    Drop {
        /// Which series: all of a file.
        #[arg(required = true, value_name = "SERIES")]
        series: Vec<String>,
        /// Tells what would be dropped, and drops nothing.
        #[arg(long)]
        dry_run: bool,
        /// Asks nothing.
        #[arg(long)]
        yes: bool,
    },
    /// Makes series of jobs from RRD files of collectd, SmokePing, Cacti and others.
    #[command(after_help = import::EXAMPLES)]
    Import {
        /// What becomes what: a file with an [[import]] for each data source.
        #[arg(long, value_name = "FILE")]
        mapping: PathBuf,
        /// Tells what would be imported, and imports nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Gives the series of a job that is measured no more to the one that goes on with them.
    ///
    /// A job that says was = "OLD" in its schedule has them without that.
    #[command(after_help = "Example:\n  watchpost series rename pop-old pop-paris")]
    Rename {
        /// The job that has them.
        #[arg(value_name = "OLD")]
        from: String,
        /// The job that is to have them; what it has already stays, and is read before the other's.
        #[arg(value_name = "NEW")]
        to: String,
    },
    /// Tells all that is known of series: meaning, span, files, archives.
    #[command(after_help = "Example:\n  watchpost series show 'total_time{job=\"pop-paris\"}'")]
    Show {
        /// Which series.
        #[arg(required = true, value_name = "SERIES")]
        series: Vec<String>,
    },
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match arguments.command.as_ref().unwrap_or(&Command::Ls { series: Vec::new() }) {
        Command::Ls { series } => list(context, series),
        Command::Show { series } => show(context, series),
        Command::Import { mapping, dry_run } => import::run(context, mapping, *dry_run),
        Command::Rename { from, to } => rename(context, &RenameRequest { from: from.clone(), to: to.clone() }),
        Command::Drop { series, dry_run: true, .. } => drop_series(context, series, None),
        Command::Drop { series, yes, .. } => drop_series(context, series, Some(*yes)),
    }
}

fn list(context: &Context, series: &[String]) -> Outcome {
    let kept = asked(context, "cannot list the series", &ListRequest { series: series.to_vec(), details: false })?;
    if context.json {
        return print_json(&kept);
    }
    let row = |one: &Kept| {
        let unit = word(&one.unit);
        vec![short(one.value), unit, word(&one.kind), every(one.step), instant(one.first), instant(one.last), one.series.clone()]
    };
    table::print(&["value", "unit", "kind", "every", "first", "last", "series"], &kept.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn show(context: &Context, series: &[String]) -> Outcome {
    let kept = asked(context, "cannot show the series", &ListRequest { series: series.to_vec(), details: true })?;
    if context.json {
        return print_json(&kept);
    }
    let data = context.data_folder()?;
    for (index, one) in kept.iter().enumerate() {
        if index > 0 {
            println!();
        }
        println!("{}", plain(&one.series));
        println!("  {}", plain(&one.help));
        let target = one.labels.get("target").map(String::as_str).unwrap_or_default();
        println!("  {} in {}, by agent {} of {}", word(&one.kind), word(&one.unit), plain(&one.agent), plain(target));
        println!("  every {}, from {} to {}; last {}", every(one.step), instant(one.first), instant(one.last), number(one.value));
        for file in &one.files {
            let what = if file.current { "file" } else { "set aside" };
            let size = file.bytes.map_or("not there".into(), size);
            println!("  {what} {}, {size}, data source {}", data.join(&file.path).display(), plain(&file.source));
            println!("    {}: {}", counted(file.metrics.len(), "metric"), plain(&file.metrics.join(", ")));
            if !file.current {
                println!("    every {}, from {} to {}", every(file.step), instant(Some(file.first)), instant(Some(file.last)));
            }
            for archive in &file.archives {
                println!("    {}", archived(archive, file));
            }
        }
    }
    Ok(())
}

/// An archive in a line: what of how long is kept, and how much of that there is.
fn archived(archive: &KeptArchive, file: &KeptFile) -> String {
    let KeptArchive { consolidation, step, rows, filled } = archive;
    let reach = time::span(f64::from(*step) * f64::from(*rows));
    let since = file.last - file.last.rem_euclid(i64::from((*step).max(1))) - i64::from(*step) * i64::from(*filled);
    let filled = if filled == rows { "full".to_owned() } else { format!("{} so far", counted(*filled as usize, "row")) };
    format!(
        "{consolidation} of every {} for {reach}: {}, {filled}, since {}",
        every(*step),
        counted(*rows as usize, "row"),
        instant(Some(since))
    )
}

/// Drops series once somebody has said yes, or tells only which they would be.
fn drop_series(context: &Context, series: &[String], yes: Option<bool>) -> Outcome {
    let dry = DropRequest { series: series.to_vec(), dry: true };
    let would = dropped(context, &dry)?;
    let Some(yes) = yes else { return told(context, "would be dropped", &would) };
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::wrong(CANNOT_DROP, "nobody can be asked here: say --yes, or --dry-run to be told what would be dropped"));
        }
        told(context, "would be dropped", &would)?;
        eprint!("drop all that? It cannot be had back. [y/N] ");
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map_err(|error| Failure::of(CANNOT_DROP, &error))?;
        if !["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
            return Err(Failure::failed(CANNOT_DROP, "nobody said yes"));
        }
    }
    told(context, "dropped", &dropped(context, &DropRequest { dry: false, ..dry })?)
}

fn rename(context: &Context, request: &RenameRequest) -> Outcome {
    let path = format!("/api/v1/series/rename?{}", query(&request.to_pairs()));
    let renamed: Renamed = match context.ask_if_it_runs(CANNOT_RENAME, Method::POST, &path)? {
        Some(answer) => answer.read()?,
        None => {
            let data = context.data_folder()?;
            let (folder, store) = fetch::left(&data, CANNOT_RENAME)?;
            if !folder.is_ours() {
                return Err(Failure::failed(CANNOT_RENAME, format!("{} is another user's", data.display())));
            }
            request.answer(&Mutex::new(store), |_| false).map_err(|error| match error.is_asked_wrong() {
                true => Failure::wrong(CANNOT_RENAME, crate::chain(&error)),
                false => Failure::of(CANNOT_RENAME, &error),
            })?
        }
    };
    if context.json {
        return print_json(&renamed);
    }
    println!("{} of {} are of {} now", counted(renamed.files, "file"), plain(&renamed.from), plain(&renamed.to));
    Ok(())
}

fn told(context: &Context, what: &str, all: &[Dropped]) -> Outcome {
    if context.json {
        return print_json(&all);
    }
    for one in all {
        println!("{what}: {}, {}", plain(&one.files.join(", ")), size(one.bytes));
        one.series.iter().for_each(|series| println!("  {}", plain(series)));
    }
    Ok(())
}

fn dropped(context: &Context, request: &DropRequest) -> Result<Vec<Dropped>, Failure> {
    let path = format!("/api/v1/series/drop?{}", query(&request.to_pairs()));
    if let Some(answer) = context.ask_if_it_runs(CANNOT_DROP, Method::POST, &path)? {
        return answer.read();
    }
    let data = context.data_folder()?;
    let (folder, store) = fetch::left(&data, CANNOT_DROP)?;
    if !folder.is_ours() && !request.dry {
        return Err(Failure::failed(CANNOT_DROP, format!("{} is another user's", data.display())));
    }
    let done = request.answer(&Mutex::new(store)).map(|(dropped, _)| dropped);
    done.map_err(|error| match error.is_asked_wrong() {
        true => Failure::wrong(CANNOT_DROP, crate::chain(&error)),
        false => Failure::of(CANNOT_DROP, &error),
    })
}

/// Asks the daemon if it runs, else looks into the files.
pub(super) fn asked(context: &Context, cannot: &str, request: &ListRequest) -> Result<Vec<Kept>, Failure> {
    let path = format!("/api/v1/series?{}", query(&request.to_pairs()));
    if let Some(answer) = context.ask_if_it_runs(cannot, Method::GET, &path)? {
        return answer.read();
    }
    let (_folder, store) = fetch::left(&context.data_folder()?, cannot)?;
    request.answer(&Mutex::new(store)).map_err(|error| fetch::failure(cannot, &error))
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(Into::into)).unwrap_or_default()
}

fn number(value: Option<f64>) -> String {
    value.map_or("unknown".into(), |value| value.to_string())
}

/// A value with as many figures as a column has room for.
fn short(value: Option<f64>) -> String {
    match value {
        Some(value) if value.fract() != 0.0 && (1e-4..1e6).contains(&value.abs()) => {
            let text = format!("{value:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Some(value) if value.fract() != 0.0 => format!("{value:.3e}"),
        other => number(other),
    }
}

fn every(seconds: u32) -> String {
    length(seconds)
}

fn instant(seconds: Option<i64>) -> String {
    seconds.map_or("never".into(), |seconds| time::local(seconds as f64))
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        1_048_576..10_737_418_240 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
