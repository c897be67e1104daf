//! How each library's worker is to be confined, as configuration and operator have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use watchpost_worker::confine::{Confinement, MEMORY_BYTES_MAX};

use crate::config::{Config, PluginTables};

/// How libraries are confined, before it is known what their jobs need.
#[derive(Clone, Debug, Default)]
pub struct Sandboxes {
    settings: BTreeMap<String, Settings>,
    guarded: Arc<BTreeSet<PathBuf>>,
}

/// What an operator says of the worker of one library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Whether the kernel holds it to what its jobs need.
    pub(super) sandbox: bool,
    /// Address space, bytes.
    memory_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sandbox: true, memory_bytes_max: MEMORY_BYTES_MAX }
    }
}

impl Settings {
    /// The confinement of a worker that needs nothing yet.
    pub(super) fn confinement(self, guarded: &BTreeSet<PathBuf>) -> Confinement {
        let Self { sandbox, memory_bytes_max } = self;
        Confinement { sandbox, forbidden: guarded.clone(), memory_bytes_max, ..Confinement::default() }
    }
}

impl Sandboxes {
    /// As a configuration has it.
    pub fn of(config: &Config) -> Self {
        Self { guarded: Arc::new(config.guarded().into_keys().collect()), ..Self::said(&config.of_plugins) }
    }

    /// What is said of libraries; nothing is guarded beyond what no agent is ever given.
    pub fn said(tables: &PluginTables) -> Self {
        let usual = Settings::default();
        let settings = tables.iter().map(|(name, said)| {
            let sandbox = said.sandbox.unwrap_or(usual.sandbox);
            (name.clone(), Settings { sandbox, memory_bytes_max: said.memory_bytes_max.unwrap_or(usual.memory_bytes_max) })
        });
        Self { settings: settings.collect(), guarded: Arc::default() }
    }

    pub(super) fn settings(&self, plugin: &str) -> Settings {
        self.settings.get(plugin).copied().unwrap_or_default()
    }

    pub(super) fn guarded(&self) -> &Arc<BTreeSet<PathBuf>> {
        &self.guarded
    }
}
