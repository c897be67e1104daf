//! Agents that do not keep to what the host expects, each in one way that kills nobody: what `test-agent` must see.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, File, Metric, Needs, Unit, export_agents};

const SEEN: Metric = Metric::gauge("seen", Unit::Number, "What was counted.");
const UNDECLARED: Metric = Metric::gauge("undeclared", Unit::Number, "Recorded, and not in the list.");
/// Bytes that are kept of each run.
const KEPT_BYTES: usize = 128 * 1024;

/// In which way.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lapse {
    /// In none.
    None,
    /// Records what it has not declared.
    Undeclared,
    /// Keeps memory.
    Memory,
    /// Keeps files open.
    Files,
    /// Takes a target that is not there for one that has nothing.
    Zero,
    /// Ends its process.
    Abort,
    /// Is another after its run was cut off.
    Cut,
    /// Takes its time, which is none.
    Slow,
}

/// A job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In which way it lapses.
    lapse: Lapse,
    /// What it does not reach, unless it is "here".
    host: String,
    /// Port of `host`.
    #[serde(rename = "port")]
    _port: Option<u16>,
}

/// The agent `lapse`.
pub struct Lapses {
    config: Config,
    memory: Vec<Vec<u8>>,
    files: Vec<File>,
    under_way: bool,
}

impl Agent for Lapses {
    type Config = Config;
    const NAME: &'static str = "lapse";
    const METRICS: &'static [Metric] = &[SEEN];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self { config, memory: Vec::new(), files: Vec::new(), under_way: false })
    }

    fn target(config: &Config) -> String {
        config.host.clone()
    }

    fn needs(_: &Config) -> Needs {
        Needs::none().read("/dev/null")
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        if std::mem::replace(&mut self.under_way, self.config.lapse == Lapse::Cut) {
            return Err(AgentError::protocol("the run before has not ended"));
        }
        cx.sleep(std::time::Duration::from_millis(5)).await;
        self.under_way = false;
        match self.config.lapse {
            Lapse::Undeclared => cx.record(UNDECLARED, 1),
            Lapse::Memory => self.memory.push(vec![1; KEPT_BYTES]),
            Lapse::Files => self.files.push(cx.open("/proc/self/status").await?),
            Lapse::Abort => std::process::abort(),
            Lapse::Slow => cx.sleep(std::time::Duration::from_millis(100)).await,
            Lapse::None | Lapse::Zero | Lapse::Cut => {}
        }
        match self.config.host.as_str() {
            "here" => cx.record(SEEN, 1),
            _ if self.config.lapse == Lapse::Zero => cx.record(SEEN, 0),
            host => return Err(AgentError::connect(format!("cannot reach {host}"))),
        }
        Ok(())
    }
}

/// A job that takes whatever it is told.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Anything {}

/// The agent `lax`.
pub struct Lax;

impl Agent for Lax {
    type Config = Anything;
    const NAME: &'static str = "lax";
    const METRICS: &'static [Metric] = &[];

    fn new(_: Anything) -> Result<Self, AgentError> {
        Ok(Self)
    }

    fn target(_: &Anything) -> String {
        "nothing".into()
    }

    fn needs(_: &Anything) -> Needs {
        Needs::none()
    }

    async fn measure(&mut self, _: &Cx) -> Result<(), AgentError> {
        Ok(())
    }
}

export_agents!(Lapses, Lax);
