//! The life of a plugin: what it is asked, and the worker that answers.

mod apart;
mod death;
mod held;
mod renewal;
mod unanswered;

use std::{
    sync::{Arc, MutexGuard, atomic::AtomicBool},
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::interval,
};
use watchpost_plugin_api::{AgentError, ErrorKind, LibraryDescriptor};
use watchpost_services::outcome::Status;
use watchpost_worker::{
    confine::Confinement,
    frames::{FromWorker, ToWorker},
    page::Work,
};

use super::{
    JobOpen, Report, RunEnd, RunRequest, Ward,
    blame::Cause,
    comeback::{Comeback, Started},
    examinations::{Examinations, Reply},
    jobs::{Job, Jobs},
    live::{Garbled, Live},
    report::{Told, WorkerState},
    runs::{self, Overdue, Runs},
    source::Source,
    story::Story,
    supervisor::name_of,
};

use apart::{Aparts, Parent};
use renewal::{Renewal, confinement};
use unanswered::Unanswered;

/// How often the worker is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A worker that lived so long has put its past behind it.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// What a plugin is asked.
pub(super) enum Command {
    Examine {
        agent: String,
        config: String,
        reply: Reply,
    },
    Open(JobOpen),
    Close(u64),
    Cancel(u64),
    /// Confine the worker on this base.
    Guard(Confinement),
    Run {
        request: RunRequest,
        reply: oneshot::Sender<RunEnd>,
    },
    Release {
        job: u64,
        reply: oneshot::Sender<bool>,
    },
    Enable(bool),
    /// A worker that had these jobs to itself died, and one of them is to blame: they are to be told apart.
    Divide {
        from: u64,
        jobs: Vec<Job>,
        runs: Runs,
    },
    /// Its jobs are another worker's: it is to end when its last runs are over.
    Retire,
    Stop(oneshot::Sender<()>),
}

/// Leads a plugin's worker through its lives.
pub(super) struct Life {
    name: String,
    source: Arc<Source>,
    ward: Arc<Ward>,
    descriptor: LibraryDescriptor,
    live: Option<Live>,
    comeback: Comeback,
    renewal: Renewal,
    /// What a worker may touch before any job needs anything.
    base: Confinement,
    jobs: Jobs,
    runs: Runs,
    examinations: Examinations,
    /// Numbers runs and examinations; 0 means none on the page.
    last_number: u64,
    /// When the worker last said anything.
    last_answer: Instant,
    told: Arc<Told>,
    /// Whether the daemon is about to stop.
    ending: Arc<AtomicBool>,
    /// Whether an operator wants none of its jobs run.
    disabled: bool,
    story: Story,
    unanswered: Unanswered,
    /// What it is asked through.
    commands: mpsc::WeakUnboundedSender<Command>,
    /// Workers that have some of the jobs to themselves.
    apart: Aparts,
    /// Whose jobs these are, where this is such a worker.
    parent: Option<Parent>,
    /// Deaths in a row that nobody is known to be to blame for.
    unblamed: u32,
    /// Whether its jobs are another worker's.
    retired: bool,
    /// Jobs that are to be told apart, with the runs that wait.
    given_back: Option<(Vec<Job>, Runs)>,
}

impl Life {
    pub(super) fn new(
        source: Arc<Source>,
        ward: Arc<Ward>,
        descriptor: LibraryDescriptor,
        confinement: Confinement,
        told: Arc<Told>,
        ending: Arc<AtomicBool>,
        commands: mpsc::WeakUnboundedSender<Command>,
    ) -> Self {
        let story = Story::untold(&source.path);
        Self {
            name: name_of(&source.path),
            source,
            ward,
            descriptor,
            live: None,
            comeback: Comeback::new(),
            renewal: Renewal::new(),
            base: confinement,
            jobs: Jobs::default(),
            runs: Runs::default(),
            examinations: Examinations::default(),
            last_number: 0,
            last_answer: Instant::now(),
            told,
            ending,
            disabled: false,
            story,
            unanswered: Unanswered::default(),
            commands,
            apart: Aparts::default(),
            parent: None,
            unblamed: 0,
            retired: false,
            given_back: None,
        }
    }

    /// Begins with a worker that is there already.
    pub(super) fn with(self, live: Live) -> Self {
        let story = Story::begin(&self.source.path, live.process.pid);
        Self { live: Some(live), story, ..self }
    }

