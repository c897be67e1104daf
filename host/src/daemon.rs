//! The daemon: everything running together.
//!
//! Reading order: [`start`] (what comes up, in which order) · `runner` (starts what is due) · `appender` (into the journal) ·
//! `view` (what reads the journal: `present` with `told`, `series_view` with `migrations`, `event_view`, `objective_view`, `alarm_view`) · `reload` · `libraries` (they come, change and go) · `incidents` (what happens to plugins) · `meter` (the host's own metrics) · `host_alarms` (what is wrong with the host) · `delivery` (who is told) · `budgets` (what is left of service levels) · `baselines` (what is usual) · [`api`] (what the
//! command line asks) · `rrd_files` (what front ends of RRD files ask) · [`status`] · `left` (what of it is told when it has ended).

mod alarm_events;
mod alarm_view;
pub mod api;
mod appender;
mod backup;
mod baselines;
mod budgets;
mod carriers;
mod cursors;
mod delivery;
mod event_view;
mod formats;
mod host_alarms;
mod incidents;
mod left;
mod libraries;
mod lock;
mod meter;
mod migrations;
mod names;
mod objective_view;
mod pasts;
mod present;
mod reload;
mod rrd_files;
mod rule_states;
mod runner;
mod series_view;
mod service_manager;
pub mod start;
pub mod status;
#[cfg(test)]
mod storm;
mod told;
mod view;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::mpsc;
use watchpost_journal::{DropError, Journal};
use watchpost_plugin_api::Severity;
use watchpost_worker::confine::kernel::gaps;

use crate::{
    alarm::{
        ledger::ActError,
        life::Act,
        record::{Alarm, Subject},
        request::{AlarmRequest, AlarmRequestError},
        usual::bands,
    },
    config::Config,
    console::House,
    database::DatabaseError,
    event::{
        request::{EventRequest, EventRequestError},
        store::Found,
    },
    expose::host_metrics::{HostMetrics, process},
    latest::{Latest, Snapshot},
    plugin::Plugins,
    reading::Record,
    series::{
        Position,
        drop::{DropRequest, Dropped, UndroppedError},
        fetch::{Kept, LabelSetOf, Series, Taken},
        import::{ImportRequest, Imported, UnimportedError},
        listing::ListRequest,
        rename::{RenameRequest, Renamed, UnrenamedError},
        request::{FetchError, FetchRequest, Fetched},
    },
};
use alarm_view::SharedLedger;
use appender::Appender;
use carriers::Carriers;
use delivery::{Delivery, Routing};
use host_alarms::Overheard;
use libraries::Libraries;
use objective_view::Watching;
use series_view::{Hindrance, SharedStore};
use view::Progress;

pub use backup::{BackupError, Copied, backup};
pub use delivery::ChannelState;
pub(crate) use delivery::ROSTER;
pub use event_view::take_events_left;
pub use left::{LeftError, left};
pub use libraries::{Done, Listed, Listing};
pub use lock::{DataFolder, LockError};
pub use reload::{Amounts, Reloaded};
pub use runner::Changes;
pub use series_view::take_what_is_left;

/// Records a view may be behind while the daemon still counts as ready.
const BEHIND_MAX: u64 = 10_000;
/// How long a question for alarms waits at most for what was acknowledged before it to be judged.
const JUDGED_WITHIN: Duration = Duration::from_secs(1);

/// Records up to now over which values are told as they were given: librrd, which files are written by, changes some in their last digit.
/// The whole journal would be more exact than anybody needs, and may take longer to read than everything else.
const TOLD_EXACTLY: u64 = 4_000;

