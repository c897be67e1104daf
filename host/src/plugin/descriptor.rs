//! What a library says of itself is checked before anybody relies on it.

use watchpost_plugin_api::{AgentDescriptor, LibraryDescriptor, standard};

/// Finds what is wrong with a descriptor; `None` if nothing is.
pub(super) fn fault(library: &LibraryDescriptor) -> Option<String> {
    if library.agents.is_empty() {
        return Some("it carries no agent".into());
    }
    library.agents.iter().find_map(agent_fault)
}

fn agent_fault(agent: &AgentDescriptor) -> Option<String> {
    let word = agent.name.starts_with(|c: char| c.is_ascii_lowercase())
        && agent.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !word || agent.name == "host" {
        return Some(format!("`{}` is no agent name: it wants [a-z][a-z0-9]* and not `host`", agent.name));
    }
    for (at, metric) in agent.metrics.iter().enumerate() {
        if let Some(fault) = metric.fault() {
            return Some(format!("agent {}, metric `{}`: {fault}", agent.name, metric.name));
        }
        if agent.metrics[..at].iter().any(|earlier| earlier.name == metric.name) {
            return Some(format!("agent {} declares metric `{}` twice", agent.name, metric.name));
        }
        // Standard metrics share one family over all agents: they must mean the same everywhere.
        if let Some(standard) = standard::find(&metric.name).map(|standard| standard.spec())
            && (standard.kind, standard.unit, &standard.keys) != (metric.kind, metric.unit, &metric.keys)
        {
            return Some(format!("agent {}, metric `{}`: it is a standard metric and declared otherwise here", agent.name, metric.name));
        }
    }
    None
}
