//! One run of an agent: what it sees, its deadline, and what it gives.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::Instant,
};
use watchpost_plugin_api::{
    AgentError, Endpoint, ErrorKind, Level, MetricSpec, Needs, Tls, TlsFacts, Transport,
    abi::{
        FfiChild, FfiError, FfiFuture, FfiHttpAnswer, FfiResult, HostCx, HostCx_TO, HostCxBox, HostDatagram_TO, HostDatagramBox,
        HostFile_TO, HostFileBox, HostScan_TO, HostScanBox, HostStream_TO, HostStreamBox, RErr, RNone, ROk, ROption, RSlice, RSome, RStr,
        RString, RVec, RawAgentBox, TD_Opaque, host_fenced,
    },
    wire::{self, Way},
};

use crate::{
    answers::{Question, parse},
    datagram::Datagrams,
    dialogue::{Dialogue, Listener, Said, Speaker},
    files::{Directory, OpenFile},
    http, need, network,
    outcome::{Outcome, Status},
    program::{self, Groups},
    results::{Results, cut},
    stream::Connection,
    tls::TlsClients,
};

/// Lines that one run may log; the rest is counted.
const LOG_LINES_MAX: u32 = 100;

/// Takes what agents log: loudness and a masked line.
pub type LogSink = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// What all jobs of a process share.
#[derive(Clone, Default)]
pub struct Shared {
    tls: Arc<TlsClients>,
}

impl Shared {
    /// Does a TLS handshake over `io`, for whoever is no agent.
    ///
    /// Errors: as [`Stream::start_tls`](watchpost_plugin_api::Stream::start_tls); where a certificate is at fault, it is said whose it is.
    pub async fn handshake<S>(
        &self,
        wanted: &Tls,
        io: S,
    ) -> Result<(impl AsyncRead + AsyncWrite + Unpin + Send + use<S>, TlsFacts), AgentError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        self.tls.told_handshake(wanted, io).await
    }

    /// Says why certificates cannot be held to these authorities, or to the system's.
    ///
    /// Errors: kind `local` for a file that cannot be read or holds none, and for a system that has none.
    pub fn has_authorities(&self, ca_file: Option<&Path>) -> Result<(), AgentError> {
        self.tls.roots(ca_file).map(|_| ())
    }
}

/// What one job keeps between its runs.
pub struct JobServices {
    shared: Shared,
    metrics: Arc<[MetricSpec]>,
    dialogue: Arc<Dialogue>,
    log: LogSink,
    /// Connections that the agent keeps over its runs.
    http: Arc<http::Pool>,
    /// Programs that may outlive their run.
    programs: Arc<Groups>,
    /// What the job said it would touch; read from its agent at the first run.
    needs: OnceLock<Arc<Needs>>,
}

/// What a run is given.
pub struct Request {
    /// How long it may take.
    pub timeout: Duration,
    /// What the last run that ended well left.
    pub cursor: Option<Vec<u8>>,
    /// Whether the dialogue is wanted.
    pub explain: bool,
    /// Ends the run before its time; `None` where nobody will.
    pub cancelled: Option<oneshot::Receiver<()>>,
}

impl JobServices {
    /// Prepares a job of an agent with these metrics, whose configuration holds these secrets.
    pub fn new(shared: &Shared, metrics: Arc<[MetricSpec]>, secrets: &[String], log: LogSink, listener: Option<Listener>) -> Self {
        let dialogue = Arc::new(Dialogue::new(secrets, listener));
        Self { shared: shared.clone(), metrics, dialogue, log, http: Arc::default(), programs: Arc::default(), needs: OnceLock::new() }
    }

