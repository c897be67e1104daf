//! Taking a changed configuration, whole or not at all.

mod beside;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::SystemTime,
};

pub use beside::Amounts;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};
use watchpost_plugin_api::Severity;

use super::{
    Changes, Daemon,
    runner::Command,
    service_manager,
    start::{tell, tell_problems},
};
use crate::{
    config::{Config, Fault, Faults},
    job::{Configured, Files, Job, configure},
    latest::JobView,
    plugin::{Plugins, Sandboxes},
};

/// What a reload changed, and what somebody should look at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// What became of the jobs.
    #[serde(flatten)]
    pub changes: Changes,
    /// What changed beside jobs, by the word for it: rules, channels and the like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, Amounts>,
    /// Libraries that were loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loaded: Vec<PathBuf>,
    /// Libraries that are no longer in a plugin folder, and ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unloaded: Vec<PathBuf>,
    /// Libraries and folders that did not load, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(PathBuf, String)>,
    /// Libraries whose file has changed since they were loaded; they run on as they are until it is at rest, and checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outdated: Vec<PathBuf>,
    /// Faults of the configuration that do not stop it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Fault>,
}

impl Reloaded {
    /// Compares the libraries of before and after.
    fn libraries(before: &Plugins, after: &Plugins) -> Self {
        let paths = |of: &Plugins, without: &Plugins| -> Vec<PathBuf> {
            let known = |path: &Path| without.all().iter().any(|plugin| plugin.path() == path);
            of.all().iter().map(|plugin| plugin.path()).filter(|path| !known(path)).map(Path::to_owned).collect()
        };
        let outdated = after.all().iter().filter(|plugin| plugin.is_outdated());
        Self {
            loaded: paths(after, before),
            unloaded: paths(before, after),
            refused: after.problems().iter().map(|problem| (problem.path.clone(), problem.reason.clone())).collect(),
            outdated: outdated.map(|plugin| plugin.path().to_owned()).collect(),
            ..Self::default()
        }
    }

    /// Logs what no worker's own line says: one that is loaded has its start told there.
    fn tell(&self) {
        for path in &self.unloaded {
            info!(path = %path.display(), "library no longer there, its worker ends");
        }
        for path in &self.outdated {
            warn!(path = %path.display(), "the library has changed since it was loaded; it runs on as it was, until the changed one takes over");
        }
    }
}

impl Daemon {
    /// Takes the configuration as its files say now.
    ///
    /// Errors: every fault; then the configuration in force stays as it was, and every job runs on.
    pub(super) async fn reload(&self) -> Result<Reloaded, Faults> {
        let _one_at_a_time = self.reloading.lock().await;
        service_manager::reloading();
        let before = self.plugins();
        let reloaded = match configure(Files::read(&self.file), &before, |config| config.moved_from(&self.config())).await {
            Ok(Configured { config, plugins, jobs, warnings }) => {
                let libraries = Reloaded::libraries(&before, &plugins);
                libraries.tell();
                warnings.iter().for_each(tell);
                tell_problems(&plugins, &before);
                let beside = beside::changes(&self.config(), &config);
                let changes = self.put_in_force(config, plugins, jobs).await;
                self.metrics.reload_passed(SystemTime::now());
                info!(
                    added = changes.added,
                    changed = changes.changed,
                    removed = changes.removed,
                    unchanged = changes.unchanged,
                    "reloaded"
                );
                let Changes { added, changed, removed, unchanged } = changes;
                let more: String = beside.iter().map(|(kind, amounts)| format!("; {kind}: {}", amounts.said())).collect();
                let text = format!("jobs: {added} added, {changed} changed, {removed} removed, {unchanged} untouched{more}");
                self.report(Severity::Indeterminate, "reloaded", text);
                Ok(Reloaded { changes, beside, warnings: warnings.into_iter().collect(), ..libraries })
            }
            Err(faults) => {
                self.metrics.reload_refused();
                error!(faults = faults.iter().count(), "reload refused; the configuration in force stays");
                for fault in faults.iter() {
                    tell(fault);
                }
                self.report(Severity::Minor, "reload_refused", faults.refusal());
                Err(faults)
            }
        };
        service_manager::ready(self.config().jobs.len(), self.address);
        reloaded
    }

    /// Makes a checked configuration the one in force.
    pub(super) async fn put_in_force(&self, config: Config, plugins: Plugins, jobs: Vec<Job>) -> Changes {
        {
            let mut store = super::series_view::lend(&self.store);
            store.flush_within(config.store.flush);
        }
        self.journal.set_group_delay(config.store.commit);
        self.watching.set(&config, &jobs);
        self.routing.set(&config);
        self.ledger.set(&config, &jobs);
        self.delivery.obey(&config).await;
        self.latest.set_jobs(jobs.iter().map(|job| JobView { shape: job.shape.clone(), next_due_ns: None }));
        let mut plugins = plugins;
        plugins.guard(Sandboxes::of(&config));
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.libraries.seed(&plugins);
        for plugin in plugins.all() {
            self.rest_if_disabled(plugin);
        }
        self.set_plugins(plugins);
        let changes = self.command(|done| Command::Set { jobs, done }).await.unwrap_or_default();
        self.settle_trials().await;
        changes
    }
}
