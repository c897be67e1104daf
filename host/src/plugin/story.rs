//! What the log tells of a plugin: each change of its worker once, and what its agents say, within bounds.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use tracing::{debug, error, info, warn};
use watchpost_plugin_api::Level;

use super::{
    blame::Culprit,
    jobs::{Job, Jobs},
    runs::Cost,
    supervisor::name_of,
};
use crate::log::{instant_of, quota::Quota, seconds, trouble::Trouble};

/// Deaths of one worker that are told in a minute, each with its return; the rest are counted.
const DEATHS_A_MINUTE: u32 = 10;
/// A worker that is taken over from so early did nothing worth telling of.
const YOUNG: Duration = Duration::from_secs(10);
/// Names what agents say, for filters: `info,watchpost::agent=warn`.
const AGENTS: &str = "watchpost::agent";

/// Tells of one plugin.
pub(super) struct Story {
    plugin: String,
    deaths: Quota,
    /// Whether the last death was told: then the return is told as well.
    told_of_death: bool,
    died: Option<Instant>,
    refused: Trouble,
    out_of_turn: Trouble,
    /// Jobs whose agents say more than is logged.
    talkative: BTreeSet<u64>,
}

/// A worker's death, as it is told.
pub(super) struct Death<'d> {
    pub(super) pid: u32,
    pub(super) how: &'d str,
    pub(super) culprit: &'d Culprit,
    pub(super) cost: Cost,
    /// When the next worker is started.
    pub(super) wait: Duration,
    /// How long the guilty job is held back.
    pub(super) held: Option<Duration>,
    /// Masked.
    pub(super) last_words: &'d str,
}

impl Story {
    /// Begins with the first worker.
    pub(super) fn begin(library: &Path, pid: u32) -> Self {
        let story = Self::untold(library);
        info!(plugin = story.plugin, pid, "the worker was started");
        story
    }

    /// Begins with a worker of which nothing is told unless it dies.
    pub(super) fn untold(library: &Path) -> Self {
        Self {
            plugin: name_of(library),
            deaths: Quota::a_minute(DEATHS_A_MINUTE),
            told_of_death: false,
            died: None,
            refused: Trouble::default(),
            out_of_turn: Trouble::default(),
            talkative: BTreeSet::new(),
        }
    }

    pub(super) fn died(&mut self, death: &Death<'_>) {
        let now = Instant::now();
        self.died = Some(now);
        self.told_of_death = self.deaths.admits(now);
        if !self.told_of_death {
            return;
        }
        let (job, agent) = match death.culprit {
            Culprit::Run { name, .. } | Culprit::Agent { name, .. } | Culprit::Alone { name, .. } => (Some(name.as_str()), None),
            Culprit::Configuration { agent, .. } => (None, Some(agent.as_str())),
            Culprit::Nobody => (None, None),
        };
        let last_words = Some(death.last_words.trim()).filter(|words| !words.is_empty());
        let held_s = death.held.map(seconds);
        let next = (!death.wait.is_zero()).then(|| instant_of(SystemTime::now() + death.wait));
        let (plugin, pid, doing, Cost { repeated, lost }) = (self.plugin.as_str(), death.pid, death.culprit.doing(), death.cost);
        error!(plugin, pid, job, agent, doing, held_s, next, repeated, lost, last_words, "the worker {}", death.how);
    }

    pub(super) fn started_again(&mut self, pid: u32, jobs: usize) {
        let was_refused = self.refused.is_over(Instant::now()).is_some();
        if self.told_of_death || was_refused {
            let down_s = self.died.map(|died| seconds(died.elapsed()));
            info!(plugin = self.plugin, pid, jobs, down_s, "the worker was started again");
        }
    }

    /// A worker took over from one that may not touch what is needed now, and was there for so long.
    pub(super) fn took_over(&mut self, pid: u32, after: Duration) {
        let _over = self.refused.is_over(Instant::now());
        let plugin = self.plugin.as_str();
        match after < YOUNG {
            // At a start it is known only once all jobs are what they need.
            true => debug!(plugin, pid, "a worker that may touch what the jobs need took over"),
            false => info!(plugin, pid, "a worker that may touch what the jobs need took over"),
        }
    }