    /// Runs the agent once, to its end or its deadline; gives what it recorded, and the dialogue if it was wanted.
    pub async fn run(self: &Arc<Self>, agent: &mut RawAgentBox, request: Request) -> (Outcome, Vec<Said>) {
        self.dialogue.begin(request.explain);
        let needs = self.needs.get_or_init(|| {
            // An agent that cannot say what it needs is given nothing that has to be declared.
            Arc::new(serde_json::from_str(&agent.needs()).unwrap_or_default())
        });
        let run = Arc::new(Run {
            job: self.clone(),
            needs: needs.clone(),
            began: Instant::now(),
            timeout: request.timeout,
            cursor: request.cursor,
            results: Mutex::default(),
            logged: AtomicU32::new(0),
            http: Arc::default(),
            programs: Arc::default(),
        });
        let started_ns = wall_ns();
        let cx: HostCxBox = HostCx_TO::from_value(Handle(run.clone()), TD_Opaque);
        let ended = tokio::select! {
            ended = tokio::time::timeout(request.timeout, agent.measure(cx)) => Some(ended.ok().map(FfiResult::into_result)),
            () = told(request.cancelled) => None,
        };
        run.programs.end();
        let outcome = match ended {
            Some(ended) => run.outcome(ended, started_ns),
            None => Outcome::failed(ErrorKind::INTERRUPTED, "it was cancelled: the next run is due", started_ns),
        };
        run.tell_of_dropped_lines();
        (outcome, self.dialogue.end())
    }
}

/// Waits until somebody says so.
async fn told(cancelled: Option<oneshot::Receiver<()>>) {
    if let Some(cancelled) = cancelled
        && cancelled.await.is_ok()
    {
        return;
    }
    // Nobody will say so any more.
    std::future::pending().await
}

struct Run {
    job: Arc<JobServices>,
    needs: Arc<Needs>,
    began: Instant,
    timeout: Duration,
    cursor: Option<Vec<u8>>,
    results: Mutex<Results>,
    /// Lines it logged, also those that were dropped.
    logged: AtomicU32,
    /// Connections that wait for a further request of this run, and go with it.
    http: Arc<http::Pool>,
    /// Programs that end with this run.
    programs: Arc<Groups>,
}

impl Run {
    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remaining(&self) -> Duration {
        self.timeout.saturating_sub(self.began.elapsed())
    }

    fn outcome(&self, ended: Option<Result<(), FfiError>>, started_ns: i64) -> Outcome {
        let duration = self.began.elapsed();
        let mut results = self.results();
        // A future that blocked its thread past the deadline ends "well" after it: that is late all the same.
        let status = match ended {
            Some(Ok(())) if duration <= self.timeout => Status::Ok,
            Some(Err(error)) if duration <= self.timeout => self.failed(error.into()),
            _ => self.late(&results),
        };
        if results.cursor_read && !status.is_ok() {
            // What was read from the cursor on comes again with the next run: kept now, it would count twice.
            results.forget();
        }
        let results = std::mem::take(&mut *results);
        Outcome {
            cursor: results.cursor.filter(|_| status.is_ok()),
            status,
            samples: results.samples,
            declared: results.declared,
            events: results.events,
            events_dropped: results.events_dropped,
            refused: results.refused,
            refusal: results.refusal,
            cursor_read: results.cursor_read,
            started_ns,
            duration_ns: nanos(duration),
        }
    }

    fn log(&self, log: &wire::Log) {
        if self.logged.fetch_add(1, Ordering::Relaxed) < LOG_LINES_MAX {
            (self.job.log)(log.level, &cut(&self.job.dialogue.masked(&log.text)));
        }
    }

    fn tell_of_dropped_lines(&self) {
        let dropped = self.logged.load(Ordering::Relaxed).saturating_sub(LOG_LINES_MAX);
        if dropped > 0 {
            (self.job.log)(Level::Warn, &format!("{dropped} more lines of this run were dropped"));
        }
    }

    fn failed(&self, error: AgentError) -> Status {
        Status::Failed { kind: error.kind(), message: cut(&self.job.dialogue.masked(error.message())) }
    }

    fn late(&self, results: &Results) -> Status {
        let awaited = self.job.dialogue.awaited().map(|what| format!(": {what}")).unwrap_or_default();
        let after = match results.latest() {
            Some(last) => format!("; {} was the last it recorded", last.metric),
            None => String::new(),
        };
        let message = cut(&format!("no end within {}{awaited}{after}", shown(self.timeout)));
        Status::Failed { kind: ErrorKind::TIMEOUT, message }
    }
}

