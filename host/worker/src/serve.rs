//! The worker's loop: opens jobs, runs them side by side on one thread, answers as they end.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    io,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::LocalSet,
};
use watchpost_plugin_api::{AgentError, ErrorKind, MetricSpec, abi::RawAgentBox};
use watchpost_services::{
    JobServices, Request, Shared,
    dialogue::{Said, Speaker},
    outcome::Outcome,
};

use crate::{
    frames::{self, FromWorker, ToWorker},
    load::Library,
    page::{Page, Work},
};

/// Bytes of answers that are written at once.
const WRITE_BYTES: usize = 64 * 1024;

/// Serves the daemon at the other end of the pair until it closes.
pub async fn serve(library: Library, page: Page, from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin + 'static) -> io::Result<()> {
    // Unbounded: what waits here are answers to runs that the daemon has bounded itself, and it reads all the time.
    let (answers, queue) = unbounded_channel();
    let descriptor = serde_json::to_string(library.descriptor()).map_err(io::Error::other)?;
    send(&answers, FromWorker::Ready { descriptor });
    let mut worker =
        Worker { library, page: Arc::new(page), shared: Shared::default(), jobs: HashMap::new(), cancels: Cancels::default(), answers };
    let local = LocalSet::new();
    local.spawn_local(write_answers(queue, to));
    local.run_until(worker.listen(from)).await
}

/// What ends runs, by their names.
type Cancels = Rc<RefCell<HashMap<u64, oneshot::Sender<()>>>>;

struct Worker {
    library: Library,
    page: Arc<Page>,
    shared: Shared,
    jobs: HashMap<u64, Rc<Job>>,
    /// What ends each run that is under way, also of a job that was closed meanwhile.
    cancels: Cancels,
    answers: UnboundedSender<FromWorker>,
}

struct Job {
    services: Arc<JobServices>,
    /// The run that is under way, for the page; shared with the dialogue's listener.
    running: Arc<AtomicU64>,
    /// Taken while a run is under way; the daemon never overlaps runs of one job.
    agent: RefCell<Option<RawAgentBox>>,
}

impl Worker {
    async fn listen(&mut self, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        while let Some(frame) = frames::read(&mut from).await? {
            match frame {
                ToWorker::Examine { id, agent, config } => {
                    let result = self.page.during(Work::Asked(id), || self.library.examine(&agent, &config));
                    send(&self.answers, FromWorker::Examined { id, result });
                }
                ToWorker::Open { job, agent, config, secrets } => self.open(job, &agent, &config, &secrets),
                ToWorker::Close { job } => self.close(job),
                ToWorker::Run { run, job, timeout_ns, cursor, explain } => {
                    self.run(run, job, Request { timeout: Duration::from_nanos(timeout_ns), cursor, explain, cancelled: None });
                }
                ToWorker::Cancel { run } => self.cancel(run),
            }
        }
        Ok(())
    }

    fn open(&mut self, job: u64, agent: &str, config: &str, secrets: &[String]) {
        self.close(job);
        match self.page.during(Work::Agent(job), || self.library.create(agent, config)) {
            Err(error) => send(&self.answers, FromWorker::NotOpened { job, error }),
            Ok(made) => {
                let running = Arc::new(AtomicU64::new(0));
                let answers = self.answers.clone();
                let log = Arc::new(move |level, text: &str| send(&answers, FromWorker::Log { job, level, text: text.into() }));
                let listener = self.listener(running.clone());
                let services = JobServices::new(&self.shared, self.metrics(agent), secrets, log, Some(listener));
                let made = Job { services: Arc::new(services), running, agent: RefCell::new(Some(made)) };
                self.jobs.insert(job, Rc::new(made));
            }
        }
    }

    fn close(&mut self, job: u64) {
        self.page.during(Work::Agent(job), || drop(self.jobs.remove(&job)));
    }

    /// Ends a run; one that has ended meanwhile was answered.
    fn cancel(&self, run: u64) {
        if let Some(cancel) = self.cancels.borrow_mut().remove(&run) {
            let _ended_just_now = cancel.send(());
        }
    }

    fn metrics(&self, agent: &str) -> Vec<MetricSpec> {
        self.library.descriptor().agents.iter().find(|known| known.name == agent).map(|known| known.metrics.clone()).unwrap_or_default()
    }

    /// Copies what is said to the shared page.
    fn listener(&self, running: Arc<AtomicU64>) -> watchpost_services::dialogue::Listener {
        let page = self.page.clone();
        Box::new(move |said: &Said| {
            let mark = match said.speaker {
                Speaker::Agent => ">",
                Speaker::Target => "<",
                Speaker::Host => "*",
            };
            page.say(running.load(Ordering::Relaxed), &format!("{mark} {}", said.text));
        })
    }

    /// Starts a run beside those under way.
    fn run(&self, run: u64, job: u64, request: Request) {
        let answers = self.answers.clone();
        let Some(job) = self.jobs.get(&job).cloned() else {
            // `NotOpened` went before and says why.
            let outcome = Outcome::failed(ErrorKind::CONFIG, "the job is not open", 0);
            return send(&answers, FromWorker::Done { run, outcome, dialogue: Vec::new() });
        };
        let (page, cancels) = (self.page.clone(), self.cancels.clone());
        let (cancel, cancelled) = oneshot::channel();
        cancels.borrow_mut().insert(run, cancel);
        let request = Request { cancelled: Some(cancelled), ..request };
        tokio::task::spawn_local(async move {
            // The job goes in whole: closed meanwhile, its agent is dropped under the same eyes.
            let (outcome, dialogue) = watched(page, run, async move { measure(&job, run, request).await }).await;
            cancels.borrow_mut().remove(&run);
            send(&answers, FromWorker::Done { run, outcome, dialogue });
        });
    }
}

async fn measure(job: &Job, run: u64, request: Request) -> (Outcome, Vec<Said>) {
    let Some(mut agent) = job.agent.take() else {
        let error = AgentError::new(ErrorKind::SKIPPED, "the last run of this job is still under way");
        return (Outcome::failed(error.kind(), error.message(), 0), Vec::new());
    };
    job.running.store(run, Ordering::Relaxed);
    let ended = job.services.run(&mut agent, request).await;
    job.agent.replace(Some(agent));
    ended
}

/// Notes on the page that this run is being polled, for as long as each poll takes.
async fn watched<F: Future>(page: Arc<Page>, run: u64, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| page.during(Work::Asked(run), || future.as_mut().poll(cx))).await
}

fn send(answers: &UnboundedSender<FromWorker>, answer: FromWorker) {
    // The daemon has closed: the worker is about to end, nobody is left to tell.
    let _ = answers.send(answer);
}

/// Writes answers as they come, several at once when they come fast.
async fn write_answers(mut queue: UnboundedReceiver<FromWorker>, mut to: impl AsyncWrite + Unpin) {
    let mut buffer = Vec::with_capacity(WRITE_BYTES);
    while let Some(answer) = queue.recv().await {
        let mut next = Some(answer);
        while let Some(answer) = next {
            if let Err(error) = frames::encode(&answer, &mut buffer) {
                eprintln!("an answer cannot be sent: {error}");
            }
            next = if buffer.len() < WRITE_BYTES { queue.try_recv().ok() } else { None };
        }
        if to.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
    }
}
