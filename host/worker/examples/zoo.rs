//! Agents that misbehave, each in one way: what a worker, its watchdog and its supervisor must survive.

#![expect(unsafe_code, reason = "an agent that breaks memory and closes descriptors has to ask for it")]

use std::{
    hint::black_box,
    path::PathBuf,
    process::{abort, exit},
    thread,
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, Level, Metric, Needs, Unit, export_agents};

const RUNS: Metric = Metric::gauge("runs", Unit::Number, "Runs of this agent since it was made.");
const UNDECLARED: Metric = Metric::gauge("undeclared", Unit::Number, "Recorded, and not in the list.");
/// Longer than any watchdog waits, shorter than for ever.
const BLOCKED: Duration = Duration::from_secs(8);
/// Lines of a flood.
const FLOOD_LINES: u32 = 20_000;

/// In which way an agent misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// Nothing wrong.
    Well,
    /// Waits half a second, as somebody measured would.
    Waits,
    /// Panics while it is made.
    PanicInNew,
    /// Aborts while it is made.
    AbortInNew,
    /// Blocks its thread while it is made.
    BlockInNew,
    /// Panics while it measures.
    Panic,
    /// Panics while its run is dropped at the deadline.
    PanicInDrop,
    /// Aborts.
    Abort,
    /// Ends its process as if all were well.
    Exit0,
    /// Ends its process.
    Exit1,
    /// Follows a bad pointer.
    Segfault,
    /// Calls itself for ever.
    Overflow,
    /// Sleeps on its thread.
    Block,
    /// Keeps its thread busy.
    Spin,
    /// Waits for what never comes.
    Pend,
    /// Records what is no number.
    Nan,
    /// Records a metric that it did not declare.
    Undeclared,
    /// Goes on from what its last run left.
    Cursor,
    /// Logs a line.
    Log,
    /// Logs far too much.
    Flood,
    /// Closes its worker's connection and lives on.
    Mute,
    /// Leaves a child that holds standard error, and dies.
    Orphan,
}

/// A beast.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it does.
    does: Does,
    /// It is well while this file is there.
    #[serde(default)]
    unless: Option<PathBuf>,
    /// A lost run of it may be repeated.
    #[serde(default = "yes")]
    repeatable: bool,
}

fn yes() -> bool {
    true
}

/// An agent of the zoo.
pub struct Beast {
    config: Config,
    runs: u32,
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("drop of a run");
    }
}

impl Agent for Beast {
    type Config = Config;
    const NAME: &'static str = "beast";
    const METRICS: &'static [Metric] = &[RUNS];

    fn new(config: Config) -> Result<Self, AgentError> {
        let well = config.well();
        match config.does {
            Does::PanicInNew if !well => panic!("new of an agent"),
            Does::AbortInNew if !well => abort(),
            Does::BlockInNew if !well => thread::sleep(BLOCKED),
            _ => {}
        }
        Ok(Self { config, runs: 0 })
    }

    fn target(config: &Config) -> String {
        format!("{:?}", config.does).to_lowercase()
    }

    fn needs(_config: &Config) -> Needs {
        Needs::none()
    }

    fn repeatable(config: &Config) -> bool {
        config.repeatable
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        self.runs += 1;
        cx.record(RUNS, self.runs);
        if self.config.well() { Ok(()) } else { misbehave(self.config.does, cx).await }
    }
}

impl Config {
    fn well(&self) -> bool {
        self.unless.as_ref().is_some_and(|path| path.exists())
    }
}

async fn misbehave(does: Does, cx: &Cx) -> Result<(), AgentError> {
    match does {
        Does::Well | Does::PanicInNew | Does::AbortInNew | Does::BlockInNew => {}
        Does::Waits => cx.sleep(Duration::from_millis(500)).await,
        Does::Panic => panic!("measure of a run"),
        Does::PanicInDrop => {
            let _panics = PanicsInDrop;
            std::future::pending::<()>().await;
        }
        Does::Abort => abort(),
        Does::Exit0 => exit(0),
        Does::Exit1 => exit(1),
        // SAFETY: none; this is what the worker is for.
        Does::Segfault => unsafe { black_box(std::ptr::null_mut::<u8>().wrapping_add(8)).write_volatile(1) },
        Does::Overflow => drop(black_box(deeper(1))),
        Does::Block => thread::sleep(BLOCKED),
        Does::Spin => spin(),
        Does::Pend => std::future::pending().await,
        Does::Nan => cx.record(RUNS, f64::NAN),
        Does::Undeclared => cx.record(UNDECLARED, 1),
        Does::Cursor => {
            let seen = cx.cursor().map_or(0, |cursor| cursor.len());
            cx.record(RUNS, seen as u32);
            cx.set_cursor(&vec![7; seen + 1])?;
        }
        Does::Log => cx.log(Level::Warn, "a line of the zoo"),
        Does::Flood => (0..FLOOD_LINES).for_each(|line| cx.log(Level::Info, &format!("flood {line}"))),
        Does::Mute => {
            // SAFETY: closes the connection under the worker's feet, as a stray descriptor number would.
            unsafe { libc::shutdown(0, libc::SHUT_RDWR) };
            thread::sleep(BLOCKED);
        }
        Does::Orphan => orphan(),
    }
    Ok(())
}

#[expect(unconditional_recursion, reason = "that is the fault")]
fn deeper(depth: u64) -> u64 {
    let room = black_box([depth; 512]);
    deeper(black_box(depth + 1)) + room[depth as usize % 512]
}

fn spin() {
    let began = std::time::Instant::now();
    while began.elapsed() < BLOCKED {
        black_box(0);
    }
}

fn orphan() -> ! {
    let child = std::process::Command::new("sleep").arg(BLOCKED.as_secs().to_string()).stdin(std::process::Stdio::null()).spawn();
    drop(child);
    abort();
}

export_agents!(Beast);
