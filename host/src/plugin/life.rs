//! The life of a plugin: what it is asked, how its worker dies, who is to blame, and how it is started again.

use std::{
    collections::HashMap,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{interval, sleep_until},
};
use tracing::{debug, error, info, warn};
use watchpost_plugin_api::{AgentError, ErrorKind, Level, LibraryDescriptor, wire::Examined};
use watchpost_worker::{
    frames::{FromWorker, ToWorker},
    page::Work,
};

use super::{Crash, JobOpen, Report, RunEnd, RunRequest, crash::Record, live::Live, report::WorkerState, runs::Runs, supervisor::name_of};

/// How often the worker is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// First and longest wait before a worker is started again when no job is to blame.
const RESTART_AFTER: Duration = Duration::from_millis(100);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(30);
/// A worker that lived so long has put its past behind it.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

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
    /// Whether the worker at hand was asked to make its agent.
    made: bool,
    /// Why its agent could not be made.
    error: Option<AgentError>,
    record: Record,
}

/// A configuration that is being checked, or waits for a worker.
struct Examination {
    agent: String,
    config: String,
    reply: oneshot::Sender<Result<Examined, AgentError>>,
}

/// What brought a worker down.
enum Culprit {
    /// The job of that name.
    Job(String),
    /// A configuration of that agent, while it was checked.
    Configuration(String),
    /// Nothing that is known.
    Unknown,
}

impl Culprit {
    /// Says what a worker died of, to those who lost a run by it.
    fn why(&self) -> String {
        match self {
            Self::Job(name) => format!("the worker died of job {name}"),
            Self::Configuration(agent) => format!("the worker died of a configuration of agent {agent}"),
            Self::Unknown => "the worker died".into(),
        }
    }

    fn job(&self) -> Option<&str> {
        match self {
            Self::Job(name) => Some(name),
            Self::Configuration(_) | Self::Unknown => None,
        }
    }
}

/// A worker on its way: as [`Live::start`] gives it.
type Starting = Pin<Box<dyn Future<Output = Result<(Live, LibraryDescriptor), String>> + Send>>;

/// Leads a plugin's worker through its lives.
pub(super) struct Life {
    path: PathBuf,
    name: String,
    descriptor: LibraryDescriptor,
    live: Option<Live>,
    /// The next worker, while it is started; dropped, it is ended.
    starting: Option<Starting>,
    /// When a dead worker is started again.
    restart_at: Option<Instant>,
    restart_after: Duration,
    jobs: HashMap<u64, Job>,
    runs: Runs,
    examinations: HashMap<u64, Examination>,
    /// Numbers runs and examinations; 0 means none on the page.
    last_number: u64,
    /// When the worker last said anything.
    last_answer: Instant,
    report: Arc<Mutex<Report>>,
}

