//! A well-behaved agent beside the zoo: it says at once how often it ran.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Unit, export_agents};

const RUNS: Metric = Metric::gauge("runs", Unit::Number, "Runs of this agent since it was made.");

/// It needs nothing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Counts its own runs.
pub struct Tame(u32);

impl Agent for Tame {
    type Config = Config;
    const NAME: &'static str = "tame";
    const METRICS: &'static [Metric] = &[RUNS];

    fn new(_config: Config) -> Result<Self, AgentError> {
        Ok(Self(0))
    }

    fn target(_config: &Config) -> String {
        "itself".into()
    }

    fn needs(_config: &Config) -> Needs {
        Needs::none()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        self.0 += 1;
        cx.record(RUNS, self.0);
        Ok(())
    }
}

export_agents!(Tame);
