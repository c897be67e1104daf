//! An agent that tries one way out: alone it needs nothing, with helpers it says what it needs.

use std::{io, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, PathBuf, Secret, Unit};

use crate::attempts::Attempt;

const OUT: Metric = Metric::gauge("out", Unit::Number, "1 when the way led out.");

/// What it tries, and what it says that it needs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The attempt.
    attempt: Attempt,
    /// How long it looks around first, milliseconds.
    #[serde(default)]
    takes_ms: u64,
    /// Ports that it says.
    #[serde(default)]
    ports: Vec<u16>,
    /// Sockets that it says.
    #[serde(default)]
    sockets: Vec<PathBuf>,
    /// Programs that it says.
    #[serde(default)]
    programs: Vec<PathBuf>,
    /// Files and folders that it says.
    #[serde(default)]
    files: Vec<PathBuf>,
    /// A secret of its own.
    #[serde(default)]
    #[expect(dead_code, reason = "others try to read where it comes from")]
    secret: Option<Secret>,
}

/// Looks for a way out, or for one to more than it said.
pub(crate) struct Escapee<const HELPED: bool>(Config);

impl<const HELPED: bool> Agent for Escapee<HELPED> {
    type Config = Config;
    const NAME: &'static str = if HELPED { "accomplice" } else { "fugitive" };
    const METRICS: &'static [Metric] = &[OUT];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(_config: &Config) -> String {
        "outside".into()
    }

    fn needs(config: &Config) -> Needs {
        let needs = config.programs.iter().fold(Needs::none(), |needs, program| needs.program(program));
        let needs = config.sockets.iter().fold(needs, |needs, socket| needs.socket(socket));
        let needs = config.files.iter().fold(needs, |needs, file| needs.read(file));
        config.ports.iter().fold(needs, |needs, &port| needs.tcp(port))
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        cx.sleep(Duration::from_millis(self.0.takes_ms)).await;
        self.0.attempt.make().map_err(|error: io::Error| AgentError::local(format!("{error}")))?;
        cx.record(OUT, 1);
        Ok(())
    }
}
