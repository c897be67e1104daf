//! The zoo: a library of misbehaving agents, built as an example of the worker's crate, and a plugin that runs them.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use watchpost::plugin::{JobOpen, Plugin, Report, RunEnd, RunRequest, Sandboxes, WorkerState};
use watchpost_plugin_api::Needs;
use watchpost_services::outcome::Status;

/// Long enough for anything but a watchdog to happen.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A library that cargo built as an example: beside the tests' own folder, in none that a configuration names.
pub(crate) fn example(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples");
    let library = folder.join(format!("lib{name}.so"));
    assert!(library.is_file(), "{}: {}", library.display(), crate::harness::DEBUG_RUN);
    library
}

/// A plugin with its jobs.
pub(crate) struct Zoo(pub(crate) Plugin);

/// A job of the zoo.
pub(crate) fn job(number: u64, name: &str, config: &str) -> JobOpen {
    let repeatable = !config.contains("\"repeatable\": false");
    let sleeps = config.contains("orphan");
    let needs = if sleeps { Needs::none().program("/bin/sleep").program("/usr/bin/sleep") } else { Needs::none() };
    let config = config.to_owned();
    JobOpen {
        number,
        name: name.into(),
        agent: "beast".into(),
        config,
        secrets: Vec::new(),
        repeatable,
        interval: LONG,
        quarantine_after: 100,
        needs,
    }
}

/// The configuration of a beast that does this.
pub(crate) fn does(what: &str) -> String {
    format!(r#"{{ "does": "{what}" }}"#)
}

impl Zoo {
    /// Starts the zoo from `library`.
    pub(crate) async fn of(library: &Path) -> Self {
        Self(Plugin::start(library, &Sandboxes::default()).await.unwrap_or_else(|refusal| panic!("{}: {refusal}", library.display())))
    }

    /// Starts the zoo with one job, number 1.
    pub(crate) async fn with(what: &str) -> Self {
        let zoo = Self::of(&example("zoo")).await;
        zoo.0.open(job(1, "guilty", &does(what)));
        zoo
    }

    /// Runs a job once.
    pub(crate) async fn run(&self, job: u64, timeout: Duration) -> RunEnd {
        self.0.run(RunRequest { job, timeout, cursor: None, explain: false }).await
    }

    /// Runs a job once and gives kind and message of what came of it.
    pub(crate) async fn said(&self, job: u64, timeout: Duration) -> (&'static str, String) {
        said(&self.run(job, timeout).await)
    }

    /// Waits until another worker has taken over from the one that there was when this is called; gives the number of that one.
    pub(crate) async fn taken_over(&self) -> u32 {
        let (began, before) = (Instant::now(), self.0.report().pid);
        while self.0.report().pid == before {
            assert!(began.elapsed() < LONG, "none takes over: {:?}", self.0.report());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        before.unwrap()
    }

    /// Waits until the worker is ready again; gives how it fares.
    pub(crate) async fn ready(&self) -> Report {
        let began = Instant::now();
        loop {
            let report = self.0.report();
            if report.state == WorkerState::Ready {
                return report;
            }
            assert!(began.elapsed() < LONG, "{report:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Kind and message of what came of a run; `ok` has no message.
pub(crate) fn said(end: &RunEnd) -> (&'static str, String) {
    match &end.outcome.status {
        Status::Ok => ("ok", String::new()),
        Status::Failed { kind, message } => (kind.name(), message.clone()),
    }
}

/// Values of a run, by metric.
pub(crate) fn values(end: &RunEnd) -> Vec<(&str, f64)> {
    end.outcome.samples.iter().map(|sample| (sample.metric.as_str(), sample.value)).collect()
}

/// A library that does well, run every tenth of a second for as long as a test lasts.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    runs: tokio::task::JoinHandle<u32>,
}

impl Witness {
    /// Begins to run.
    pub(crate) async fn begin() -> Self {
        let plugin = Plugin::start(&example("tame"), &Sandboxes::default()).await.unwrap();
        plugin.open(JobOpen { agent: "tame".into(), ..job(1, "witness", "{}") });
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let runs = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            let mut runs = 0;
            while !stopped.load(Ordering::Relaxed) {
                ticks.tick().await;
                let end = plugin.run(RunRequest { job: 1, timeout: Duration::from_secs(2), cursor: None, explain: false }).await;
                runs += 1;
                // The agent counts too: it was never made anew, and no run was lost or doubled.
                assert_eq!((said(&end), values(&end)), (("ok", String::new()), vec![("runs", f64::from(runs))]));
            }
            assert_eq!((plugin.report().crashes, plugin.report().restarts), (0, 0));
            runs
        });
        Self { stop, runs }
    }

    /// Ends; every run of it went well, and there were as many as the time allows.
    pub(crate) async fn went_well(self, during: Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let runs = self.runs.await.unwrap();
        let due = during.as_millis() / 100;
        assert!(u128::from(runs) >= due, "{runs} of {due} runs in {during:?}");
    }
}
