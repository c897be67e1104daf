//! The demo as it is shipped, running against a lab of its own; the stories that disturb nothing share one.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use serde_json::Value;

use crate::{
    harness::{Daemon, House},
    scrape::Scrape,
    servers::Lab,
};

/// By then each job of the demo has run, `delivery` (twice a minute) among them.
pub(crate) const ALL_RAN_TIMEOUT: Duration = Duration::from_secs(45);
/// A job beside those of the demo, so often that series and readers meet.
pub(crate) const BEAT: &str = "beat";

/// Lab, configuration and daemon; they end in the opposite order.
pub(crate) struct Demo {
    pub(crate) daemon: Daemon,
    pub(crate) house: House,
    pub(crate) lab: Lab,
}

/// What the demo's schedule measures, as its file says.
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) target: String,
    /// Its label `server`, if it has one.
    pub(crate) server: Option<&'static str>,
    /// Phases beside those that every session has.
    pub(crate) phases: &'static [&'static str],
    /// The longest time between two runs.
    pub(crate) interval: Duration,
}

impl Demo {
    /// The demo that stories share; it goes with the last that holds it.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Demo>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(demo) = shared.upgrade() {
            return Some(demo);
        }
        let lab = Lab::up()?;
        let beat = format!(
            "\n[[job]]\nname = \"{BEAT}\"\nagent = \"smtp\"\nevery = \"1s\"\nconfig = {{ host = \"127.0.0.1\", port = {} }}\n",
            lab.port("smtp")
        );
        let schedule = lab.schedule("demo.toml") + &beat;
        let demo = Arc::new(Self::start(lab, &schedule));
        *shared = Arc::downgrade(&demo);
        Some(demo)
    }

    /// A demo of one's own, with mail delivered every 5 seconds.
    pub(crate) fn own() -> Option<Self> {
        let lab = Lab::up()?;
        let schedule = lab.schedule("demo.toml");
        let faster = schedule.replace("*/30 * * * * *", "*/5 * * * * *");
        assert_ne!(faster, schedule);
        Some(Self::start(lab, &faster))
    }

    fn start(lab: Lab, schedule: &str) -> Self {
        let house = House::new(schedule);
        Self { daemon: house.start(), house, lab }
    }

    /// The jobs of `schedules/demo.toml`, by what the file promises.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        let job = |name: &str, service: &str, server, seconds, phases| Job {
            name: name.into(),
            target: format!("127.0.0.1:{}", self.lab.port(service)),
            server,
            phases,
            interval: Duration::from_secs(seconds),
        };
        let greeting = |service: &str| format!("greeting@127.0.0.1-{}", self.lab.port(service));
        vec![
            job("relay", "smtp", Some("postfix"), 5, &["mail", "rcpt"]),
            job("relay-tls", "smtp", Some("postfix"), 5, &["tls"]),
            job("submission", "submission", Some("postfix"), 5, &["tls", "authenticate", "mail", "rcpt"]),
            job("smtps", "smtps", Some("postfix"), 10, &["tls", "authenticate"]),
            job("dovecot-submission", "dovecot_submission", Some("dovecot"), 10, &["tls", "authenticate", "mail", "rcpt"]),
            job("delivery", "smtp", Some("postfix"), 30, &["mail", "rcpt", "data", "transmission"]),
            job(&greeting("smtp"), "smtp", None, 10, &[]),
            job(&greeting("dovecot_submission"), "dovecot_submission", None, 10, &[]),
        ]
    }

    /// Asks the daemon for its metrics.
    pub(crate) fn scrape(&self) -> Scrape {
        let answer = self.daemon.get("/metrics").unwrap();
        assert_eq!(answer.status, 200);
        Scrape::of(&answer.body)
    }

    /// Runs a command whose answer is JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let said = self.house.run(&[words, &["--json"]].concat()).ok();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{words:?}: {error}: {said}"))
    }

    /// What `status` says of a job.
    pub(crate) fn status(&self, job: &str) -> Value {
        let status = self.json(&["status"]);
        let jobs = status["jobs"].as_array().unwrap();
        jobs.iter().find(|known| known["name"] == job).unwrap_or_else(|| panic!("no job {job}: {status}")).clone()
    }

    /// Waits until a job has this `up`; panics after `timeout`.
    pub(crate) fn wait_for_up(&self, job: &str, up: &str, timeout: Duration) {
        let reached = crate::scrape::until_scraped(timeout, || self.scrape(), |scrape| (scrape.up(job) == Some(up)).then_some(()));
        assert!(reached.is_some(), "{job} is not {up} after {timeout:?}: {}", self.house.run(&["status"]).out);
    }
}
