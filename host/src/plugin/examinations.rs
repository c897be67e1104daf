//! Configurations that are being checked, or wait for a worker.

use std::collections::HashMap;

use tokio::sync::oneshot;
use watchpost_plugin_api::{AgentError, ErrorKind, wire::Examined};
use watchpost_worker::frames::ToWorker;

/// Takes what came of an examination.
pub(super) type Reply = oneshot::Sender<Result<Examined, AgentError>>;

/// A worker answers them before it runs anything: the second that dies of nobody's known doing with one died of it.
const DEATHS_MAX: u32 = 2;

/// The examinations of one plugin that are not answered yet, by number.
#[derive(Default)]
pub(super) struct Examinations(HashMap<u64, Examination>);

struct Examination {
    agent: String,
    config: String,
    reply: Reply,
    /// Whether the worker at hand has it.
    sent: bool,
    /// Workers that died with it, and nobody was to blame.
    deaths: u32,
}

impl Examinations {
    /// Takes a configuration that is to be checked.
    pub(super) fn add(&mut self, number: u64, agent: String, config: String, reply: Reply) {
        self.0.insert(number, Examination { agent, config, reply, sent: false, deaths: 0 });
    }

    /// Whether none waits for an answer.
    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The question that gives one to the worker; it is with it from then on.
    pub(super) fn question(&mut self, number: u64) -> Option<ToWorker> {
        let Examination { agent, config, sent, .. } = self.0.get_mut(&number)?;
        *sent = true;
        Some(ToWorker::Examine { id: number, agent: agent.clone(), config: config.clone() })
    }

    /// Every question: a new worker knows of none.
    pub(super) fn questions(&mut self) -> Vec<ToWorker> {
        let numbers: Vec<u64> = self.0.keys().copied().collect();
        numbers.into_iter().filter_map(|number| self.question(number)).collect()
    }

    /// Whether the worker has one.
    pub(super) fn are_under_way(&self) -> bool {
        self.0.values().any(|examination| examination.sent)
    }

    /// A worker died that had those that were sent, and nobody is known to be to blame: one that was there at two such deaths fails.
    pub(super) fn survived_death(&mut self, how: &str) {
        for (_, examination) in self.0.extract_if(|_, examination| {
            examination.deaths += u32::from(std::mem::take(&mut examination.sent));
            examination.deaths == DEATHS_MAX
        }) {
            let why = format!("the worker {how} twice while this configuration was checked");
            let _nobody_waits = examination.reply.send(Err(AgentError::new(ErrorKind::CRASH, why)));
        }
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
