//! Which plugin carries which agent, for who has only a job's shape.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::plugin::Plugins;

/// The plugins' names by agent, of the configuration in force; shared.
#[derive(Clone, Default)]
pub(super) struct Carriers(Arc<RwLock<HashMap<String, Arc<str>>>>);

impl Carriers {
    /// Takes the libraries of a configuration.
    pub(super) fn set(&self, plugins: &Plugins) {
        let known = plugins.agent_names().filter_map(|agent| {
            let (plugin, _) = plugins.agent(agent).ok()??;
            Some((agent.to_owned(), plugin.name().into()))
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known.collect();
    }

    /// The plugin that carries an agent.
    pub(super) fn of(&self, agent: &str) -> Option<Arc<str>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(agent).cloned()
    }
}
