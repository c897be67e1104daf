//! Finds the configuration, reads it, and loads what it names.

use std::path::{Path, PathBuf};

use super::{Context, failure::Failure, table::counted};
use crate::{
    config::{self, Draft, Job, Loaded, nearest},
    daemon::now_ns,
    plugin::{Plugins, Sandboxes},
    schedule::UnixTime,
};

/// Where the configuration is looked for, in this order.
pub(super) const PLACES: [&str; 2] = ["./watchpost.toml", "/etc/watchpost/watchpost.toml"];
/// Where agents are looked for without a configuration, seen from the folder of this program.
const BESIDE: [&str; 3] = ["plugins", "", "../lib/watchpost"];

impl Context {
    /// The configuration file: the one that was named, or the first that exists.
    pub(super) fn file(&self) -> Result<PathBuf, Failure> {
        let none = || Failure::wrong("no configuration", format!("neither {} exists; name one with --config", PLACES.join(" nor ")));
        self.file_if_there().ok_or_else(none)
    }

    pub(super) fn file_if_there(&self) -> Option<PathBuf> {
        let found = || PLACES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned);
        self.config.clone().or_else(found)
    }

    /// Reads the configuration; faults are told, warnings are not.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        config::load(&self.file()?, now()).map_err(Failure::Faults)
    }

    /// What the files say, for who reads it and runs nothing: secrets may be there for the daemon alone.
    pub(super) fn draft(&self) -> Result<Draft, Failure> {
        let (draft, faults) = config::read(&self.file()?, now());
        if faults.hiding() > 0 { Err(Failure::Faults(faults)) } else { Ok(draft) }
    }

    /// The data folder, also of a configuration whose schedules have faults: a running daemon is to be reached all the same.
    pub(super) fn data_folder(&self) -> Result<PathBuf, Failure> {
        config::data_folder(&self.file()?).map_err(Failure::Faults)
    }

    /// How libraries are confined: as the configuration says, if there is one.
    pub(super) fn sandboxes(&self) -> Sandboxes {
        let Some(file) = self.file_if_there() else { return Sandboxes::default() };
        let (draft, _) = config::read(&file, now());
        draft.config(&file).map_or_else(|| Sandboxes::said(&draft.of_plugins), |config| Sandboxes::of(&config))
    }

    /// The folders with agent libraries: those that are named, else those of the configuration, else those beside this program.
    pub(super) fn plugin_folders(&self, named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
        for folder in named {
            std::fs::read_dir(folder)
                .map_err(|error| Failure::wrong(format!("cannot look for agents in {}", folder.display()), crate::chain(&error)))?;
        }
        if !named.is_empty() {
            return Ok(named.iter().map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.clone())).collect());
        }
        let Some(file) = self.file_if_there() else { return beside_this_program() };
        // Faults elsewhere do not hide an agent.
        let (draft, faults) = config::read(&file, now());
        if draft.plugins.is_empty() && faults.stop() {
            return Err(Failure::Faults(faults));
        }
        Ok(draft.plugins.into_iter().map(|folder| folder.value).collect())
    }
}

fn beside_this_program() -> Result<Vec<PathBuf>, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::of("cannot find this program's folder", &error))?;
    let own = program.parent().unwrap_or(Path::new("/"));
    let folders = BESIDE.iter().map(|beside| own.join(beside)).filter_map(|folder| folder.canonicalize().ok());
    Ok(folders.filter(|folder| folder.is_dir()).collect())
}

/// Loads the libraries of folders; what does not load is told on standard error.
pub(super) async fn plugins(folders: &[PathBuf], sandboxes: &Sandboxes) -> Plugins {
    let plugins = Plugins::load(folders, sandboxes).await;
    for problem in plugins.problems() {
        eprintln!("warning: not loaded: {}: {}", problem.path.display(), super::table::plain(&problem.reason));
    }
    if plugins.all().is_empty() {
        let searched: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        eprintln!(
            "warning: no agents: {} searched, none has a library that loads: {}",
            counted(folders.len(), "folder"),
            searched.join(", ")
        );
    }
    plugins
}

/// The failure of a command that names a job which the configuration does not have.
pub(super) fn unknown_job(cannot: &str, name: &str, jobs: &[Job]) -> Failure {
    let meant = nearest(name, jobs.iter().map(|job| job.name.as_str()));
    let hint = meant.map_or("`watchpost plan` lists all".to_owned(), |meant| format!("did you mean `{meant}`?"));
    Failure::wrong(cannot, format!("no job is called so; {hint}"))
}

/// The wall clock in seconds.
pub(super) fn now() -> UnixTime {
    UnixTime::from_secs(now_ns() / 1_000_000_000)
}
