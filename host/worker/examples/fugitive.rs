//! A library that means harm: it needs nothing, says so, and looks for a way out.

#![expect(unsafe_code, reason = "an agent that looks for a way out has to ask for it")]

#[path = "escape/agent.rs"]
mod agent;
#[path = "escape/attempts.rs"]
mod attempts;

watchpost_plugin_api::export_agents!(agent::Escapee<false>);
