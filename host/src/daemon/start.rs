//! What comes up, in which order, and how it ends.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};
use tracing::{error, info, warn};
use watchpost_journal::{ConsumerError, Journal, OpenError, Options, Recovery};
use watchpost_plugin_api::Severity;

use super::{
    Daemon, DataFolder, LockError,
    alarm_view::{self, AlarmView, SharedLedger},
    api::{self, socket_path},
    appender::Appender,
    baselines, budgets,
    carriers::Carriers,
    cursors::{Cursors, CursorsError},
    delivery::{Delivery, Now, Routing},
    event_view::{self, EventView},
    formats,
    host_alarms::Overheard,
    incidents,
    libraries::{self, Libraries},
    meter,
    migrations::{Migrations, Pending},
    names::{DISABLED, Names, PAUSED},
    objective_view::{self, ObjectiveView, Watching},
    pasts,
    present::{self, Present},
    rrd_files::RrdFiles,
    rule_states,
    runner::{LabelSets, Past, Runner},
    series_view::{self, Hindrance, SeriesView, SharedStore, lend},
    service_manager,
    view::{Begin, Running},
};
use crate::{
    alarm::request::whole,
    config::{Config, Fault, Faults, RrdcachedSettings, Rule, Weight},
    database::DatabaseError,
    event::store::EventError,
    expose::{
        host_metrics::HostMetrics,
        http::{AlarmReader, Hosts, Limits, Outward, router, serve},
        rrdcached::{self, SocketError},
    },
    job::{Configured, Files, Job, configure},
    latest::{JobView, Latest},
    log::seconds,
    plugin::Plugins,
    series::{error::SeriesError, store::SeriesStore},
};

