//! A library that is new, and one that is gone.

use std::{path::Path, sync::Arc};

use watchpost_plugin_api::Severity;

use super::super::{Daemon, runner::Command};
use crate::{
    job::Job,
    plugin::{Plugin, Problem, Stamp},
};

/// Names of jobs that are told in a refusal.
const JOBS_TOLD: usize = 3;

impl Daemon {
    /// Loads a library that is new: its agents can be used from the next reload on.
    ///
    /// Errors: why it is not used.
    pub(in crate::daemon) async fn welcome(&self, path: &Path) -> Result<String, String> {
        let plugins = self.plugins();
        // What is wrong with the folder is told of it, and of none of its files.
        if plugins.problems().iter().any(|problem| Some(problem.path.as_path()) == path.parent()) {
            return Err("its folder is not trusted".into());
        }
        let stamp = Stamp::of(path);
        let started = plugins.start(path, path).await;
        let _one_at_a_time = self.reloading.lock().await;
        match started {
            Ok(plugin) => self.admit(plugin),
            Err(why) => Err(self.turn_away(path, stamp, why)),
        }
    }

    /// Takes a library that loaded, under the lock of reloads.
    pub(super) fn admit(&self, plugin: Arc<Plugin>) -> Result<String, String> {
        let (plugins, path) = (self.plugins(), plugin.path().to_owned());
        if plugins.at(&path).is_some() {
            tokio::spawn(async move { plugin.retire().await });
            return Ok("is loaded".into());
        }
        if let Some((agent, other)) = plugins.clash(&plugin) {
            let why = format!("it carries agent {agent}, which {} carries already", other.display());
            let stamp = plugin.stamp();
            tokio::spawn(async move { plugin.retire().await });
            return Err(self.turn_away(&path, stamp, why));
        }
        self.rest_if_disabled(&plugin);
        let agents: Vec<&str> = plugin.descriptor().agents.iter().map(|agent| agent.name.as_str()).collect();
        let what = format!("loaded: it carries {}", agents.join(", "));
        self.set_plugins(plugins.with(plugin));
        self.libraries.refused().remove(&path);
        self.tell_library(Severity::Indeterminate, "library_loaded", &path, &what);
        Ok(what)
    }

    /// Takes note of a file that is no library to be used; gives the reason back.
    fn turn_away(&self, path: &Path, stamp: Option<Stamp>, why: String) -> String {
        self.set_plugins(self.plugins().with_problem(Problem { path: path.to_owned(), reason: why.clone() }));
        self.refuse(path, stamp, why)
    }

    /// Takes note that a file is gone: a library without jobs ends, one with jobs runs on from its snapshot.
    pub(super) async fn miss(&self, path: &Path) {
        let _one_at_a_time = self.reloading.lock().await;
        let plugins = self.plugins();
        let Some(plugin) = plugins.at(path) else {
            self.libraries.refused().remove(path);
            return self.set_plugins(plugins.without(path));
        };
        let jobs = self.jobs_of(plugin).await;
        if jobs.is_empty() {
            self.libraries.refused().remove(path);
            self.tell_library(Severity::Indeterminate, "library_gone", path, "no longer there, its worker ends");
            self.unload(plugin);
            return;
        }
        let run = if jobs.len() == 1 { "runs" } else { "run" };
        let why = format!("its file is gone; its {} {run} on as long as watchpost does", counted(jobs.len()));
        let known = self.libraries.refused().insert(path.to_owned(), super::Refused { stamp: None, why: why.clone() });
        if known.is_none_or(|known| known.why != why) {
            self.tell_library(Severity::Warning, "library_gone", path, &format!("missing: {why}"));
        }
    }

    /// Ends a library without jobs, under the lock of reloads.
    pub(super) fn unload(&self, plugin: &Arc<Plugin>) {
        self.set_plugins(self.plugins().without(plugin.path()));
        if let Some(on_trial) = self.libraries.trials().remove(plugin.path()) {
            tokio::spawn(async move { on_trial.before.retire().await });
        }
        let plugin = plugin.clone();
        tokio::spawn(async move { plugin.retire().await });
    }

    /// The jobs that run in a library.
    pub(super) async fn jobs_of(&self, plugin: &Arc<Plugin>) -> Vec<Arc<Job>> {
        let plugin = plugin.clone();
        self.command(|done| Command::JobsOf { plugin, done }).await.unwrap_or_default()
    }
}

/// Counts jobs, in words.
pub(super) fn counted(jobs: usize) -> String {
    format!("{jobs} {}", if jobs == 1 { "job" } else { "jobs" })
}

/// Names some jobs, and counts the rest.
pub(super) fn told(jobs: &[Arc<Job>]) -> String {
    let names: Vec<&str> = jobs.iter().take(JOBS_TOLD).map(|job| job.name()).collect();
    let more = jobs.len().saturating_sub(JOBS_TOLD);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
