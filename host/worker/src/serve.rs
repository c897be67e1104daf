//! The worker's loop: opens jobs, runs them side by side on one thread, answers as they end.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufRead, AsyncWrite},
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
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
    frames::{self, FromWorker, ToWorker, numbered},
    load::Library,
    page::{Page, Work},
};

/// Serves the daemon at the other end of the pair until it closes.
pub async fn serve(library: Library, page: Page, from: impl AsyncBufRead + Unpin, to: impl AsyncWrite + Unpin + 'static) -> io::Result<()> {
    // Unbounded: what waits here are answers to runs that the daemon has bounded itself, and it reads all the time.
    let (answers, queue) = unbounded_channel();
    let descriptor = serde_json::to_string(library.descriptor()).map_err(io::Error::other)?;
    send(&answers, FromWorker::Ready { descriptor });
    let metrics = library.descriptor().agents.iter().map(|agent| (agent.name.clone(), agent.metrics.clone().into())).collect();
    let (page, shared, cancels) = (Arc::new(page), Shared::default(), Cancels::default());
    page.wrote(0, false);
    let written = numbered::write_all(queue, page.clone(), to, |error| eprintln!("an answer cannot be sent: {error}"));
    let mut worker = Worker { library, metrics, page, shared, jobs: HashMap::new(), cancels, answers };
    let local = LocalSet::new();
    local.spawn_local(written);
    local.run_until(worker.listen(from)).await
}

/// What ends runs, by their names.
type Cancels = Rc<RefCell<HashMap<u64, oneshot::Sender<()>>>>;

struct Worker {
    library: Library,
    /// What each agent may record.
    metrics: HashMap<String, Arc<[MetricSpec]>>,
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
    async fn listen(&mut self, mut from: impl AsyncBufRead + Unpin) -> io::Result<()> {
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
                let metrics = self.metrics.get(agent).cloned().unwrap_or_default();
                let services = JobServices::new(&self.shared, metrics, secrets, log, Some(listener));
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

    /// Copies what is said to the shared page.
    fn listener(&self, running: Arc<AtomicU64>) -> watchpost_services::dialogue::Listener {
        let page = self.page.clone();
        Box::new(move |speaker, text| {
            let mark = match speaker {
                Speaker::Agent => "> ",
                Speaker::Target => "< ",
                Speaker::Host => "* ",
            };
            page.say(running.load(Ordering::Relaxed), mark, text);
        })
    }

    /// Starts a run beside those under way.
    fn run(&self, run: u64, number: u64, request: Request) {
        let answers = self.answers.clone();
        let Some(job) = self.jobs.get(&number).cloned() else {
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
            let (outcome, dialogue) = watched(page, run, number, async move { measure(&job, run, request).await }).await;
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

/// Notes on the page that this run of a job is being polled, for as long as each poll takes.
///
/// No `async fn`: that would keep room for the future twice, as what it is given and as what it polls.
fn watched<F: Future>(page: Arc<Page>, run: u64, job: u64, future: F) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| page.during_for(Work::Asked(run), Work::Agent(job), || future.as_mut().poll(cx)))
}

fn send(answers: &UnboundedSender<FromWorker>, answer: FromWorker) {
    // The daemon has closed: the worker is about to end, nobody is left to tell.
    let _ = answers.send(answer);
}