/// How long the views may take to read what an earlier daemon left, before the daemon goes on without waiting.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);
/// Records of an earlier daemon that are read again at the start, to show what is still fresh.
const READINGS_SHOWN: u64 = 10_000;
/// How long runs that are under way at the end may take to finish.
const LAST_RUNS_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the journal may take to write what it holds at the end.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has faults.
    #[error("{0}")]
    Config(Faults),
    /// What the configuration names cannot be had: told at the keys that name it.
    #[error("{0}")]
    Hindered(Faults),
    /// The journal cannot be opened.
    #[error("cannot open the journal")]
    Journal(#[from] OpenError),
    /// A place in the journal is not to be had.
    #[error("cannot open the journal")]
    Place(#[from] ConsumerError),
    /// The series cannot be opened.
    #[error("cannot open the series")]
    Series(#[from] SeriesError),
    /// The events cannot be opened.
    #[error("cannot open the events")]
    Events(#[from] EventError),
    /// The sums of service levels cannot be opened.
    #[error("cannot open the sums of service levels")]
    Objectives(#[source] DatabaseError),
    /// The alarms cannot be opened.
    #[error("cannot open the alarms")]
    Alarms(#[source] DatabaseError),
    /// What jobs left cannot be read.
    #[error("cannot open the cursors")]
    Cursors(#[from] Box<dyn std::error::Error + Send + Sync>),
    /// Something of the operating system's is refused.
    #[error("{what}")]
    System {
        /// What was to be done.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl From<CursorsError> for StartError {
    fn from(error: CursorsError) -> Self {
        Self::Cursors(Box::new(error))
    }
}

impl StartError {
    /// Tells it at the key that names the data folder.
    fn in_data(self, config: &Config) -> Self {
        let message = format!("`data`: {}", crate::chain(&self));
        Self::Hindered(Fault::new(Rule::DataUnusable, &config.data.place, message).into())
    }
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |source| StartError::System { what, source }
}

/// Runs the daemon of this configuration until it is told to end.
pub async fn run(file: PathBuf) -> Result<(), StartError> {
    let started = SystemTime::now();
    // From the first moment on: a SIGHUP that nobody handles would end the process.
    let signals = Signals::catch().map_err(system("cannot wait for signals"))?;
    let files = Files::read(&file);
    // Who is in the way is told at once, not after all that libraries say when they are loaded; but a
    // configuration that may yet be refused leaves no folder behind.
    let early = match files.sound().filter(|config| config.data.value.exists()) {
        Some(config) => Some(take_places(config).await.map_err(StartError::Hindered)?),
        None => None,
    };
    let none = Plugins::default();
    if let Some(config) = files.sound() {
        none.ward().reserve_in(&config.data.value);
    }
    let Configured { config, plugins, jobs, warnings } = configure(files, &none, |_| Vec::new()).await.map_err(StartError::Config)?;
    tell_problems(&plugins, &Plugins::default());
    warnings.iter().for_each(tell);
    let (data, listener) = match early {
        Some(places) => places,
        None => take_places(&config).await.map_err(StartError::Hindered)?,
    };
    let parts = Parts::open(data, started).map_err(|error| error.in_data(&config))?;
    parts.up(signals, file, config, plugins, jobs, listener).await
}

/// Takes the data folder and the address.
///
/// Errors: what is wrong with either, both at once.
async fn take_places(config: &Config) -> Result<(DataFolder, TcpListener), Faults> {
    let data = DataFolder::lock(&config.data.value).map_err(|error| {
        let (rule, hint) = match &error {
            LockError::Taken { .. } => (Rule::DataInUse, Some("end that one, or give this one a folder of its own")),
            LockError::Remote { .. } => (Rule::DataUnusable, Some("name a folder on a disk of this machine")),
            LockError::Unusable { .. } => (Rule::DataUnusable, None),
        };
        Fault::new(rule, &config.data.place, format!("`data`: {error}")).maybe_hint(hint.map(str::to_owned))
    });
    let address = config.listen.value;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let message = format!("`listen`: cannot listen on {address}: {}", crate::chain(&error));
        let in_use = error.kind() == io::ErrorKind::AddrInUse;
        let hint = in_use.then(|| "end whatever listens there, another watchpost perhaps, or choose another port".to_owned());
        Fault::new(Rule::ListenUnusable, &config.listen.place, message).maybe_hint(hint)
    });
    match (data, listener) {
        (Ok(data), Ok(listener)) => Ok((data, listener)),
        (data, listener) => Err(Faults::from([data.err(), listener.err()].into_iter().flatten().collect::<Vec<_>>()).sorted()),
    }
}

/// What lives in the data folder, opened, and what reads it.
struct Parts {
    started: SystemTime,
    journal: Arc<Journal>,
    store: SharedStore,
    watching: Watching,
    ledger: SharedLedger,
    overheard: Overheard,
    routing: Routing,
    poke: Arc<Notify>,
    hindrance: Hindrance,
    migrating: Pending,
    cursors: Arc<Mutex<Cursors>>,
    latest: Arc<Latest>,
    metrics: Arc<HostMetrics>,
    carriers: Carriers,
    /// Whether readings come from this daemon, no longer from an earlier one.
    live: Arc<AtomicBool>,
    views: Vec<Running>,
    paused: Names,
    disabled: Names,
    /// Locked for as long as the others live.
    data: DataFolder,
}

impl Parts {
    fn open(data: DataFolder, started: SystemTime) -> Result<Self, StartError> {
        formats::refuse_newer(data.path())?;
        let cursors = Arc::new(Mutex::new(Cursors::load(data.path())?));
        let paused = Names::load(data.path(), PAUSED).map_err(system("cannot read which jobs are paused"))?;
        let disabled = Names::load(data.path(), DISABLED).map_err(system("cannot read which plugins are disabled"))?;
        let mut store = SeriesStore::open(data.path(), crate::series::store::Options::default())?;
        let seen_end = series_view::next_of(&store).unwrap_or_default();
        let (journal, recovery) = Journal::open(&data.path().join("journal"), Options { seen_end, ..Options::default() })?;
        tell_recovery(&recovery);
        series_view::recover(&mut store, journal.reader(seen_end.max(journal.first())))?;
        let store: SharedStore = Arc::new(Mutex::new(store));
        let journal = Arc::new(journal);
        let routing = Routing::default();
        let ledger = SharedLedger::open(data.path(), journal.durable_end(), routing.clone(), Appender::new(journal.clone()));
        let ledger = ledger.map_err(StartError::Alarms)?;
        let announced = ledger.lend().announced();
        let metrics = HostMetrics::new(env!("CARGO_PKG_VERSION"), started).map_err(|error| io::Error::other(error.to_string()));
        let metrics = Arc::new(metrics.map_err(system("cannot make the host's metrics"))?);
        let latest = Arc::new(Latest::default());
        let live = Arc::new(AtomicBool::new(false));
        Ok(Self {
            started,
            journal,
            store,
            watching: Watching::new(announced),
            ledger,
            overheard: Overheard::default(),
            routing,
            poke: Arc::default(),
            hindrance: Hindrance::default(),
            migrating: Pending::default(),
            cursors,
            latest,
            metrics,
            carriers: Carriers::default(),
            live,
            views: Vec::new(),
            paused,
            disabled,
            data,
        })
    }

    /// Starts the views and waits until they have read what an earlier daemon left.
    async fn catch_up(&mut self, dir: &Path) -> Result<(), StartError> {
        let present =
            Present::new(self.latest.clone(), self.metrics.clone(), self.cursors.clone(), self.carriers.clone(), self.live.clone());
        let cannot = || system("cannot start a view of the journal");
        let migrations = Migrations::new(self.migrating.clone(), Appender::new(self.journal.clone()));
        self.views
            .push(Running::start(present::NAME, Begin::AtLeast(READINGS_SHOWN), self.journal.clone(), dir, present).map_err(cannot())?);
        self.views.push(
            Running::start(
                series_view::NAME,
                Begin::NoLaterThan(series_view::next_of(&lend(&self.store))),
                self.journal.clone(),
                dir,
                SeriesView::new(self.store.clone(), self.journal.clone(), self.hindrance.clone(), migrations),
            )
            .map_err(cannot())?,
        );
        let events = EventView::new(self.data.path())?;
        self.views.push(Running::start(event_view::NAME, Begin::ItsPlace, self.journal.clone(), dir, events).map_err(cannot())?);
        let objectives = ObjectiveView::new(self.data.path(), self.watching.clone()).map_err(StartError::Objectives)?;
        self.views.push(Running::start(objective_view::NAME, Begin::ItsPlace, self.journal.clone(), dir, objectives).map_err(cannot())?);
        let alarms = AlarmView::new(self.ledger.clone(), self.overheard.clone(), self.metrics.clone(), self.poke.clone());
        let from = Begin::NoLaterThan(Some(self.ledger.position()));
        self.views.push(Running::start(alarm_view::NAME, from, self.journal.clone(), dir, alarms).map_err(cannot())?);
        let (end, began) = (self.journal.durable_end(), Instant::now());
        while self.views.iter().any(|view| view.progress.next() < end) {
            if began.elapsed() > CATCH_UP_TIMEOUT {
                warn!("what an earlier daemon left is not all read yet; going on");
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.live.store(true, Ordering::Release);
        Ok(())
    }

    /// Where each job goes on.
    fn past(&self) -> Past {
        let (slots, sets, heard) = {
            let store = lend(&self.store);
            let sets: Vec<_> = store.label_sets().map(|(job, sets)| (job.to_owned(), LabelSets::stored(sets))).collect();
            (store.last_slots(), sets, store.catalogue().gaps().heard())
        };
        let cursors = self.cursors.lock().unwrap_or_else(PoisonError::into_inner).all().clone();
        Past::stored(slots, cursors, sets, heard)
    }

    async fn up(
        mut self,
        mut signals: Signals,
        file: PathBuf,
        config: Config,
        plugins: Plugins,
        jobs: Vec<Job>,
        listener: TcpListener,
    ) -> Result<(), StartError> {
        self.watching.set(&config, &jobs);
        self.routing.set(&config);
        self.ledger.set(&config, &jobs);
        // Jobs first: what an earlier daemon measured of them shows until it is stale.
        self.latest.set_jobs(jobs.iter().map(|job| JobView { shape: job.shape.clone(), next_due_ns: None }));
        let data = self.data.path().to_owned();
        self.catch_up(&data.join("journal")).await?;
        let socket = api::listen(&data).map_err(system(format!("cannot listen on {}", socket_path(&data).display())));
        let socket = socket.map_err(|error| error.in_data(&config))?;
        let front_ends =
            config.rrdcached.as_ref().map(|settings| listen_for_front_ends(settings).map_err(StartError::Hindered)).transpose()?;
        let (past, address) = (self.past(), listener.local_addr().map_err(system("cannot tell where we listen"))?);
        let configured = config.listen.value.to_string();
        // Unbounded: commands come from one person at a time, ends of runs are bounded by the jobs.
        let (commands, queue) = mpsc::unbounded_channel();
        let appender = Appender::new(self.journal.clone());
        let teller = incidents::teller(appender.clone(), self.metrics.clone());
        let settled = plugins.ward().settle(&data, teller).map_err(system("cannot read which jobs are quarantined"));
        settled.map_err(|error| error.in_data(&config))?;
        let runner = Runner::new(past, self.paused, appender.clone(), self.latest.clone(), self.metrics.clone(), commands.clone());
        let database = data.join(crate::alarm::store::FILE);
        let delivery = Delivery::open((&database, self.ledger.turns()), appender.clone(), self.overheard.clone(), self.poke.clone());
        let delivery = delivery.map_err(|source| {
            StartError::Alarms(DatabaseError::Sqlite { path: data.join(crate::alarm::store::FILE), source: source.into() })
        })?;
        let hands = alarm_view::OfPeople::new(self.ledger.clone(), self.poke.clone());
        let present = Now { latest: self.latest.clone(), ledger: self.ledger.clone() };
        let delivery = delivery.with_hands(Arc::new(hands)).with_present(Arc::new(present));
        let daemon = Arc::new(Daemon {
            file,
            started: self.started,
            config: Mutex::new(Arc::new(config.clone())),
            plugins: std::sync::RwLock::new(plugins.clone()),
            carriers: self.carriers.clone(),
            libraries: Libraries::new(self.disabled),
            latest: self.latest.clone(),
            metrics: self.metrics.clone(),
            journal: self.journal.clone(),
            appender: appender.clone(),
            store: self.store.clone(),
            keeping: Mutex::new(()),
            watching: self.watching.clone(),
            ledger: self.ledger.clone(),
            overheard: self.overheard.clone(),
            routing: self.routing.clone(),
            delivery,
            hindrance: self.hindrance.clone(),
            migrating: self.migrating.clone(),
            unlearned: baselines::Unlearned::default(),
            address,
            runner: commands,
            views: self.views.iter().map(|view| (view.name, view.progress.clone())).collect(),
            reloading: tokio::sync::Mutex::new(()),
        });
        let (stop_runner, runner_stops) = oneshot::channel();
        let (stopping, stopped) = watch::channel(());
        let runner = tokio::spawn(runner.lead(queue, runner_stops));
        let jobs_count = jobs.len();
        daemon.put_in_force(config, plugins, jobs).await;
        daemon.metrics.reload_passed(self.started);
        let meter = tokio::spawn(meter::lead(daemon.clone()));
        let budgets = tokio::spawn(budgets::lead(daemon.clone()));
        let baselines = tokio::spawn(baselines::lead(daemon.clone()));
        let pasts = tokio::spawn(pasts::lead(daemon.clone()));
        let standing = tokio::spawn(rule_states::lead(daemon.clone()));
        let watching = tokio::spawn(libraries::watch::lead(daemon.clone()));
        let strays = tokio::spawn(crate::plugin::end_strays());
        let outward = tokio::spawn(serve(
            listener,
            router(daemon.outward(), Hosts::of(address, &configured)),
            self.metrics.clone(),
            Limits::default(),
            told(stopped.clone()),
        ));
        let front_ends = front_ends.map(|socket| {
            let files = Arc::new(RrdFiles(self.store.clone()));
            tokio::spawn(rrdcached::serve(socket, files, told(stopped.clone())))
        });
        let api = tokio::spawn(api::serve(socket, daemon.clone(), told(stopped)));
        service_manager::ready(jobs_count, address);
        daemon.report(Severity::Indeterminate, "started", format!("version {} with {jobs_count} jobs", env!("CARGO_PKG_VERSION")));
        info!(jobs = jobs_count, listen = %address, data = %data.display(), "ready");

        signals.until_told(&daemon).await;
        watching.abort();
        strays.abort();
        daemon.plugins().will_stop();
        let idle = daemon.libraries.idle();
        idle.iter().for_each(|plugin| plugin.will_stop());
        service_manager::stopping();
        info!("stopping");
        let ending = Instant::now();
        drop(stop_runner);
        let _ended = timeout(LAST_RUNS_TIMEOUT, runner).await;
        daemon.plugins().stop().await;
        daemon.plugins().ward().finish();
        drop(stopping);
        meter.abort();
        budgets.abort();
        baselines.abort();
        pasts.abort();
        standing.abort();
        if let Err(error) = self.journal.close(LAST_WRITE_TIMEOUT) {
            error!("{error}");
        }
        for view in &mut self.views {
            view.stop();
        }
        daemon.delivery.stop().await;
        let _ended = timeout(Duration::from_millis(500), outward).await;
        api.abort();
        if let Some(front_ends) = front_ends {
            front_ends.abort();
            let _gone_already = daemon.config().rrdcached.as_ref().map(|settings| std::fs::remove_file(&settings.socket.value));
        }
        let _gone_already = std::fs::remove_file(socket_path(&data));
        info!(took_s = seconds(ending.elapsed()), "stopped");
        Ok(())
    }
}

/// Listens for front ends of RRD files.
///
/// Errors: why not, at the key that says where.
fn listen_for_front_ends(settings: &RrdcachedSettings) -> Result<UnixListener, Faults> {
    let group = settings.group.as_ref();
    rrdcached::listen(&settings.socket.value, group.map(|group| group.value.as_str())).map_err(|error| {
        let (key, place) = match (&error, group) {
            (SocketError::NoGroup(_), Some(group)) => ("group", &group.place),
            _ => ("socket", &settings.socket.place),
        };
        Fault::new(Rule::RrdcachedUnusable, place, format!("`{key}`: {}", crate::chain(&error))).into()
    })
}

impl Daemon {
    fn outward(self: &Arc<Self>) -> Outward {
        let (daemon, reader, house, values, series) = (self.clone(), self.clone(), self.clone(), self.clone(), self.clone());
        let (listed, told, followed) = (self.clone(), self.clone(), self.clone());
        Outward {
            latest: self.latest.clone(),
            host: self.metrics.clone(),
            events: Box::new(move |request| reader.events(request)),
            values: Box::new(move |request| values.fetch(request)),
            series: Box::new(move |request| series.series(request)),
            alarms: AlarmReader {
                list: Box::new(move |request| listed.alarms(request)),
                whole: Box::new(move |number| whole(&told.config().data.value, number)),
                follow: Box::new(move || followed.ledger.lend().follow()),
            },
            house: Box::new(move || house.house()),
            ready: Box::new(move || daemon.not_ready()),
            now_ns: Box::new(super::now_ns),
        }
    }
}

/// Ends when the other side of the channel is dropped.
async fn told(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

/// The signals that a daemon obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let [terminate, interrupt, hang_up] = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hang_up: hang_up? })
    }

    /// Reloads at each SIGHUP, and comes back at SIGTERM or SIGINT.
    async fn until_told(&mut self, daemon: &Arc<Daemon>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => {
                    let daemon = daemon.clone();
                    // The outcome is in the log; a signal has nobody to answer.
                    tokio::spawn(async move { drop(daemon.reload().await) });
                }
            }
        }
    }
}

/// Logs what is wrong with the configuration, or what somebody should look at.
pub(super) fn tell(fault: &Fault) {
    let (rule, place, hint, message) = (fault.rule.name(), &fault.place, fault.hint.as_deref(), &fault.message);
    match fault.weight {
        Weight::Error => error!(rule, %place, hint, "{message}"),
        Weight::Warning => warn!(rule, %place, hint, "{message}"),
    }
}

/// Logs what does not load, unless it was told of the libraries before.
pub(super) fn tell_problems(plugins: &Plugins, before: &Plugins) {
    for problem in plugins.problems().iter().filter(|problem| !before.problems().contains(problem)) {
        warn!(path = %problem.path.display(), "not loaded: {}", problem.reason);
    }
}

fn tell_recovery(recovery: &Recovery) {
    info!(records = recovery.records, segments = recovery.segments, "journal opened");
    if let Some(torn) = &recovery.torn_tail {
        warn!(segment = %torn.segment.display(), bytes = torn.bytes.end - torn.bytes.start, "an unfinished record at the end was put aside");
    }
    for damaged in &recovery.damaged {
        error!(segment = %damaged.segment.display(), from = damaged.bytes.start, to = damaged.bytes.end, "a damaged part of the journal was put aside");
    }
    for lost in &recovery.lost {
        error!(from = u64::from(lost.from), to = u64::from(lost.to), "records of the journal are lost");
    }
}
