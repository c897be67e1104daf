//! Jobs that are told apart. A worker died, not for the first time, and nothing says who brought it down: a signal that its own process sent
//! it, a thread that an agent left behind. Its jobs are split over several workers; one that dies is split further, until a job is alone in
//! its worker when that dies, and is held to account. Whoever was quiet for long enough runs with the others again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use watchpost_plugin_api::ErrorKind;

use super::{Command, HEALTHY_AFTER, Life};
use crate::plugin::{
    Incident, JobOpen, What,
    blame::Culprit,
    jobs::Job,
    report::{Told, WorkerState},
    runs::Runs,
};

/// Workers that jobs are split over at a time.
const WORKERS: usize = 8;
/// Deaths in a row after which jobs are told apart: the first may have come from outside.
const DEATHS_UNTIL_TOLD_APART: u32 = 2;
/// Jobs come back that brought no worker down for so many of their intervals, and for a minute at least.
const QUIET_INTERVALS: u32 = 12;
/// Deaths are forgotten when a worker has lived for so many intervals of each of its jobs.
const HEALTHY_INTERVALS: u32 = 3;
/// How long workers may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The workers of one plugin that have some of its jobs to themselves.
#[derive(Default)]
pub(super) struct Aparts {
    all: Vec<Apart>,
    /// Those whose jobs are another's, until their last runs are over.
    leaving: Vec<Apart>,
    last_number: u64,
}

/// A worker that has some jobs to itself.
struct Apart {
    number: u64,
    jobs: BTreeMap<u64, JobOpen>,
    commands: mpsc::UnboundedSender<Command>,
    /// What came while it was about to give its jobs back.
    missed: Vec<Command>,
    told: Arc<Told>,
    crashes: u64,
    quiet_since: Instant,
}

/// Whose jobs a worker has that has them to itself.
pub(super) struct Parent {
    number: u64,
    commands: mpsc::WeakUnboundedSender<Command>,
}

impl Command {
    /// The job that it is about.
    fn job(&self) -> Option<u64> {
        match self {
            Self::Open(open) => Some(open.number),
            Self::Close(job) | Self::Cancel(job) | Self::Release { job, .. } => Some(*job),
            Self::Run { request, .. } => Some(request.job),
            _ => None,
        }
    }

    /// The same for each of several workers, if all of them are to obey it.
    fn for_all(&self) -> Option<Self> {
        match self {
            Self::Guard(base) => Some(Self::Guard(base.clone())),
            Self::Enable(enabled) => Some(Self::Enable(*enabled)),
            _ => None,
        }
    }
}

impl Apart {
    fn ask(&mut self, command: Command) {
        if let Err(unsent) = self.commands.send(command) {
            self.missed.push(unsent.0);
        }
    }

    /// Whether its jobs did nothing for so long that they may come back.
    fn is_quiet(&mut self) -> bool {
        let report = self.told.own();
        if report.crashes != self.crashes {
            (self.crashes, self.quiet_since) = (report.crashes, Instant::now());
        }
        let longest = self.jobs.values().map(|job| job.interval).max().unwrap_or_default();
        let quiet = HEALTHY_AFTER.max(longest * QUIET_INTERVALS);
        report.state == WorkerState::Ready && report.held.is_empty() && self.quiet_since.elapsed() > quiet
    }
}

impl Aparts {
    /// Passes on what is for a worker that has its job to itself; gives back what is for the one with all others.
    pub(super) fn pass_on(&mut self, command: Command) -> Option<Command> {
        let Some(job) = command.job() else {
            for apart in &mut self.all {
                command.for_all().into_iter().for_each(|command| apart.ask(command));
            }
            return Some(command);
        };
        if let Command::Cancel(_) = command {
            self.leaving.iter_mut().for_each(|apart| apart.ask(Command::Cancel(job)));
        }
        let Some(apart) = self.all.iter_mut().find(|apart| apart.jobs.contains_key(&job)) else { return Some(command) };
        match &command {
            Command::Open(open) => drop(apart.jobs.insert(job, open.clone())),
            Command::Close(_) => drop(apart.jobs.remove(&job)),
            _ => {}
        }
        apart.ask(command);
        None
    }

    /// Ends all of them.
    pub(super) async fn stop(&mut self) {
        let stopping = self.all.drain(..).chain(self.leaving.drain(..)).map(|apart| {
            let (done, stopped) = oneshot::channel();
            let _gone = apart.commands.send(Command::Stop(done));
            stopped
        });
        for stopped in stopping.collect::<Vec<_>>() {
            let _late_or_gone = timeout(STOP_TIMEOUT, stopped).await;
        }
    }
}

impl Life {
    /// The job that was alone in a worker that died, where that says something; nobody else.
    pub(super) fn who_was_alone(&mut self, how: &str) -> Culprit {
        self.examinations.survived_death(how);
        let before = self.unblamed;
        self.unblamed = before.saturating_add(1);
        match self.jobs.made()[..] {
            [job] if self.parent.is_some() || before > 0 => {
                self.jobs.get(job).map_or(Culprit::Nobody, |known| Culprit::Alone { job, name: known.open.name.clone() })
            }
            _ => Culprit::Nobody,
        }
    }

    /// The jobs of a worker that died of nobody's known doing, where it is time to find out.
    pub(super) fn to_be_told_apart(&self) -> Vec<u64> {
        let suspects: Vec<u64> = self.jobs.made().into_iter().filter(|&job| self.jobs.get(job).is_some()).collect();
        let it_is_time = self.parent.is_some() || self.unblamed >= DEATHS_UNTIL_TOLD_APART;
        if it_is_time && suspects.len() > 1 { suspects } else { Vec::new() }
    }

