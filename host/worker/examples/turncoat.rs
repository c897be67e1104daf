//! An agent that is as good or as bad as three bytes of its library say: a test writes them into a copy, and has another version of it.
//!
//! It passes for the agent `tame`, so that one takes over from the other.

#![expect(unsafe_code, reason = "a library that takes its time to load has to say when it is loaded")]

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Unit, export_agents};

const RUNS: Metric = Metric::gauge("runs", Unit::Number, "Runs of this agent since it was made.");
/// A version that declares it under another name is made by writing another name here.
const EXTRA: Metric = Metric::gauge("extra_of_turncoat", Unit::Number, "Always 1.");

/// How long a version takes to load that is slow.
const SLOW: std::time::Duration = std::time::Duration::from_secs(3);

/// What a test finds in the file, and the word behind it: what this version does.
static MODE: [u8; 32] = *b"watchpost-turncoat-does:well....";

/// What the loader calls first.
#[used]
#[unsafe(link_section = ".init_array")]
static INITIALISER: extern "C" fn() = load;

extern "C" fn load() {
    if mode() == "slow" {
        std::thread::sleep(SLOW);
    }
}

/// What it takes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long a run takes, milliseconds.
    #[serde(default)]
    takes_ms: u64,
    /// A port that it says it needs.
    #[serde(default)]
    port: Option<u16>,
}

/// Does as its library says.
pub struct Turncoat {
    runs: u32,
    takes_ms: u64,
}

/// The word in the library, as it was loaded.
fn mode() -> String {
    let word = std::hint::black_box(&MODE)[24..].iter().map(|&byte| char::from(byte)).collect::<String>();
    word.trim_end_matches('.').to_owned()
}

impl Agent for Turncoat {
    type Config = Config;
    const NAME: &'static str = "tame";
    const METRICS: &'static [Metric] = &[RUNS, EXTRA];

    fn new(config: Config) -> Result<Self, AgentError> {
        match mode().as_str() {
            "refuses" => Err(AgentError::config("takes_ms", "this version takes nothing")),
            _ => Ok(Self { runs: 0, takes_ms: config.takes_ms }),
        }
    }

    fn target(_config: &Config) -> String {
        "itself".into()
    }

    fn needs(config: &Config) -> Needs {
        config.port.map_or_else(Needs::none, |port| Needs::none().tcp(port))
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        self.runs += 1;
        cx.sleep(std::time::Duration::from_millis(self.takes_ms)).await;
        cx.record(RUNS, self.runs);
        match mode().as_str() {
            "aborts" => std::process::abort(),
            "panics" => panic!("this version panics"),
            "limits" => return Err(AgentError::limit("this version has a bound")),
            "forgets" => {}
            _ => cx.record(EXTRA, 1),
        }
        Ok(())
    }
}

export_agents!(Turncoat);
