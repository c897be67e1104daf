//! Runs programs in any language, and takes what they tell as measurements.
//!
//! Target: what the job says, or the program's name. Reading order: [`Config`] (what a job says) · [`Exec`] (the order of a run) · `once` (a
//! program that is started for each run) · `stream` (one that runs on) · `running`, `half` (what comes from it, line by line) · `format`
//! with a file for each form (what a line tells) · `hearing`, `book` (what is made of it) · `naming`, `unit` (names and units that the
//! store takes) · `interpreter` (whom a script is read by).
//!
//! No shell is between: a program is started by its path with its arguments as they are, in a process group of its own, with an
//! environment of its own. At the deadline all of the group is killed; so is a long-lived program's when its job ends.
//!
//! # In the form of Nagios
//!
//! `state` is the exit code, 0 to 3, and anything else is 3. Performance data become metrics by their labels, in seconds, bytes and ratios;
//! `c` is a running total; `U` is unknown; what is no whole decimal number, maybe with a unit that somebody knows, is refused. Bounds are not stored unless asked for (`bounds`): they are judgements, and those are the
//! business of rules; what came of them is the state. A state that is not 0 is an event when it begins.
//!
//! | the program ends | the run | `up` |
//! |---|---|---|
//! | with 0 or 1 (a warning: the target was reached) | ok | 1 |
//! | with 2 (critical: the target does not do what it should) | `protocol` | 0 |
//! | with 2, and says that it was denied a connection, or anything where `ports` names none (`Permission denied`) | `local` | unknown |
//! | with 3 (unknown), any other way, or does not start | `local` | unknown |
//! | not before the deadline | `timeout` | 0 |
//!
//! # In lines
//!
//! Each line stands for itself: one that is not understood is counted (`lines_refused`) and told as an event, with an example; a run of which
//! nothing is understood fails (`local`). A name `[a-z][a-z0-9_]*` stays as it is; of any other one is made, with a mark of how the program
//! spells it (`Oldest Age` is `oldest_age_3294`), unless `rename` gives one. So a name never depends on what else is told. A name that means
//! the same in every agent (`queue_size`, `messages_sent`, …) does so here. A metric has all label keys that it was ever told with, and where one is not
//! told its value is empty. The last value of a series in a run counts; one whose own time is more than five minutes ago, or ahead, does
//! not. How long the program ran is measured here (`total_time`), and not taken from it.
//!
//! - "json-lines" is a form of our own, and the one that says most:
//!   `{"metric": "queue_age", "value": 3.5, "unit": "seconds", "kind": "gauge", "labels": {"queue": "in"}, "help": "Oldest wait."}`, of
//!   which `metric` and `value` are enough. `kind` is "gauge" or "counter"; `unit` "seconds", "bytes", "ratio", "messages", "connections",
//!   "queries", "errors", "answers", "days", "number", or one that is turned into these ("ms", "us", "min", "%", "KB", "MiB", …); `value` a
//!   number, true, false, or null for unknown; `time` seconds since 1970. Events: `{"event": "held", "severity": "major", "text": "…"}`.
//!   Failures: `{"error": "connect", "text": "…"}`, with a kind that blames the target ("resolve", "connect", "tls", "auth", "protocol",
//!   "timeout": `up` is 0) or ourselves ("local", "limit": unknown). `{"end": true}` says that all of this time is told.
//! - "influx": fields that are numbers or truths, named by measurement and field, labelled by tags; `counters` says which of them count.
//! - "putval": `PUTVAL` and `PUTNOTIF`; the program finds COLLECTD_HOSTNAME and COLLECTD_INTERVAL in its environment.
//! - "prometheus": types by `# TYPE`, units by the ending of a name.
//!
//! A program that ends otherwise than with 0 fails its run (`local`); what it told is kept.
//!
//! # Long-lived
//!
//! A run takes what has come since the one before; if nothing has, it waits for it until shortly before the deadline, and fails then
//! (`local`). What comes at a time is over when the program pauses for 0.2 s, or, if it ever says so, with `{"end": true}` or `# EOF`. Between
//! runs nobody reads: a pipe holds 64 KiB, and a program that writes more waits. More than `bytes_max` in one run is `limit`. A program
//! that ends is an event with the last line of its standard error, and is started again: at once, then after 1 s, 2 s, 4 s, … 5 min
//! (`program_starts` counts). It ends with its worker; it is killed, with all of its group.

mod book;
mod config;
mod format;
mod half;
mod hearing;
mod interpreter;
mod naming;
mod once;
mod point;
mod running;
mod stream;
mod unit;

use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Unit, export_agents, standard};

pub use config::{Argv, Config, Format};
use hearing::Hearing;
use once::Checks;
use stream::LongLived;

/// The exit code of a program in the form of Nagios.
pub const STATE: Metric = Metric::gauge("state", Unit::Number, "What the program found: 0 ok, 1 warning, 2 critical, 3 unknown.");
/// Lines that were understood.
pub const LINES_TAKEN: Metric = Metric::counter("lines_taken", Unit::Number, "Lines, or performance data, that were understood.");
/// Lines that were not.
pub const LINES_REFUSED: Metric = Metric::counter("lines_refused", Unit::Errors, "Lines, or performance data, that were not understood.");
/// How often a long-lived program was started.
pub const PROGRAM_STARTS: Metric = Metric::counter("program_starts", Unit::Number, "How often the long-lived program was started.");

/// Where the name of this machine stands.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// What it is if nobody knows.
const NO_HOSTNAME: &str = "localhost";

/// The agent `exec`, made for one job.
pub struct Exec {
    config: Config,
    /// Known once it was looked for.
    heard: Option<Heard>,
}

/// What is kept from run to run.
struct Heard {
    hearing: Hearing,
    checks: Checks,
    program: watchpost_plugin_api::Program,
    long_lived: LongLived,
}

impl Agent for Exec {
    type Config = Config;
    const NAME: &'static str = "exec";
    const METRICS: &'static [Metric] = &[standard::TOTAL_TIME, STATE, LINES_TAKEN, LINES_REFUSED, PROGRAM_STARTS];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        Ok(Self { config, heard: None })
    }

    fn target(config: &Config) -> String {
        config.target()
    }

    fn needs(config: &Config) -> Needs {
        config.needs()
    }

    fn repeatable(config: &Config) -> bool {
        config.repeatable
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let config = &self.config;
        let bytes_max = config.bytes_max.get() as usize;
        if self.heard.is_none() {
            let host = host(cx, config).await;
            let program = config.program(&host);
            self.heard = Some(Heard {
                hearing: Hearing::new(config, &host),
                checks: Checks::of(config.bounds, &config.ports),
                long_lived: LongLived::new(program.clone(), config.ask, bytes_max),
                program,
            });
        }
        let Some(Heard { hearing, checks, program, long_lived }) = &mut self.heard else { return Ok(()) };
        match (config.format, config.long_lived) {
            (Format::Nagios, _) => checks.run(cx, program, bytes_max, hearing).await,
            (_, true) => long_lived.run(cx, hearing).await,
            (_, false) => once::lines(cx, program, bytes_max, hearing).await,
        }
    }
}

/// The name of this machine, for those that are told it.
async fn host(cx: &Cx, config: &Config) -> String {
    if config.format != Format::Putval {
        return String::new();
    }
    let name = cx.read(HOSTNAME, 256).await.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| NO_HOSTNAME.into())
}

export_agents!(Exec);
