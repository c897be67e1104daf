//! A library of the interface as it is.

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, export_agents};

/// Nothing to configure.
#[derive(Deserialize, JsonSchema)]
pub struct Config {}

/// Measures nothing.
pub struct Plain;

impl Agent for Plain {
    type Config = Config;
    const NAME: &'static str = "plain";
    const METRICS: &'static [Metric] = &[];

    fn new(_config: Config) -> Result<Self, AgentError> {
        Ok(Self)
    }

    fn target(_config: &Config) -> String {
        "nothing".into()
    }

    fn needs(_config: &Config) -> Needs {
        Needs::none()
    }

    async fn measure(&mut self, _cx: &Cx) -> Result<(), AgentError> {
        Ok(())
    }
}

export_agents!(Plain);
