//! Files to checked values: every fault with its place, all in one go.
//!
//! Parse (shape), check (meaning), bind (what a job's agent says of its config): three functions, and what comes out holds only
//! what passed. Pure but for reading the files that are named; the time of day is passed in.
//!
//! Reading order: [`Fault`] is what goes wrong and where, each breaking one [`Rule`]; `text` makes a tree of values with places out of a
//! file; `reader` asks a table for its keys; `main_file` and `schedule_file` take the shape; [`Job`], `target` and [`Timing`] hold what it
//! means, [`Row`] what a table of figures asks for, [`AlarmRule`] what is an alarm, and an [`Assignment`] the part of a job that is its agent's. Once the agents are known, [`bind`] holds an assignment to its
//! agent's schema (`schema`, `value`) and fetches its secrets; [`ad_hoc`] makes the job of a command line that
//! names none, and [`describe`] tells people what a config may hold.
//!
//! Nothing hides anything: what was told of becomes broken, not absent, and whatever does not depend on it is checked on.

mod ad_hoc;
mod alarm_rule;
mod archives;
mod assignment;
mod bind;
mod bound;
mod channel;
mod declared;
mod depends_on;
pub mod describe;
mod fault;
mod files;
mod host_alarms;
mod icinga2;
mod job;
mod labels;
mod main_file;
mod maintenance;
mod name;
mod near;
mod objective;
mod path;
mod person;
mod place;
mod plugin;
mod reader;
mod roster;
mod route;
mod row;
mod rrdcached;
mod rule;
mod schedule_file;
mod schema;
mod secret;
mod store;
mod target;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod ticket;
mod timing;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use ad_hoc::ad_hoc;
pub use alarm_rule::{AlarmRule, Bounds, EventPattern, LooksAt, Override, SEVERITIES, SeriesExpression, over};
pub use assignment::Assignment;
pub use bind::{bind, unknown_agent};
pub use bound::{Bound, Rest, Unbound};
pub use depends_on::DependsOn;
pub use fault::{Fault, Faults, Weight};
pub use job::Job;
pub use maintenance::MaintenanceWindow;
pub use name::JobName;
pub(crate) use near::nearest;
pub use objective::Objective;
pub use place::{At, Place, Spot};
pub use plugin::{PluginSettings, PluginTables};
pub use row::Row;
pub use rrdcached::RrdcachedSettings;
pub use rule::Rule;
pub use secret::{Environment, process_environment};
pub use store::StoreSettings;
pub use timing::Timing;

use crate::{
    alarm::host::HostRules,
    notify::{channel::Channel, person::Person, roster::Roster, route::Route, why_not::Known},
    schedule::UnixTime,
};

/// What the files say, all of it checked but for the jobs' config.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The main file, as it was named.
    pub file: PathBuf,
    /// Where journal, series, alarms and socket live.
    pub data: At<PathBuf>,
    /// Folders searched for agent libraries, in this order.
    pub plugins: Vec<At<PathBuf>>,
    /// What is said of libraries, by their names.
    pub of_plugins: PluginTables,
    /// Where the web pages and `/metrics` listen.
    pub listen: At<SocketAddr>,
    /// Where front ends of RRD files ask, if they may.
    pub rrdcached: Option<RrdcachedSettings>,
    /// How series and journal are written.
    pub store: StoreSettings,
    /// What is said of the host's own alarms.
    pub host_alarms: HostRules,
    /// What is measured, by name.
    pub jobs: Vec<Job>,
    /// What of that a table of figures asks for, as the files have it.
    pub rows: Vec<Row>,
    /// What is an alarm: rules, and thresholds of jobs.
    pub rules: Vec<AlarmRule>,
    /// Hours in which nobody is told of alarms.
    pub maintenance: Vec<MaintenanceWindow>,
    /// Service levels that were promised, as the main file has them.
    pub objectives: Vec<Objective>,
    /// Who can be told of alarms.
    pub channels: Vec<Channel>,
    /// Who is told of which.
    pub routes: Vec<Route>,
    /// Persons; their channels are among those.
    pub persons: Vec<Arc<Person>>,
    /// Who takes turns.
    pub rosters: Vec<Roster>,
    /// Files that secrets of channels come from.
    pub secret_files: Vec<PathBuf>,
}

