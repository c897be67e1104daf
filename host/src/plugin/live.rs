//! A worker that is loaded: questions go in, answers come out.

use std::{
    io,
    os::unix::ffi::OsStrExt,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::{
    io::BufReader,
    net::unix::OwnedReadHalf,
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::{timeout, timeout_at},
};
use tracing::error;
use watchpost_plugin_api::LibraryDescriptor;
use watchpost_worker::{
    confine::Confinement,
    frames::{
        self, FromWorker, Task, ToWorker,
        numbered::{Numbered, Unread},
    },
};

use super::{
    blame::Cause,
    descriptor,
    process::{End, Process},
    source::Source,
    watchdog::Watchdog,
};

/// How long a library may take to load.
const LOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what a dead worker said may take to be read.
const REST_TIMEOUT: Duration = Duration::from_millis(250);
/// Answers that wait to be taken from the worker; beyond, they wait in its socket.
const ANSWERS_MAX: usize = 1024;

/// A loaded worker; ended when dropped.
pub(super) struct Live {
    pub(super) process: Process,
    pub(super) since: Instant,
    pub(super) watchdog: Watchdog,
    /// What it may touch.
    pub(super) confinement: Confinement,
    /// What the files were that it may touch, when it was confined.
    pub(super) files: u64,
    to: mpsc::UnboundedSender<ToWorker>,
    from: mpsc::Receiver<Result<FromWorker, Garbled>>,
}

/// What the files are that a worker so confined may touch.
pub(super) async fn fingerprint(confinement: Confinement) -> io::Result<u64> {
    spawn_blocking(move || confinement.fingerprint()).await.map_err(io::Error::other)
}

/// What a worker says.
type Answers = Numbered<BufReader<OwnedReadHalf>>;

/// Why what a worker said is not understood.
pub(super) struct Garbled {
    why: String,
    /// Bytes that the worker had written when somebody else wrote to its connection, if somebody did.
    behind: Option<u64>,
}

impl Live {
    /// Starts a worker and waits for its word.
    ///
    /// Errors: why the library is refused, for people.
    pub(super) async fn start(source: &Source, confinement: &Confinement) -> Result<(Self, LibraryDescriptor), String> {
        let in_time = timeout(LOAD_TIMEOUT, Self::load(source, confinement)).await;
        in_time.map_err(|_| format!("it did not load within {} s", LOAD_TIMEOUT.as_secs()))?
    }

    async fn load(source: &Source, confinement: &Confinement) -> Result<(Self, LibraryDescriptor), String> {
        let does_not_start = |error: io::Error| format!("its worker does not start: {}", crate::chain(&error));
        // Before the worker looks at them: what changes meanwhile is seen as changed.
        let files = fingerprint(confinement.clone()).await.map_err(does_not_start)?;
        let started = Process::start(&source.path, &source.snapshot, confinement.sandbox).await;
        let mut process = started.map_err(does_not_start)?;
        let socket = process.socket.take().ok_or_else(|| does_not_start(io::ErrorKind::NotConnected.into()))?;
        let (from_socket, mut to_socket) = socket.into_split();
        // A worker that has died already is asked for its end below.
        let task = Task { file: source.file.as_os_str().as_bytes().to_vec(), confinement: confinement.clone() };
        let _dead = frames::write(&task, &mut to_socket).await;
        let mut from_socket = Numbered::new(BufReader::with_capacity(frames::PIECE_BYTES, from_socket));
        let descriptor = first_word(&mut from_socket, &mut process.ended).await?;
        // Unbounded: what waits here are runs that the scheduler has bounded, one per job.
        let (to, questions) = mpsc::unbounded_channel();
        let (answers, from) = mpsc::channel(ANSWERS_MAX);
        tokio::spawn(read_answers(from_socket, answers));
        let unsaid = |error| error!("a question to a worker cannot be sent: {}", crate::chain(&error));
        tokio::spawn(frames::write_all(questions, to_socket, unsaid));
        let watchdog = Watchdog::new(process.pid);
        let confinement = confinement.clone();
        Ok((Self { process, since: Instant::now(), watchdog, confinement, files, to, from }, descriptor))
    }

    /// Asks the worker; a dying one is seen by whoever waits for its answers.
    pub(super) fn ask(&self, question: ToWorker) {
        let _dying = self.to.send(question);
    }

    /// The next answer; `None` once the worker has closed its end.
    pub(super) async fn answer(&mut self) -> Option<Result<FromWorker, Garbled>> {
        self.from.recv().await
    }

    /// Polls for the next answer.
    pub(super) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<FromWorker, Garbled>>> {
        self.from.poll_recv(cx)
    }

    /// What the worker is ended for when what it says is not understood.
    pub(super) fn cause_of(&self, Garbled { why, behind }: Garbled) -> Cause {
        Cause::Garbled(why, behind.and_then(|behind| self.process.page.alone_behind(behind)))
    }

    /// What a dead worker said and nobody took yet: those runs have ended, and are not to be repeated.
    pub(super) async fn rest(mut self) -> Vec<FromWorker> {
        let mut rest = Vec::new();
        // Its end is the end of the connection, unless a program that an agent started holds on to it.
        let deadline = Instant::now() + REST_TIMEOUT;
        while let Ok(Some(Ok(answer))) = timeout_at(deadline.into(), self.answer()).await {
            rest.push(answer);
        }
        rest
    }
}

async fn first_word(from: &mut Answers, ended: &mut oneshot::Receiver<End>) -> Result<LibraryDescriptor, String> {
    match from.next::<FromWorker>().await {
        Ok(FromWorker::Ready { descriptor }) => {
            let known: LibraryDescriptor =
                serde_json::from_str(&descriptor).map_err(|error| format!("it cannot describe itself: {error}"))?;
            match descriptor::fault(&known) {
                Some(fault) => Err(fault),
                None => Ok(known),
            }
        }
        Ok(FromWorker::Refused { reason }) => Err(crate::without_number(&reason)),
        Ok(_) => Err("its worker spoke out of turn".into()),
        Err(_) => {
            let how = ended.await.map(|end| end.how()).unwrap_or_default();
            Err(format!("its worker {how} while it loaded it"))
        }
    }
}

async fn read_answers(mut from: Answers, answers: mpsc::Sender<Result<FromWorker, Garbled>>) {
    loop {
        let answer = match from.next().await {
            Ok(answer) => Ok(answer),
            Err(Unread::Foreign { behind, why }) => Err(Garbled { why, behind: Some(behind) }),
            Err(broken @ Unread::Broken(_)) => Err(Garbled { why: crate::chain(&broken), behind: None }),
            // Closed, or died in the middle of a word: how it ended says more.
            Err(Unread::Closed) => return,
        };
        let garbled = answer.is_err();
        if answers.send(answer).await.is_err() || garbled {
            return;
        }
    }
}