/// What the parts of a running daemon share.
pub struct Daemon {
    /// The file it was started with.
    file: PathBuf,
    started: SystemTime,
    /// The configuration in force.
    config: Mutex<Arc<Config>>,
    plugins: RwLock<Plugins>,
    carriers: Carriers,
    libraries: Libraries,
    latest: Arc<Latest>,
    metrics: Arc<HostMetrics>,
    journal: Arc<Journal>,
    appender: Appender,
    store: SharedStore,
    /// Held by who needs the journal as it is.
    keeping: Mutex<()>,
    /// What counts for service levels.
    watching: Watching,
    /// The alarms.
    ledger: SharedLedger,
    /// What the journal tells of the host.
    overheard: Overheard,
    /// What stands in the way of writing series.
    hindrance: Hindrance,
    /// Series files that are being migrated.
    migrating: migrations::Pending,
    /// What was imported and nothing was learned from yet.
    unlearned: baselines::Unlearned,
    /// Who is told of alarms.
    routing: Routing,
    /// What tells them.
    delivery: Delivery,
    /// Where it listens; the configuration may leave the port to the system.
    address: SocketAddr,
    runner: mpsc::UnboundedSender<runner::Command>,
    views: Vec<(&'static str, Arc<Progress>)>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
}

impl Daemon {
    fn config(&self) -> Arc<Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn plugins(&self) -> Plugins {
        self.plugins.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn snapshot(&self) -> Snapshot {
        self.latest.snapshot(now_ns())
    }

    /// Why the daemon is not ready, if it is not: a view of the journal is behind, or nothing can be stored.
    fn not_ready(&self) -> Result<(), String> {
        if let Some(why) = self.journal_trouble() {
            return Err(format!("the journal cannot be written: {why}"));
        }
        if let Some((name, _)) = self.views.iter().find(|(_, progress)| progress.ended()) {
            return Err(format!("{name} no longer follows the journal; the log says why"));
        }
        if let Some((name, records)) = self.behind().find(|(_, records)| *records > BEHIND_MAX) {
            return Err(format!("{name} is {records} records behind the journal"));
        }
        Ok(())
    }

    /// Why readings are not being stored.
    fn journal_trouble(&self) -> Option<String> {
        match self.journal.state() {
            watchpost_journal::State::Stopped { error, .. } => Some(crate::chain(&error)),
            _ => None,
        }
    }

    /// Drops segments of the journal that every view is done with.
    fn drop_what_all_have(&self) -> Result<(), DropError> {
        // Somebody copies it: another time.
        let Ok(_nobody) = self.keeping.try_lock() else { return Ok(()) };
        let done = self.views.iter().map(|(_, progress)| progress.safe()).min();
        done.map_or(Ok(()), |done| self.journal.drop_before(done).map(drop))
    }

    /// Records each view has yet to take.
    fn behind(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let end = u64::from(self.journal.durable_end());
        self.views.iter().map(move |(name, progress)| (*name, end.saturating_sub(progress.next().into())))
    }

    fn fetch(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let now = now_ns() / 1_000_000_000;
        // What the store has taken is in its files, or waits in it; files that a crash has torn were put right when it was opened.
        let told = |taken: &Taken| -> Box<dyn Iterator<Item = (Position, Record)>> {
            let jobs = taken.jobs();
            let taken = taken.position().unwrap_or(0);
            let from = watchpost_journal::Position::from(taken.saturating_sub(TOLD_EXACTLY)).max(self.journal.first());
            Box::new(readings_of(self.journal.reader(from), move |job| jobs.contains(job)))
        };
        let usual = |series: &[Series], deviations| bands(&self.store, series, deviations, (&self.config().rules, request.zone, now));
        request.answer(&self.store, now, told, usual)
    }

    /// Drops series, or tells what would be dropped; gives the label sets that are gone as well.
    fn drop_series(&self, request: &DropRequest) -> Result<(Vec<Dropped>, Vec<LabelSetOf>), UndroppedError> {
        let (dropped, gone) = request.answer(&self.store)?;
        for one in dropped.iter().filter(|_| !request.dry) {
            let text = format!("{} with {} series, {} bytes", one.files.join(", "), one.series.len(), one.bytes);
            self.report(Severity::Indeterminate, "series_dropped", text);
        }
        Ok((dropped, gone))
    }

    /// Gives the series of a job that is not measured to another one.
    fn rename_series(&self, request: &RenameRequest) -> Result<Renamed, UnrenamedError> {
        let config = self.config();
        let renamed = request.answer(&self.store, |job| config.jobs.iter().any(|known| known.name.as_str() == job))?;
        let text = format!("{} files of job {} are of {} now", renamed.files, renamed.from, renamed.to);
        self.report(Severity::Indeterminate, "series_renamed", text);
        Ok(renamed)
    }

    /// Has files of other programs become series of jobs in force, or tells only which would.
    fn import_series(&self, request: &ImportRequest) -> Result<Vec<Imported>, UnimportedError> {
        let config = self.config();
        let is_measured = |job: &str| config.jobs.iter().any(|known| known.name.as_str() == job);
        let imported = request.answer(&self.store, is_measured, now_ns() / 1_000_000_000)?;
        if !request.dry {
            let values: u64 = imported.iter().map(|one| one.values).sum();
            let text = format!("{values} values of {} data sources of other programs' files become series", imported.len());
            self.report(Severity::Indeterminate, "series_imported", text);
            self.unlearned.note(imported.iter().filter_map(Imported::job));
        }
        Ok(imported)
    }

    /// What is kept of series.
    fn series(&self, request: &ListRequest) -> Result<Vec<Kept>, FetchError> {
        request.answer(&self.store)
    }

    fn events(&self, request: &EventRequest) -> Result<Found, EventRequestError> {
        // What was acknowledged before somebody asks is judged in the answer.
        if let Some((_, progress)) = self.views.iter().find(|(name, _)| *name == alarm_view::NAME) {
            progress.wait_settled(self.journal.durable_end(), JUDGED_WITHIN);
        }
        request.answer(&self.config().data.value, now_ns())
    }

    fn alarms(&self, request: &AlarmRequest) -> Result<crate::alarm::request::Found, AlarmRequestError> {
        request.answer(&self.config().data.value, now_ns())
    }

    /// Does what somebody wants done to an alarm.
    fn act_on_alarm(&self, number: u64, who: &str, act: Act, now_ns: i64) -> Result<Alarm, ActError> {
        let alarm = self.ledger.lend().act(number, who, act, now_ns)?;
        self.delivery.poke();
        Ok(alarm)
    }

    /// Takes a message of somebody; gives the number of its alarm.
    fn take_message(&self, subject: Subject, severity: Option<Severity>, who: &str, now_ns: i64) -> Result<Option<u64>, DatabaseError> {
        self.ledger.lend().message(subject, severity, who, now_ns)
    }

    /// Writes down what the host has to report of itself.
    fn report(&self, severity: Severity, code: &str, text: String) {
        self.appender.report(None, severity, code, text);
    }

    fn status(&self) -> status::Status {
        let house = self.house();
        status::Status { host: house.host, workers: house.workers, jobs: status::jobs(&self.snapshot(), &self.plugins()) }
    }

    /// How the daemon and its workers are.
    fn house(&self) -> House {
        let config = self.config();
        let plugins = self.plugins();
        let host = status::Host {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: status::unix_seconds(self.started),
            config: self.file.clone(),
            data: config.data.value.clone(),
            listen: self.address.to_string(),
            memory_bytes: process::resident_bytes("self"),
            not_ready: self.not_ready().err(),
            journal: self.journal_trouble().unwrap_or_else(|| "ok".to_owned()),
            series: self.hindrance.told().unwrap_or_else(|| "ok".to_owned()),
            behind: self.behind().map(|(name, records)| (name.to_owned(), records)).collect(),
            alarms: self.ledger.lend().active(),
            channels_failing: self.delivery.states().into_iter().filter_map(|state| Some((state.channel, state.failing?))).collect(),
            migrating: self.migrating.files(),
            refused_libraries: plugins.problems().iter().map(|problem| (problem.path.clone(), problem.reason.clone())).collect(),
            gaps: gaps(),
        };
        House { host, workers: status::workers(&plugins, |plugin| self.libraries.note(plugin)) }
    }
}

/// Names a library as metrics do.
fn plugin_of(library: &std::path::Path) -> String {
    crate::plugin::name_of(library)
}

/// The records that a reader gives; what is damaged or not understood is passed over, for whoever follows the journal has told of it.
pub fn records(reader: watchpost_journal::Reader) -> impl Iterator<Item = (crate::series::Position, crate::reading::Record)> {
    records_where(reader, |_| true)
}

/// Those of them that are readings of some jobs; of the others little more than the length is looked at.
fn readings_of(
    reader: watchpost_journal::Reader,
    is_meant: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (crate::series::Position, crate::reading::Record)> {
    records_where(reader, move |payload| crate::reading::Record::job_of_reading(payload).is_some_and(&is_meant))
}

fn records_where(
    mut reader: watchpost_journal::Reader,
    is_meant: impl Fn(&[u8]) -> bool,
) -> impl Iterator<Item = (crate::series::Position, crate::reading::Record)> {
    /// Damaged places passed over before a reader gives up.
    const STUMBLES_MAX: usize = 1000;
    let mut stumbles = 0;
    std::iter::from_fn(move || {
        loop {
            match reader.next_in_place() {
                Ok(None) => return None,
                Ok(Some((_, payload))) if !is_meant(payload) => {}
                Ok(Some((position, payload))) => match postcard::from_bytes(payload) {
                    Ok(record) => return Some((position.into(), record)),
                    Err(_) => stumbles += 1,
                },
                Err(_) => stumbles += 1,
            }
            if stumbles > STUMBLES_MAX {
                return None;
            }
        }
    })
}

/// What a job's last good run left, as the files and the journal of a data folder have it; nobody need be running.
pub fn cursor_of(data: &std::path::Path, job: &str) -> Option<Vec<u8>> {
    let mut cursor = cursors::Cursors::load(data).ok().and_then(|cursors| cursors.all().get(job).cloned());
    let reader = watchpost_journal::Reader::offline(&data.join("journal"), watchpost_journal::Position::START).ok();
    for (_, record) in reader.into_iter().flat_map(records) {
        if let crate::reading::Record::Reading(reading) = record
            && reading.job == job
            && reading.outcome.cursor.is_some()
        {
            cursor = reading.outcome.cursor;
        }
    }
    cursor
}

/// The wall clock, nanoseconds since 1970.
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
