//! The scheduler's heart: one loop that starts what is due, and hands what it gave to the journal.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep_until,
};
use tracing::{info, warn};
use watchpost_plugin_api::Severity;

use super::{appender::Appender, paused::Paused, service_manager::Watchdog};
use crate::{
    expose::host_metrics::HostMetrics,
    job::Job,
    latest::Latest,
    plugin::RunRequest,
    reading::{Cause, Reading, Record},
    schedule::{ClockStep, Clocks, Direction, DueClock, LOOK_AT_LEAST_EVERY, Slot, Ticker, UnixTime},
};

/// A run this near to its deadline is as good as over.
const ENDING: Duration = Duration::from_millis(100);

/// How long the reading of a run may be on its way from its deadline to those who look, before what stood until then is stale.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// What the runner is told.
pub(super) enum Command {
    /// These are the jobs from now on; those that run alike run on untouched.
    Set { jobs: Vec<Job>, done: oneshot::Sender<Changes> },
    /// Run a job now; gives its reading once it is durable.
    RunNow { job: String, done: oneshot::Sender<Result<Reading, String>> },
    /// Stop or resume starting a job's runs.
    Pause { job: String, paused: bool, done: oneshot::Sender<Result<(), String>> },
    /// A run has ended; a job whose number is another by now has changed meanwhile.
    Ended { job: String, number: u64, cursor: Option<Vec<u8>> },
}

/// What a change of configuration changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Changes {
    /// Jobs that are new.
    pub added: usize,
    /// Jobs that begin anew because something of theirs changed.
    pub changed: usize,
    /// Jobs that are gone.
    pub removed: usize,
    /// Jobs that run on untouched.
    pub unchanged: usize,
}

/// A job under the runner's eyes.
struct Scheduled {
    job: Arc<Job>,
    ticker: Ticker,
    /// When the run that is under way reaches its deadline.
    running: Option<Instant>,
    /// A run that became due while the one before reached its deadline: it starts when that one is over.
    next: Option<Due>,
    /// How much later than the whole second its runs start, so that jobs of one second do not start as one.
    spread: Duration,
    cursor: Option<Vec<u8>>,
}

/// A run that is to be started.
#[derive(Clone, Copy)]
struct Due {
    cause: Cause,
    slot: Slot,
    due: UnixTime,
}

/// What was stored before this daemon started: where each job goes on.
#[derive(Default)]
pub(super) struct Past {
    pub(super) slots: HashMap<String, i64>,
    pub(super) cursors: HashMap<String, Vec<u8>>,
}

