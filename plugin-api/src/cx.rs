//! What a run may ask for.

use std::{
    fmt,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    path::Path,
    pin::{Pin, pin},
    task::Poll,
    time::{Duration, SystemTime},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    AgentError, Datagram, DirEntry, Endpoint, ErrorKind, File, FileStat, HttpBody, HttpRequest, HttpResponse, Laps, Level, Metric,
    MetricSpec, RecordType, Resolver, Scan, ScanNames, Severity, Stream,
    abi::{FfiResult, HostCxBox, HostScanBox, RErr, ROk, RString},
    files::at,
    wire::{self, Way},
};

/// Entries of a directory that are listed at once: some 20 MB.
const ENTRIES_MAX: usize = 100_000;

/// The host, as one run sees it: sockets, TLS, names, files, time, and the places where results go.
///
/// Everything asynchronous ends at the run's deadline at the latest.
pub struct Cx {
    host: HostCxBox,
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cx({:?} elapsed)", self.elapsed())
    }
}

impl Cx {
    pub(crate) fn new(host: HostCxBox) -> Self {
        Self { host }
    }

    /// Opens a stream.
    ///
    /// Errors: kind `connect`, naming the address.
    pub async fn connect(&self, to: impl Into<Endpoint>) -> Result<Stream, AgentError> {
        let endpoint = to_json(&to.into())?;
        match self.host.connect(endpoint.as_str().into()).await {
            ROk(stream) => Ok(Stream::new(stream)),
            RErr(error) => Err(error.into()),
        }
    }

    /// Opens a datagram socket (UDP) to one peer, from a port of the system's choice; nobody else's datagrams come in by it.
    ///
    /// Errors: kind `connect` when there is no way to that address, `local` when this machine has no socket to give.
    pub async fn datagram(&self, peer: SocketAddr) -> Result<Datagram, AgentError> {
        let peer = to_json(&peer)?;
        match self.host.datagram(peer.as_str().into()).await {
            ROk(socket) => Ok(Datagram::new(socket)),
            RErr(error) => Err(error.into()),
        }
    }

    /// Asks by HTTP/1.1, and waits for the head of the answer.
    ///
    /// Connections are kept and used again within the run, as a browser does; [`Keep`](crate::Keep) says otherwise.
    ///
    /// Errors: kinds `resolve`, `connect` and `tls` as [`resolve`](Cx::resolve), [`connect`](Cx::connect) and
    /// [`start_tls`](Stream::start_tls); `config` for a request that cannot be made; `protocol` for an answer that is none; `limit` for one
    /// whose head has more than 100 lines or 64 KiB.
    pub async fn http(&self, request: HttpRequest) -> Result<HttpResponse, AgentError> {
        let head = to_json(&request)?;
        let answer = self.host.http(head.as_str().into(), request.body.into()).await.into_result()?;
        Ok(HttpResponse { head: from_json(ROk(answer.head))?, body: HttpBody::new(Stream::new(answer.body)) })
    }

    /// Finds the addresses of a name; an address is its own answer. Nothing is cached.
    ///
    /// Errors: kind `resolve`; no address at all is one.
    pub async fn resolve(&self, name: &str, record: RecordType, resolver: Resolver) -> Result<Vec<IpAddr>, AgentError> {
        self.ask("resolve", &wire::Resolve { name: name.into(), record, resolver }).await
    }

    /// Tells size, age, owner and sort of a file; of what a symbolic link leads to.
    ///
    /// Errors: kind `local`, naming the path.
    pub async fn stat(&self, path: impl AsRef<Path>) -> Result<FileStat, AgentError> {
        self.ask("stat", &path.as_ref()).await
    }

    /// Opens a regular file for reading.
    ///
    /// Errors: kind `local`, naming the path; what is no regular file (a pipe would wait for ever) is one.
    pub async fn open(&self, path: impl AsRef<Path>) -> Result<File, AgentError> {
        let path = path.as_ref();
        match self.host.open(to_json(&path)?.as_str().into()).await {
            ROk(file) => Ok(File::new(file, path.to_owned())),
            RErr(error) => Err(error.into()),
        }
    }

    /// Reads a whole file.
    ///
    /// Errors: kind `limit` when it has more than `bytes_max`, `local` as [`open`](Cx::open).
    pub async fn read(&self, path: impl AsRef<Path>, bytes_max: usize) -> Result<Vec<u8>, AgentError> {
        self.open(path).await?.read_from(0, bytes_max).await
    }

