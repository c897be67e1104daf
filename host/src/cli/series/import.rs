//! `watchpost series import`

use std::{collections::BTreeSet, path::Path, sync::Mutex};

use hyper::{Method, body::Bytes};

use super::super::{
    Context,
    failure::{Failure, Outcome},
    fetch,
    load::now,
    print_json,
    table::{self, counted, plain},
};
use super::{every, instant};
use crate::series::import::{ImportRequest, Imported, UnimportedError, mapping, settle};

/// How a failure to import begins.
const CANNOT: &str = "cannot import series";

pub(super) const EXAMPLES: &str = "A mapping has an entry for each data source of some files:

  [[import]]
  layout = \"collectd\"                  # or smokeping, cacti; may be left out
  files = \"/var/lib/collectd/rrd/*/ping/ping-*.rrd\"
  source = \"value\"                     # may be left out where a file has one
  job = \"ping-{type_instance}\"
  metric = \"total_time\"
  labels = { queue = \"{type}\" }        # if the metric has labels
  unit = \"ms\"                          # or factor = 0.001

{name} is the file's name without .rrd, {folder} that of its folder; collectd's
paths have {host}, {plugin}, {plugin_instance}, {type} and {type_instance} as well.
A layout knows in what some sources count: collectd's ping in milliseconds,
SmokePing's median and pings in seconds, its loss in lost of so many. Else a source
counts as the metric does. What series know already stays as it is, and so do the
files; a file may be imported again.

Examples:
  watchpost series import --mapping collectd.toml --dry-run
  watchpost series import --mapping collectd.toml";

pub(super) fn run(context: &Context, file: &Path, dry: bool) -> Outcome {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| Failure::of(format!("cannot read {shown}"), &error))?;
    let entries = mapping::read(file, &text).map_err(|error| Failure::wrong(CANNOT, crate::chain(&error)))?;
    let request = ImportRequest { entries, dry };
    let body = serde_json::to_vec(&request).map_err(|error| Failure::of(CANNOT, &error))?;
    let imported = match context.ask_with(CANNOT, Method::POST, "/api/v1/series/import", Bytes::from(body))? {
        Some(answer) => answer.read()?,
        None => alone(context, &request)?,
    };
    if context.json {
        return print_json(&imported);
    }
    let row = |one: &Imported| {
        let values = if one.values == 0 { "none".into() } else { one.values.to_string() };
        vec![values, every(one.step), instant(one.from), instant(one.to), one.series.clone(), one.source.clone(), one.file.clone()]
    };
    table::print(&["values", "every", "from", "to", "series", "source", "file"], &imported.iter().map(row).collect::<Vec<_>>());
    let files = imported.iter().map(|one| &one.file).collect::<BTreeSet<_>>().len();
    let (of, files) = (counted(imported.len(), "data source"), counted(files, "file"));
    println!("{of} of {files} {}", if dry { "would become series" } else { "are series now" });
    Ok(())
}

/// Imports where no daemon runs.
fn alone(context: &Context, request: &ImportRequest) -> Result<Vec<Imported>, Failure> {
    let data = context.data_folder()?;
    let (folder, store) = fetch::left(&data, CANNOT)?;
    if !folder.is_ours() && !request.dry {
        return Err(Failure::failed(CANNOT, format!("{} is another user's", plain(&data.display().to_string()))));
    }
    let draft = context.draft()?;
    let is_measured = |job: &str| draft.jobs.iter().any(|known| known.name.as_str() == job);
    let store = Mutex::new(store);
    let imported = request.answer(&store, is_measured, now().as_secs()).map_err(|error: UnimportedError| match error.is_asked_wrong() {
        true => Failure::wrong(CANNOT, crate::chain(&error)),
        false => Failure::of(CANNOT, &error),
    })?;
    let mut store = store.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !request.dry {
        settle(&mut store).map_err(|error| Failure::of(CANNOT, &error))?;
    }
    Ok(imported)
}
