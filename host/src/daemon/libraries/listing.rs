//! What is told of libraries: the list, and what came of a command.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::Daemon;
use crate::plugin::{Plugin, WorkerState};

/// All plugins, and what is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// Those that are loaded.
    pub plugins: Vec<Listed>,
    /// Files and folders that are not used, and why.
    pub not_loaded: Vec<(PathBuf, String)>,
}

/// One plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listed {
    /// Its short name.
    pub plugin: String,
    /// Its library.
    pub path: PathBuf,
    /// The version of its package.
    pub version: String,
    /// The agents that it carries.
    pub agents: Vec<String>,
    /// What its worker is doing.
    pub state: WorkerState,
    /// Jobs that run in it.
    pub jobs: usize,
    /// Deaths of its worker.
    pub crashes: u64,
    /// That it is on trial, or why its changed file is not used.
    pub note: Option<String>,
}

/// What a command came to, for one library.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// The library.
    pub path: PathBuf,
    /// What became of it.
    pub said: String,
    /// Whether it is used as it is now.
    pub used: bool,
}

impl Done {
    pub(in crate::daemon) fn of(path: &Path, came: Result<String, String>) -> Self {
        let used = came.is_ok();
        Self { path: path.to_owned(), said: came.unwrap_or_else(|why| format!("not used: {why}")), used }
    }
}

impl Daemon {
    /// Lists all plugins.
    pub(in crate::daemon) fn listing(&self) -> Listing {
        let plugins = self.plugins();
        let listed = |plugin: &Plugin| {
            let (report, descriptor) = (plugin.report(), plugin.descriptor());
            Listed {
                plugin: plugin.name(),
                path: plugin.path().to_owned(),
                version: descriptor.version.clone(),
                agents: descriptor.agents.iter().map(|agent| agent.name.clone()).collect(),
                state: report.state,
                jobs: report.jobs,
                crashes: report.crashes,
                note: self.libraries.note(plugin),
            }
        };
        Listing {
            plugins: plugins.all().iter().map(|plugin| listed(plugin)).collect(),
            not_loaded: plugins.problems().iter().map(|problem| (problem.path.clone(), problem.reason.clone())).collect(),
        }
    }

    /// Looks at files now: those that changed, that are new or were refused, or the one that is named, changed or not.
    pub(in crate::daemon) async fn reload_libraries(self: &std::sync::Arc<Self>, name: Option<&str>) -> Result<Vec<Done>, String> {
        let plugins = self.plugins();
        if let Some(name) = name {
            if let Some(plugin) = plugins.named(name) {
                return Ok(vec![Done::of(plugin.path(), self.replace(plugin.path()).await)]);
            }
            let refused =
                plugins.problems().iter().find(|problem| problem.path == Path::new(name) || crate::plugin::name_of(&problem.path) == name);
            let Some(refused) = refused else { return Err("no plugin is called so; `watchpost plugins` lists all".into()) };
            return Ok(vec![Done::of(&refused.path, self.welcome(&refused.path).await)]);
        }
        let mut done = Vec::new();
        for folder in self.config().plugin_folders() {
            for path in crate::plugin::libraries_of(&folder).unwrap_or_default() {
                match plugins.at(&path) {
                    Some(plugin) if !plugin.is_outdated() => {}
                    Some(_) => done.push(Done::of(&path, self.replace(&path).await)),
                    None => done.push(Done::of(&path, self.welcome(&path).await)),
                }
            }
        }
        Ok(done)
    }
}
