//! Passive check results for Icinga 2: the present of each job after its runs, and at once when its verdict changes.
//!
//! There is no outbox: what could not be told is out of date, and the next run says how things are.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet};
use tracing::warn;

use super::{ChannelState, lock, reach::Reach};
use crate::{
    daemon::{alarm_view::SharedLedger, now_ns},
    latest::{Latest, Snapshot},
    log::trouble::Trouble,
    notify::{
        channel::{Channel, Sender, Undelivered},
        icinga2::{CheckResult, Icinga2, Standing, verdict},
    },
};

/// How often jobs are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Results on their way at the same time.
const AT_ONCE: usize = 8;
/// Results of a verdict that stays are told no more often, however often a job runs: three times in the shortest time that one is worth.
const AGAIN_AFTER: Duration = Duration::from_secs(20);

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
    /// The endpoint that took the last result.
    first: usize,
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
        Self { channel, icinga, sender, present, state, stops, reach, first: 0, told, refused, refusals: Trouble::new() }
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
        let known: HashSet<&str> = snapshot.jobs.iter().map(|job| job.shape.job.as_str()).collect();
        self.told.retain(|job, _| known.contains(job.as_str()));
        self.refused.retain(|job, _| known.contains(job.as_str()));
        let mut due = Vec::new();
        for job in snapshot.jobs.iter().filter(|job| self.icinga.is_meant(&job.shape)) {
            let Some(last) = job.fresh(snapshot.now_ns) else { continue };
            let name = &job.shape.job;
            let alarms = alarms.remove(name).unwrap_or_default();
            let told = self.told.get(name);
            if told.is_some_and(|told| told.started_ns == last.started_ns && told.alarms == alarms) {
                continue;
            }
            let is_due = told.is_none_or(|told| {
                told.at.elapsed() >= AGAIN_AFTER || told.result.verdict != verdict(last, &alarms) || told.alarms != alarms
            });
            if !is_due {
                continue;
            }
            match self.icinga.result(&self.sender.host, (job, snapshot.now_ns), last, &alarms) {
                Ok(result) => due.push((name.clone(), Told { started_ns: last.started_ns, alarms, result, at: Instant::now() })),
                Err(why) => drop(self.refused.insert(name.clone(), why)),
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
                let (icinga, sender, patience, first) = (self.icinga.clone(), self.sender.clone(), self.channel.timeout, self.first);
                telling.spawn(async move {
                    let sent = icinga.tell(&sender, &told.result.body, patience, first).await;
                    (job, told, sent)
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
    fn judge(&mut self, job: String, told: Told, outcome: Result<usize, Undelivered>) -> Option<String> {
        let mut state = lock(&self.state);
        match outcome {
            Ok(endpoint) => {
                self.first = endpoint;
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

#[cfg(test)]
mod tests {
    use watchpost_journal::{Journal, Options};
    use watchpost_services::outcome::{Outcome, Status};

    use super::*;
    use crate::{
        alarm::notice::Step,
        daemon::{appender::Appender, host_alarms::Overheard},
        latest::JobView,
        notify::{
            channel::{Hidden, Kind},
            icinga2::ObjectName,
        },
        reading::{Cause, Reading, Shape},
    };

    const SECOND: i64 = 1_000_000_000;
    /// Many more than anybody has: what grows with their square shows.
    const JOBS: usize = 20_000;

    /// The present of some jobs, at an instant that the test says.
    #[derive(Default)]
    struct Scene {
        latest: Latest,
        now_ns: Mutex<i64>,
        alarms: Mutex<HashMap<String, Vec<Standing>>>,
    }

    impl Present for Scene {
        fn jobs(&self) -> Snapshot {
            self.latest.snapshot(*lock(&self.now_ns))
        }

        fn alarms(&self) -> HashMap<String, Vec<Standing>> {
            lock(&self.alarms).clone()
        }
    }

    impl Scene {
        fn of(jobs: &[String]) -> Arc<Self> {
            let scene = Self::default();
            let view = |job: &String| {
                let (agent, target, labels, metrics) = ("smtp".into(), "mx1:25".into(), vec![], vec![]);
                JobView { shape: Shape { job: job.clone(), agent, target, labels, step_s: 60, metrics }, next_due_ns: None }
            };
            scene.latest.set_jobs(jobs.iter().map(view));
            Arc::new(scene)
        }

        fn runs(&self, job: &str, at_s: i64, status: Status) {
            *lock(&self.now_ns) = at_s * SECOND + 1;
            let outcome = Outcome { status, ..Outcome::failed(watchpost_plugin_api::ErrorKind::LOCAL, "", at_s * SECOND) };
            let (due_ns, stale_ns) = (at_s * SECOND, (at_s + 1_000) * SECOND);
            self.latest.apply(&Reading { job: job.into(), cause: Cause::Schedule, slot: at_s, due_ns, stale_ns, outcome });
        }
    }

    fn lead(scene: &Arc<Scene>) -> (Lead, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path(), Options::default()).unwrap();
        let name = |source: &str| ObjectName::parse(source).unwrap();
        let (user, password) = ("watchpost".into(), Hidden::new("secret".into()));
        let icinga = Icinga2 { receivers: vec![], user, password, jobs: None, host: name("mx1"), service: name("{{ job }}") };
        let (icinga, kind) = (Arc::new(icinga.clone()), Kind::Icinga2(Arc::new(icinga)));
        let tell = [Step::Raised].into();
        let channel = Channel { name: "icinga".into(), kind, tell, heartbeat: None, timeout: Duration::from_secs(1), person: None };
        let reach = Reach::new("icinga", "", Appender::new(Arc::new(journal)), Overheard::default());
        let sender = Sender::new("i1", folder.path());
        let (_, stops) = watch::channel(false);
        (Lead::new(Arc::new(channel), icinga, sender, scene.clone(), (Arc::default(), stops), reach), folder)
    }

    /// Tells what is due, as if all were taken; gives of which jobs it was.
    fn told(lead: &mut Lead) -> Vec<String> {
        let due = lead.due();
        let jobs = due.iter().map(|(job, _)| job.clone()).collect();
        for (job, told) in due {
            assert_eq!(lead.judge(job, told, Ok(0)), None);
        }
        jobs
    }

    #[tokio::test]
    async fn each_run_is_told_unless_they_come_closely_and_what_changes_at_once() {
        let scene = Scene::of(&["mx".to_owned()]);
        let (mut lead, _folder) = lead(&scene);
        assert_eq!(told(&mut lead), [""; 0], "nothing is known of it");
        scene.runs("mx", 10, Status::Ok);
        assert_eq!((told(&mut lead), told(&mut lead)), (vec!["mx".to_owned()], vec![]));
        scene.runs("mx", 11, Status::Ok);
        assert_eq!(told(&mut lead), [""; 0], "it says the same, and has just been told");
        scene.runs("mx", 12, Status::Failed { kind: watchpost_plugin_api::ErrorKind::CONNECT, message: "no".into() });
        assert_eq!(told(&mut lead), ["mx"]);
        let slow = Standing { severity: watchpost_plugin_api::Severity::Minor, text: "slow".into() };
        lock(&scene.alarms).insert("mx".into(), vec![slow]);
        assert_eq!(told(&mut lead), ["mx"]);
        // However long a result is worth, the next run is told once that is not too soon.
        scene.latest.set_worth("mx", Some(86_400 * SECOND));
        scene.runs("mx", 300, Status::Ok);
        assert_eq!(told(&mut lead), ["mx"]);
        lead.told.get_mut("mx").unwrap().at = Instant::now().checked_sub(AGAIN_AFTER).unwrap();
        assert_eq!(told(&mut lead), [""; 0], "nothing is new");
        scene.runs("mx", 600, Status::Ok);
        assert_eq!(told(&mut lead), ["mx"]);
        scene.latest.set_jobs([]);
        assert_eq!((told(&mut lead), lead.told.len()), (vec![], 0));
    }

    #[tokio::test]
    async fn a_look_at_many_jobs_takes_as_long_as_there_are_jobs() {
        let jobs: Vec<String> = (0..JOBS).map(|number| format!("mx{number:05}")).collect();
        let scene = Scene::of(&jobs);
        jobs.iter().for_each(|job| scene.runs(job, 10, Status::Ok));
        let (mut lead, _folder) = lead(&scene);
        assert_eq!(told(&mut lead).len(), JOBS);
        let began = Instant::now();
        assert_eq!(told(&mut lead), [""; 0]);
        println!("a look at {JOBS} jobs took {:?}", began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}
