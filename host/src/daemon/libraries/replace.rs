//! A library that changed: it loads into a worker of its own, passes the checks, accepts the configuration of all its jobs and takes over,
//! each job between two of its runs. The one before idles meanwhile, and gets them back where the new one is worse.
//!
//! No schedule moves, for the runner keeps all but the library; nothing runs twice, for a job's next run waits for the one that is still under
//! way in the other worker.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::timeout};
use watchpost_plugin_api::Severity;
use watchpost_services::outcome::Status;

use super::{
    super::{Daemon, runner::Command},
    OnTrial,
    arrive::counted,
};
use crate::{
    config::{Fault, Weight},
    job::{Job, bind},
    latest::Latest,
    plugin::{
        Plugin, Stamp,
        trial::{Before, Trial, Verdict},
    },
};

/// How often a trial is looked at besides.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a library may be on trial: jobs that run seldom do not keep two workers for ever.
const TRIAL_MAX: Duration = Duration::from_secs(3600);

/// A library that can take over, with its jobs.
pub(super) struct Prepared {
    pub(super) before: Arc<Plugin>,
    pub(super) new: Arc<Plugin>,
    /// The jobs as they run now.
    jobs: Vec<Arc<Job>>,
    /// The same, accepted by the new one.
    accepted: Vec<Job>,
}

impl Daemon {
    /// Has a library take over from the one that was loaded from the same file before.
    ///
    /// Errors: why it does not; then everything runs on as it was.
    pub(in crate::daemon) async fn replace(self: &Arc<Self>, path: &Path) -> Result<String, String> {
        let stamp = Stamp::of(path);
        let new = match self.plugins().start(path, path).await {
            Ok(new) => new,
            Err(why) => return Err(self.refuse(path, stamp, why)),
        };
        let _one_at_a_time = self.reloading.lock().await;
        if self.plugins().at(path).is_none() {
            return self.admit(new);
        }
        match self.prepare(new.clone()).await {
            Ok(prepared) => Ok(self.take_over(prepared).await),
            Err(why) => {
                tokio::spawn(async move { new.retire().await });
                Err(self.refuse(path, stamp, why))
            }
        }
    }

