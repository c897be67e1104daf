//! `watchpost events`

use std::path::Path;

use hyper::Method;

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    print_json, table, time,
};
use crate::{
    daemon::{DataFolder, now_ns, take_events_left},
    event::{
        Event,
        request::{EventRequest, LIMIT},
        store::Found,
    },
    expose::http::MORE,
};

/// How each failure begins.
const CANNOT: &str = "cannot list events";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Of this job only.
    #[arg(long)]
    job: Option<String>,
    /// Since when: now-1h, -2d, midnight, 2026-03-29, an RFC 3339 time, or seconds since 1970.
    #[arg(long, visible_alias = "from", default_value = "now-1d", allow_hyphen_values = true, value_name = "TIME")]
    since: String,
    /// Until when.
    #[arg(long, visible_alias = "to", default_value = "now", allow_hyphen_values = true, value_name = "TIME")]
    until: String,
    /// At least this bad: indeterminate, warning, minor, major or critical.
    #[arg(long)]
    severity: Option<String>,
    /// With this code only.
    #[arg(long)]
    code: Option<String>,
    /// So many at most: the latest.
    #[arg(long, default_value_t = LIMIT, value_name = "COUNT")]
    limit: usize,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let Arguments { job, since, until, severity, code, limit } = arguments;
    let request = EventRequest {
        job: job.clone(),
        since: since.clone(),
        until: until.clone(),
        severity: severity.clone(),
        code: code.clone(),
        limit: *limit,
        zone: time::zone(),
    };
    let path = format!("/api/v1/events?{}", query(&request.to_pairs()));
    let found = match context.ask_if_it_runs(CANNOT, Method::GET, &path)? {
        Some(answer) => Found { events: answer.read()?, more: answer.header(MORE) == Some("true") },
        None => from_files(CANNOT, &context.data_folder()?, &request)?,
    };
    if found.more {
        eprintln!("note: there are earlier ones; --limit gives more than {limit}");
    }
    if context.json {
        return print_json(&found.events);
    }
    let rows: Vec<_> = found.events.iter().map(row).collect();
    table::print(&["time", "severity", "job", "code", "text"], &rows);
    Ok(())
}

fn row(event: &Event) -> Vec<String> {
    let severity = serde_json::to_value(event.severity).ok().and_then(|word| word.as_str().map(Into::into)).unwrap_or_default();
    let job = event.job.clone().unwrap_or_else(|| "-".into());
    vec![time::local(event.time), severity, job, event.code.clone(), event.text.clone()]
}

/// Without a daemon: files and journal, with the data folder locked for as long as it takes.
pub(super) fn from_files(cannot: &str, data: &Path, request: &EventRequest) -> Result<Found, Failure> {
    if !data.is_dir() {
        return Err(Failure::failed(cannot, format!("there is no data folder {}", data.display())));
    }
    let folder = DataFolder::lock(data).map_err(|error| Failure::of(cannot, &error))?;
    if folder.is_ours() {
        take_events_left(&folder).map_err(|error| Failure::of(cannot, &error))?;
    }
    request.answer(data, now_ns()).map_err(|error| match error.is_asked_wrong() {
        true => Failure::wrong(cannot, crate::chain(&error)),
        false => Failure::of(cannot, &error),
    })
}
