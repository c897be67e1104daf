//! One plugin: a library, its worker, and the jobs open in it.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use watchpost_plugin_api::{AgentError, ErrorKind, LibraryDescriptor, wire::Examined};
use watchpost_services::{dialogue::Said, outcome::Outcome};

use super::{
    Report,
    life::{Command, Life},
    live::Live,
    report::WorkerState,
};

/// How long a library may take to check one configuration.
const EXAMINE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a worker may take to end when it is asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A job as its plugin knows it.
#[derive(Clone)]
pub struct JobOpen {
    /// Its number, unique in the daemon's life.
    pub number: u64,
    /// Its name, for messages.
    pub name: String,
    /// Its agent's name.
    pub agent: String,
    /// Its configuration, JSON, secrets in it.
    pub config: String,
    /// The secrets alone.
    pub secrets: Vec<String>,
    /// Whether a run lost to another job's crash may be repeated.
    pub repeatable: bool,
    /// Time between its runs: the measure of how long it is held back after crashes.
    pub interval: Duration,
}

/// What a run is asked with.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The job's number.
    pub job: u64,
    /// How long it may take.
    pub timeout: Duration,
    /// What the last run left.
    pub cursor: Option<Vec<u8>>,
    /// Whether the dialogue is wanted.
    pub explain: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct RunEnd {
    /// What it gave.
    pub outcome: Outcome,
    /// What was said, if it was wanted.
    pub dialogue: Vec<Said>,
}

impl RunEnd {
    /// A run that never came to measure.
    pub(super) fn failed(kind: ErrorKind, message: impl Into<String>) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let started_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        Self { outcome: Outcome::failed(kind, message, started_ns), dialogue: Vec::new() }
    }
}

/// A library of agents with a worker of its own.
pub struct Plugin {
    path: PathBuf,
    /// What its file was before it was loaded.
    stamp: Option<Stamp>,
    descriptor: LibraryDescriptor,
    commands: mpsc::UnboundedSender<Command>,
    report: Arc<Mutex<Report>>,
    ending: Arc<AtomicBool>,
}

impl Plugin {
    /// Loads a library into a new worker.
    ///
    /// Errors: why it is refused, for people.
    pub async fn start(path: &Path) -> Result<Self, String> {
        let stamp = Stamp::of(path);
        let (live, descriptor) = Live::start(path).await?;
        // Unbounded: what waits here are runs that the scheduler has bounded, one per job.
        let (commands, queue) = mpsc::unbounded_channel();
        let report = Report {
            path: path.to_owned(),
            state: WorkerState::Ready,
            pid: Some(live.process.pid),
            jobs: 0,
            restarts: 0,
            crashes: 0,
            last_crash: None,
            refusal: None,
        };
        let report = Arc::new(Mutex::new(report));
        let ending = Arc::new(AtomicBool::new(false));
        tokio::spawn(Life::new(path.to_owned(), descriptor.clone(), live, report.clone(), ending.clone()).lead(queue));
        Ok(Self { path: path.to_owned(), stamp, descriptor, commands, report, ending })
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is another by now than the one that was loaded. Not known once the worker was started again.
    pub fn is_outdated(&self) -> bool {
        self.report().restarts == 0 && Stamp::of(&self.path) != self.stamp
    }

    /// The library's name as people read it: `smtp` for `libwatchpost_smtp.so`.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }

    /// What the library says of itself.
    pub fn descriptor(&self) -> &LibraryDescriptor {
        &self.descriptor
    }

    /// How its worker fares.
    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks a job's configuration.
    pub async fn examine(&self, agent: &str, config: &str) -> Result<Examined, AgentError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Examine { agent: agent.into(), config: config.into(), reply });
        match timeout(EXAMINE_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AgentError::new(ErrorKind::INTERRUPTED, "the plugin was stopped")),
            Err(_) => Err(AgentError::timeout().context("the agent checks its configuration")),
        }
    }

    /// Opens a job; one of the same number is replaced.
    pub fn open(&self, job: JobOpen) {
        self.ask(Command::Open(job));
    }

    /// Closes a job.
    pub fn close(&self, number: u64) {
        self.ask(Command::Close(number));
    }

    /// Runs a job once. Always answers: within the timeout and a little, or twice that when the run had to be repeated.
    pub async fn run(&self, request: RunRequest) -> RunEnd {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Run { request, reply });
        answer.await.unwrap_or_else(|_| RunEnd::failed(ErrorKind::INTERRUPTED, "the plugin was stopped"))
    }

    /// Cancels the run of a job that is under way, if one is: it ends as interrupted.
    pub fn cancel(&self, number: u64) {
        self.ask(Command::Cancel(number));
    }

    /// A stopped plugin takes nothing: the command is dropped with its reply, which answers whoever waits.
    fn ask(&self, command: Command) {
        drop(self.commands.send(command));
    }

    /// Says that the worker is about to be stopped: whoever ends the daemon may have told its workers to end as well.
    pub(super) fn will_stop(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Ends the worker: runs under way are lost.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Stop(reply)).is_ok() {
            let _late_or_gone = timeout(STOP_TIMEOUT, answer).await;
        }
    }
}

/// Tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let facts = std::fs::metadata(path).ok()?;
        let (inode, modified) = ((facts.dev(), facts.ino()), (facts.mtime(), facts.mtime_nsec()));
        Some(Self { inode, bytes: facts.len(), modified })
    }
}

/// `smtp` for `libwatchpost_smtp.so`, `spool` for `libspool.so`.
pub(super) fn name_of(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.strip_prefix("lib").unwrap_or(&stem);
    stem.strip_prefix("watchpost_").unwrap_or(stem).to_owned()
}