/// Starts runs when they are due.
pub(super) struct Runner {
    jobs: BTreeMap<String, Scheduled>,
    /// When runs start, as labels of the clock, soonest first; an entry that its job no longer knows is stale.
    due: BinaryHeap<Reverse<(Duration, String)>>,
    clock: DueClock,
    turned: Option<ClockStep>,
    began: Instant,
    past: Past,
    paused: Paused,
    appender: Appender,
    latest: Arc<Latest>,
    metrics: Arc<HostMetrics>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Runner {
    pub(super) fn new(
        past: Past,
        paused: Paused,
        appender: Appender,
        latest: Arc<Latest>,
        metrics: Arc<HostMetrics>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        let began = Instant::now();
        let clock = DueClock::start(clocks(began));
        Self {
            jobs: BTreeMap::new(),
            due: BinaryHeap::new(),
            clock,
            turned: None,
            began,
            past,
            paused,
            appender,
            latest,
            metrics,
            commands,
        }
    }

    /// Runs until nobody can command it any more, or `stop` says so.
    pub(super) async fn lead(mut self, mut queue: mpsc::UnboundedReceiver<Command>, mut stop: oneshot::Receiver<()>) {
        let mut watchdog = Watchdog::new();
        loop {
            watchdog.feed();
            let wake = self.wake(watchdog.patience());
            tokio::select! {
                _ = &mut stop => return,
                command = queue.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                () = sleep_until(wake.into()) => {}
            }
            self.start_due();
        }
    }

    /// When to look at the clock again: at the next due time, and now and then in case the wall clock is turned.
    fn wake(&self, patience: Option<Duration>) -> Instant {
        let now = Instant::now();
        let latest = now + patience.map_or(LOOK_AT_LEAST_EVERY, |patience| patience.min(LOOK_AT_LEAST_EVERY));
        let next = self.due.peek().map(|Reverse((label, _))| self.began + self.monotonic_at(*label));
        next.map_or(latest, |next| next.clamp(now, latest))
    }

    /// What the clock shows. A turn of it is kept until the tickers are told, whoever looked first.
    fn label(&mut self) -> Duration {
        let (label, step) = self.clock.observe(clocks(self.began));
        self.turned = step.or(self.turned);
        label
    }

    /// The monotonic instant that will carry a label, as far as the clock is known today.
    fn monotonic_at(&self, label: Duration) -> Duration {
        self.clock.monotonic_at(UnixTime::from_duration(label)) + Duration::from_nanos(label.subsec_nanos().into())
    }

    fn start_due(&mut self) {
        let label = self.label();
        if let Some(step) = self.turned.take() {
            let direction = if step.direction == Direction::Forward { "forward" } else { "backward" };
            let by_seconds = step.by.as_secs_f64();
            warn!(by_seconds, direction, "the wall clock was turned");
            self.appender.report(None, Severity::Warning, "clock_step", format!("the wall clock was turned {direction} by {by_seconds} s"));
            // Every ticker must look: turned back, their next due times are no longer the next ones.
            let names: Vec<String> = self.jobs.keys().cloned().collect();
            for name in names {
                self.tick(&name, label);
            }
        }
        while let Some(Reverse((start, _))) = self.due.peek()
            && *start <= label
        {
            if let Some(Reverse((start, name))) = self.due.pop()
                && self.jobs.get(&name).is_some_and(|job| job.starts() == Some(start))
            {
                self.tick(&name, label);
            }
        }
    }

    /// Asks a job's ticker what is due, and puts its next due time into the queue.
    fn tick(&mut self, name: &str, label: Duration) {
        let Some(scheduled) = self.jobs.get_mut(name) else { return };
        let tick = scheduled.ticker.poll(label.saturating_sub(scheduled.spread));
        let next = scheduled.starts();
        if let Some(next) = next {
            self.due.push(Reverse((next, name.to_owned())));
        }
        let paused = self.paused.holds(name);
        self.latest.set_next_due(name, next.filter(|_| !paused).map(nanos));
        if paused {
            return;
        }
        // Not one by one: a clock that was set from 1970 to today misses two thousand million seconds.
        if tick.missed > 0 {
            self.skip(name, tick.missed);
        }
        let Some(run) = tick.run else { return };
        let Some(scheduled) = self.jobs.get_mut(name) else { return };
        // Without a free slot the reading is not for the series: it is stored as one that somebody asked for.
        let due = match run.slot {
            Some(slot) => Due { cause: Cause::Schedule, slot, due: run.due },
            None => Due { cause: Cause::Manual, slot: scheduled.job.config.timing.rhythm.step().slot(run.due), due: run.due },
        };
        match scheduled.running {
            // It ends now: a timeout as long as the interval must not cost every second run.
            Some(deadline) if deadline <= Instant::now() + ENDING && scheduled.next.is_none() => scheduled.next = Some(due),
            Some(_) => self.skip(name, 1),
            None => {
                self.metrics.run_lagged(run.late);
                self.start(name, due, None);
            }
        }
    }

    fn skip(&self, name: &str, runs: u64) {
        self.latest.skipped(name, runs);
        self.metrics.run_skipped(runs);
    }

    fn start(&mut self, name: &str, Due { cause, slot, due }: Due, asked: Option<oneshot::Sender<Result<Reading, String>>>) {
        let label = self.label();
        let Some(scheduled) = self.jobs.get_mut(name) else { return };
        let next = scheduled.starts();
        let job = scheduled.job.clone();
        // A run that starts late is over when the next one is due all the same, or lateness would add up.
        let until_next = next.map_or(Duration::MAX, |next| next.saturating_sub(label));
        let timeout =
            if cause == Cause::Schedule { job.config.timeout.min(until_next.max(job.config.timeout / 2)) } else { job.config.timeout };
        scheduled.running = Some(Instant::now() + timeout);
        let stale_after = next.map_or(nanos_of(due).saturating_add(nanos(job.interval())), nanos);
        let run = OneRun {
            cause,
            slot: slot.time().as_secs(),
            due_ns: nanos_of(due),
            stale_ns: stale_after.saturating_add(nanos(job.config.timeout + ON_ITS_WAY)),
            cursor: scheduled.cursor.clone(),
            timeout,
            job,
        };
        let (appender, commands) = (self.appender.clone(), self.commands.clone());
        tokio::spawn(async move {
            let (job, number) = (run.job.name().to_owned(), run.job.number);
            let (reading, cursor) = run.measure(&appender, &commands).await;
            // The runner is gone when the daemon ends.
            let _ending = commands.send(Command::Ended { job, number, cursor });
            if let Some(asked) = asked {
                let _nobody_waits = asked.send(reading.ok_or_else(|| "the reading could not be stored; the log says why".to_owned()));
            }
        });
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Set { jobs, done } => {
                let changes = self.set(jobs);
                let _nobody_waits = done.send(changes);
            }
            Command::RunNow { job, done } => self.run_now(&job, done),
            Command::Pause { job, paused, done } => {
                let _nobody_waits = done.send(self.pause(&job, paused));
            }
            Command::Ended { job, number, cursor } => {
                let scheduled = self.jobs.get_mut(&job).filter(|scheduled| scheduled.job.number == number);
                let Some(scheduled) = scheduled else { return };
                scheduled.running = None;
                if cursor.is_some() {
                    scheduled.cursor = cursor;
                }
                if let Some(due) = scheduled.next.take()
                    && !self.paused.holds(&job)
                {
                    self.start(&job, due, None);
                }
            }
        }
    }

