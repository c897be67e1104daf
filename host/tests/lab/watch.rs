//! A lab of real servers, and a daemon that measures it.

use std::time::Duration;

use serde_json::Value;

use crate::{
    harness::{Daemon, House},
    scrape::{Scrape, until_scraped},
    servers::Lab,
};

/// Lab, configuration and daemon; they end in the opposite order.
pub(crate) struct Watch {
    pub(crate) daemon: Daemon,
    pub(crate) house: House,
    pub(crate) lab: Lab,
}

impl Watch {
    /// Starts a daemon on a schedule.
    pub(crate) fn start(lab: Lab, schedule: &str) -> Self {
        let house = House::new(schedule);
        Self { daemon: house.start(), house, lab }
    }

    /// Asks the daemon for its metrics.
    pub(crate) fn scrape(&self) -> Scrape {
        let answer = self.daemon.get("/metrics").unwrap();
        assert_eq!(answer.status, 200);
        Scrape::of(&answer.body)
    }

    /// Runs a listing for its JSON.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        self.json_of(&[words, &["--json"]].concat())
    }

    /// Runs a command whose answer is JSON.
    pub(crate) fn json_of(&self, words: &[&str]) -> Value {
        let said = self.house.run(words).ok();
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
        self.wait_for(&format!("{job} is not {up}"), timeout, |scrape| scrape.up(job) == Some(up));
    }

    /// Waits until the metrics are such; panics with `otherwise` after `timeout`.
    pub(crate) fn wait_for(&self, otherwise: &str, timeout: Duration, such: impl Fn(&Scrape) -> bool) {
        let reached = until_scraped(timeout, || self.scrape(), |scrape| such(scrape).then_some(()));
        assert!(reached.is_some(), "{otherwise} after {timeout:?}: {}", self.house.run(&["status"]).out);
    }
}
