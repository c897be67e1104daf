//! The libraries of a running daemon: they come, change and go without a restart.
//!
//! Reading order: [`Libraries`] (what is on trial, what was refused, what is disabled) · `watch` (sees files come, change and go) ·
//! `arrive` (one that is new, one that is gone) · `replace` (one that changed: it takes over, on trial, and is switched back from where it is
//! worse) · `install` (an operator brings or takes one away) · `listing` (what is told of them).

mod arrive;
mod install;
mod listing;
mod replace;
pub(super) mod watch;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use watchpost_plugin_api::Severity;

use super::{Daemon, names::Names, plugin_of};
use crate::{
    job::Job,
    log::seconds,
    plugin::{
        Plugin, Plugins, Stamp,
        trial::{Trial, Verdict},
    },
};
pub use listing::{Done, Listed, Listing};

/// What is known of libraries beside those that run.
pub(super) struct Libraries {
    trials: Mutex<BTreeMap<PathBuf, OnTrial>>,
    refused: Mutex<BTreeMap<PathBuf, Refused>>,
    /// Plugins that an operator wants none of.
    disabled: Mutex<Names>,
}

/// A library that took over, with the one before that idles meanwhile.
#[derive(Clone)]
struct OnTrial {
    new: Arc<Plugin>,
    trial: Arc<Trial>,
    began: Instant,
    before: Arc<Plugin>,
    /// The jobs as they are open in the one before.
    jobs: Vec<Arc<Job>>,
    /// The numbers that they have in the new one.
    numbers: Vec<u64>,
}

/// A file that is not used.
#[derive(Clone)]
struct Refused {
    /// What it was when it was refused: it is looked at again when it is something else.
    stamp: Option<Stamp>,
    why: String,
}

impl Libraries {
    pub(super) fn new(disabled: Names) -> Self {
        Self { trials: Mutex::default(), refused: Mutex::default(), disabled: Mutex::new(disabled) }
    }

    /// Remembers what did not load, so that it is not tried again until it changes.
    pub(super) fn seed(&self, plugins: &Plugins) {
        let mut refused = self.refused();
        for problem in plugins.problems() {
            let stamp = Stamp::of(&problem.path);
            refused.insert(problem.path.clone(), Refused { stamp, why: problem.reason.clone() });
        }
        for plugin in plugins.all().iter().filter(|plugin| plugin.is_outdated()) {
            let path = plugin.path();
            if !refused.contains_key(path)
                && let Some((_, why)) = plugins.ward().instead_of(path)
            {
                refused.insert(path.to_owned(), Refused { stamp: Stamp::of(path), why });
            }
        }
    }

    /// What is to be told of a library that runs: that it is on trial, or why its changed file is not used.
    pub(super) fn note(&self, plugin: &Plugin) -> Option<String> {
        if let Some(OnTrial { trial, began, before, .. }) = self.on_trial(plugin.path()) {
            let (since, pid) = (seconds(began.elapsed()), before.report().pid.map_or("none".into(), |pid| pid.to_string()));
            let shown = match trial.verdict() {
                Verdict::Open(over, of) => format!("{over} of {of} jobs have shown two runs since"),
                Verdict::Passed => "all jobs have shown two runs since".into(),
                Verdict::Failed(why) => why,
            };
            return Some(format!("on trial: took over {since} s ago, {shown}; the one before idles as process {pid}"));
        }
        self.refused().get(plugin.path()).map(|refused| format!("its file has changed and is not used: {}", refused.why))
    }

    fn on_trial(&self, path: &Path) -> Option<OnTrial> {
        self.trials().get(path).cloned()
    }

    /// Ends the trial of just this library; gives what it was.
    fn end_trial(&self, path: &Path, trial: &Arc<Trial>) -> Option<OnTrial> {
        let mut trials = self.trials();
        if trials.get(path).is_some_and(|known| Arc::ptr_eq(&known.trial, trial)) { trials.remove(path) } else { None }
    }

    /// Libraries that idle.
    pub(super) fn idle(&self) -> Vec<Arc<Plugin>> {
        self.trials().values().map(|on_trial| on_trial.before.clone()).collect()
    }

    fn trials(&self) -> MutexGuard<'_, BTreeMap<PathBuf, OnTrial>> {
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Refused>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Daemon {
    /// Disables a plugin or enables it again, and remembers it.
    ///
    /// Errors: it cannot be remembered; then nothing changes.
    pub(in crate::daemon) fn enable(&self, plugin: &Plugin, enabled: bool) -> io::Result<()> {
        let mut disabled = self.libraries.disabled.lock().unwrap_or_else(PoisonError::into_inner);
        disabled.set(&plugin.name(), !enabled)?;
        drop(disabled);
        plugin.enable(enabled);
        Ok(())
    }

    /// Has a library that was just loaded rest, if that is what an operator wants; says whether it is.
    pub(in crate::daemon) fn rest_if_disabled(&self, plugin: &Plugin) -> bool {
        let rests = self.is_disabled(plugin);
        if rests {
            plugin.enable(false);
        }
        rests
    }

    /// Whether an operator wants none of it.
    fn is_disabled(&self, plugin: &Plugin) -> bool {
        self.libraries.disabled.lock().unwrap_or_else(PoisonError::into_inner).holds(&plugin.name())
    }

    /// Puts these libraries in force; the jobs are not touched.
    pub(super) fn set_plugins(&self, plugins: Plugins) {
        self.carriers.set(&plugins);
        *self.plugins.write().unwrap_or_else(PoisonError::into_inner) = plugins;
    }

    /// Takes note of a file that is not used, and tells of it once; gives the reason back.
    fn refuse(&self, path: &Path, stamp: Option<Stamp>, why: String) -> String {
        let refused = Refused { stamp, why: why.clone() };
        let known = self.libraries.refused().insert(path.to_owned(), refused);
        if known.is_none_or(|known| known.stamp != stamp || known.why != why) {
            self.metrics.library_replaced(&plugin_of(path), "refused");
            self.tell_library(Severity::Minor, "library_refused", path, &format!("not used: {why}"));
        }
        why
    }

    /// Tells of a library, in the log and as an event.
    fn tell_library(&self, severity: Severity, code: &str, path: &Path, what: &str) {
        let shown = path.display();
        match severity {
            Severity::Indeterminate => tracing::info!(path = %shown, "library {what}"),
            _ => tracing::warn!(path = %shown, "library {what}"),
        }
        self.report(severity, code, format!("library {shown} {what}"));
    }
}
