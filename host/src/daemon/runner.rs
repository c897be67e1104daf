//! The scheduler's heart: one loop that starts what is due, and hands what it gave to the journal.

mod clock;
mod label_sets;
mod one_run;
mod past;
mod scheduled;
mod silence;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::sleep_until,
};
use tracing::{info, warn};
use watchpost_plugin_api::Severity;

use super::{appender::Appender, names::Names, service_manager::Watchdog};
use crate::{
    expose::host_metrics::HostMetrics,
    job::Job,
    latest::Latest,
    log::{instant, seconds},
    plugin::Plugin,
    reading::{Cause, Reading, Reason, Record},
    schedule::{Direction, LOOK_AT_LEAST_EVERY, Overlap, UnixTime},
    series::name::LabelSet,
};
use clock::Clock;
use one_run::{OneRun, Over};
use scheduled::{Due, Running, Scheduled};

pub(super) use label_sets::LabelSets;
pub(super) use past::Past;

/// How long the reading of a run may be on its way from its deadline to those who look, before what stood until then is stale.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

const SECOND_NS: i64 = 1_000_000_000;

/// What the runner is told.
pub(super) enum Command {
    /// These are the jobs from now on; those that run alike run on untouched.
    Set { jobs: Vec<Job>, done: oneshot::Sender<Changes> },
    /// Run a job now; gives its reading once it is durable.
    RunNow { job: String, done: Asked },
    /// Stop or resume starting a job's runs.
    Pause { job: String, paused: bool, done: oneshot::Sender<Result<bool, String>> },
    /// Tell which jobs a library has.
    JobsOf { plugin: Arc<Plugin>, done: oneshot::Sender<Vec<Arc<Job>>> },
    /// These run from their next run on in the place of those of the same names; nothing else of them changes. Open them first, or not:
    /// they may be open still.
    Swap { jobs: Vec<Arc<Job>>, open: bool, done: oneshot::Sender<()> },
    /// Tell of a job.
    Tell { job: String, done: oneshot::Sender<Option<Arc<Job>>> },
    /// A label set of a job has no series any more: there is room for another.
    Forget { job: String, labels: LabelSet, done: oneshot::Sender<()> },
    /// A run has ended, of the job that had this number when it began.
    Ended { job: String, number: u64, cursor: Option<Vec<u8>> },
    /// A run did not begin, for its job changed before a worker had it; it had this number.
    NotBegun { job: String, number: u64, due: Due, asked: Option<Asked> },
}

/// Who waits for the reading of a run that was asked for.
type Asked = oneshot::Sender<Result<Reading, String>>;

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

