//! A library that means harm: it needs nothing, says so, and looks for a way out.

#![expect(unsafe_code, reason = "an agent that looks for a way out has to ask for it")]

#[path = "escape/attempts.rs"]
mod attempts;

use std::io;

use attempts::Attempt;
use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Unit, export_agents};

const OUT: Metric = Metric::gauge("out", Unit::Number, "1 when the way led out.");

/// What it tries.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The attempt.
    attempt: Attempt,
}

/// Looks for a way out.
pub struct Fugitive(Config);

impl Agent for Fugitive {
    type Config = Config;
    const NAME: &'static str = "fugitive";
    const METRICS: &'static [Metric] = &[OUT];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(_config: &Config) -> String {
        "outside".into()
    }

    fn needs(_config: &Config) -> Needs {
        Needs::none()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        self.0.attempt.make().map_err(|error: io::Error| AgentError::local(format!("{error}")))?;
        cx.record(OUT, 1);
        Ok(())
    }
}

export_agents!(Fugitive);
