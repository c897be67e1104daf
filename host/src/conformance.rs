//! Whether an agent keeps to what the host expects of it, shown by running it in a worker: what its author should know before others do.
//!
//! Reading order: [`Trial`] (the checks, one after the other) · `unreachable` (a target that is not there) · `use_of` (what a worker holds).

mod unreachable;
mod use_of;

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use watchpost_plugin_api::ErrorKind;
use watchpost_services::outcome::{Outcome, Status};
use watchpost_worker::confine::union;

use crate::{
    job::Job,
    plugin::{JobOpen, RunRequest},
};
use unreachable::{Closed, without_target};
use use_of::{HIDDEN, Use};

/// Runs of a trial unless somebody says otherwise.
pub const RUNS: u32 = 1000;
/// Runs of a job that acts on the world: each is a message sent, say.
pub const RUNS_OF_WHAT_ACTS: u32 = 10;
/// Runs that are cut off, each a little later than the one before.
const CUTS: u32 = 10;
/// How late after its deadline a run may be heard of: the worker's way, on a machine that has more to do.
const GRACE: Duration = Duration::from_secs(2);
/// The key that no agent has.
const STRANGER: &str = "watchpost-conformance";
/// Of the time that runs may take, what goes by before it is looked what a worker holds, at most.
const WARM_SHARE: u32 = 4;
/// Runs after which it can be told whether a worker keeps what it should give back, where there was no time for more.
const RUNS_THAT_TELL: u32 = 10;
/// Descriptors that may come and go: connections that are kept over runs.
const DESCRIPTORS_MORE: u64 = 2;
/// What a heap may grow by when nothing is kept: pieces that the allocator has not given back.
const BYTES_MORE: u64 = 2 * 1024 * 1024;
/// What a worker holds.
const HOLDINGS: [&str; 2] = ["descriptors", "memory"];
/// What may be measured before a target turns out to be unreachable: its name was found.
const BEFORE_IT_IS_REACHED: &str = "resolve_time";

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The agent keeps to it.
    Passed,
    /// It does not.
    Failed,
    /// It could not be shown here.
    LeftOut,
}

/// One check, and what it came to.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
}

/// What became of one run.
struct Ran {
    outcome: Outcome,
    /// How long it took until it was heard of.
    took: Duration,
}

/// The checks of one job.
pub struct Trial<'j> {
    job: &'j Job,
    runs: u32,
    within: Duration,
    /// Told what is being done, for whoever waits.
    now: &'j dyn Fn(&str),
    checks: Vec<Check>,
    /// Samples and the like that the host refused in any run, with the reason of the first.
    refused: (u32, Option<String>),
    /// What the run before left.
    cursor: Option<Vec<u8>>,
}

impl<'j> Trial<'j> {
    /// Prepares the trial of a job that its agent takes: so many runs, if there is time for them `within` that span; `now` is told what is
    /// being done.
    pub fn new(job: &'j Job, runs: u32, within: Duration, now: &'j dyn Fn(&str)) -> Self {
        Self { job, runs: runs.max(1), within, now, checks: Vec::new(), refused: (0, None), cursor: None }
    }

    /// Makes all checks, in order.
    pub async fn checks(mut self) -> Vec<Check> {
        self.told("configuration", Verdict::Passed, format!("taken; the target is {}", self.job.examined.target));
        self.stranger().await;
        self.job.plugin.open(self.job.open());
        let good = self.once().await;
        self.deadline(&good).await;
        self.many(&good).await;
        self.metrics(&good);
        self.job.plugin.close(self.job.number);
        (self.now)("sends it where nobody is");
        self.unreachable().await;
        self.worker();
        self.checks
    }

    fn told(&mut self, name: &'static str, verdict: Verdict, seen: impl Into<String>) {
        self.checks.push(Check { name, verdict, seen: seen.into() });
    }

    fn judged(&mut self, name: &'static str, passed: bool, seen: impl Into<String>) {
        self.told(name, if passed { Verdict::Passed } else { Verdict::Failed }, seen);
    }

    /// Offers a configuration with a key that nobody knows.
    async fn stranger(&mut self) {
        let mut config = self.job.bound.config().clone();
        if let Value::Object(keys) = &mut config {
            keys.insert(STRANGER.into(), Value::Bool(true));
        }
        let answer = self.job.plugin.examine(&self.job.config.asks.agent.value, &config.to_string()).await;
        match answer {
            Err(error) if error.kind() == ErrorKind::CONFIG => self.judged("unknown key", true, "refused"),
            Err(error) => self.judged("unknown key", false, format!("not refused as such, but: {}: {error}", error.kind())),
            Ok(_) => self.judged("unknown key", false, "taken; `#[serde(deny_unknown_fields)]` is missing"),
        }
    }

