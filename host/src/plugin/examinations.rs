//! Configurations that are being checked, or wait for a worker.

use std::collections::HashMap;

use tokio::sync::oneshot;
use watchpost_plugin_api::{AgentError, wire::Examined};
use watchpost_worker::frames::ToWorker;

/// Takes what came of an examination.
pub(super) type Reply = oneshot::Sender<Result<Examined, AgentError>>;

/// The examinations of one plugin that are not answered yet, by number.
#[derive(Default)]
pub(super) struct Examinations(HashMap<u64, Examination>);

struct Examination {
    agent: String,
    config: String,
    reply: Reply,
}

impl Examinations {
    /// Takes a configuration that is to be checked.
    pub(super) fn add(&mut self, number: u64, agent: String, config: String, reply: Reply) {
        self.0.insert(number, Examination { agent, config, reply });
    }

    /// Whether none waits for an answer.
    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The question that gives one to the worker.
    pub(super) fn question(&self, number: u64) -> Option<ToWorker> {
        let Examination { agent, config, .. } = self.0.get(&number)?;
        Some(ToWorker::Examine { id: number, agent: agent.clone(), config: config.clone() })
    }

    /// Every question: a new worker knows of none.
    pub(super) fn questions(&self) -> Vec<ToWorker> {
        self.0.keys().filter_map(|&number| self.question(number)).collect()
    }

    /// The agent whose configuration has this number.
    pub(super) fn agent(&self, number: u64) -> Option<&str> {
        self.0.get(&number).map(|examination| examination.agent.as_str())
    }

    /// Answers one.
    pub(super) fn end(&mut self, number: u64, result: Result<Examined, AgentError>) {
        if let Some(examination) = self.0.remove(&number) {
            let _nobody_waits = examination.reply.send(result);
        }
    }

    /// Drops those for whose answer nobody waits any more.
    pub(super) fn drop_unwanted(&mut self) {
        self.0.retain(|_, examination| !examination.reply.is_closed());
    }
}