/// Starts runs when they are due.
pub(super) struct Runner {
    jobs: BTreeMap<String, Scheduled>,
    /// When runs start, as labels of the clock, soonest first; an entry that its job no longer knows is stale.
    due: BinaryHeap<Reverse<(Duration, String)>>,
    clock: Clock,
    past: Past,
    paused: Names,
    appender: Appender,
    latest: Arc<Latest>,
    metrics: Arc<HostMetrics>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Runner {
    pub(super) fn new(
        past: Past,
        paused: Names,
        appender: Appender,
        latest: Arc<Latest>,
        metrics: Arc<HostMetrics>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        let (jobs, due, clock) = (BTreeMap::new(), BinaryHeap::new(), Clock::start());
        Self { jobs, due, clock, past, paused, appender, latest, metrics, commands }
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
        let next = self.due.peek().map(|Reverse((label, _))| self.clock.instant_of(*label));
        next.map_or(latest, |next| next.clamp(now, latest))
    }

    fn start_due(&mut self) {
        let label = self.clock.label();
        if let Some(step) = self.clock.turned() {
            let direction = if step.direction == Direction::Forward { "forward" } else { "backward" };
            let by_s = seconds(step.by);
            warn!(by_s, direction, "the wall clock was turned");
            self.appender.report(None, Severity::Warning, "clock_step", format!("the wall clock was turned {direction} by {by_s} s"));
            // Every ticker must look: turned back, their next due times are no longer the next ones.
            let names: Vec<String> = self.jobs.keys().cloned().collect();
            for name in names {
                self.tick(&name, label, Reason::ClockStep);
            }
        }
        while let Some(Reverse((start, _))) = self.due.peek()
            && *start <= label
        {
            if let Some(Reverse((start, name))) = self.due.pop()
                && self.jobs.get(&name).is_some_and(|job| job.starts() == Some(start))
            {
                self.tick(&name, label, Reason::Skipped);
            }
        }
    }

    /// Asks a job's ticker what is due, and puts its next due time into the queue; `late` is why due times may have passed.
    fn tick(&mut self, name: &str, label: Duration, late: Reason) {
        let Some(scheduled) = self.jobs.get_mut(name) else { return };
        let expected = scheduled.ticker.next_due();
        let tick = scheduled.ticker.poll(scheduled.ticks_at(label));
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
            self.silent_from(name, expected, late);
        }
        self.silent_ahead(name, tick.run.map_or(UnixTime::from_duration(label), |run| run.due));
        let Some(run) = tick.run else { return };
        let Some(scheduled) = self.jobs.get_mut(name) else { return };
        // Without a free slot the reading is not for the series: it is stored as one that somebody asked for.
        let due = match run.slot {
            Some(slot) => Due { cause: Cause::Schedule, slot, due: run.due },
            None => Due { cause: Cause::Manual, slot: scheduled.job.config.timing.rhythm.step().slot(run.due), due: run.due },
        };
        let Some(running) = &scheduled.running else {
            self.metrics.run_lagged(run.late);
            return self.start(name, due, None);
        };
        let waited = scheduled.next;
        match scheduled.job.config.overlap {
            Overlap::Cancel => {
                running.cancel();
                scheduled.next = Some(due);
            }
            Overlap::Queue if waited.is_none() => scheduled.next = Some(due),
            Overlap::Skip if scheduled.may_wait(running) => scheduled.next = Some(due),
            Overlap::Queue | Overlap::Skip => {
                self.skip(name, 1);
                return self.silent_from(name, Some(run.due), Reason::Skipped);
            }
        }
        // The one that waited gave way.
        if let Some(waited) = waited {
            self.skip(name, 1);
            self.silent_from(name, Some(waited.due), Reason::Skipped);
        }
    }

    fn skip(&self, name: &str, runs: u64) {
        self.latest.skipped(name, runs);
        self.metrics.run_skipped(runs);
    }

