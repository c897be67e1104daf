//! One agent, made and run as a worker makes and runs it: the same fences, the same services, no library between.

use std::{
    marker::PhantomData,
    sync::{Arc, Mutex, Once, PoisonError},
    time::Duration,
};

use watchpost_plugin_api::{__private as plugin, Agent, AgentError, Level, Metric, abi::RawAgentBox, wire::Examined};
use watchpost_services::{JobServices, LogSink, Request, Shared, network};

use crate::{TestNetwork, ran::Ran, secrets};

/// How long a run may take unless a test says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

type Logged = Arc<Mutex<Vec<(Level, String)>>>;

/// An agent of one job, ready to run.
pub struct Kit<A> {
    agent: RawAgentBox,
    services: Arc<JobServices>,
    logged: Logged,
    timeout: Duration,
    cursor: Option<Vec<u8>>,
    explain: bool,
    network: Option<TestNetwork>,
    of: PhantomData<A>,
}

impl<A: Agent> Kit<A> {
    /// Makes the agent from a job's `config`, as JSON. Strings where the schema marks a secret are masked in whatever is shown.
    ///
    /// Errors: those of the agent; kind `config` with its path for a configuration it does not take, `panic` if making it panics.
    pub fn new(config: &serde_json::Value) -> Result<Self, AgentError> {
        keep_the_tests_panic_hook();
        let text = config.to_string();
        let agent = plugin::entry(|| plugin::create::<A>(&text)).into_result().map_err(AgentError::from)?;
        let logged = Logged::default();
        let secrets = secrets::of(&plugin::describe::<A>().schema, config);
        let metrics = A::METRICS.iter().map(Metric::spec).collect();
        let services = Arc::new(JobServices::new(&Shared::default(), metrics, &secrets, sink(&logged), None));
        Ok(Self { agent, services, logged, timeout: TIMEOUT, cursor: None, explain: false, network: None, of: PhantomData })
    }

    /// Checks a configuration without keeping an agent, as `check` does.
    pub fn examine(config: &serde_json::Value) -> Result<Examined, AgentError> {
        keep_the_tests_panic_hook();
        let text = config.to_string();
        let examined = plugin::entry(|| plugin::examine::<A>(&text)).into_result().map_err(AgentError::from)?;
        serde_json::from_str(&examined).map_err(|error| AgentError::local(error.to_string()))
    }

    /// Sets how long each run may take; 10 s otherwise.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets what the run before is said to have left.
    pub fn cursor(mut self, cursor: impl Into<Vec<u8>>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }

    /// Has it run in that network instead of the machine's: under a paused clock a deadline of an hour passes in no time.
    pub fn network(mut self, network: &TestNetwork) -> Self {
        self.network = Some(network.clone());
        self
    }

    /// Keeps the dialogue of each run.
    pub fn explain(mut self) -> Self {
        self.explain = true;
        self
    }

    /// Runs the agent once; what it leaves is given to the next run, if this one ended well.
    pub async fn run(&mut self) -> Ran {
        let request = Request { timeout: self.timeout, cursor: self.cursor.clone(), explain: self.explain, cancelled: None };
        let run = self.services.run(&mut self.agent, request);
        let (outcome, dialogue) = match &self.network {
            Some(network) => network::within(network.shared(), run).await,
            None => run.await,
        };
        if let Some(left) = &outcome.cursor {
            self.cursor = Some(left.clone());
        }
        let logged = std::mem::take(&mut *self.logged.lock().unwrap_or_else(PoisonError::into_inner));
        Ran { outcome, dialogue, logged }
    }
}

fn sink(logged: &Logged) -> LogSink {
    let logged = logged.clone();
    Arc::new(move |level, text: &str| logged.lock().unwrap_or_else(PoisonError::into_inner).push((level, text.to_owned())))
}

/// A library notes panics with a hook of its own. Here library and test are one program, and a test that fails has to say why:
/// both hooks are called.
fn keep_the_tests_panic_hook() {
    static BOTH: Once = Once::new();
    BOTH.call_once(|| {
        let tests = std::panic::take_hook();
        // Sets the library's hook, once and for all.
        let _fenced = plugin::entry(|| Ok(()));
        let librarys = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            librarys(info);
            tests(info);
        }));
    });
}
