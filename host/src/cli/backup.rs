//! `watchpost backup`

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use hyper::Method;

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    print_json,
    table::counted,
};
use crate::{
    console::readable,
    daemon::{Copied, DataFolder, backup},
    series::store::{Options, SeriesStore},
};

pub(super) const EXAMPLES: &str =
    "The copy is what a crash at that moment would have left: a daemon that is started on it goes on from there. It holds all that was \
     acknowledged before; measuring goes on meanwhile. To go back to it, end the daemon, put the copy in the place of the data folder, and \
     start it again. It is as secret as the data folder.

Example:
  watchpost backup backup-today";

const CANNOT: &str = "cannot back up";

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder that the copy is to be; it must not be there yet, or be empty.
    folder: PathBuf,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let folder = std::path::absolute(&arguments.folder).map_err(|error| Failure::of(CANNOT, &error))?;
    let path = format!("/api/v1/backup?{}", query(&[("to", folder.to_string_lossy().into_owned())]));
    let copied: Copied = match context.ask_if_it_runs(CANNOT, Method::POST, &path)? {
        Some(answer) => answer.read()?,
        None => at_rest(&context.data_folder()?, &folder)?,
    };
    if context.json {
        return print_json(&copied);
    }
    let files = usize::try_from(copied.files).unwrap_or(usize::MAX);
    let volume = readable::value(copied.bytes as f64, watchpost_plugin_api::Unit::Bytes);
    println!("{}: {}, {volume}", copied.folder.display(), counted(files, "file"));
    Ok(())
}

/// Without a daemon: with the data folder locked for as long as it takes.
fn at_rest(data: &Path, to: &Path) -> Result<Copied, Failure> {
    if !data.is_dir() {
        let why = format!("there is no data folder {}: nothing was ever measured with this configuration", data.display());
        return Err(Failure::failed(CANNOT, why));
    }
    let folder = DataFolder::lock(data).map_err(|error| Failure::of(CANNOT, &error))?;
    let store = SeriesStore::open(folder.path(), Options::default()).map_err(|error| Failure::of(CANNOT, &error))?;
    let copied = backup(folder.path(), &Arc::new(Mutex::new(store)), to);
    copied.map_err(|error| match error.is_asked_wrong() {
        true => Failure::wrong(CANNOT, crate::chain(&error)),
        false => Failure::of(CANNOT, &error),
    })
}
