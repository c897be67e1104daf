//! Taking a changed configuration, whole or not at all.

use std::{
    sync::{Arc, PoisonError},
    time::SystemTime,
};

use tracing::{error, info};
use watchpost_plugin_api::Severity;

use super::{
    Changes, Daemon,
    runner::Command,
    service_manager,
    start::{tell, tell_problems},
};
use crate::{
    config::{Config, Faults},
    job::{Configured, Job, configure},
    latest::JobView,
    plugin::Plugins,
};

impl Daemon {
    /// Takes the configuration as its files say now.
    ///
    /// Errors: every fault; then the configuration in force stays as it was, and every job runs on.
    pub(super) async fn reload(&self) -> Result<Changes, Faults> {
        let _one_at_a_time = self.reloading.lock().await;
        service_manager::reloading();
        let reloaded = match configure(&self.file, &self.plugins(), |config| config.moved_from(&self.config())).await {
            Ok(Configured { config, plugins, jobs, warnings }) => {
                warnings.iter().for_each(tell);
                tell_problems(&plugins, &self.plugins());
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
                let text = format!("{added} jobs added, {changed} changed, {removed} removed, {unchanged} untouched");
                self.report(Severity::Indeterminate, "reloaded", text);
                Ok(changes)
            }
            Err(faults) => {
                self.metrics.reload_refused();
                error!(faults = faults.iter().count(), "reload refused; the configuration in force stays");
                for fault in faults.iter() {
                    tell(fault);
                }
                let first = faults.iter().next().map(|fault| fault.to_string().replace('\n', " ")).unwrap_or_default();
                let first = first.trim_start_matches("error: ");
                self.report(Severity::Minor, "reload_refused", format!("{} faults, the first: {first}", faults.iter().count()));
                Err(faults)
            }
        };
        let config = self.config();
        service_manager::ready(config.jobs.len(), config.listen.value);
        reloaded
    }

    /// Makes a checked configuration the one in force.
    pub(super) async fn put_in_force(&self, config: Config, plugins: Plugins, jobs: Vec<Job>) -> Changes {
        self.latest.set_jobs(jobs.iter().map(|job| JobView { shape: job.shape.clone(), next_due_ns: None }));
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.carriers.set(&plugins);
        *self.plugins.write().unwrap_or_else(PoisonError::into_inner) = plugins;
        self.command(|done| Command::Set { jobs, done }).await.unwrap_or_default()
    }
}