    /// Lists a directory, in no order that means anything.
    ///
    /// Errors: kind `limit` when it has more than 100,000 entries, for which there is [`scan`](Cx::scan); `local`, naming the path.
    pub async fn read_dir(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, AgentError> {
        let path = path.as_ref();
        let mut scan = self.scan(path).await?;
        let mut entries = Vec::new();
        while let Some(entry) = scan.next().await? {
            if entries.len() == ENTRIES_MAX {
                let message = format!("more than {ENTRIES_MAX} entries in {}", path.display());
                return Err(AgentError::new(ErrorKind::LIMIT, message));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Reads a directory of any size, entry by entry.
    ///
    /// Errors: kind `local`, naming the path.
    pub async fn scan(&self, path: impl AsRef<Path>) -> Result<Scan, AgentError> {
        self.begin_scan(path.as_ref(), false).await.map(Scan::new)
    }

    /// Reads the names of a directory of any size, which is several times faster than with all that `stat` says.
    ///
    /// Errors: kind `local`, naming the path.
    pub async fn scan_names(&self, path: impl AsRef<Path>) -> Result<ScanNames, AgentError> {
        self.begin_scan(path.as_ref(), true).await.map(ScanNames::new)
    }

    async fn begin_scan(&self, path: &Path, names_only: bool) -> Result<HostScanBox, AgentError> {
        let scan = to_json(&wire::Scan { path: path.to_owned(), names_only })?;
        self.host.scan(scan.as_str().into()).await.into_result().map_err(AgentError::from)
    }

    /// Removes a regular file below a directory of [`Needs::remove_in`](crate::Needs::remove_in); says whether it was there.
    ///
    /// No symbolic link below that directory is followed: whoever may write there cannot have another file removed.
    ///
    /// Errors: kind `local`, naming the path; a place that was not declared is one.
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> Result<bool, AgentError> {
        self.ask("remove_file", &path.as_ref()).await
    }

    /// How long ago that was; zero if it lies ahead.
    pub fn age_of(&self, time: SystemTime) -> Duration {
        self.now().duration_since(time).unwrap_or_default()
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        self.host.sleep(nanos(time)).await;
    }

    /// Gives something that may wait a time of its own, within that of the run; what has not ended by then is dropped.
    ///
    /// Errors: kind `timeout`, or those of `work`.
    ///
    /// ```
    /// # use watchpost_plugin_api::prelude::*;
    /// # async fn idle(cx: &Cx, lines: &mut Lines) -> Result<(), AgentError> {
    /// let line = cx.within(Duration::from_secs(2), lines.read()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn within<T>(&self, time: Duration, work: impl Future<Output = Result<T, AgentError>>) -> Result<T, AgentError> {
        let (mut work, mut late) = (pin!(work), self.host.sleep(nanos(time)));
        poll_fn(|task| match work.as_mut().poll(task) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                Pin::new(&mut late).poll(task).map(|()| Err(AgentError::new(ErrorKind::TIMEOUT, format!("no end within {time:?}"))))
            }
        })
        .await
    }

    /// Time since the run began; never goes back.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.host.elapsed())
    }

    /// The wall clock.
    pub fn now(&self) -> SystemTime {
        at(self.host.now())
    }

    /// Time until the deadline.
    pub fn remaining(&self) -> Duration {
        Duration::from_nanos(self.host.remaining())
    }

