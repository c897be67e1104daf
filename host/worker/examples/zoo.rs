//! Agents that misbehave, each in one way: what a worker, its watchdog and its supervisor must survive.

#![expect(unsafe_code, reason = "an agent that breaks memory and closes descriptors has to ask for it")]

use std::{
    hint::black_box,
    net::SocketAddr,
    path::PathBuf,
    process::{abort, exit},
    thread,
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{Agent, AgentError, Cx, Level, Metric, MetricSpec, Needs, Secret, Unit, export_agents, prelude::AsyncWriteExt};

const RUNS: Metric = Metric::gauge("runs", Unit::Number, "Runs of this agent since it was made.");
const KINDS: Metric = Metric::gauge("kinds", Unit::Number, "One of very many.").by(&["kind"]);
const UNDECLARED: Metric = Metric::gauge("undeclared", Unit::Number, "Recorded, and not in the list.");
/// Longer than any watchdog waits, shorter than for ever.
const BLOCKED: Duration = Duration::from_secs(8);
/// How long a thread that was left behind is quiet.
const LEFT_BEHIND: Duration = Duration::from_millis(50);
/// How long somebody holds the thread who may; a few of these, side by side, last longer than the quiet of a thread that was left behind.
const HELD: Duration = Duration::from_millis(20);
/// Where the program is that is orphaned.
const SLEEP: [&str; 2] = ["/bin/sleep", "/usr/bin/sleep"];
/// Lines of a flood.
const FLOOD_LINES: u32 = 20_000;
/// Metrics, or label sets, of one run.
const VERY_MANY: u32 = 10_000;
/// Bytes of a line that is too long.
const LONG_LINE_BYTES: usize = 1 << 20;
/// Bytes that are asked for at a time by one who cannot have enough.
const PIECE_BYTES: usize = 16 << 20;

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
    /// Goes on from what its last run left, after half a second.
    CursorSlowly,
    /// Sleeps on its thread after waiting for a second, as one who has others run before.
    BlockLater,
    /// Aborts after waiting for a second.
    AbortLater,
    /// Aborts while it is dropped.
    AbortInDrop,
    /// Sends itself what ends a process, as somebody at a terminal would.
    Sigterm,
    /// Says to its host what nobody understands.
    Garble,
    /// Dies with the secret of its job on its lips.
    Betray,
    /// Cannot be made, and says its secret as the reason.
    BetrayInNew,
    /// Is well and fails in turn.
    Flap,
    /// Fails with what a hostile server said.
    Hostile,
    /// Logs the same line at each run.
    Nag,
    /// Closes its worker's connection and lives on.
    Mute,
    /// Leaves a child that holds standard error, and dies.
    Orphan,
    /// Says its secret to somebody, and what it was told to say to standard error, and dies.
    TalkAndDie,
    /// Holds up whoever cancels its run.
    IgnoreCancel,
    /// Takes memory without end.
    Hoard,
    /// Opens files and never closes one.
    Leak,
    /// Declares very many metrics.
    ManyMetrics,
    /// Records very many label sets.
    ManyLabels,
    /// Records what is larger than any number.
    Infinity,
    /// Logs lines that are far too long.
    LongLines,
    /// Says the beginning of a frame to its host.
    HalfFrame,
    /// Leaves a thread that aborts when its run is long over.
    AbortBehind,
    /// Leaves a thread that follows a bad pointer.
    SegfaultBehind,
    /// Leaves a thread that calls itself for ever.
    OverflowBehind,
    /// Leaves a thread that ends its process.
    ExitBehind,
    /// Holds its thread for a while, as one does who has much to compute.
    Holds,
    /// Closes every descriptor of its process.
    CloseAll,
    /// Stops its process, as a debugger would.
    StopItself,
    /// Ends its process, as somebody at a terminal would, while it is made.
    SigtermInNew,
    /// Says the beginning of a long frame to its host, and waits.
    HalfFrameAndPend,
    /// Cuts short, and makes longer, all memory that has a descriptor.
    CutShort,
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
    /// What it must not tell.
    #[serde(default)]
    secret: Option<Secret>,
    /// To whom it says its secret, a port of this machine.
    #[serde(default)]
    port: u16,
    /// What it says on standard error before it dies.
    #[serde(default)]
    words: String,
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

struct HoldsUp;

impl Drop for HoldsUp {
    fn drop(&mut self) {
        thread::sleep(BLOCKED);
    }
}

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("drop of a run");
    }
}

