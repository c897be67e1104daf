//! Finds the configuration, reads it, and loads what it names.

use std::path::{Path, PathBuf};

use super::{Context, Failure};
use crate::{
    config::{self, Config, Loaded},
    daemon::now_ns,
    plugin::Plugins,
    schedule::UnixTime,
};

/// Where the configuration is looked for, in this order.
const PLACES: [&str; 2] = ["./watchpost.toml", "/etc/watchpost/watchpost.toml"];

impl Context {
    /// The configuration file: the one that was named, or the first that exists.
    pub(super) fn file(&self) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.config {
            return Ok(file.clone());
        }
        let found = PLACES.iter().map(Path::new).find(|path| path.exists());
        found
            .map(Path::to_owned)
            .ok_or_else(|| Failure::Wrong(format!("no configuration: neither {} exists; name one with --config", PLACES.join(" nor "))))
    }

    /// Reads the configuration; faults are told, warnings are not.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        config::load(&self.file()?, now()).map_err(Failure::Faults)
    }

    /// The data folder, also of a configuration whose schedules have faults: a running daemon is to be reached all the same.
    pub(super) fn data_folder(&self) -> Result<PathBuf, Failure> {
        config::data_folder(&self.file()?).map_err(Failure::Faults)
    }
}

/// Loads the libraries of a configuration; what does not load is told on standard error.
pub(super) async fn plugins(config: &Config) -> Plugins {
    let plugins = Plugins::load(&config.plugin_folders()).await;
    for problem in plugins.problems() {
        eprintln!("warning: not loaded: {}: {}", problem.path.display(), problem.reason);
    }
    plugins
}

/// The wall clock in seconds.
pub(super) fn now() -> UnixTime {
    UnixTime::from_secs(now_ns() / 1_000_000_000)
}
