//! Files to checked values: every fault with its place, all in one go.
//!
//! Parse (shape), check (meaning), bind (what a job's agent says of its config): three functions, and what comes out holds only
//! what passed. Pure but for reading the files that are named; the time of day is passed in.
//!
//! Reading order: [`Fault`] is what goes wrong and where; `text` makes a tree of values with places out of a file; `reader` asks a
//! table for its keys; `main_file` and `schedule_file` take the shape; [`Job`], `target` and [`Timing`] hold what it means.
//! Once the agents are known, [`bind`] holds a job to its agent's schema and fetches its secrets; [`ad_hoc`] makes the
//! job of a command line that names none, and [`describe`] tells people what a config may hold.

mod ad_hoc;
mod bind;
pub mod describe;
mod fault;
mod files;
mod job;
mod main_file;
mod reader;
mod schedule_file;
mod schema;
mod secret;
mod target;
#[cfg(test)]
mod tests;
mod text;
mod timing;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

pub use ad_hoc::ad_hoc;
pub use bind::{Bound, bind, unknown_agent};
pub(crate) use fault::nearest;
pub use fault::{At, Fault, Faults, Place, Weight};
pub use job::{Job, JobName};
pub use secret::{Environment, process_environment};
pub use timing::Timing;

use crate::schedule::UnixTime;

/// What the files say, all of it checked but for the jobs' config.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The main file, as it was named.
    pub file: PathBuf,
    /// Where journal, series, alarms and socket live.
    pub data: At<PathBuf>,
    /// Folders searched for agent libraries, in this order.
    pub plugins: Vec<At<PathBuf>>,
    /// Where the web pages and `/metrics` listen.
    pub listen: At<SocketAddr>,
    /// What is measured, by name.
    pub jobs: Vec<Job>,
}

impl Config {
    /// Lists the folders searched for agent libraries.
    pub fn plugin_folders(&self) -> Vec<PathBuf> {
        self.plugins.iter().map(|folder| folder.value.clone()).collect()
    }
}

/// A configuration that can be run, and what somebody should look at.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What can be run.
    pub config: Config,
    /// What does not stop it.
    pub warnings: Faults,
}

/// Reads from the main file where the data folder is, whatever else is wrong: a running daemon is to be reached all the same.
///
/// Errors: the faults of `data`, or of a file that is no TOML.
pub fn data_folder(file: &Path) -> Result<PathBuf, Faults> {
    let mut faults = Faults::default();
    files::data_folder(file, &mut faults).ok_or_else(|| faults.sorted())
}

/// Reads the main file and every schedule it names.
///
/// Shape: jobs come by name; `now` tells which two years a cron job's interval is taken from.
/// Errors: every fault of every file, warnings among them, by file and place.
pub fn load(file: &Path, now: UnixTime) -> Result<Loaded, Faults> {
    match read(file, now) {
        (Some(config), warnings) if !warnings.stop() => Ok(Loaded { config, warnings }),
        (_, faults) => Err(faults),
    }
}

/// Reads as [`load`] does, and gives the jobs without a fault even where others have one: their agents can be asked in the same go.
///
/// Shape: no configuration where the main file itself is at fault.
pub fn read(file: &Path, now: UnixTime) -> (Option<Config>, Faults) {
    let mut faults = Faults::default();
    let config = files::load(file, now, &mut faults);
    let faults = faults.sorted();
    let main_is_wrong = faults.iter().any(|fault| fault.weight == Weight::Error && *fault.place.file == *file);
    (config.filter(|_| !main_is_wrong), faults)
}