impl Life {
    pub(super) fn new(path: PathBuf, descriptor: LibraryDescriptor, live: Live, report: Arc<Mutex<Report>>) -> Self {
        Self {
            name: name_of(&path),
            path,
            descriptor,
            live: Some(live),
            starting: None,
            restart_at: None,
            restart_after: RESTART_AFTER,
            jobs: HashMap::new(),
            runs: Runs::default(),
            examinations: HashMap::new(),
            last_number: 0,
            last_answer: Instant::now(),
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
                () = until(restart_at) => self.start(),
                started = started(&mut self.starting) => self.welcome(started),
                _ = looks.tick() => self.look().await,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Examine { agent, config, reply } => {
                let id = self.next_number();
                self.examinations.insert(id, Examination { agent, config, reply });
                self.send_examination(id);
            }
            Command::Open(open) => {
                let number = open.number;
                self.jobs.insert(number, Job { open, made: false, error: None, record: Record::default() });
                self.send_open(number);
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

    fn send_examination(&self, id: u64) {
        if let (Some(live), Some(Examination { agent, config, .. })) = (&self.live, self.examinations.get(&id)) {
            live.ask(ToWorker::Examine { id, agent: agent.clone(), config: config.clone() });
        }
    }

    /// Has the agent of a job made, unless the worker at hand was asked before.
    fn send_open(&mut self, number: u64) {
        let (Some(live), Some(job)) = (&self.live, self.jobs.get_mut(&number)) else { return };
        if !job.made {
            job.made = true;
            job.error = None;
            let JobOpen { agent, config, secrets, .. } = job.open.clone();
            live.ask(ToWorker::Open { job: number, agent, config, secrets });
        }
    }

    fn run(&mut self, request: RunRequest, reply: oneshot::Sender<RunEnd>) {
        let refused = match self.jobs.get(&request.job) {
            None => Some(RunEnd::failed(ErrorKind::CONFIG, "the job is not open")),
            Some(Job { error: Some(error), made: true, .. }) => Some(RunEnd::failed(error.kind(), error.message())),
            Some(job) => job.record.held(Instant::now()).map(|crashes| {
                RunEnd::failed(ErrorKind::SKIPPED, format!("held back: this job brought its worker down {crashes} times in a row"))
            }),
        };
        if let Some(end) = refused {
            let _nobody_waits = reply.send(end);
            return;
        }
        let number = self.next_number();
        self.runs.add(number, request, reply);
        self.send_run(number);
    }

    fn send_run(&mut self, number: u64) {
        if let Some(job) = self.runs.job(number) {
            // After a restart agents are made anew when they are needed: one that brings the worker down while it is made waits with its job.
            self.send_open(job);
        }
        if let Some(live) = &self.live
            && let Some(question) = self.runs.question(number)
        {
            live.ask(question);
        }
    }

    fn take(&mut self, answer: FromWorker) {
        self.last_answer = Instant::now();
        match answer {
            FromWorker::Done { run, outcome, dialogue } => {
                let job = self.runs.end(run, RunEnd { outcome, dialogue });
                if let Some(job) = job.and_then(|number| self.jobs.get_mut(&number)) {
                    job.record.survived();
                }
            }
            FromWorker::Examined { id, result } => {
                if let Some(examination) = self.examinations.remove(&id) {
                    let _nobody_waits = examination.reply.send(result);
                }
            }
            FromWorker::NotOpened { job: number, error } => {
                self.runs.fail_job(number, &error);
                if let Some(job) = self.jobs.get_mut(&number) {
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

    /// Ends a worker whose thread is blocked, and gives up what nobody answers.
    async fn look(&mut self) {
        let mut blocking = None;
        if let Some(live) = &mut self.live {
            if let Some((Work::Asked(number), _)) = live.process.page.under_way() {
                blocking = Some(number);
            }
            if let Some(cause) = live.watchdog.blocked(&live.process.page, Instant::now()) {
                live.process.kill();
                self.bury(Some(cause)).await;
            } else if live.since.elapsed() > HEALTHY_AFTER {
                self.restart_after = RESTART_AFTER;
            }
        }
        let let_lie = self.runs.give_up_overdue(blocking);
        if let (Some(asked), Some(live)) = (let_lie, &self.live)
            && asked > self.last_answer
        {
            // Stopped or wedged as a whole: no watchdog sees it, for nothing is being polled.
            warn!(plugin = self.name, "the worker answers nothing any more; it is ended");
            live.process.kill();
        }
        self.examinations.retain(|_, examination| !examination.reply.is_closed());
    }

    /// Takes note of the worker's death: names the guilty job, repeats or ends the runs that were under way.
    async fn bury(&mut self, cause: Option<(Work, String)>) {
        let Some(mut live) = self.live.take() else { return };
        let end = live.process.end().await;
        let (work, how) = match cause {
            Some((work, how)) => (Some(work), how),
            None => (live.process.page.under_way().map(|(work, _)| work), end.how()),
        };
        let culprit = work.map_or(Culprit::Unknown, |work| self.culprit(work));
        error!(plugin = self.name, guilty = culprit.job().unwrap_or("unknown"), last_words = end.last_words.trim(), "the worker {how}");
        let dialogue = match work {
            Some(Work::Asked(run)) => live.process.page.dialogue(run),
            _ => None,
        };
        let crash = Crash { at: SystemTime::now(), how: how.clone(), guilty: culprit.job().map(str::to_owned), dialogue };
        // Whoever hears of a lost run finds the death reported.
        self.report_crash(crash);
        self.restart_at = Some(Instant::now() + self.wait(matches!(culprit, Culprit::Unknown)));
        for job in self.jobs.values_mut() {
            job.made = false;
        }
        if let Some(work) = work {
            self.punish(work, &how);
        }
        self.runs.lose(|job| self.jobs.get(&job).is_some_and(|job| job.open.repeatable), &culprit.why());
    }

    fn report_crash(&self, crash: Crash) {
        let mut report = self.report();
        report.state = WorkerState::BackingOff;
        report.pid = None;
        report.crashes += 1;
        report.last_crash = Some(crash);
    }

    /// Whose work was under way when the worker died.
    fn culprit(&self, work: Work) -> Culprit {
        let job = match work {
            Work::Agent(job) => Some(job),
            Work::Asked(number) => match self.examinations.get(&number) {
                Some(examination) => return Culprit::Configuration(examination.agent.clone()),
                None => self.runs.job(number),
            },
        };
        job.and_then(|job| self.jobs.get(&job)).map_or(Culprit::Unknown, |job| Culprit::Job(job.open.name.clone()))
    }

    /// Ends what was under way when the worker died; its job is held back from now on.
    fn punish(&mut self, work: Work, how: &str) {
        let crash = |doing| AgentError::new(ErrorKind::CRASH, format!("the worker {how} while {doing}"));
        let job = match work {
            Work::Agent(job) => {
                self.runs.fail_job(job, &crash("the agent of this job was made"));
                Some(job)
            }
            Work::Asked(number) => match self.examinations.remove(&number) {
                Some(examination) => {
                    let _nobody_waits = examination.reply.send(Err(crash("this configuration was checked")));
                    None
                }
                None => self.runs.end(number, RunEnd::failed(ErrorKind::CRASH, crash("this job was running").message())),
            },
        };
        if let Some(job) = job.and_then(|job| self.jobs.get_mut(&job)) {
            job.record.crashed(Instant::now(), job.open.interval);
        }
    }

    /// How long to wait before the next worker: with somebody to blame, who is held back, the others need not wait.
    fn wait(&mut self, nobody_to_blame: bool) -> Duration {
        if !nobody_to_blame {
            return Duration::ZERO;
        }
        // DESIGN "Plugins": at most five intervals; those of the job that would miss them first.
        let five_intervals = self.jobs.values().map(|job| job.open.interval * 5).min().unwrap_or(RESTART_AFTER_MAX);
        let longest = RESTART_AFTER_MAX.min(five_intervals).max(RESTART_AFTER);
        let wait = self.restart_after.min(longest);
        self.restart_after = (wait * 2).min(longest);
        wait
    }

    fn start(&mut self) {
        self.restart_at = None;
        self.report().state = WorkerState::Starting;
        let path = self.path.clone();
        self.starting = Some(Box::pin(async move { Live::start(&path).await }));
    }

    fn welcome(&mut self, started: Result<(Live, LibraryDescriptor), String>) {
        self.starting = None;
        match started {
            Ok((live, descriptor)) if descriptor == self.descriptor => self.revive(live),
            Ok(_) => self.refuse("the library was replaced by one that carries something else; `watchpost reload` takes it"),
            Err(why) => self.refuse(&why),
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
        for number in self.runs.waiting() {
            self.send_run(number);
        }
        let examinations: Vec<u64> = self.examinations.keys().copied().collect();
        for id in examinations {
            self.send_examination(id);
        }
    }

    fn refuse(&mut self, why: &str) {
        warn!(plugin = self.name, "the worker does not come back: {why}");
        self.restart_at = Some(Instant::now() + self.wait(true));
        self.report().state = WorkerState::Refused;
    }

    async fn stop(mut self, done: oneshot::Sender<()>) {
        drop((self.live.take(), self.starting.take()));
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

/// The next worker once it is there; without one on its way there is nothing to wait for.
async fn started(starting: &mut Option<Starting>) -> Result<(Live, LibraryDescriptor), String> {
    match starting {
        Some(starting) => starting.await,
        None => std::future::pending().await,
    }
}
