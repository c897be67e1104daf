//! Passive check results for Icinga 2: the present of each job after its runs, and at once when its verdict changes.
//!
//! There is no outbox: what could not be told is out of date, and the next run says how things are.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet, time::timeout};
use tracing::warn;

use super::{ChannelState, late, lock, reach::Reach};
use crate::{
    daemon::{alarm_view::SharedLedger, now_ns},
    latest::{Latest, Snapshot},
    log::trouble::Trouble,
    notify::{
        channel::{Channel, Sender, Undelivered},
        icinga2::{CheckResult, Icinga2, Standing},
    },
};

/// How often jobs are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Results on their way at the same time.
const AT_ONCE: usize = 8;
/// Results of a verdict that stays are told at least three times in what they are worth, not with every run.
const OF_TTL: u32 = 3;

/// Where the present is seen.
pub(in crate::daemon) trait Present: Send + Sync {
    /// The last reading of every job.
    fn jobs(&self) -> Snapshot;
    /// Alarms that are active and silenced by nobody, by job.
    fn alarms(&self) -> HashMap<String, Vec<Standing>>;
}

/// The daemon's own present.
pub(in crate::daemon) struct Now {
    pub(in crate::daemon) latest: Arc<Latest>,
    pub(in crate::daemon) ledger: SharedLedger,
}

impl Present for Now {
    fn jobs(&self) -> Snapshot {
        self.latest.snapshot(now_ns())
    }

    fn alarms(&self) -> HashMap<String, Vec<Standing>> {
        let mut standing: HashMap<String, Vec<Standing>> = HashMap::new();
        for alarm in self.ledger.lend().told() {
            let told = Standing { severity: alarm.life.severity, text: alarm.subject.text.clone() };
            standing.entry(alarm.subject.job.clone()).or_default().push(told);
        }
        for alarms in standing.values_mut() {
            alarms.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.text.cmp(&other.text)));
        }
        standing
    }
}

/// Nobody measures anything.
pub(super) struct Nothing;

impl Present for Nothing {
    fn jobs(&self) -> Snapshot {
        Snapshot { now_ns: now_ns(), jobs: Vec::new() }
    }

    fn alarms(&self) -> HashMap<String, Vec<Standing>> {
        HashMap::new()
    }
}

/// One channel at work.
pub(super) struct Lead {
    channel: Arc<Channel>,
    icinga: Arc<Icinga2>,
    sender: Sender,
    present: Arc<dyn Present>,
    state: Arc<Mutex<ChannelState>>,
    stops: watch::Receiver<bool>,
    reach: Reach,
    told: HashMap<String, Told>,
    /// Jobs whose results are taken by no service, and why.
    refused: BTreeMap<String, String>,
    refusals: Trouble,
}

/// What was told of a job last.
struct Told {
    started_ns: i64,
    alarms: Vec<Standing>,
    result: CheckResult,
    at: Instant,
}

impl Lead {
    pub(super) fn new(
        channel: Arc<Channel>,
        icinga: Arc<Icinga2>,
        sender: Sender,
        present: Arc<dyn Present>,
        (state, stops): (Arc<Mutex<ChannelState>>, watch::Receiver<bool>),
        reach: Reach,
    ) -> Self {
        let (told, refused) = (HashMap::new(), BTreeMap::new());
        Self { channel, icinga, sender, present, state, stops, reach, told, refused, refusals: Trouble::new() }
    }

    pub(super) async fn lead(mut self) {
        while !*self.stops.borrow() {
            let due = self.due();
            lock(&self.state).waiting = due.len() as u64;
            let pause = match self.tell(due).await {
                Some(why) => {
                    lock(&self.state).failing = Some(why.clone());
                    self.reach.failed(&why).max(LOOK_EVERY)
                }
                None => LOOK_EVERY,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stops.changed() => {}
            }
        }
    }

    /// Results that are to be told now.
    fn due(&mut self) -> Vec<(String, Told)> {
        let (snapshot, mut alarms) = (self.present.jobs(), self.present.alarms());
        self.told.retain(|job, _| snapshot.jobs.iter().any(|known| known.shape.job == *job));
        self.refused.retain(|job, _| snapshot.jobs.iter().any(|known| known.shape.job == *job));
        let mut due = Vec::new();
        for job in snapshot.jobs.iter().filter(|job| self.icinga.is_meant(&job.shape)) {
            let Some(last) = job.fresh(snapshot.now_ns) else { continue };
            let name = &job.shape.job;
            let alarms = alarms.remove(name).unwrap_or_default();
            let result = match self.icinga.result(&self.sender.host, job, last, &alarms) {
                Ok(result) => result,
                Err(why) => {
                    self.refused.insert(name.clone(), why);
                    continue;
                }
            };
            let is_due = self.told.get(name).is_none_or(|told| {
                let is_new = told.started_ns != last.started_ns && told.at.elapsed() >= result.ttl / OF_TTL;
                is_new || told.result.verdict != result.verdict || told.alarms != alarms
            });
            if is_due {
                due.push((name.clone(), Told { started_ns: last.started_ns, alarms, result, at: Instant::now() }));
            }
        }
        due
    }

    /// Tells results, some at a time; gives why none further could be told.
    async fn tell(&mut self, due: Vec<(String, Told)>) -> Option<String> {
        let mut waiting = due.into_iter();
        let mut telling = JoinSet::new();
        let mut failed = None;
        loop {
            while telling.len() < AT_ONCE && failed.is_none() {
                let Some((job, told)) = waiting.next() else { break };
                let (icinga, sender, patience) = (self.icinga.clone(), self.sender.clone(), self.channel.timeout);
                telling.spawn(async move {
                    let sent = timeout(patience, icinga.tell(&sender, &told.result.body)).await;
                    (job, told, sent.unwrap_or_else(|_| Err(late(patience))))
                });
            }
            let Some(ended) = telling.join_next().await else { break };
            let Ok((job, told, outcome)) = ended else { continue };
            failed = failed.or(self.judge(job, told, outcome));
        }
        self.complain();
        failed
    }

    /// Sees what became of a result; gives why not even Icinga was reached.
    fn judge(&mut self, job: String, told: Told, outcome: Result<(), Undelivered>) -> Option<String> {
        let mut state = lock(&self.state);
        match outcome {
            Ok(()) => {
                (state.delivered, state.last_ns) = (state.delivered + 1, Some(now_ns()));
                self.refused.remove(&job);
            }
            Err(Undelivered::Never { why }) => {
                state.refused += 1;
                self.refused.insert(job.clone(), format!("job {job}: {why}"));
            }
            Err(Undelivered::Later { why, .. }) => return Some(why),
        }
        state.waiting = state.waiting.saturating_sub(1);
        drop(state);
        self.reach.reached();
        self.told.insert(job, told);
        None
    }

    /// Tells which results no service takes.
    fn complain(&mut self) {
        let first = self.refused.values().next();
        let why = first.map(|first| match self.refused.len() {
            1 => first.clone(),
            many => format!("{first}; and {} others", many - 1),
        });
        if !self.reach.is_failing() {
            lock(&self.state).failing.clone_from(&why);
        }
        match why {
            None => drop(self.refusals.is_over(Instant::now())),
            Some(why) => {
                if self.refusals.met(&why, Instant::now()).is_some() {
                    warn!(channel = self.channel.name, "a result is taken by no service: {why}");
                }
            }
        }
    }
}
