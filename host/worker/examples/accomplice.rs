//! A library that means harm and says that it needs something: a port, a socket, programs. It looks for a way to more.

#![expect(unsafe_code, reason = "an agent that looks for a way out has to ask for it")]

#[path = "escape/agent.rs"]
mod agent;
#[path = "escape/attempts.rs"]
mod attempts;

watchpost_plugin_api::export_agents!(agent::Escapee<true>);