/// A run as the agent holds it. What it asks after the deadline is refused.
struct Handle(Arc<Run>);

impl HostCx for Handle {
    fn connect(&self, endpoint: RStr<'_>) -> FfiFuture<FfiResult<HostStreamBox>> {
        let (run, endpoint) = (self.0.clone(), serde_json::from_str::<Endpoint>(endpoint.as_str()));
        FfiFuture::new(async move {
            let opened = async {
                let endpoint = endpoint.map_err(|error| AgentError::local(format!("no endpoint: {error}")))?;
                need::endpoint(&run.needs, &endpoint)?;
                let services = &run.job;
                Connection::open(endpoint, run.remaining(), services.dialogue.clone(), services.shared.tls.clone()).await
            };
            crossing(opened.await.map(|connection| HostStream_TO::from_value(connection, TD_Opaque)))
        })
    }

    fn datagram(&self, peer: RStr<'_>) -> FfiFuture<FfiResult<HostDatagramBox>> {
        let (run, peer) = (self.0.clone(), peer.to_string());
        FfiFuture::new(async move {
            let opened = async {
                let peer: SocketAddr = serde_json::from_str(&peer).map_err(|error| AgentError::local(format!("no address: {error}")))?;
                need::port(&run.needs, Transport::Udp, peer.port())?;
                Datagrams::open(peer, run.job.dialogue.clone()).await
            };
            crossing(opened.await.map(|socket| HostDatagram_TO::from_value(socket, TD_Opaque)))
        })
    }

    fn ask(&self, question: RStr<'_>, detail: RStr<'_>) -> FfiFuture<FfiResult<RString>> {
        let (run, question) = (self.0.clone(), Question::of(question.as_str(), detail.as_str()));
        FfiFuture::new(async move {
            let dialogue = &run.job.dialogue;
            if let Some(what) = question.as_ref().ok().and_then(Question::doing) {
                dialogue.begins(what);
            }
            let answered = async { question?.answer(&run.needs).await };
            let answered = answered.await;
            dialogue.ends();
            crossing(answered.map(RString::from))
        })
    }

    fn tell(&self, statement: RStr<'_>, detail: RStr<'_>) -> FfiResult<()> {
        host_fenced(|| crossing(self.take(statement.as_str(), detail.as_str())))
    }

    fn sleep(&self, nanos: u64) -> FfiFuture<()> {
        FfiFuture::new(tokio::time::sleep(Duration::from_nanos(nanos)))
    }

    fn elapsed(&self) -> u64 {
        nanos(self.0.began.elapsed())
    }

    fn now(&self) -> i64 {
        wall_ns()
    }

    fn remaining(&self) -> u64 {
        nanos(self.0.remaining())
    }

    fn record(&self, metric: RStr<'_>, labels: RStr<'_>, value: f64) {
        let _fenced = host_fenced(|| {
            let run = &self.0;
            if run.remaining().is_zero() {
                // The run ends as late, which says it all: nothing is wrong with what was measured.
                run.job.dialogue.note(&format!("{metric}{} came after the deadline", labels.as_str()));
                return ROk(());
            }
            run.results().record(&run.job.metrics, metric.as_str(), labels.as_str(), value);
            run.job.dialogue.note(&format!("{metric}{} = {value}", labels.as_str()));
            ROk(())
        });
    }

    fn cursor(&self) -> ROption<RVec<u8>> {
        self.0.results().cursor_read = true;
        match &self.0.cursor {
            Some(cursor) => RSome(cursor.as_slice().into()),
            None => RNone,
        }
    }

    fn set_cursor(&self, cursor: RSlice<'_, u8>) -> FfiResult<()> {
        host_fenced(|| crossing(self.0.results().set_cursor(&cursor)))
    }

