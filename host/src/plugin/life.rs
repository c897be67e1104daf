//! The life of a plugin: what it is asked, how its worker dies, who is to blame, and how it is started again.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{interval, sleep_until, timeout},
};
use tracing::{debug, error, info, warn};
use watchpost_plugin_api::{AgentError, ErrorKind, Level, LibraryDescriptor, wire::Examined};
use watchpost_worker::frames::{FromWorker, ToWorker};

use super::{
    Crash, JobOpen, Report, RunEnd, RunRequest,
    crash::Record,
    live::Live,
    process::how,
    report::WorkerState,
    supervisor::{LOAD_TIMEOUT, name_of},
};

/// How often the worker is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How much longer than its timeout a run may take to be answered before it is given up.
const GRACE: Duration = Duration::from_secs(2);
/// First and longest wait before a worker is started again when no job is to blame.
const RESTART_AFTER: Duration = Duration::from_millis(100);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(30);
/// A worker that lived so long has put its past behind it.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How long a worker may take to die once its socket is closed.
const DEATH_TIMEOUT: Duration = Duration::from_secs(1);

/// What a plugin is asked.
pub(super) enum Command {
    Examine { agent: String, config: String, reply: oneshot::Sender<Result<Examined, AgentError>> },
    Open(JobOpen),
    Close(u64),
    Run { request: RunRequest, reply: oneshot::Sender<RunEnd> },
    Stop(oneshot::Sender<()>),
}

/// A job that is open.
struct Job {
    open: JobOpen,
    /// Why its agent could not be made.
    error: Option<AgentError>,
    record: Record,
}

/// A run that is not answered yet.
struct Pending {
    request: RunRequest,
    reply: oneshot::Sender<RunEnd>,
    asked: Instant,
    /// Whether it is with the worker, or waits for one.
    sent: bool,
    /// Whether it was lost once already.
    repeated: bool,
}

/// Leads a plugin's worker through its lives.
pub(super) struct Life {
    path: PathBuf,
    name: String,
    descriptor: LibraryDescriptor,
    live: Option<Live>,
    /// When a dead worker is started again.
    restart_at: Option<Instant>,
    restart_after: Duration,
    jobs: HashMap<u64, Job>,
    runs: HashMap<u64, Pending>,
    examining: HashMap<u64, oneshot::Sender<Result<Examined, AgentError>>>,
    /// Numbers runs and examinations; 0 means none on the page.
    last_number: u64,
    report: Arc<Mutex<Report>>,
}

impl Life {
    pub(super) fn new(path: PathBuf, descriptor: LibraryDescriptor, live: Live, report: Arc<Mutex<Report>>) -> Self {
        Self {
            name: name_of(&path),
            path,
            descriptor,
            live: Some(live),
            restart_at: None,
            restart_after: RESTART_AFTER,
            jobs: HashMap::new(),
            runs: HashMap::new(),
            examining: HashMap::new(),
            last_number: 0,
            report,
        }
    }

