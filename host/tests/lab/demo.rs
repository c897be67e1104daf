//! The demo as it is shipped, running against a lab of its own; the stories that disturb nothing share one.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use crate::{
    jobs::{self, Job},
    servers::Lab,
    watch::Watch,
};

/// By then each job of the demo has run and found what it looks for: `delivery` runs four times a minute, and mailboxes fill by it.
pub(crate) const ALL_RAN_TIMEOUT: Duration = Duration::from_secs(45);
/// A job beside those of the demo, so often that series and readers meet.
pub(crate) const BEAT: &str = "beat";

/// A daemon on `schedules/demo.toml`.
pub(crate) struct Demo(Watch);

impl Deref for Demo {
    type Target = Watch;

    fn deref(&self) -> &Watch {
        &self.0
    }
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
        let demo = Arc::new(Self(Watch::start(lab, &schedule)));
        *shared = Arc::downgrade(&demo);
        Some(demo)
    }

    /// A demo of one's own, with mail delivered every 5 seconds.
    pub(crate) fn own() -> Option<Self> {
        let lab = Lab::up()?;
        let schedule = lab.schedule("demo.toml");
        let faster = schedule.replace("*/15 * * * * *", "*/5 * * * * *");
        assert_ne!(faster, schedule);
        Some(Self(Watch::start(lab, &faster)))
    }

    /// Its jobs.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        jobs::of(&self.lab)
    }

    /// Waits until each of these jobs is up and has all that it promises; panics after a time.
    pub(crate) fn wait_for_whole(&self, jobs: &[Job]) {
        for job in jobs {
            let figure = |family: &str, scrape: &crate::scrape::Scrape| scrape.value(family, &job.name).is_some();
            self.wait_for(&format!("{} is not whole", job.name), ALL_RAN_TIMEOUT, |scrape| {
                scrape.up(&job.name) == Some("1") && job.times().iter().all(|family| figure(family, scrape))
            });
        }
    }
}