    fn run_now(&mut self, name: &str, done: oneshot::Sender<Result<Reading, String>>) {
        let refused = match self.jobs.get(name) {
            None => Some(format!("there is no job `{name}`")),
            Some(scheduled) if scheduled.running.is_some() => Some(format!("job `{name}` is running just now")),
            Some(_) => None,
        };
        if let Some(why) = refused {
            let _nobody_waits = done.send(Err(why));
            return;
        }
        let label = self.label();
        let Some(scheduled) = self.jobs.get(name) else { return };
        // It stands for the slot before the next one, so that it cannot take the next one's place.
        let now = UnixTime::from_duration(label);
        let step = scheduled.job.config.timing.rhythm.step();
        let next = scheduled.ticker.next_due().map_or(now, |next| next);
        let slot = step.slot(UnixTime::from_secs(step.slot(next).time().as_secs() - step.as_secs()));
        self.start(name, Due { cause: Cause::Manual, slot, due: now }, Some(done));
    }

    fn pause(&mut self, name: &str, paused: bool) -> Result<(), String> {
        let Some(scheduled) = self.jobs.get(name) else { return Err(format!("there is no job `{name}`")) };
        let next = scheduled.starts().filter(|_| !paused).map(nanos);
        self.paused.set(name, paused).map_err(|error| format!("cannot remember it: {error}"))?;
        self.latest.set_next_due(name, next);
        let (code, what) = if paused { ("job_paused", "paused") } else { ("job_resumed", "resumed") };
        info!(job = name, "{what}");
        self.appender.report(Some(name), Severity::Indeterminate, code, format!("the job is {what}"));
        Ok(())
    }