    pub(super) fn refused(&mut self, why: &str, wait: Duration) {
        if let Some(told) = self.refused.met(why, Instant::now()) {
            let next = instant_of(SystemTime::now() + wait);
            warn!(plugin = self.plugin, next, tries = told.times, "the worker does not come back: {why}");
        }
    }

    pub(super) fn stopped(&self) {
        info!(plugin = self.plugin, "the worker was stopped");
    }

    pub(super) fn quarantined(&self, job: &str, crashes: u32, wait: Duration) {
        let next = instant_of(SystemTime::now() + wait);
        warn!(plugin = self.plugin, job, crashes, next, "the job is quarantined; `watchpost jobs release {job}` frees it");
    }

    pub(super) fn on_probation(&self, job: &str) {
        info!(plugin = self.plugin, job, "the job runs on probation");
    }

    pub(super) fn released(&self, job: &str, why: &str) {
        info!(plugin = self.plugin, job, "the job is released: {why}");
    }

    pub(super) fn enabled(&self, enabled: bool) {
        match enabled {
            true => info!(plugin = self.plugin, "the plugin was enabled"),
            false => warn!(plugin = self.plugin, "the plugin was disabled: its jobs do not run"),
        }
    }

    /// Jobs run in workers of their own, to find out which of them brings their worker down.
    pub(super) fn told_apart(&self, jobs: usize, workers: usize) {
        warn!(plugin = self.plugin, jobs, workers, "nobody is known to have brought the worker down: the jobs run in several, to find out");
    }

    /// Jobs came back from a worker of their own.
    pub(super) fn came_back(&self, jobs: usize) {
        info!(plugin = self.plugin, jobs, "jobs that brought no worker down run with the others again");
    }

    /// The worker said what only a new one says.
    pub(super) fn out_of_turn(&mut self) {
        if let Some(told) = self.out_of_turn.met("", Instant::now()) {
            warn!(plugin = self.plugin, times = told.times, "the worker spoke out of turn");
        }
    }

    /// An agent says something; what it says at every run is said once.
    ///
    /// False if it was more than is logged in a minute.
    pub(super) fn agent_says(&mut self, job: &mut Job, level: Level, text: &str) -> bool {
        let now = Instant::now();
        let Some(repeated) = job.said.news(text, now) else { return true };
        if !job.lines.admits(now) {
            self.talkative.insert(job.open.number);
            return false;
        }
        let (plugin, agent, job) = (self.plugin.as_str(), job.open.agent.as_str(), job.open.name.as_str());
        let repeated = (repeated > 0).then_some(repeated);
        match level {
            Level::Error => error!(target: AGENTS, job, plugin, agent, repeated, "{text}"),
            Level::Warn => warn!(target: AGENTS, job, plugin, agent, repeated, "{text}"),
            Level::Info => info!(target: AGENTS, job, plugin, agent, repeated, "{text}"),
            Level::Debug => debug!(target: AGENTS, job, plugin, agent, repeated, "{text}"),
        }
        true
    }

    /// Tells what was held back in a minute that is over.
    pub(super) fn settle(&mut self, jobs: &mut Jobs) {
        let now = Instant::now();
        if let Some(deaths) = self.deaths.settle(now) {
            error!(plugin = self.plugin, deaths, "the worker died so often more in the last minute");
        }
        self.out_of_turn.is_over(now);
        self.talkative.retain(|&number| {
            let Some(job) = jobs.get_mut(number) else { return false };
            let Some(lines) = job.lines.settle(now) else { return true };
            warn!(
                job = job.open.name,
                plugin = self.plugin,
                agent = job.open.agent,
                lines,
                "more lines of this agent were held back in the last minute"
            );
            false
        });
    }
}