    /// Leads until the plugin is stopped or forgotten.
    pub(super) async fn lead(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut looks = interval(LOOK_EVERY);
        loop {
            let restart_at = self.restart_at;
            tokio::select! {
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Stop(done)) => return self.stop(done).await,
                    Some(command) => self.obey(command),
                },
                answer = next_answer(&mut self.live) => match answer {
                    Some(answer) => self.take(answer),
                    None => self.bury(None).await,
                },
                () = until(restart_at) => self.restart().await,
                _ = looks.tick() => self.look().await,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Examine { agent, config, reply } => {
                let id = self.next_number();
                // Without a worker the reply is dropped, and the asker told so.
                if let Some(live) = &self.live {
                    live.ask(ToWorker::Examine { id, agent, config });
                    self.examining.insert(id, reply);
                }
            }
            Command::Open(open) => {
                self.send_open(&open);
                self.jobs.insert(open.number, Job { open, error: None, record: Record::default() });
            }
            Command::Close(number) => {
                self.jobs.remove(&number);
                if let Some(live) = &self.live {
                    live.ask(ToWorker::Close { job: number });
                }
            }
            Command::Run { request, reply } => self.run(request, reply),
            Command::Stop(_) => {}
        }
        self.report().jobs = self.jobs.len();
    }

    fn send_open(&self, open: &JobOpen) {
        let Some(live) = &self.live else { return };
        live.ask(ToWorker::Open {
            job: open.number,
            agent: open.agent.clone(),
            config: open.config.clone(),
            secrets: open.secrets.clone(),
        });
    }

    fn run(&mut self, request: RunRequest, reply: oneshot::Sender<RunEnd>) {
        let refused = match self.jobs.get(&request.job) {
            None => Some(RunEnd::failed(ErrorKind::CONFIG, "the job is not open")),
            Some(Job { error: Some(error), .. }) => Some(RunEnd::failed(error.kind(), error.message())),
            Some(job) => job.record.held(Instant::now()).map(|crashes| {
                RunEnd::failed(ErrorKind::SKIPPED, format!("held back: this job brought its worker down {crashes} times in a row"))
            }),
        };
        if let Some(end) = refused {
            let _nobody_waits = reply.send(end);
            return;
        }
        let number = self.next_number();
        let pending = Pending { request, reply, asked: Instant::now(), sent: false, repeated: false };
        self.runs.insert(number, pending);
        self.send_run(number);
    }

    fn send_run(&mut self, number: u64) {
        let (Some(live), Some(pending)) = (&self.live, self.runs.get_mut(&number)) else { return };
        let RunRequest { job, timeout, cursor, explain } = &pending.request;
        let left = timeout.saturating_sub(pending.asked.elapsed());
        live.ask(ToWorker::Run { run: number, job: *job, timeout_ns: nanos(left), cursor: cursor.clone(), explain: *explain });
        pending.sent = true;
    }

    fn take(&mut self, answer: FromWorker) {
        match answer {
            FromWorker::Done { run, outcome, dialogue } => {
                if let Some(pending) = self.runs.remove(&run) {
                    if let Some(job) = self.jobs.get_mut(&pending.request.job) {
                        job.record.survived();
                    }
                    let _nobody_waits = pending.reply.send(RunEnd { outcome, dialogue });
                }
            }
            FromWorker::Examined { id, result } => {
                if let Some(reply) = self.examining.remove(&id) {
                    let _nobody_waits = reply.send(result);
                }
            }
            FromWorker::NotOpened { job, error } => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    warn!(job = job.open.name, %error, "the agent of this job cannot be made");
                    job.error = Some(error);
                }
            }
            FromWorker::Log { job, level, text } => self.log(job, level, &text),
            FromWorker::Ready { .. } | FromWorker::Refused { .. } => warn!(plugin = self.name, "the worker spoke out of turn"),
        }
    }

    fn log(&self, job: u64, level: Level, text: &str) {
        let job = self.jobs.get(&job).map_or("?", |job| job.open.name.as_str());
        match level {
            Level::Error => error!(job, "{text}"),
            Level::Warn => warn!(job, "{text}"),
            Level::Info => info!(job, "{text}"),
            Level::Debug => debug!(job, "{text}"),
        }
    }

    /// Ends a worker whose thread is blocked, and gives up runs that nobody answers.
    async fn look(&mut self) {
        let now = Instant::now();
        if let Some(live) = &mut self.live {
            if let Some((_, how)) = live.watchdog.blocked(&live.process.page, now) {
                live.process.kill();
                self.bury(Some(how)).await;
            } else if live.since.elapsed() > HEALTHY_AFTER {
                self.restart_after = RESTART_AFTER;
            }
        }
        let overdue: Vec<u64> =
            self.runs.iter().filter(|(_, run)| run.asked.elapsed() > run.request.timeout + GRACE).map(|(&number, _)| number).collect();
        for number in overdue {
            if let Some(pending) = self.runs.remove(&number) {
                let why = if pending.sent { "the worker did not answer in time" } else { "the plugin's worker is down" };
                let _nobody_waits = pending.reply.send(RunEnd::failed(ErrorKind::INTERRUPTED, why));
            }
        }
    }

    /// Takes note of the worker's death: names the guilty job, repeats or ends the runs that were under way.
    async fn bury(&mut self, cause: Option<String>) {
        let Some(mut live) = self.live.take() else { return };
        let polled = live.process.page.polled().map(|(run, _)| run);
        let end = match timeout(DEATH_TIMEOUT, &mut live.process.ended).await {
            Ok(Ok(end)) => Some(end),
            _ => None,
        };
        let last_words = end.as_ref().map(|end| end.last_words.trim().to_owned()).unwrap_or_default();
        let how = cause.unwrap_or_else(|| how(end.and_then(|end| end.status)));
        let guilty = polled.and_then(|run| self.convict(run, &how));
        let dialogue = polled.and_then(|run| live.process.page.dialogue(run));
        error!(plugin = self.name, guilty = guilty.as_deref().unwrap_or("unknown"), last_words, "the worker {how}");
        self.examining.clear();
        self.interrupt_neighbours(guilty.as_deref());
        // With somebody to blame, who is held back, the others need not wait.
        let wait = if guilty.is_some() { Duration::ZERO } else { self.restart_after };
        if guilty.is_none() {
            self.restart_after = (self.restart_after * 2).min(RESTART_AFTER_MAX);
        }
        self.restart_at = Some(Instant::now() + wait);
        let mut report = self.report();
        report.state = WorkerState::BackingOff;
        report.pid = None;
        report.crashes += 1;
        report.last_crash = Some(Crash { at: SystemTime::now(), how, guilty, dialogue });
    }

    /// Ends the run that was being polled when the worker died; gives its job's name.
    fn convict(&mut self, run: u64, how: &str) -> Option<String> {
        let pending = self.runs.remove(&run)?;
        let end = RunEnd::failed(ErrorKind::CRASH, format!("the worker {how} while this job was running"));
        let _nobody_waits = pending.reply.send(end);
        let job = self.jobs.get_mut(&pending.request.job)?;
        job.record.crashed(Instant::now(), job.open.interval);
        Some(job.open.name.clone())
    }

    /// Repeatable runs wait for the next worker, once; the others are lost.
    fn interrupt_neighbours(&mut self, guilty: Option<&str>) {
        let numbers: Vec<u64> = self.runs.iter().filter(|(_, run)| run.sent).map(|(&number, _)| number).collect();
        for number in numbers {
            let Some(mut pending) = self.runs.remove(&number) else { continue };
            let repeatable = self.jobs.get(&pending.request.job).is_some_and(|job| job.open.repeatable);
            if repeatable && !pending.repeated {
                pending.sent = false;
                pending.repeated = true;
                // Its time begins anew: what it lost was not its own doing.
                pending.asked = Instant::now();
                self.runs.insert(number, pending);
                continue;
            }
            let why = guilty.map_or_else(|| "the worker died".to_owned(), |job| format!("the worker died of job {job}"));
            let _nobody_waits = pending.reply.send(RunEnd::failed(ErrorKind::INTERRUPTED, why));
        }
    }

    async fn restart(&mut self) {
        self.restart_at = None;
        self.report().state = WorkerState::Starting;
        match timeout(LOAD_TIMEOUT, Live::start(&self.path)).await {
            Ok(Ok((live, descriptor))) if descriptor == self.descriptor => self.revive(live),
            Ok(Ok(_)) => self.refuse("the library was replaced by one that carries something else; `watchpost reload` takes it"),
            Ok(Err(why)) => self.refuse(&why),
            Err(_) => self.refuse("it did not load in time"),
        }
    }

    fn revive(&mut self, live: Live) {
        info!(plugin = self.name, pid = live.process.pid, jobs = self.jobs.len(), "the worker was started again");
        let pid = live.process.pid;
        self.live = Some(live);
        let mut report = self.report();
        report.state = WorkerState::Ready;
        report.pid = Some(pid);
        report.restarts += 1;
        drop(report);
        for job in self.jobs.values() {
            self.send_open(&job.open);
        }
        let waiting: Vec<u64> = self.runs.iter().filter(|(_, run)| !run.sent).map(|(&number, _)| number).collect();
        for number in waiting {
            self.send_run(number);
        }
    }

    fn refuse(&mut self, why: &str) {
        warn!(plugin = self.name, "the worker does not come back: {why}");
        self.restart_at = Some(Instant::now() + self.restart_after);
        self.restart_after = (self.restart_after * 2).min(RESTART_AFTER_MAX);
        self.report().state = WorkerState::Refused;
    }

    async fn stop(mut self, done: oneshot::Sender<()>) {
        // Closing the socket asks the worker to end; dropping it afterwards makes sure.
        if let Some(Live { process, .. }) = self.live.take() {
            drop(process);
        }
        self.report().state = WorkerState::Stopped;
        let _nobody_waits = done.send(());
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn report(&self) -> std::sync::MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next answer; without a worker there is none to wait for.
async fn next_answer(live: &mut Option<Live>) -> Option<FromWorker> {
    match live {
        Some(live) => live.answer().await,
        None => std::future::pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