    fn open(&self, path: RStr<'_>) -> FfiFuture<FfiResult<HostFileBox>> {
        let (run, path) = (self.0.clone(), parse::<PathBuf>(path.as_str()));
        FfiFuture::new(async move {
            let opened = async {
                let path = path?;
                OpenFile::open(path.clone()).await.map_err(|error| need::of_file(&run.needs, &path, error))
            };
            crossing(opened.await.map(|file| HostFile_TO::from_value(file, TD_Opaque)))
        })
    }

    fn scan(&self, scan: RStr<'_>) -> FfiFuture<FfiResult<HostScanBox>> {
        let (run, scan) = (self.0.clone(), parse::<wire::Scan>(scan.as_str()));
        FfiFuture::new(async move {
            let opened = async {
                let scan = scan?;
                let path = scan.path.clone();
                Directory::open(scan).await.map_err(|error| need::of_file(&run.needs, &path, error))
            };
            crossing(opened.await.map(|directory| HostScan_TO::from_value(directory, TD_Opaque)))
        })
    }

    fn http(&self, request: RStr<'_>, body: RVec<u8>) -> FfiFuture<FfiResult<FfiHttpAnswer>> {
        let (run, request) = (self.0.clone(), parse(request.as_str()));
        FfiFuture::new(async move {
            let means = http::Means {
                dialogue: run.job.dialogue.clone(),
                tls: run.job.shared.tls.clone(),
                needs: run.needs.clone(),
                of_run: run.http.clone(),
                of_job: run.job.http.clone(),
                began: run.began,
                until: run.began + run.timeout,
            };
            let answered = async { http::ask(&means, request?, body.into_vec()).await };
            crossing(answered.await)
        })
    }

    fn spawn(&self, program: RStr<'_>) -> FfiFuture<FfiResult<FfiChild>> {
        let (run, program) = (self.0.clone(), parse(program.as_str()));
        FfiFuture::new(async move {
            let means = program::Means {
                dialogue: run.job.dialogue.clone(),
                tls: run.job.shared.tls.clone(),
                needs: run.needs.clone(),
                of_run: run.programs.clone(),
                of_job: run.job.programs.clone(),
            };
            let started = async { program::start(means, program?).await };
            crossing(started.await)
        })
    }
}

impl Handle {
    fn take(&self, statement: &str, detail: &str) -> Result<(), AgentError> {
        let run = &self.0;
        let wrong = |error: serde_json::Error| AgentError::local(format!("`{statement}` is not understood: {error}"));
        match statement {
            "declare" => run.results().declare(&run.job.metrics, serde_json::from_str(detail).map_err(wrong)?),
            "event" => {
                let event: wire::Event = serde_json::from_str(detail).map_err(wrong)?;
                run.results().event(event, |text| run.job.dialogue.masked(text));
                Ok(())
            }
            "log" => {
                let log: wire::Log = serde_json::from_str(detail).map_err(wrong)?;
                run.log(&log);
                Ok(())
            }
            "hide" => {
                let text: String = serde_json::from_str(detail).map_err(wrong)?;
                run.job.dialogue.hide(&text)
            }
            "note" => {
                let note: wire::Note = serde_json::from_str(detail).map_err(wrong)?;
                let speaker = match note.way {
                    Way::Sent => Speaker::Agent,
                    Way::Received => Speaker::Target,
                };
                run.job.dialogue.note_said(speaker, &note.text);
                Ok(())
            }
            other => Err(AgentError::local(format!("this host takes no `{other}`; the agent wants a newer one"))),
        }
    }
}

fn crossing<T>(result: Result<T, AgentError>) -> FfiResult<T> {
    match result {
        Ok(value) => ROk(value),
        Err(error) => RErr(error.into()),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn wall_ns() -> i64 {
    let now = network::here().map_or_else(SystemTime::now, |network| network.now());
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A time to the millisecond: what went by on the way to the worker is nobody's concern.
fn shown(time: Duration) -> String {
    format!("{} s", (time.as_secs_f64() * 1000.0).round() / 1000.0)
}