impl Agent for Beast {
    type Config = Config;
    const NAME: &'static str = "beast";
    const METRICS: &'static [Metric] = &[RUNS, KINDS];

    fn new(config: Config) -> Result<Self, AgentError> {
        let well = config.well();
        match config.does {
            Does::PanicInNew if !well => panic!("new of an agent"),
            Does::AbortInNew if !well => abort(),
            Does::BlockInNew if !well => thread::sleep(BLOCKED),
            Does::SigtermInNew if !well => raise(libc::SIGTERM),
            Does::BetrayInNew if !well => {
                let secret = config.secret.as_ref().map(Secret::expose).unwrap_or_default();
                return Err(AgentError::config("secret", format!("cannot use {secret}")));
            }
            _ => {}
        }
        Ok(Self { config, runs: 0 })
    }

    fn target(config: &Config) -> String {
        format!("{:?}", config.does).to_lowercase()
    }

    fn needs(config: &Config) -> Needs {
        match config.does {
            Does::Orphan => SLEEP.iter().fold(Needs::none(), Needs::program),
            Does::TalkAndDie => Needs::none().tcp(config.port),
            _ => Needs::none(),
        }
    }

    fn repeatable(config: &Config) -> bool {
        config.repeatable
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        self.runs += 1;
        cx.record(RUNS, self.runs);
        match self.config.does {
            _ if self.config.well() => Ok(()),
            Does::Flap if self.runs.is_multiple_of(2) => Ok(()),
            Does::Flap => Err(AgentError::protocol("421 come back later")),
            Does::Betray => self.betray(),
            Does::TalkAndDie => self.talk_and_die(cx).await,
            does => misbehave(does, cx).await,
        }
    }
}

impl Beast {
    async fn talk_and_die(&self, cx: &Cx) -> Result<(), AgentError> {
        let secret = self.config.secret.as_ref().map(Secret::expose).unwrap_or_default();
        let mut stream = cx.connect(SocketAddr::from(([127, 0, 0, 1], self.config.port))).await?;
        stream.write_all(format!("LOGIN {secret}\r\n").as_bytes()).await?;
        stream.flush().await?;
        eprintln!("{}", self.config.words);
        abort();
    }

    fn betray(&self) -> ! {
        eprintln!("cannot go on with {:?}", self.config.secret.as_ref().map(Secret::expose));
        abort();
    }
}

impl Drop for Beast {
    fn drop(&mut self) {
        if self.config.does == Does::AbortInDrop && !self.config.well() {
            abort();
        }
    }
}

impl Config {
    fn well(&self) -> bool {
        self.unless.as_ref().is_some_and(|path| path.exists())
    }
}