    async fn once(&mut self) -> Ran {
        self.within(self.job.number, self.job.config.timeout).await
    }

    async fn within(&mut self, job: u64, timeout: Duration) -> Ran {
        let begun = Instant::now();
        let end = self.job.plugin.run(RunRequest { job, timeout, cursor: self.cursor.clone(), explain: false }).await;
        let outcome = end.outcome;
        // What comes after the deadline is refused as such, and is no fault of who could not know.
        if kind_of(&outcome) != Some(ErrorKind::TIMEOUT) {
            self.refused.0 = self.refused.0.saturating_add(outcome.refused);
            self.refused.1 = self.refused.1.take().or_else(|| outcome.refusal.clone());
        }
        self.cursor = outcome.cursor.clone().or_else(|| self.cursor.take());
        Ran { outcome, took: begun.elapsed() }
    }

    /// Cuts runs off, the first at once, the last when it would have ended; the run after that is as good as the one before.
    async fn deadline(&mut self, good: &Ran) {
        let whole = Duration::from_nanos(good.outcome.duration_ns).max(Duration::from_millis(1));
        let cuts = if self.job.examined.repeatable { CUTS } else { 2 };
        let (mut cut, mut latest, mut wrong) = (0, Duration::ZERO, None);
        for at in 1..=cuts {
            (self.now)(&format!("cuts off run {at} of {cuts}"));
            let timeout = (whole * at / (cuts + 1)).max(Duration::from_millis(1));
            let ran = self.within(self.job.number, timeout).await;
            latest = latest.max(ran.took.saturating_sub(timeout));
            match kind_of(&ran.outcome) {
                Some(ErrorKind::TIMEOUT) => cut += 1,
                Some(kind) if is_ours(kind) => wrong = wrong.or_else(|| Some(told(&ran.outcome))),
                _ => {}
            }
        }
        let late = format!("{cut} of {cuts} runs cut off; the last was heard of {latest:.1?} after its deadline at most");
        self.judged("deadline", latest < GRACE && wrong.is_none(), wrong.unwrap_or(late));
        let after = self.once().await;
        let alike = kind_of(&after.outcome) == kind_of(&good.outcome);
        self.judged("cancellation", alike, format!("a run after those that were cut off: {}", told(&after.outcome)));
    }

    /// Runs it often, for as long as there is time, and looks at what its worker holds.
    async fn many(&mut self, good: &Ran) {
        let runs = match self.job.examined.repeatable {
            true => self.runs,
            false => self.runs.min(RUNS_OF_WHAT_ACTS),
        };
        // What is made once is made by then: threads, pools, buffers.
        let warm = (runs / 10).max(3);
        let (begun, wanted) = (Instant::now(), warm + runs);
        let (mut before, mut alike, mut warmed, mut all) = (None, 0, 0, 0);
        while (before.is_none() || all < warmed + runs) && begun.elapsed() < self.within {
            (self.now)(&format!("run {} of {wanted}", all + 1));
            let ran = self.once().await;
            alike += u32::from(kind_of(&ran.outcome) == kind_of(&good.outcome));
            all += 1;
            if before.is_none() && (all == warm || begun.elapsed() > self.within / WARM_SHARE) {
                (before, warmed) = (Some(self.held()), all);
            }
        }
        let seen = format!("{alike} of {all} ended alike: {}", told(&good.outcome));
        let is_all = before.is_some() && all == warmed + runs;
        match kind_of(&good.outcome).is_none_or(|kind| !is_ours(kind)) {
            true if !is_all => self.told("runs", Verdict::LeftOut, format!("{seen}; more were not over {}", self.in_time())),
            passed => self.judged("runs", passed, seen),
        }
        let runs = all - warmed;
        if !is_all && runs < RUNS_THAT_TELL {
            for name in HOLDINGS {
                self.told(name, Verdict::LeftOut, format!("{runs} runs tell too little, and more were not over {}", self.in_time()));
            }
            return;
        }
        self.compare(before.flatten(), runs);
    }

    fn in_time(&self) -> String {
        format!("within {} s: --within gives them more time", self.within.as_secs())
    }