    /// Leads until the plugin is stopped or forgotten.
    pub(super) async fn lead(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut looks = interval(LOOK_EVERY);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return self.stop(),
                    Some(Command::Stop(done)) => {
                        self.stop();
                        self.apart.stop().await;
                        let _nobody_waits = done.send(());
                        return;
                    }
                    Some(command) => self.obey(command),
                },
                answer = next_answer(&mut self.live) => match answer {
                    Some(Ok(answer)) => self.take(answer),
                    Some(Err(garbled)) => self.bury_garbled(garbled).await,
                    None => self.bury(Cause::Ended).await,
                },
                step = self.comeback.step(&self.source, || confinement(&self.base, &self.jobs)) => match step {
                    None => self.report().state = WorkerState::Starting,
                    Some(started) => self.welcome(started),
                },
                news = self.renewal.news(&self.source, || confinement(&self.base, &self.jobs)) => self.hear(news).await,
                _ = looks.tick() => self.look().await,
            }
            if self.given_back.is_some() || self.retired && self.runs.are_over() {
                return self.give_back(commands);
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let Some(command) = self.apart.pass_on(command) else { return };
        match command {
            Command::Examine { agent, config, reply } => {
                let number = self.next_number();
                self.examinations.add(number, agent, config, reply);
                match self.live {
                    Some(_) => {
                        let question = self.examinations.question(number);
                        self.ask(question);
                    }
                    // Whoever changes a configuration is not to wait until a worker has been backed off from.
                    None => self.comeback.now(),
                }
            }
            Command::Open(open) => {
                let number = open.number;
                let job = self.recalled(Job::new(open));
                let quarantined = job.kept.is_some();
                self.jobs.open(job);
                match quarantined {
                    true => self.show_held(),
                    false => self.make(number),
                }
            }
            Command::Guard(base) => self.guard(base),
            Command::Close(number) => {
                self.jobs.close(number);
                self.runs.close_job(number);
                self.ask(Some(ToWorker::Close { job: number }));
                if !self.report().held.is_empty() {
                    self.show_held();
                }
            }
            Command::Cancel(number) => {
                for run in self.runs.cancel_job(number) {
                    self.ask(Some(ToWorker::Cancel { run }));
                    self.renewal.cancel_run(run);
                }
            }
            Command::Run { request, reply } => self.run(request, reply),
            Command::Release { job, reply } => {
                let _nobody_waits = reply.send(self.release(job, "an operator says so"));
            }
            Command::Enable(enabled) => self.enable(enabled),
            Command::Divide { from, jobs, runs } => self.divide_again(from, jobs, runs),
            Command::Retire => self.retire(),
            Command::Stop(_) => {}
        }
        self.report().jobs = self.jobs.count();
    }

    /// Has jobs run again, or ends the worker.
    fn enable(&mut self, enabled: bool) {
        if self.disabled != enabled {
            return;
        }
        self.disabled = !enabled;
        self.story.enabled(enabled);
        if enabled {
            if self.live.is_none() && self.comeback.is_idle() {
                self.comeback.at_once();
                self.report().state = WorkerState::Starting;
            }
            return;
        }
        self.runs.fail_all(ErrorKind::SKIPPED, &self.why_disabled());
        self.rest();
    }

    fn why_disabled(&self) -> String {
        format!("plugin {0} is disabled; `watchpost plugins enable {0}` has its jobs run again", self.name)
    }

    /// Ends the worker of a plugin that is disabled, unless a configuration is still to be checked.
    fn rest(&mut self) {
        if self.disabled && self.examinations.are_over() {
            drop(self.live.take());
            self.comeback.cancel();
            self.renewal.stop();
            self.jobs.forget_worker();
            let mut report = self.report();
            report.state = WorkerState::Disabled;
            report.pid = None;
        }
    }

    /// Asks the worker, if there is one.
    fn ask(&self, question: Option<ToWorker>) {
        if let (Some(live), Some(question)) = (&self.live, question) {
            live.ask(question);
        }
    }

    /// Has the agent of a job made, unless the worker at hand was asked before.
    fn make(&mut self, number: u64) {
        if !self.has_room_for(number) && !self.disabled {
            return self.renewal.begin();
        }
        let (Some(live), Some(job)) = (&self.live, self.jobs.get_mut(number)) else { return };
        if !job.made && !self.disabled {
            job.made = true;
            job.error = None;
            let JobOpen { agent, config, secrets, .. } = job.open.clone();
            live.ask(ToWorker::Open { job: number, agent, config, secrets });
        }
    }

    fn run(&mut self, request: RunRequest, reply: oneshot::Sender<RunEnd>) {
        let refused = match self.jobs.get(request.job) {
            None => Some(runs::closed()),
            Some(_) if self.disabled => Some(RunEnd::failed(ErrorKind::SKIPPED, self.why_disabled())),
            Some(Job { error: Some(error), made: true, .. }) => Some(RunEnd::failed(error.kind(), error.message())),
            Some(_) => self.not_now(request.job),
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
            if !self.has_room_for(job) {
                // It waits for the worker that is to take over.
                self.renewal.begin();
                self.fail_without_room(number);
                return;
            }
            // After a restart agents are made anew when they are needed: one that brings the worker down while it is made waits with its job.
            self.make(job);
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
            FromWorker::Done { run, mut outcome, dialogue } => {
                if matches!(outcome.status, Status::Failed { kind: ErrorKind::LOCAL, .. }) {
                    self.suspect_files();
                }
                if let Some(refusal) = &mut outcome.refusal {
                    *refusal = self.jobs.masked(self.runs.job(run), refusal);
                }
                let job = self.runs.end(run, RunEnd { outcome, dialogue, closed: false });
                if let Some(number) = job {
                    self.survived(number);
                }
            }
            FromWorker::Examined { id, result } => {
                self.examinations.end(id, result);
                self.rest();
            }
            FromWorker::NotOpened { job: number, error } => {
                // What makes agents knows no secrets, and an agent may quote what it was told.
                let error = AgentError::new(error.kind(), self.jobs.masked(Some(number), error.message()));
                self.runs.fail_job(number, &error);
                if let Some(job) = self.jobs.get_mut(number) {
                    job.error = Some(error);
                }
            }
            FromWorker::Log { job, level, text } => {
                let told = self.jobs.get_mut(job).is_none_or(|job| self.story.agent_says(job, level, &text));
                self.report().lines_held_back += u64::from(!told);
            }
            FromWorker::Ready { .. } | FromWorker::Refused { .. } => self.story.out_of_turn(),
        }
    }

    /// Ends a worker that is blocked or silent, and gives up what nobody answers.
    async fn look(&mut self) {
        let mut blocking = None;
        let waits = self.runs.are_under_way() || self.examinations.are_under_way();
        if let Some(live) = &mut self.live {
            if let Some((Work::Asked(number), _)) = live.process.page.under_way()
                && !live.watchdog.is_stopped()
            {
                blocking = Some(number);
            }
            if let Some((work, how)) = live.watchdog.blocked(&live.process.page, Instant::now()) {
                self.bury(Cause::Blocked(work, how)).await;
            } else if live.watchdog.stands_still(waits, Instant::now()) {
                self.bury(Cause::Stopped).await;
            } else if live.since.elapsed() > HEALTHY_AFTER {
                self.comeback.forgive();
            }
        }
        // Stopped or wedged as a whole: no watchdog sees it, for nothing is being polled.
        let Overdue { let_lie, jobs } = self.runs.give_up_overdue(blocking, &self.renewal.runs());
        self.note_unanswered(&jobs);
        if let_lie.is_some_and(|asked| asked > self.last_answer) {
            self.bury(Cause::Silent).await;
        }
        self.examinations.drop_unwanted();
        self.look_at_retiring().await;
        self.dismiss();
        self.look_at_files().await;
        self.look_apart();
        self.story.settle(&mut self.jobs);
    }

    /// Ends a worker whose words are not understood.
    async fn bury_garbled(&mut self, garbled: Garbled) {
        if let Some(live) = &self.live {
            self.bury(live.cause_of(garbled)).await;
        }
    }

    fn welcome(&mut self, started: Started) {
        match started {
            Ok((live, descriptor)) if descriptor == self.descriptor => self.revive(live),
            Ok(_) => self.refuse("the library says something else of itself than before"),
            Err(why) => self.refuse(&why),
        }
    }

    fn revive(&mut self, live: Live) {
        let pid = live.process.pid;
        self.story.started_again(pid, self.jobs.count());
        self.live = Some(live);
        let first = self.is_new();
        let mut report = self.report();
        report.state = WorkerState::Ready;
        report.pid = Some(pid);
        report.restarts += u64::from(!first);
        report.refusal = None;
        drop(report);
        self.send_what_waits();
    }

    /// Gives a new worker what waits for one.
    fn send_what_waits(&mut self) {
        // Before any job has the time to bring it down.
        for question in self.examinations.questions() {
            self.ask(Some(question));
        }
        for number in self.runs.waiting() {
            self.send_run(number);
        }
    }

    fn refuse(&mut self, why: &str) {
        let wait = self.comeback.later(self.jobs.shortest_interval());
        self.story.refused(why, wait);
        let mut report = self.report();
        report.state = WorkerState::Refused;
        report.refusal = Some(why.to_owned());
    }

    fn stop(&mut self) {
        drop(self.live.take());
        self.comeback.cancel();
        self.renewal.stop();
        self.story.stopped();
        let mut report = self.report();
        report.state = WorkerState::Stopped;
        report.pid = None;
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.told.own()
    }
}

/// The next answer; without a worker there is none to wait for.
async fn next_answer(live: &mut Option<Live>) -> Option<Result<FromWorker, Garbled>> {
    match live {
        Some(live) => live.answer().await,
        None => std::future::pending().await,
    }
}
