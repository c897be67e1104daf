//! One plugin: a library, its worker, and the jobs open in it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use watchpost_plugin_api::{AgentError, ErrorKind, LibraryDescriptor, Needs, wire::Examined};
use watchpost_services::{dialogue::Said, mask::Masker, outcome::Outcome};

use super::{
    Report, Sandboxes, Ward,
    life::{Command, Life},
    live::Live,
    report::{Told, WorkerState},
    sandbox::Settings,
    source::{Source, Stamp, hex},
};

/// How long a library may take to check one configuration.
const EXAMINE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last runs of a plugin that is no longer wanted may take, and how often it is looked whether they are over.
const LAST_RUNS_TIMEOUT: Duration = Duration::from_secs(600);
const LAST_RUNS_LOOK: Duration = Duration::from_millis(100);
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
    /// Crashes after which it is quarantined.
    pub quarantine_after: u32,
    /// What it will touch.
    pub needs: Needs,
}

impl JobOpen {
    /// Tells one configuration from another, and nothing of the secrets in it.
    pub(super) fn digest(&self) -> String {
        let told = Masker::new(&self.secrets).mask(&self.config);
        hex(&Sha256::digest([self.agent.as_bytes(), b"\n", told.as_bytes()].concat()))
    }
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
    /// Whether its job was changed or removed before any worker had it: then it can be a run of what the job is now.
    pub closed: bool,
}

impl RunEnd {
    /// A run that never came to measure.
    pub(super) fn failed(kind: ErrorKind, message: impl Into<String>) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let started_ns = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        Self { outcome: Outcome::failed(kind, message, started_ns), dialogue: Vec::new(), closed: false }
    }
}

/// A library of agents with a worker of its own.
pub struct Plugin {
    /// Tells it from every other one that this process loaded, of the same file too.
    id: u64,
    source: Arc<Source>,
    descriptor: LibraryDescriptor,
    settings: Settings,
    commands: mpsc::UnboundedSender<Command>,
    told: Arc<Told>,
    ending: Arc<AtomicBool>,
    /// Runs that are not answered yet.
    running: AtomicUsize,
}

impl Plugin {
    /// Loads a library into a new worker, which may touch nothing yet; its jobs bring what they need.
    ///
    /// Errors: why it is refused, for people.
    pub async fn start(path: &Path, sandboxes: &Sandboxes) -> Result<Self, String> {
        Self::start_from(path, path, sandboxes, Arc::default()).await
    }

    /// Loads a file that is to be known as `path`; `ward` keeps what outlives its workers.
    pub(super) async fn start_from(file: &Path, path: &Path, sandboxes: &Sandboxes, ward: Arc<Ward>) -> Result<Self, String> {
        let source = Source::new(file, path).map_err(|error| format!("no room for a copy of it: {}", crate::chain(&error)))?;
        let source = Arc::new(source);
        let settings = sandboxes.settings(&name_of(path));
        let confinement = settings.confinement(sandboxes.guarded());
        let (live, descriptor) = Live::start(&source, &confinement).await?;
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
            held: Vec::new(),
            lines_held_back: 0,
            apart: Vec::new(),
            sandbox: settings.sandbox,
        };
        let told = Told::new(report);
        let ending = Arc::new(AtomicBool::new(false));
        let life = Life::new(source.clone(), ward, descriptor.clone(), confinement, told.clone(), ending.clone(), commands.downgrade());
        tokio::spawn(life.with(live).lead(queue));
        static LAST_ID: AtomicU64 = AtomicU64::new(0);
        let id = LAST_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, source, descriptor, settings, commands, told, ending, running: AtomicUsize::new(0) })
    }

    /// Tells it from every other one that this process loaded.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The library's file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Whether the file is another by now than the one that was loaded, or gone.
    pub fn is_outdated(&self) -> bool {
        match (Stamp::of(self.path()), self.source.stamp) {
            (Some(now), Some(then)) => !now.is_as(&then),
            (now, then) => now != then,
        }
    }

    /// What the file was when it was loaded.
    pub fn stamp(&self) -> Option<Stamp> {
        self.source.stamp
    }

    /// Has this library used at the next start as well, in place of the one that is sent back for it.
    pub(crate) fn keep_in_place_of(&self, sent_back: &Self, ward: &Ward, why: &str) {
        ward.keep_library(&self.source, &sent_back.source, why);
    }

    /// The library's name as people read it: `smtp` for `libwatchpost_smtp.so`.
    pub fn name(&self) -> String {
        name_of(self.path())
    }

    /// Whether its worker is confined as these say.
    pub(super) fn is_confined_as(&self, sandboxes: &Sandboxes) -> bool {
        self.settings == sandboxes.settings(&self.name())
    }

    /// Whether the kernel holds its worker to what its jobs need.
    pub(crate) fn is_sandboxed(&self) -> bool {
        self.settings.sandbox
    }

    /// Has its worker touch nothing that is guarded.
    pub(super) fn guard(&self, sandboxes: &Sandboxes) {
        self.ask(Command::Guard(self.settings.confinement(sandboxes.guarded())));
    }

    /// What the library says of itself.
    pub fn descriptor(&self) -> &LibraryDescriptor {
        &self.descriptor
    }

    /// How its worker fares.
    pub fn report(&self) -> Report {
        self.told.all()
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
        let _running = Running::begin(&self.running);
        self.ask(Command::Run { request, reply });
        answer.await.unwrap_or_else(|_| RunEnd::failed(ErrorKind::INTERRUPTED, "the plugin was stopped"))
    }

    /// Cancels the run of a job that is under way, if one is: it ends as interrupted.
    pub fn cancel(&self, number: u64) {
        self.ask(Command::Cancel(number));
    }

    /// Sets a job free that is held back or quarantined; says whether it was.
    pub async fn release(&self, number: u64) -> bool {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Release { job: number, reply });
        answer.await.unwrap_or(false)
    }

    /// Has its jobs run, or not; without them its worker is ended too.
    pub fn enable(&self, enabled: bool) {
        self.ask(Command::Enable(enabled));
    }

    /// A stopped plugin takes nothing: the command is dropped with its reply, which answers whoever waits.
    fn ask(&self, command: Command) {
        drop(self.commands.send(command));
    }

    /// Says that the worker is about to be stopped: whoever ends the daemon may have told its workers to end as well.
    pub fn will_stop(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// Ends the worker once its last runs are over.
    pub async fn retire(&self) {
        let began = Instant::now();
        while self.running.load(Ordering::Acquire) > 0 && began.elapsed() < LAST_RUNS_TIMEOUT {
            sleep(LAST_RUNS_LOOK).await;
        }
        self.will_stop();
        self.stop().await;
    }

    /// Ends the worker: runs under way are lost.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Stop(reply)).is_ok() {
            let _late_or_gone = timeout(STOP_TIMEOUT, answer).await;
        }
    }
}

/// A run that counts as not answered until this is dropped.
struct Running<'r>(&'r AtomicUsize);

impl<'r> Running<'r> {
    fn begin(running: &'r AtomicUsize) -> Self {
        running.fetch_add(1, Ordering::AcqRel);
        Self(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// `smtp` for `libwatchpost_smtp.so`, `spool` for `libspool.so`.
pub fn name_of(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = stem.strip_prefix("lib").unwrap_or(&stem);
    stem.strip_prefix("watchpost_").unwrap_or(stem).to_owned()
}
