//! A worker that is loaded: questions go in, answers come out.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::{mpsc, oneshot},
    time::{timeout, timeout_at},
};
use tracing::error;
use watchpost_plugin_api::LibraryDescriptor;
use watchpost_worker::frames::{self, FromWorker, ToWorker};

use super::{
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
    to: mpsc::UnboundedSender<ToWorker>,
    from: mpsc::Receiver<Result<FromWorker, Garbled>>,
}

/// Why what a worker said is not understood.
pub(super) struct Garbled(pub(super) String);

impl Live {
    /// Starts a worker and waits for its word.
    ///
    /// Errors: why the library is refused, for people.
    pub(super) async fn start(source: &Source) -> Result<(Self, LibraryDescriptor), String> {
        let in_time = timeout(LOAD_TIMEOUT, Self::load(source)).await;
        in_time.map_err(|_| format!("it did not load within {} s", LOAD_TIMEOUT.as_secs()))?
    }

    async fn load(source: &Source) -> Result<(Self, LibraryDescriptor), String> {
        let does_not_start = |error: io::Error| format!("its worker does not start: {}", crate::chain(&error));
        let mut process = Process::start(&source.file, &source.snapshot).await.map_err(does_not_start)?;
        let socket = process.socket.take().ok_or_else(|| does_not_start(io::ErrorKind::NotConnected.into()))?;
        let (from_socket, to_socket) = socket.into_split();
        let mut from_socket = BufReader::new(from_socket);
        let descriptor = first_word(&mut from_socket, &mut process.ended).await?;
        // Unbounded: what waits here are runs that the scheduler has bounded, one per job.
        let (to, questions) = mpsc::unbounded_channel();
        let (answers, from) = mpsc::channel(ANSWERS_MAX);
        tokio::spawn(read_answers(from_socket, answers));
        tokio::spawn(write_questions(questions, to_socket));
        let watchdog = Watchdog::new(process.pid);
        Ok((Self { process, since: Instant::now(), watchdog, to, from }, descriptor))
    }

    /// Asks the worker; a dying one is seen by whoever waits for its answers.
    pub(super) fn ask(&self, question: ToWorker) {
        let _dying = self.to.send(question);
    }

    /// The next answer; `None` once the worker has closed its end.
    pub(super) async fn answer(&mut self) -> Option<Result<FromWorker, Garbled>> {
        self.from.recv().await
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

async fn first_word(from: &mut BufReader<OwnedReadHalf>, ended: &mut oneshot::Receiver<End>) -> Result<LibraryDescriptor, String> {
    match frames::read::<FromWorker>(from).await {
        Ok(Some(FromWorker::Ready { descriptor })) => {
            let known: LibraryDescriptor =
                serde_json::from_str(&descriptor).map_err(|error| format!("it cannot describe itself: {error}"))?;
            match descriptor::fault(&known) {
                Some(fault) => Err(fault),
                None => Ok(known),
            }
        }
        Ok(Some(FromWorker::Refused { reason })) => Err(crate::without_number(&reason)),
        Ok(Some(_)) => Err("its worker spoke out of turn".into()),
        Ok(None) | Err(_) => {
            let how = ended.await.map(|end| end.how()).unwrap_or_default();
            Err(format!("its worker {how} while it loaded it"))
        }
    }
}

async fn read_answers(mut from: BufReader<OwnedReadHalf>, answers: mpsc::Sender<Result<FromWorker, Garbled>>) {
    loop {
        let answer = match frames::read(&mut from).await {
            Ok(Some(answer)) => Ok(answer),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Garbled(crate::chain(&error))),
            // Closed, or died in the middle of a word: how it ended says more.
            Ok(None) | Err(_) => return,
        };
        let garbled = answer.is_err();
        if answers.send(answer).await.is_err() || garbled {
            return;
        }
    }
}

async fn write_questions(mut questions: mpsc::UnboundedReceiver<ToWorker>, mut to: OwnedWriteHalf) {
    let mut buffer = Vec::new();
    while let Some(question) = questions.recv().await {
        buffer.clear();
        if let Err(error) = frames::encode(&question, &mut buffer) {
            error!("a question to a worker cannot be sent: {}", crate::chain(&error));
            continue;
        }
        if to.write_all(&buffer).await.is_err() {
            return;
        }
    }
}