impl Config {
    /// Lists the folders searched for agent libraries.
    pub fn plugin_folders(&self) -> Vec<PathBuf> {
        self.plugins.iter().map(|folder| folder.value.clone()).collect()
    }

    /// Lends who there is to be told, and of what.
    pub fn known(&self) -> Known<'_> {
        let Self { channels, routes, persons, rosters, .. } = self;
        Known { channels, routes, persons, rosters, whole: true }
    }

    /// Lists what no agent may touch: the data folder, and every file that holds a secret.
    pub fn guarded(&self) -> BTreeMap<PathBuf, Guarded> {
        // A plain secret stands in the schedule itself.
        let schedules = self.jobs.iter().map(|job| path::absolute(&job.name.place.file));
        let configuration = schedules.chain([path::absolute(&self.file)]).map(|file| (file, Guarded::Configuration));
        let of_jobs = self.jobs.iter().flat_map(|job| job.asks.secret_files());
        let credentials = std::env::var_os(secret::CREDENTIALS).map(PathBuf::from);
        let secrets = of_jobs.chain(self.secret_files.iter().cloned()).chain(credentials).map(|path| (path, Guarded::Secret));
        configuration.chain(secrets).chain([(self.data.value.clone(), Guarded::Data)]).collect()
    }

    /// Finds what a running daemon cannot change.
    pub fn moved_from(&self, old: &Self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.data.value != old.data.value {
            let message = format!("`data`: it cannot change from {} while the daemon runs", old.data.display());
            faults.push(Fault::new(Rule::DataMoved, &self.data.place, message).hint("restart watchpost to move it"));
        }
        if self.listen.value != old.listen.value {
            let message = format!("`listen`: it cannot change from {} while the daemon runs", old.listen.value);
            faults.push(Fault::new(Rule::ListenMoved, &self.listen.place, message).hint("restart watchpost to listen elsewhere"));
        }
        if !RrdcachedSettings::alike(self.rrdcached.as_ref(), old.rrdcached.as_ref()) {
            let place = self.rrdcached.as_ref().map_or_else(|| Place::whole(&self.file), |now| now.socket.place.clone());
            let fault = Fault::new(Rule::RrdcachedMoved, &place, "`rrdcached`: it cannot change while the daemon runs");
            faults.push(fault.hint("restart watchpost to have front ends ask elsewhere, or not at all"));
        }
        faults
    }
}

/// What no agent is ever given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarded {
    /// The main file, or a schedule.
    Configuration,
    /// A file that holds a secret, or a folder of such.
    Secret,
    /// The data folder.
    Data,
}

/// A configuration that can be run, and what somebody should look at.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What can be run.
    pub config: Config,
    /// What does not stop it.
    pub warnings: Faults,
}

/// What the files say, faults or not: whatever is sound in them can be checked on.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    settled: Option<Settled>,
    /// Folders of agent libraries that can be read.
    pub plugins: Vec<At<PathBuf>>,
    /// Whether those are all that were meant; otherwise an agent that is not found may be in another.
    pub plugins_whole: bool,
    /// What is said of libraries, by their names.
    pub of_plugins: PluginTables,
    /// The jobs without a fault, by name.
    pub jobs: Vec<Job>,
    /// What the jobs with a fault ask of their agents.
    pub faulty: Vec<Assignment>,
    /// The rows without a fault, as the files have them.
    pub rows: Vec<Row>,
    /// The rules without a fault.
    pub rules: Vec<AlarmRule>,
    /// Hours of maintenance without a fault.
    pub maintenance: Vec<MaintenanceWindow>,
    /// The objectives without a fault.
    pub objectives: Vec<Objective>,
    /// The channels without a fault, but for secrets that are out of reach.
    pub channels: Vec<Channel>,
    /// The routes without a fault.
    pub routes: Vec<Route>,
    /// The persons without a fault.
    pub persons: Vec<Arc<Person>>,
    /// The rosters without a fault.
    pub rosters: Vec<Roster>,
    /// Files that secrets of channels come from.
    pub secret_files: Vec<PathBuf>,
    /// The names of all jobs, those with a fault among them; nothing where one cannot be read.
    pub job_names: Option<BTreeSet<String>>,
    /// Whether all jobs that there are have no fault.
    pub jobs_whole: bool,
    /// What jobs with a fault depend on, each with the name of the job if it can be read.
    pub faulty_depend_on: Vec<(Option<String>, At<DependsOn>)>,
    /// The names of all rules and thresholds, those with a fault among them.
    pub rule_names: BTreeSet<String>,
}