    /// Splits these jobs over several workers; one that has jobs to itself leaves that to whose jobs they are.
    pub(super) fn tell_apart(&mut self, suspects: &[u64]) {
        if suspects.is_empty() {
            return;
        }
        let numbers = if self.parent.is_some() { self.jobs.numbers().collect() } else { suspects.to_vec() };
        let jobs: Vec<Job> = numbers.iter().filter_map(|&number| self.jobs.take(number)).collect();
        let runs = self.runs.part(|job| numbers.contains(&job));
        match self.parent {
            Some(_) => self.given_back = Some((jobs, runs)),
            None => self.divide(jobs, runs),
        }
    }

    fn divide(&mut self, mut jobs: Vec<Job>, mut runs: Runs) {
        // Whoever runs as often comes back as soon.
        jobs.sort_by_key(|job| (job.open.interval, job.open.number));
        let (count, size) = (jobs.len(), jobs.len().div_ceil(WORKERS).max(1));
        let workers = count.div_ceil(size);
        self.story.told_apart(count, workers);
        let text = format!(
            "plugin {}: its worker died again and no job is known to be to blame; {count} of its jobs run in {workers} workers, to find out",
            self.name
        );
        self.ward.tell(Incident { plugin: self.name.clone(), job: None, what: What::ToldApart, text });
        while !jobs.is_empty() {
            let rest = jobs.split_off(size.min(jobs.len()));
            let group = std::mem::replace(&mut jobs, rest);
            let of_group = runs.part(|number| group.iter().any(|job| job.open.number == number));
            self.begin_apart(group, of_group);
        }
        runs.fail_all(ErrorKind::INTERRUPTED, "the job was changed or removed before it ran");
        self.report().jobs = self.jobs.count();
        self.show_held();
    }

    fn begin_apart(&mut self, group: Vec<Job>, runs: Runs) {
        self.apart.last_number += 1;
        let number = self.apart.last_number;
        let told = self.told.begin_apart(group.iter().map(|job| job.open.name.clone()).collect());
        let (commands, queue) = mpsc::unbounded_channel();
        let (source, ward, descriptor) = (self.source.clone(), self.ward.clone(), self.descriptor.clone());
        let ending = self.ending.clone();
        let mut life = Self::new(source, ward, descriptor, self.base.clone(), told.clone(), ending, commands.downgrade());
        life.parent = Some(Parent { number, commands: self.commands.clone() });
        life.disabled = self.disabled;
        life.last_number = self.last_number.max(runs.last_number());
        life.runs = runs;
        let jobs = group.iter().map(|job| (job.open.number, job.open.clone())).collect();
        group.into_iter().for_each(|job| life.jobs.open(Job { made: false, ..job }));
        life.report().jobs = life.jobs.count();
        life.show_held();
        if !life.disabled {
            life.comeback.at_once();
        }
        tokio::spawn(life.lead(queue));
        let (missed, quiet_since) = (Vec::new(), Instant::now());
        self.apart.all.push(Apart { number, jobs, commands, missed, told, crashes: 0, quiet_since });
    }

    /// Splits further what a worker gives back.
    pub(super) fn divide_again(&mut self, from: u64, jobs: Vec<Job>, runs: Runs) {
        let Some(at) = self.apart.all.iter().position(|apart| apart.number == from) else { return };
        let apart = self.apart.all.swap_remove(at);
        self.told.end_apart(&apart.told);
        self.divide(jobs, runs);
        for command in apart.missed {
            self.obey(command);
        }
    }

    /// Gives back the jobs that it had to itself, with what it did not come to do, and ends.
    pub(super) fn give_back(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        self.stop();
        self.runs.fail_all(ErrorKind::INTERRUPTED, "its worker was replaced");
        let Some(Parent { number, commands: parent }) = self.parent.take() else { return };
        let (Some(parent), Some((jobs, runs))) = (parent.upgrade(), self.given_back.take()) else { return };
        let _stopped = parent.send(Command::Divide { from: number, jobs, runs });
        commands.close();
        while let Ok(command) = commands.try_recv() {
            let _stopped = parent.send(command);
        }
    }

    /// Its jobs are another's from now on: the runs that it has go on.
    pub(super) fn retire(&mut self) {
        self.retired = true;
        self.report().apart.clear();
        self.jobs.numbers().collect::<Vec<_>>().into_iter().for_each(|job| self.obey(Command::Close(job)));
    }

    /// Whether no worker of it has been there yet.
    pub(super) fn is_new(&self) -> bool {
        self.parent.is_some() && self.report().state == WorkerState::Starting && self.report().crashes == 0
    }

    /// Takes jobs back that brought no worker down for long, and forgets deaths that were long ago.
    pub(super) fn look_apart(&mut self) {
        let healthy = HEALTHY_AFTER.max(self.jobs.longest_interval().unwrap_or_default() * HEALTHY_INTERVALS);
        if self.live.as_ref().is_some_and(|live| live.since.elapsed() > healthy) {
            self.unblamed = 0;
        }
        let back: Vec<Apart> = self.apart.all.extract_if(.., |apart| apart.jobs.is_empty() || apart.is_quiet()).collect();
        for mut apart in back {
            let jobs = std::mem::take(&mut apart.jobs);
            if !jobs.is_empty() {
                self.story.came_back(jobs.len());
            }
            apart.ask(Command::Retire);
            self.apart.leaving.push(apart);
            jobs.into_values().for_each(|open| self.obey(Command::Open(open)));
        }
        let told = &self.told;
        self.apart.leaving.retain(|apart| {
            let gone = apart.commands.is_closed();
            if gone {
                told.end_apart(&apart.told);
            }
            !gone
        });
    }
}