    /// Compares what its worker held before so many runs with what it holds now.
    fn compare(&mut self, before: Option<Use>, runs: u32) {
        let (Some(before), Some(after)) = (before, self.held()) else {
            return HOLDINGS.into_iter().for_each(|name| self.judged(name, false, "its worker is gone"));
        };
        match (before.descriptors, after.descriptors) {
            (Some(before), Some(after)) => {
                let seen = format!("{before} before {runs} runs, {after} after");
                self.judged("descriptors", after <= before + DESCRIPTORS_MORE, seen);
            }
            _ => self.told("descriptors", Verdict::LeftOut, HIDDEN),
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let seen = format!("{:.1} MiB before {runs} runs, {:.1} MiB after", mib(before.bytes), mib(after.bytes));
        self.judged("memory", after.bytes <= before.bytes + BYTES_MORE, seen);
    }

    fn held(&self) -> Option<Use> {
        self.job.plugin.report().pid.and_then(Use::of)
    }

    /// Whether everything that was recorded was declared, in all runs so far.
    fn metrics(&mut self, good: &Ran) {
        match self.refused.clone() {
            (0, _) if good.outcome.samples.is_empty() => {
                let why = format!("nothing was recorded here: {}", told(&good.outcome));
                self.told("metrics", Verdict::LeftOut, why);
            }
            (0, _) => self.judged("metrics", true, format!("{} samples of a run, each declared", good.outcome.samples.len())),
            (refused, why) => self.judged("metrics", false, format!("{refused} refused, the first: {}", why.unwrap_or_default())),
        }
    }

    /// Sends it where nobody is.
    async fn unreachable(&mut self) {
        const NAME: &str = "unreachable";
        let closed = match Closed::find() {
            Ok(closed) => closed,
            Err(error) => return self.told(NAME, Verdict::LeftOut, format!("no port to send it to: {}", crate::chain(&error))),
        };
        let schema = self.job.plugin.descriptor().agents.iter().find(|agent| agent.name == self.job.config.asks.agent.value);
        let Some(config) = schema.and_then(|agent| without_target(self.job.bound.config(), &agent.schema, &closed)) else {
            return self.told(NAME, Verdict::LeftOut, "its configuration names no host, address or path that could be another");
        };
        let agent = self.job.config.asks.agent.value.clone();
        let examined = match self.job.plugin.examine(&agent, &config.to_string()).await {
            Ok(examined) => examined,
            Err(error) => return self.told(NAME, Verdict::LeftOut, format!("its configuration is then refused: {error}")),
        };
        // A number of its own: what the job left is not for this one.
        let number = u64::MAX;
        self.cursor = None;
        // It needs the port that it is sent to, or the sandbox answers in the place of the network.
        let needs = union([&self.job.examined.needs, &examined.needs]);
        self.job.plugin.open(JobOpen { number, config: config.to_string(), needs, ..self.job.open() });
        let ran = self.within(number, self.job.config.timeout).await;
        self.job.plugin.close(number);
        let stray = ran.outcome.samples.iter().find(|sample| sample.metric != BEFORE_IT_IS_REACHED);
        match (kind_of(&ran.outcome), stray) {
            (None, _) => self.judged(NAME, false, "the run ended well"),
            (Some(kind), _) if is_ours(kind) || kind == ErrorKind::CONFIG => self.judged(NAME, false, told(&ran.outcome)),
            (_, Some(sample)) => self.judged(NAME, false, format!("{}; and yet {} = {}", told(&ran.outcome), sample.metric, sample.value)),
            _ => self.judged(NAME, true, format!("{}; no sample", told(&ran.outcome))),
        }
    }

    /// Whether its worker lived through all of it.
    fn worker(&mut self) {
        let report = self.job.plugin.report();
        let how = report.last_crash.map(|crash| crash.how).unwrap_or_default();
        match report.crashes {
            0 => self.judged("worker", true, "the same process from the first run to the last"),
            crashes => self.judged("worker", false, format!("died {crashes} times; the last time: {how}")),
        }
    }
}

fn kind_of(outcome: &Outcome) -> Option<ErrorKind> {
    match outcome.status {
        Status::Ok => None,
        Status::Failed { kind, .. } => Some(kind),
    }
}

/// Whether a failure is the agent's own fault, and not one of target or machine.
fn is_ours(kind: ErrorKind) -> bool {
    [ErrorKind::PANIC, ErrorKind::CRASH, ErrorKind::INTERRUPTED, ErrorKind::SKIPPED].contains(&kind) || kind.name() == "other"
}

fn told(outcome: &Outcome) -> String {
    match &outcome.status {
        Status::Ok => "ok".into(),
        Status::Failed { kind, message } => format!("{kind}: {message}"),
    }
}