/// What the main file says of the daemon itself.
#[derive(Clone, Debug)]
struct Settled {
    data: At<PathBuf>,
    listen: At<SocketAddr>,
    rrdcached: Option<RrdcachedSettings>,
    store: StoreSettings,
    host_alarms: HostRules,
}

impl Draft {
    /// Lends who there is to be told, and of what; `whole` if no fault hides any.
    pub fn known(&self, whole: bool) -> Known<'_> {
        let Self { channels, routes, persons, rosters, .. } = self;
        Known { channels, routes, persons, rosters, whole }
    }

    /// Takes it for a configuration; `None` where the main file leaves open where the daemon lives.
    ///
    /// Shape: it can be run if nothing was told of.
    pub fn config(&self, file: &Path) -> Option<Config> {
        let Settled { data, listen, rrdcached, store, host_alarms } = self.settled.clone()?;
        let (plugins, of_plugins) = (self.plugins.clone(), self.of_plugins.clone());
        let (jobs, rows, rules, objectives) = (self.jobs.clone(), self.rows.clone(), self.rules.clone(), self.objectives.clone());
        let maintenance = self.maintenance.clone();
        let (channels, routes, secret_files) = (self.channels.clone(), self.routes.clone(), self.secret_files.clone());
        let (persons, rosters) = (self.persons.clone(), self.rosters.clone());
        Some(Config {
            file: file.into(),
            data,
            plugins,
            of_plugins,
            listen,
            rrdcached,
            store,
            host_alarms,
            jobs,
            rows,
            rules,
            maintenance,
            objectives,
            channels,
            routes,
            persons,
            rosters,
            secret_files,
        })
    }
}

/// Reads from the main file where the data folder is, whatever else is wrong: a running daemon is to be reached all the same.
///
/// Errors: the faults of `data`, or of a file that is no TOML.
pub fn data_folder(file: &Path) -> Result<PathBuf, Faults> {
    let mut faults = Faults::default();
    files::data_folder(file, &mut faults).ok_or_else(|| faults.sorted())
}

/// Reads the rows of one schedule file, whatever is wrong with its jobs.
///
/// Errors: the faults of its rows, or of a file that is no TOML.
pub fn rows_of(file: &Path) -> Result<Vec<Row>, Faults> {
    let mut faults = Faults::default();
    let rows = files::rows_of(file, &mut faults);
    if faults.stop() { Err(faults.sorted()) } else { Ok(rows) }
}

/// Reads the jobs of one schedule file.
///
/// Errors: every fault of the file, warnings among them.
pub fn jobs_of(file: &Path, now: UnixTime) -> Result<Vec<Job>, Faults> {
    let mut faults = Faults::default();
    let jobs = files::jobs_of(file, now, &mut faults);
    if faults.stop() { Err(faults.sorted()) } else { Ok(jobs) }
}

/// Reads the main file and every schedule it names.
///
/// Shape: jobs come by name; `now` tells which two years a cron job's interval is taken from.
/// Errors: every fault of every file, warnings among them, by file and place.
pub fn load(file: &Path, now: UnixTime) -> Result<Loaded, Faults> {
    let (draft, warnings) = read(file, now);
    match draft.config(file) {
        Some(config) if !warnings.stop() => Ok(Loaded { config, warnings }),
        _ => Err(warnings),
    }
}

/// Reads as [`load`] does, and gives what is sound even where the rest is not: the agents can be asked in the same go.
pub fn read(file: &Path, now: UnixTime) -> (Draft, Faults) {
    let mut faults = Faults::default();
    let draft = files::read(file, now, &mut faults);
    (draft, faults.sorted())
}