    /// Starts the clock whose laps are the phases of this run.
    pub fn laps(&self) -> Laps<'_> {
        Laps::start(self)
    }

    /// Records a sample. Infinities and NaN are refused by the host and counted.
    pub fn record(&self, metric: impl Named, value: impl Value) {
        self.host.record(metric.name().into(), "".into(), value.as_f64());
    }

    /// Records a sample of a metric with labels: one value per key, in the declared order or not.
    pub fn record_with(&self, metric: impl Named, labels: &[(&str, &str)], value: impl Value) {
        let labels: serde_json::Map<_, _> = labels.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect();
        let labels = serde_json::Value::Object(labels).to_string();
        self.host.record(metric.name().into(), labels.as_str().into(), value.as_f64());
    }

    /// Declares a metric known only at run time; recorded by what is given back.
    ///
    /// Errors: kind `limit` when the host takes no more, `config` when the name cannot be one.
    pub fn declare(&self, metric: MetricSpec) -> Result<Declared, AgentError> {
        self.tell("declare", &metric)?;
        Ok(Declared { name: metric.name })
    }

    /// Reports something that happened. The host keeps 100 per run and counts the rest.
    pub fn event(&self, severity: Severity, code: &str, text: &str) {
        // An event that cannot be told is counted by the host; the measurement goes on.
        let _ = self.tell("event", &wire::Event { severity, code: code.into(), text: text.into() });
    }

    /// What the last run that ended well left; `None` on the first.
    pub fn cursor(&self) -> Option<Vec<u8>> {
        self.host.cursor().into_option().map(Into::into)
    }

    /// Leaves something for the next run; kept only if this run ends well.
    ///
    /// Errors: kind `limit` above 64 KiB.
    pub fn set_cursor(&self, cursor: &[u8]) -> Result<(), AgentError> {
        done(self.host.set_cursor(cursor.into()))
    }

    /// Keeps a text out of whatever is shown of this run, as if the configuration had it as a secret: what was made of one for the
    /// target (a digest, a token), told before it is sent.
    ///
    /// Errors: kind `limit` when the host takes no more, `local` from a host that is older than this; what cannot be hidden is not to be sent.
    pub fn hide(&self, text: &str) -> Result<(), AgentError> {
        self.tell("hide", &text)
    }

    /// Writes to the host's log.
    pub fn log(&self, level: Level, text: &str) {
        // A log line that cannot be told is no reason to fail a measurement.
        let _ = self.tell("log", &wire::Log { level, text: text.into() });
    }

    /// Shows in the dialogue, in words, what was sent to the target: for protocols that are no text.
    ///
    /// Shape: one line, masked and bounded by the host.
    pub fn note_sent(&self, text: &str) {
        self.note(Way::Sent, text);
    }

    /// Shows in the dialogue, in words, what the target sent.
    pub fn note_received(&self, text: &str) {
        self.note(Way::Received, text);
    }

    fn note(&self, way: Way, text: &str) {
        // A dialogue with a line less is no reason to fail a measurement.
        let _ = self.tell("note", &wire::Note { way, text: text.into() });
    }

    async fn ask<Q: Serialize, A: DeserializeOwned>(&self, question: &str, detail: &Q) -> Result<A, AgentError> {
        let detail = to_json(detail)?;
        from_json(self.host.ask(question.into(), detail.as_str().into()).await)
    }

    fn tell<S: Serialize>(&self, statement: &str, detail: &S) -> Result<(), AgentError> {
        let detail = to_json(detail)?;
        done(self.host.tell(statement.into(), detail.as_str().into()))
    }
}

/// Something recorded by name: a [`Metric`], or what [`Cx::declare`] gave.
pub trait Named {
    /// The metric's name.
    fn name(&self) -> &str;
}

impl Named for Metric {
    fn name(&self) -> &str {
        Metric::name(self)
    }
}

/// A metric declared at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    name: String,
}

impl Named for &Declared {
    fn name(&self) -> &str {
        &self.name
    }
}

/// A number, or a time (in seconds).
pub trait Value {
    /// The number that is stored.
    fn as_f64(&self) -> f64;
}

macro_rules! value {
    ($($number:ty),+) => { $(impl Value for $number {
        fn as_f64(&self) -> f64 {
            *self as f64
        }
    })+ };
}
value!(f64, f32, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl Value for bool {
    fn as_f64(&self) -> f64 {
        f64::from(u8::from(*self))
    }
}

impl Value for Duration {
    fn as_f64(&self) -> f64 {
        // Not as_secs_f64: one rounding, so that whole nanoseconds come back exactly below 104 days.
        self.as_nanos() as f64 / 1e9
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn done(answer: FfiResult<()>) -> Result<(), AgentError> {
    answer.into_result().map_err(AgentError::from)
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, AgentError> {
    serde_json::to_string(value).map_err(|error| AgentError::local(error.to_string()))
}

pub(crate) fn from_json<T: DeserializeOwned>(answer: FfiResult<RString>) -> Result<T, AgentError> {
    let text = answer.into_result()?;
    serde_json::from_str(&text).map_err(|error| AgentError::local(format!("the host's answer is not understood: {error}")))
}
