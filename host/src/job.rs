//! Jobs that can run: the configuration held to the agents that the libraries carry.

mod alarms;
mod choices;
mod depends;
mod guarded;
mod hold;
mod objectives;
mod reach;
mod rows;
mod samples;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use watchpost_plugin_api::{AgentDescriptor, MetricSpec, wire::Examined};

use crate::{
    config::{self, At, Bound, Config, Draft, Fault, Faults, Rule},
    daemon::now_ns,
    plugin::{JobOpen, Plugin, Plugins, Problem, Sandboxes, trial::Trial},
    reading::{Shape, Upkeep},
    schedule::UnixTime,
    series::{needs::Needs, shape::Wishes},
};
use hold::{Held, hold};

pub use samples::{LOSS, fault, loss};

/// A job with everything it needs to run.
#[derive(Clone)]
pub struct Job {
    /// Unique in the daemon's life; a job that changed gets another.
    pub number: u64,
    /// What the configuration says.
    pub config: config::Job,
    /// The library that carries its agent.
    pub plugin: Arc<Plugin>,
    /// What its agent is told.
    pub bound: Bound,
    /// What its agent says of that.
    pub examined: Examined,
    /// What its agent records in one measurement.
    pub metrics: Vec<MetricSpec>,
    /// What its series look like.
    pub shape: Shape,
    /// What somebody should look at.
    pub warnings: Vec<Fault>,
    /// The trial of its library, if that took over from another one lately.
    pub trial: Option<Arc<Trial>>,
}

impl Job {
    /// The job's name.
    pub fn name(&self) -> &str {
        self.config.name.as_str()
    }

    /// What its plugin is told to open it.
    pub fn open(&self) -> JobOpen {
        JobOpen {
            number: self.number,
            name: self.name().to_owned(),
            agent: self.config.asks.agent.value.clone(),
            config: self.bound.config().to_string(),
            secrets: self.bound.secrets().to_vec(),
            repeatable: self.examined.repeatable,
            interval: self.interval(),
            quarantine_after: self.config.quarantine_after,
            needs: self.examined.needs.clone(),
        }
    }

    /// How it wants its series kept.
    pub fn upkeep(&self) -> Upkeep {
        let config::Job { keeping, heartbeat, was, .. } = &self.config;
        Upkeep {
            job: self.name().to_owned(),
            was: was.as_ref().map(|was| was.as_str().to_owned()),
            keeping: keeping.clone().unwrap_or_default(),
            heartbeat_s: heartbeat.map(|heartbeat| u32::try_from(heartbeat.as_secs()).unwrap_or(u32::MAX)),
        }
    }

    /// The room that its series will take.
    pub fn needs(&self) -> Needs {
        let Upkeep { keeping, heartbeat_s: heartbeat, .. } = self.upkeep();
        Needs::of(&self.shape, &Wishes { keeping, heartbeat }, self.config.labels_max.into())
    }

    /// The shortest time between two runs.
    pub fn interval(&self) -> Duration {
        self.config.timing.rhythm.interval()
    }

    /// Whether its target is only the program that it runs: that of a job which names no other. It tells of no host.
    pub fn targets_a_program(&self) -> bool {
        let target = self.shape.target.as_str();
        let is_it = |program: &PathBuf| program.as_path() == Path::new(target) || program.file_name().is_some_and(|name| name == target);
        self.examined.needs.programs.iter().any(is_it)
    }

    /// Says whether two jobs would run alike, so that a reload need not touch the one that runs.
    pub fn runs_like(&self, other: &Self) -> bool {
        self.config == other.config && self.bound == other.bound && self.shape == other.shape && Arc::ptr_eq(&self.plugin, &other.plugin)
    }
}

/// A configuration that can run, and what somebody should look at.
pub struct Configured {
    /// What the files say.
    pub config: Config,
    /// The libraries, those that were loaded before among them.
    pub plugins: Plugins,
    /// Every job, held to its agent.
    pub jobs: Vec<Job>,
    /// What does not stop it.
    pub warnings: Faults,
}

/// What the files of a configuration say, before any library is loaded.
pub struct Files {
    draft: Draft,
    faults: Faults,
    config: Option<Config>,
}

impl Files {
    /// Reads them.
    pub fn read(file: &Path) -> Self {
        let (draft, faults) = config::read(file, UnixTime::from_secs(now_ns() / 1_000_000_000));
        let config = draft.config(file);
        Self { draft, faults, config }
    }

    /// What they say; none where a fault is in them.
    pub fn sound(&self) -> Option<&Config> {
        self.config.as_ref().filter(|_| !self.faults.stop())
    }
}

/// Loads the libraries of a configuration that are not loaded yet, and holds every job to its agent.
///
/// Errors: every fault of files, agents and `more`, warnings among them, by file and place.
pub async fn configure(files: Files, loaded: &Plugins, more: impl Fn(&Config) -> Vec<Fault>) -> Result<Configured, Faults> {
    let Survey { config, plugins, jobs, faults, .. } = survey(files, loaded, more).await;
    match config {
        Some(config) if !faults.stop() => Ok(Configured { config, plugins, jobs, warnings: faults }),
        _ => Err(faults),
    }
}