    /// Puts these jobs in force; those that run alike keep number, phase and state.
    fn set(&mut self, jobs: Vec<Job>) -> Changes {
        let mut changes = Changes::default();
        let label = self.label();
        let mut before = std::mem::take(&mut self.jobs);
        for job in jobs {
            let name = job.name().to_owned();
            let scheduled = match before.remove(&name) {
                Some(same) if same.job.runs_like(&job) => {
                    changes.unchanged += 1;
                    same
                }
                old => {
                    if old.is_some() {
                        changes.changed += 1
                    } else {
                        changes.added += 1
                    }
                    self.schedule(job, old, label)
                }
            };
            self.jobs.insert(name, scheduled);
        }
        changes.removed = before.len();
        for gone in before.into_values() {
            gone.job.plugin.close(gone.job.number);
        }
        for (name, scheduled) in &self.jobs {
            let next = scheduled.starts().filter(|_| !self.paused.holds(name));
            self.latest.set_next_due(name, next.map(nanos));
        }
        self.due = self.jobs.iter().filter_map(|(name, job)| Some(Reverse((job.starts()?, name.clone())))).collect();
        self.metrics.set_jobs(self.jobs.len());
        changes
    }

    fn schedule(&mut self, job: Job, old: Option<Scheduled>, label: Duration) -> Scheduled {
        let timing = &job.config.timing;
        let taken = match &old {
            Some(old) => old.ticker.taken(),
            None => self.past.slots.get(job.name()).map(|&slot| Slot::at(UnixTime::from_secs(slot))),
        };
        let timing = timing.clone();
        let ticker = Ticker::start(timing.timetable.clone(), timing.rhythm.step(), label, taken);
        let cursor = match old {
            Some(old) => {
                old.job.plugin.close(old.job.number);
                old.cursor
            }
            None => self.past.cursors.remove(job.name()),
        };
        // In the journal before any reading that relies on it: the queue keeps the order.
        drop(self.appender.append(&Record::Shape(job.shape.clone())));
        job.plugin.open(job.open());
        let spread = if timing.timetable.is_spread() { spread(job.name()) } else { Duration::ZERO };
        Scheduled { ticker, running: None, next: None, spread, cursor, job: Arc::new(job) }
    }
}

/// One run, with all it takes along.
struct OneRun {
    job: Arc<Job>,
    cause: Cause,
    slot: i64,
    due_ns: i64,
    stale_ns: i64,
    cursor: Option<Vec<u8>>,
    timeout: Duration,
}

impl Scheduled {
    /// When its next run starts, as a label of the clock.
    fn starts(&self) -> Option<Duration> {
        let due = self.ticker.next_due()?.as_secs().max(0).unsigned_abs();
        Some(Duration::from_secs(due) + self.spread)
    }
}

/// A part of a second from the job's name: the same over restarts.
fn spread(job: &str) -> Duration {
    let digest = Sha256::digest([b"spread within the second: ".as_slice(), job.as_bytes()].concat());
    Duration::from_millis(u64::from(u16::from_le_bytes([digest[0], digest[1]])) % 1000)
}

impl OneRun {
    /// Measures and stores; gives the reading if it is durable, and the cursor to go on from.
    async fn measure(self, appender: &Appender, commands: &mpsc::UnboundedSender<Command>) -> (Option<Reading>, Option<Vec<u8>>) {
        let request = RunRequest { job: self.job.number, timeout: self.timeout, cursor: self.cursor, explain: false };
        let end = self.job.run(request).await;
        if commands.is_closed() && !end.outcome.status.is_ok() {
            // The daemon ends and took the worker with it: nothing was learnt of the target.
            return (None, None);
        }
        let reading = Reading {
            job: self.job.name().to_owned(),
            cause: self.cause,
            slot: self.slot,
            due_ns: self.due_ns,
            stale_ns: self.stale_ns,
            outcome: end.outcome,
        };
        let record = Record::Reading(reading);
        let durable = appender.append(&record);
        let Record::Reading(reading) = record else { return (None, None) };
        let outcome = &reading.outcome;
        // Who goes on from a cursor must not go on from one that may be lost.
        let waits = outcome.cursor_read || outcome.cursor.is_some() || self.cause == Cause::Manual;
        if !waits {
            return (None, None);
        }
        match durable.await {
            Ok(Some(_)) => {
                let cursor = outcome.cursor.clone();
                (Some(reading), cursor)
            }
            _ => (None, None),
        }
    }
}

fn clocks(began: Instant) -> Clocks {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Clocks { monotonic: began.elapsed(), wall }
}

fn nanos_of(time: UnixTime) -> i64 {
    time.as_secs().saturating_mul(1_000_000_000)
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