    fn start(&mut self, name: &str, of: Due, asked: Option<Asked>) {
        let Due { cause, slot, due } = of;
        let label = self.clock.label();
        let Some(scheduled) = self.jobs.get_mut(name) else { return };
        let next = scheduled.starts();
        let job = scheduled.job.clone();
        // A run that starts late is over when the next one is due all the same, or lateness would add up.
        let until_next = next.map_or(Duration::MAX, |next| next.saturating_sub(label));
        let timeout =
            if cause == Cause::Schedule { job.config.timeout.min(until_next.max(job.config.timeout / 2)) } else { job.config.timeout };
        scheduled.running = Some(Running { job: job.clone(), deadline: Instant::now() + timeout });
        let timetable = &job.config.timing.timetable;
        let usual_due = timetable.next_regardless(due);
        let usual = usual_due.map_or(i64::MAX - SECOND_NS, nanos_of);
        // The next one may be days away, where a window shuts: the values are no truth for so long.
        let stale_after = next.map_or(nanos_of(due).saturating_add(nanos(job.interval())), |next| nanos(next).min(usual + SECOND_NS));
        let takes = nanos(job.config.timeout + ON_ITS_WAY);
        let second = usual_due.and_then(|usual| timetable.next_regardless(usual));
        self.latest.set_worth(name, second.map(|second| nanos_of(second).saturating_add(SECOND_NS + takes)));
        let run = OneRun {
            cause,
            slot: slot.time().as_secs(),
            due_ns: nanos_of(due),
            stale_ns: stale_after.saturating_add(takes),
            cursor: scheduled.cursor.clone(),
            label_sets: scheduled.label_sets.clone(),
            metrics: self.metrics.clone(),
            timeout,
            job,
        };
        let (appender, commands) = (self.appender.clone(), self.commands.clone());
        tokio::spawn(async move {
            let (job, number) = (run.job.name().to_owned(), run.job.number);
            // The runner is gone when the daemon ends.
            match run.measure(&appender, &commands).await {
                None => drop(commands.send(Command::NotBegun { job, number, due: of, asked })),
                Some(Over { reading, cursor }) => {
                    let _ending = commands.send(Command::Ended { job, number, cursor });
                    if let Some(asked) = asked {
                        let _nobody_waits =
                            asked.send(reading.ok_or_else(|| "the reading could not be stored; the log says why".to_owned()));
                    }
                }
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
            Command::JobsOf { plugin, done } => {
                let jobs = self.jobs.values().map(|scheduled| &scheduled.job).filter(|job| Arc::ptr_eq(&job.plugin, &plugin));
                let _nobody_waits = done.send(jobs.cloned().collect());
            }
            Command::Swap { jobs, open, done } => {
                jobs.into_iter().for_each(|job| self.swap(job, open));
                let _nobody_waits = done.send(());
            }
            Command::Tell { job, done } => {
                let _nobody_waits = done.send(self.jobs.get(&job).map(|scheduled| scheduled.job.clone()));
            }
            Command::Forget { job, labels, done } => {
                let sets = self.jobs.get(&job).map(|scheduled| &scheduled.label_sets).or_else(|| self.past.label_sets(&job));
                if let Some(sets) = sets {
                    sets.lock().unwrap_or_else(PoisonError::into_inner).forget(&labels);
                }
                let _nobody_waits = done.send(());
            }
            Command::Ended { job, number, cursor } => self.ended(&job, number, cursor),
            Command::NotBegun { job, number, due, asked } => self.not_begun(&job, number, due, asked),
        }
    }

    /// Goes on from what a run left, also if its job was changed or removed meanwhile.
    fn ended(&mut self, name: &str, number: u64, cursor: Option<Vec<u8>>) {
        let name = &self.named_now(name, number);
        let Some(scheduled) = self.jobs.get_mut(name) else { return self.past.ended(name, number, cursor) };
        if scheduled.running.as_ref().is_none_or(|running| !running.is_of(number)) {
            return;
        }
        scheduled.running = None;
        scheduled.cursor = cursor.or(scheduled.cursor.take());
        if let Some(due) = scheduled.next.take()
            && !self.paused.holds(name)
        {
            self.start(name, due, None);
        }
    }

    /// What the job is called now whose run began under this name.
    fn named_now(&self, name: &str, number: u64) -> String {
        let is_of = |scheduled: &Scheduled| scheduled.running.as_ref().is_some_and(|running| running.is_of(number));
        let heir = || self.jobs.iter().find(|(_, scheduled)| is_of(scheduled)).map(|(heir, _)| heir.clone());
        let stays = self.jobs.contains_key(name);
        Some(name.to_owned()).filter(|_| stays).or_else(heir).unwrap_or_else(|| name.to_owned())
    }

    /// Starts a run as one of what its job is now; of a job that is gone there is none.
    fn not_begun(&mut self, name: &str, number: u64, due: Due, asked: Option<Asked>) {
        let name = &self.named_now(name, number);
        let before = match self.jobs.get_mut(name) {
            Some(scheduled) => scheduled.running.take_if(|running| running.is_of(number)),
            None => {
                self.past.ended(name, number, None);
                None
            }
        };
        if let Some(asked) = asked {
            return self.run_now(name, asked);
        }
        let Some(before) = before else { return };
        match self.jobs.get(name).is_some_and(|scheduled| scheduled.keeps(&before.job)) {
            true => self.start(name, due, None),
            false => {
                self.skip(name, 1);
                self.silent_from(name, Some(due.due), Reason::Skipped);
            }
        }
    }

    fn run_now(&mut self, name: &str, done: Asked) {
        let refused = match self.jobs.get(name) {
            None => Some(format!("there is no job `{name}`")),
            Some(scheduled) if scheduled.running.is_some() => Some(format!("job `{name}` is running just now")),
            Some(_) => None,
        };
        if let Some(why) = refused {
            let _nobody_waits = done.send(Err(why));
            return;
        }
        let label = self.clock.label();
        let Some(scheduled) = self.jobs.get(name) else { return };
        // It stands for the slot before the next one, so that it cannot take the next one's place.
        let now = UnixTime::from_duration(label);
        let step = scheduled.job.config.timing.rhythm.step();
        let usual = scheduled.job.config.timing.timetable.next_regardless(now);
        let next = [scheduled.ticker.next_due(), usual].into_iter().flatten().min().unwrap_or(now);
        let slot = step.slot(UnixTime::from_secs(step.slot(next).time().as_secs() - step.as_secs()));
        self.start(name, Due { cause: Cause::Manual, slot, due: now }, Some(done));
    }

    /// Pauses a job or has it run again; says whether that changed anything.
    fn pause(&mut self, name: &str, paused: bool) -> Result<bool, String> {
        let Some(scheduled) = self.jobs.get(name) else { return Err(format!("there is no job `{name}`")) };
        if self.paused.holds(name) == paused {
            return Ok(false);
        }
        let next = scheduled.starts().filter(|_| !paused).map(nanos);
        self.paused.set(name, paused).map_err(|error| format!("cannot remember it: {}", crate::chain(&error)))?;
        self.latest.set_next_due(name, next);
        let (code, what) = if paused { ("job_paused", "paused") } else { ("job_resumed", "resumed") };
        info!(job = name, next = next.map(instant), "{what}");
        self.appender.report(Some(name), Severity::Indeterminate, code, format!("the job is {what}"));
        self.silent_from_now(name);
        Ok(true)
    }

    /// Puts these jobs in force; those that run alike keep number, phase and state.
    fn set(&mut self, jobs: Vec<Job>) -> Changes {
        let mut changes = Changes::default();
        let label = self.clock.label();
        let mut before = std::mem::take(&mut self.jobs);
        for job in jobs {
            let name = job.name().to_owned();
            let mut is_new = true;
            let was = job.config.was.as_ref().map(|was| was.as_str());
            let scheduled = match before.remove(&name).or_else(|| before.remove(was?)) {
                Some(same) if same.job.runs_like(&job) => {
                    changes.unchanged += 1;
                    is_new = false;
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
            self.jobs.insert(name.clone(), scheduled);
            if is_new {
                self.silent_from_now(&name);
            }
        }
        changes.removed = before.len();
        for (name, gone) in before {
            gone.job.plugin.close(gone.job.number);
            gone.silent(&self.appender, gone.ticker.next_due(), Reason::Removed);
            self.past.keep(name, gone);
        }
        for (name, scheduled) in &self.jobs {
            let next = scheduled.starts().filter(|_| !self.paused.holds(name));
            self.latest.set_next_due(name, next.map(nanos));
        }
        self.past.tell_removed(&self.appender, label);
        self.due = self.jobs.iter().filter_map(|(name, job)| Some(Reverse((job.starts()?, name.clone())))).collect();
        self.metrics.set_jobs(self.jobs.len());
        changes
    }

    /// Puts a job in the place of the one of its name, between two runs; the run under way ends where it began.
    fn swap(&mut self, job: Arc<Job>, open: bool) {
        let Some(scheduled) = self.jobs.get_mut(job.name()) else { return };
        if job.shape != scheduled.job.shape {
            drop(self.appender.append(&Record::Shape(job.shape.clone())));
            self.latest.set_shape(&job.shape);
        }
        if open {
            job.plugin.open(job.open());
        }
        scheduled.job = job;
    }

    /// Schedules a job that is new, or that changed: then it goes on where the one before stands.
    fn schedule(&mut self, job: Job, old: Option<Scheduled>, label: Duration) -> Scheduled {
        if let Some(old) = &old {
            old.job.plugin.close(old.job.number);
        }
        self.appender.begin(job.shape.clone(), job.upkeep());
        job.plugin.open(job.open());
        let Some(old) = old else {
            let was = job.config.was.as_ref().map(|was| was.as_str().to_owned());
            let down = self.past.down_since(job.name()).or_else(|| self.past.down_since(was.as_deref()?));
            let under_way = if self.paused.holds(job.name()) { Duration::ZERO } else { job.config.timeout };
            let scheduled = self.past.take(job.name(), was.as_deref()).scheduled(job, label);
            scheduled.was_down(&self.appender, down, under_way);
            return scheduled;
        };
        let name = job.name().to_owned();
        let (scheduled, dropped) = old.changed_to(job, label);
        if dropped {
            self.skip(&name, 1);
        }
        scheduled
    }
}

fn nanos_of(time: UnixTime) -> i64 {
    time.as_secs().saturating_mul(SECOND_NS)
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