/// All that there is to know of a configuration, faults or not.
pub struct Survey {
    /// What the files say, if they say where the daemon lives.
    pub config: Option<Config>,
    /// The libraries, those that were loaded before among them.
    pub plugins: Plugins,
    /// The jobs that could run.
    pub jobs: Vec<Job>,
    /// Every fault of files, agents and jobs, warnings among them, by file and place.
    pub faults: Faults,
    /// What is wrong in the plugin folders, and the fault of it at the place that names the folder.
    pub not_loaded: Vec<(Problem, Fault)>,
}

/// Looks at a configuration as [`configure`] does; a job at fault is held to its agent as far as that goes.
pub async fn survey(files: Files, loaded: &Plugins, more: impl Fn(&Config) -> Vec<Fault>) -> Survey {
    let Files { draft, mut faults, config } = files;
    faults.extend(config.iter().flat_map(more));
    let folders: Vec<_> = draft.plugins.iter().map(|folder| folder.value.clone()).collect();
    let plugins = loaded.with_new(&folders, &Sandboxes::said(&draft.of_plugins)).await;
    faults.extend(unknown_plugins(&draft, &plugins));
    let (mut jobs, mut found) = (Vec::with_capacity(draft.jobs.len()), Vec::new());
    for job in &draft.jobs {
        match bind(job, &plugins).await {
            Ok(job) => {
                found.extend(job.warnings.iter().cloned());
                jobs.push(job);
            }
            Err(faults) => found.extend(faults),
        }
    }
    for asks in &draft.faulty {
        found.extend(match hold(asks, &plugins).await {
            Ok(held) => held.warnings,
            Err(faults) => faults,
        });
    }
    // What is wrong elsewhere hides nothing that jobs show.
    let all = draft.jobs_whole && jobs.len() == draft.jobs.len();
    let guarded: Vec<Fault> = config.iter().flat_map(|config| guarded::faults(config, &jobs)).collect();
    // Whether it can be read does not matter then.
    found.retain(|fault| fault.rule != Rule::ConfigFileUnreadable || !guarded.iter().any(|told| told.place == fault.place));
    found.extend(guarded);
    found.extend(rows::warnings(&draft.rows, &jobs, all));
    found.extend(alarms::faults(&draft.rules, &jobs, all));
    found.extend(depends::faults(&draft, &jobs, all, !faults.stop()));
    found.extend(choices::faults(&draft, &jobs, all));
    found.extend(objectives::faults(&draft.objectives, &jobs, all));
    // An agent that no library carries may be in a folder that could not be read: that fault is told already.
    found.retain(|fault| draft.plugins_whole || fault.rule != Rule::AgentUnknown);
    faults.extend(found);
    let not_loaded = not_loaded(&draft.plugins, &plugins);
    Survey { config, plugins, jobs, faults: faults.sorted(), not_loaded }
}

/// Tells of what is said of libraries that are in no plugin folder.
fn unknown_plugins(draft: &Draft, plugins: &Plugins) -> Vec<Fault> {
    let names = plugins.names();
    let unknown = draft.of_plugins.iter().filter(|(name, _)| draft.plugins_whole && !names.contains(*name));
    let fault = |(name, said): (&String, &At<_>)| {
        let message = format!("`plugin.{}`: no library of that name is in the plugin folders", name.escape_debug());
        let hint = match config::nearest(name, names.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "a library is called as its file is, without lib and watchpost_ before it and .so behind".into(),
        };
        Fault::new(Rule::PluginUnknown, &said.place, message).hint(hint)
    };
    unknown.map(fault).collect()
}

/// Tells of every library that is in a plugin folder and cannot be used.
fn not_loaded(folders: &[At<PathBuf>], plugins: &Plugins) -> Vec<(Problem, Fault)> {
    let of = |path: &Path| folders.iter().find(|folder| path.starts_with(&folder.value));
    let problems = plugins.problems().iter().filter_map(|problem| Some((of(&problem.path)?, problem)));
    let fault = |(folder, problem): (&At<_>, &Problem)| {
        let message = format!("`plugins`: {} is not loaded: {}", problem.path.display(), problem.reason);
        let fault = Fault::new(Rule::LibraryNotLoaded, &folder.place, message);
        (problem.clone(), fault.hint("mend it, or take it out of the folder"))
    };
    problems.map(fault).collect()
}

/// Holds one job to its agent.
///
/// Errors: everything wrong with it, warnings among it.
pub async fn bind(job: &config::Job, plugins: &Plugins) -> Result<Job, Vec<Fault>> {
    static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);
    let Held { plugin, agent, bound, examined, warnings } = hold(&job.asks, plugins).await?;
    let shape = shape_of(job, agent, &examined);
    let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    let (plugin, metrics) = (plugin.clone(), agent.metrics.clone());
    Ok(Job { number, config: job.clone(), plugin, bound, examined, metrics, shape, warnings, trial: None })
}

fn shape_of(job: &config::Job, agent: &AgentDescriptor, examined: &Examined) -> Shape {
    Shape {
        job: job.name.as_str().to_owned(),
        agent: agent.name.clone(),
        target: examined.target.clone(),
        labels: job.asks.labels.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect(),
        step_s: u32::try_from(job.timing.rhythm.step().as_secs()).unwrap_or(u32::MAX),
        metrics: if job.asks.measurements() > 1 { samples::spread(&agent.metrics) } else { agent.metrics.clone() },
    }
}