async fn misbehave(does: Does, cx: &Cx) -> Result<(), AgentError> {
    match does {
        Does::Well
        | Does::PanicInNew
        | Does::AbortInNew
        | Does::BlockInNew
        | Does::SigtermInNew
        | Does::AbortInDrop
        | Does::Betray
        | Does::TalkAndDie
        | Does::BetrayInNew
        | Does::Flap => {}
        Does::Waits => cx.sleep(Duration::from_millis(500)).await,
        Does::Panic => panic!("measure of a run"),
        Does::PanicInDrop => {
            let _panics = PanicsInDrop;
            std::future::pending::<()>().await;
        }
        Does::Abort => abort(),
        Does::Exit0 => exit(0),
        Does::Exit1 => exit(1),
        Does::Segfault => segfault(),
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
        Does::CursorSlowly => {
            let seen = cx.cursor().map_or(0, |cursor| cursor.len());
            cx.sleep(Duration::from_millis(500)).await;
            cx.record(RUNS, seen as u32);
            cx.set_cursor(&vec![7; seen + 1])?;
        }
        Does::BlockLater => {
            cx.sleep(Duration::from_secs(1)).await;
            thread::sleep(BLOCKED);
        }
        Does::AbortLater => {
            cx.sleep(Duration::from_secs(1)).await;
            abort();
        }
        Does::Sigterm => raise(libc::SIGTERM),
        Does::StopItself => raise(libc::SIGSTOP),
        Does::AbortBehind => leave_behind(|| abort()),
        Does::SegfaultBehind => leave_behind(segfault),
        Does::OverflowBehind => leave_behind(|| _ = black_box(deeper(1))),
        Does::ExitBehind => leave_behind(|| exit(3)),
        Does::Holds => thread::sleep(HELD),
        Does::CloseAll => close_all(),
        Does::Garble => tell(&[0xff; 64]),
        Does::Hostile => {
            return Err(AgentError::protocol("421 bye\r\n2026-01-01T00:00:00.000Z ERROR all is lost \u{1b}]0;x\u{7}\u{9b}2J\u{202e}"));
        }
        Does::Nag => cx.log(Level::Warn, "the password is in the clear"),
        Does::Log => cx.log(Level::Warn, "a line of the zoo"),
        Does::Flood => (0..FLOOD_LINES).for_each(|line| cx.log(Level::Info, &format!("flood {line}"))),
        Does::Mute => {
            // SAFETY: closes the connection under the worker's feet, as a stray descriptor number would.
            unsafe { libc::shutdown(0, libc::SHUT_RDWR) };
            thread::sleep(BLOCKED);
        }
        Does::Orphan => orphan(),
        Does::IgnoreCancel => {
            let _holds_up = HoldsUp;
            std::future::pending::<()>().await;
        }
        Does::Hoard => hoard(),
        Does::Leak => return leak(),
        Does::ManyMetrics => return many_metrics(cx),
        Does::ManyLabels => (0..VERY_MANY).for_each(|kind| cx.record_with(KINDS, &[("kind", &kind.to_string())], 1)),
        Does::Infinity => cx.record(RUNS, f64::INFINITY),
        Does::LongLines => (0..3).for_each(|line| cx.log(Level::Warn, &line.to_string().repeat(LONG_LINE_BYTES))),
        Does::CutShort => return cut_short(),
        Does::HalfFrame => tell(&[20, 0, 0, 0, 0xff, 0xff, 0xff]),
        Does::HalfFrameAndPend => {
            tell(&[0, 0, 16, 0]);
            std::future::pending().await
        }
    }
    Ok(())
}

fn raise(signal: i32) {
    // SAFETY: a plain kill(2) of this very process.
    unsafe { libc::kill(libc::getpid(), signal) };
}

fn segfault() {
    // SAFETY: none; this is what the worker is for.
    unsafe { black_box(std::ptr::null_mut::<u8>().wrapping_add(8)).write_volatile(1) };
}

fn leave_behind(ends: fn()) {
    thread::spawn(move || {
        thread::sleep(LEFT_BEHIND);
        ends();
    });
}

fn close_all() {
    for fd in 0..1024 {
        // SAFETY: none; what the worker has open is closed under its feet.
        unsafe { libc::close(fd) };
    }
}

/// Says something to the host.
fn tell(what: &[u8]) {
    // SAFETY: writes to the connection of the worker, as a stray descriptor number would.
    unsafe { libc::write(0, what.as_ptr().cast(), what.len()) };
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

fn hoard() {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    let began = std::time::Instant::now();
    // Room that is hardly touched: where nothing bounds it, the machine must not suffer, and it ends.
    while began.elapsed() < BLOCKED && hoard.len() < 10_000 {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        piece.push(7);
        hoard.push(black_box(piece));
    }
}

fn leak() -> Result<(), AgentError> {
    loop {
        let file = std::fs::File::open("/dev/null").map_err(|error| AgentError::local(format!("cannot open one more file: {error}")))?;
        std::mem::forget(file);
    }
}

fn cut_short() -> Result<(), AgentError> {
    for fd in 3..1024 {
        // SAFETY: none; what the worker shares with its host is pulled away under both.
        let cut = unsafe { libc::fcntl(fd, libc::F_GET_SEALS) >= 0 && (libc::ftruncate(fd, 0) == 0 || libc::ftruncate(fd, 1 << 30) == 0) };
        if cut {
            return Err(AgentError::local(format!("descriptor {fd} could be cut short")));
        }
    }
    Ok(())
}

fn many_metrics(cx: &Cx) -> Result<(), AgentError> {
    for number in 0..VERY_MANY {
        cx.declare(MetricSpec { name: format!("metric_{number}"), ..RUNS.spec() })?;
    }
    Ok(())
}

fn orphan() -> ! {
    let child = std::process::Command::new("sleep").arg(BLOCKED.as_secs().to_string()).stdin(std::process::Stdio::null()).spawn();
    drop(child);
    abort();
}

export_agents!(Beast);
