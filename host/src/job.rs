//! Jobs that can run: the configuration held to the agents that the libraries carry.

mod samples;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use watchpost_plugin_api::{AgentDescriptor, MetricSpec, wire::Examined};

use crate::{
    config::{self, Bound, Config, Fault, Faults, process_environment, unknown_agent},
    daemon::now_ns,
    plugin::{JobOpen, Plugin, Plugins},
    reading::Shape,
    schedule::UnixTime,
};

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
            agent: self.config.agent.value.clone(),
            config: self.bound.config().to_string(),
            secrets: self.bound.secrets().to_vec(),
            repeatable: self.examined.repeatable,
            interval: self.interval(),
        }
    }

    /// The shortest time between two runs.
    pub fn interval(&self) -> Duration {
        self.config.timing.rhythm.interval()
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

/// Reads a configuration, loads the libraries that are not loaded yet, and holds every job to its agent.
///
/// Errors: every fault of files, agents and `more`, warnings among them, by file and place.
pub async fn configure(file: &Path, loaded: &Plugins, more: impl Fn(&Config) -> Vec<Fault>) -> Result<Configured, Faults> {
    let (config, mut faults) = config::read(file, UnixTime::from_secs(now_ns() / 1_000_000_000));
    let Some(config) = config else { return Err(faults) };
    faults.extend(more(&config));
    let plugins = loaded.with_new(&config.plugin_folders()).await;
    let (jobs, found) = match bind_all(&config, &plugins).await {
        Ok(bound) => bound,
        Err(found) => (Vec::new(), found),
    };
    faults.extend(found);
    let warnings = faults.sorted();
    if warnings.stop() { Err(warnings) } else { Ok(Configured { config, plugins, jobs, warnings }) }
}

/// Holds every job of a configuration to its agent.
///
/// Errors: every fault of every job, warnings among them, by file and place.
pub async fn bind_all(config: &Config, plugins: &Plugins) -> Result<(Vec<Job>, Faults), Faults> {
    let mut faults = Faults::default();
    let mut jobs = Vec::with_capacity(config.jobs.len());
    for job in &config.jobs {
        match bind(job, plugins).await {
            Ok(job) => {
                faults.extend(job.warnings.iter().cloned());
                jobs.push(job);
            }
            Err(found) => faults.extend(found),
        }
    }
    if faults.stop() { Err(faults.sorted()) } else { Ok((jobs, faults.sorted())) }
}

/// Holds one job to its agent.
///
/// Errors: everything wrong with it.
pub async fn bind(job: &config::Job, plugins: &Plugins) -> Result<Job, Vec<Fault>> {
    static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);
    let (plugin, agent) = carrier(job, plugins).map_err(|fault| vec![*fault])?;
    let bound = config::bind(job, agent, &process_environment)?;
    let examined = plugin.examine(&agent.name, &bound.config().to_string()).await.map_err(|error| {
        let path = error.path();
        let what = if path.is_empty() { "config".to_owned() } else { format!("`{path}`") };
        vec![Fault::new(job.place_of(path), format!("{what}: {error}"))]
    })?;
    let unreadable = examined.needs.files.iter().filter_map(|path| {
        let error = std::fs::metadata(path).err()?;
        Some(Fault::warning(job.place_of(""), format!("`config`: {}: {}", path.display(), crate::chain(&error))))
    });
    let warnings = bound.warnings().iter().cloned().chain(unreadable).collect();
    if job.samples.value > 1 && !examined.repeatable {
        let why = "`samples`: a run of this job acts on the world and is not repeated";
        return Err(vec![Fault::new(&job.samples.place, why).hint("leave the key out, or measure without what acts")]);
    }
    let shape = shape_of(job, agent, &examined);
    let number = LAST_NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
    Ok(Job { number, config: job.clone(), plugin: plugin.clone(), bound, examined, metrics: agent.metrics.clone(), shape, warnings })
}

/// Finds the one library that carries a job's agent.
fn carrier<'p>(job: &config::Job, plugins: &'p Plugins) -> Result<(&'p Arc<Plugin>, &'p AgentDescriptor), Box<Fault>> {
    match plugins.agent(&job.agent.value) {
        Ok(Some(found)) => Ok(found),
        Err(several) => {
            let several = several.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ");
            let fault = Fault::new(&job.agent.place, format!("`agent`: several libraries carry \"{}\": {several}", job.agent.value));
            Err(Box::new(fault.hint("keep one of them in the plugin folders")))
        }
        Ok(None) => {
            let fault = unknown_agent(job, plugins.agent_names().collect::<Vec<_>>());
            Err(with_problems(Box::new(fault), plugins))
        }
    }
}

/// The library that did not load may be the one that is missed.
fn with_problems(fault: Box<Fault>, plugins: &Plugins) -> Box<Fault> {
    let problems: Vec<String> = plugins.problems().iter().map(|problem| format!("{}: {}", shown(&problem.path), problem.reason)).collect();
    if problems.is_empty() {
        return fault;
    }
    let hint = fault.hint.clone().map(|hint| format!("{hint}; ")).unwrap_or_default();
    Box::new(fault.hint(format!("{hint}not loaded: {}", problems.join("; "))))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn shape_of(job: &config::Job, agent: &AgentDescriptor, examined: &Examined) -> Shape {
    Shape {
        job: job.name.as_str().to_owned(),
        agent: agent.name.clone(),
        target: examined.target.clone(),
        labels: job.labels.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect(),
        step_s: u32::try_from(job.timing.rhythm.step().as_secs()).unwrap_or(u32::MAX),
        metrics: if job.samples.value > 1 { samples::spread(&agent.metrics) } else { agent.metrics.clone() },
    }
}