    /// Holds the jobs of the library that is loaded from this file to the new one, under the lock of reloads.
    ///
    /// Errors: why the new one cannot take over.
    pub(super) async fn prepare(&self, new: Arc<Plugin>) -> Result<Prepared, String> {
        let plugins = self.plugins();
        let before = plugins.at(new.path()).cloned().ok_or("nothing is loaded from this file")?;
        if let Some((agent, other)) = plugins.clash(&new) {
            return Err(format!("it carries agent {agent}, which {} carries already", other.display()));
        }
        let jobs = self.jobs_of(&before).await;
        if let Some(lost) = jobs.iter().find_map(|job| lost_metric(&before, &new, job)) {
            return Err(lost);
        }
        let with_new = plugins.with(new.clone());
        let mut accepted = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let refused = |faults: Vec<Fault>| {
                let first = faults.iter().find(|fault| fault.weight == Weight::Error);
                format!("it refuses job {}: {}", job.name(), first.map(|fault| fault.message.as_str()).unwrap_or_default())
            };
            accepted.push(bind(&job.config, &with_new).await.map_err(refused)?);
        }
        Ok(Prepared { before, new, jobs, accepted })
    }

    /// Has a prepared library take over, under the lock of reloads; gives what is to be told.
    pub(super) async fn take_over(self: &Arc<Self>, prepared: Prepared) -> String {
        let Prepared { before, new, jobs, accepted } = prepared;
        let path = new.path().to_owned();
        let trial = Arc::new(Trial::of(accepted.iter().map(|job| (job.name().to_owned(), before_of(&self.latest, job.name())))));
        let accepted: Vec<Arc<Job>> = accepted.into_iter().map(|job| Arc::new(Job { trial: Some(trial.clone()), ..job })).collect();
        let (count, numbers) = (accepted.len(), accepted.iter().map(|job| job.number).collect());
        let rests = self.rest_if_disabled(&new);
        let _stopping = self.command(|done| Command::Swap { jobs: accepted, open: true, done }).await;
        self.set_plugins(self.plugins().with(new.clone()));
        self.libraries.refused().remove(&path);
        self.metrics.library_replaced(&new.name(), "took_over");
        // One that was on trial itself has proved nothing: what it took over from stays in reserve.
        let earlier = self.libraries.trials().remove(&path);
        let (reserve, jobs) = match earlier {
            Some(earlier) => {
                tokio::spawn(async move { before.retire().await });
                (earlier.before, earlier.jobs)
            }
            None => (before, jobs),
        };
        let jobs_told = counted(count);
        let what = match rests {
            false => format!("took over its {jobs_told}, on trial for two runs of each"),
            true => {
                format!("took over its {jobs_told}; its plugin is disabled, and once that is enabled it is on trial for two runs of each")
            }
        };
        self.tell_library(Severity::Indeterminate, "library_replaced", &path, &what);
        let on_trial = OnTrial { new, trial: trial.clone(), began: Instant::now(), before: reserve, jobs, numbers };
        self.libraries.trials().insert(path.clone(), on_trial);
        tokio::spawn(self.clone().watch_trial(path, trial));
        what
    }

    /// Ends a trial when it is over, one way or the other.
    async fn watch_trial(self: Arc<Self>, path: PathBuf, trial: Arc<Trial>) {
        loop {
            let Some(on_trial) = self.libraries.on_trial(&path).filter(|known| Arc::ptr_eq(&known.trial, &trial)) else { return };
            if let Some(crash) = on_trial.new.report().last_crash {
                trial.fail(format!("its worker {}", crash.how));
            }
            match trial.verdict() {
                Verdict::Failed(why) => return self.switch_back(&path, &trial, &why).await,
                Verdict::Passed => return self.accept(&path, &trial, "no job of it is worse"),
                Verdict::Open(over, of) if on_trial.began.elapsed() > TRIAL_MAX => {
                    let why = format!("its time is over; {} of {of} jobs have shown no two runs, or none that ended well", of - over);
                    return self.accept(&path, &trial, &why);
                }
                // Nothing noted in time is as good as something.
                Verdict::Open(..) => drop(timeout(LOOK_EVERY, trial.changed()).await),
            }
        }
    }

    fn accept(&self, path: &Path, trial: &Arc<Trial>, why: &str) {
        let Some(OnTrial { new, before, .. }) = self.libraries.end_trial(path, trial) else { return };
        self.plugins().ward().forget_library(path);
        self.metrics.library_replaced(&new.name(), "passed");
        self.tell_library(Severity::Indeterminate, "library_accepted", path, &format!("passed its trial: {why}"));
        tokio::spawn(async move { before.retire().await });
    }

    async fn switch_back(&self, path: &Path, trial: &Arc<Trial>, why: &str) {
        let _one_at_a_time = self.reloading.lock().await;
        let Some(OnTrial { new, before, jobs, .. }) = self.libraries.end_trial(path, trial) else { return };
        let _stopping = self.command(|done| Command::Swap { jobs, open: false, done }).await;
        // It was asleep: whether it is wanted is what an operator said last.
        before.enable(!self.is_disabled(&before));
        self.set_plugins(self.plugins().with(before.clone()));
        let refused = super::Refused { stamp: new.stamp(), why: format!("switched back from it: {why}") };
        let ward = self.plugins().ward().clone();
        let (kept, sent_back, said) = (before.clone(), new.clone(), refused.why.clone());
        self.libraries.refused().insert(path.to_owned(), refused);
        // A disk that is slow holds up nobody.
        let _told = spawn_blocking(move || kept.keep_in_place_of(&sent_back, &ward, &said)).await;
        self.metrics.library_replaced(&new.name(), "switched_back");
        self.tell_library(Severity::Major, "library_switched_back", path, &format!("switched back to the one before: {why}"));
        // What it still has to answer, it answers.
        tokio::spawn(async move { new.retire().await });
    }

    /// A reload changed which jobs there are, or how: a library on trial whose jobs changed is kept, for the one before knows them no more.
    pub(in crate::daemon) async fn settle_trials(&self) {
        let trials: Vec<(PathBuf, OnTrial)> =
            self.libraries.trials().iter().map(|(path, on_trial)| (path.clone(), on_trial.clone())).collect();
        for (path, on_trial) in trials {
            let numbers: BTreeSet<u64> = self.jobs_of(&on_trial.new).await.iter().map(|job| job.number).collect();
            if numbers != on_trial.numbers.iter().copied().collect() {
                self.accept(&path, &on_trial.trial, "its jobs were changed by a reload");
            }
        }
    }
}

/// Says which metric of a job's agent the new library no longer declares.
fn lost_metric(before: &Plugin, new: &Plugin, job: &Job) -> Option<String> {
    let agent = job.config.asks.agent.value.as_str();
    let of = |plugin: &'_ Plugin| plugin.descriptor().agents.iter().find(|known| known.name == agent).map(|known| known.metrics.clone());
    let Some(declared) = of(new) else { return Some(format!("it no longer carries agent {agent}, which job {} needs", job.name())) };
    let lost = of(before)?.into_iter().find(|metric| declared.iter().all(|known| known.name != metric.name))?;
    Some(format!("it no longer declares metric `{}` of agent {agent}, which job {} has", lost.name, job.name()))
}

/// How a job did last, when it was let run.
fn before_of(latest: &Latest, job: &str) -> Before {
    let Some(last) = latest.job(job).and_then(|job| job.made.clone()) else { return Before::default() };
    match &last.status {
        Status::Ok => Before { metrics: last.samples.iter().map(|sample| sample.metric.clone()).collect(), kind: None },
        Status::Failed { kind, .. } => Before { metrics: BTreeSet::new(), kind: Some(*kind) },
    }
}
