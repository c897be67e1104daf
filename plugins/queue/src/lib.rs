//! Counts the messages that wait in a mail queue, their volume, and for how long they have waited.
//!
//! Target: the folder of a queue. Reading order: [`Config`] (what a job says) · [`Queue`] (the order of a run) · `found` (what is counted:
//! `tally`, and what is told as events: `tops`) · one file for each sort of queue: `postfix` with `showq` (what its server says), `exim`,
//! `sendmail`, `opensmtpd`, `folder` (a plain directory, a Maildir) · `spool` (how files are read that come and go).
//!
//! `queue_size`, `queue_bytes` and `queue_oldest_age` tell each queue that the server has, and these of all servers alike:
//! - `all`: every message that waits, those on hold and the frozen ones included; not what is `corrupt`, which is no message any more.
//! - `error`: what will not move again unless somebody sees to it: `corrupt` and `frozen` together. Unknown where `corrupt` is.
//! - `incoming`: messages whose delivery was not tried yet. `deferred`: those that were tried, and wait for the next time.
//!
//! `waiting` counts the same messages by their age, each in just one class. The oldest age of an empty queue is 0; what a server does not
//! tell has no sample. A run that was broken off or refused has none at all: a queue that is known in part is not known.
//!
//! `connect_time` is for Postfix's socket; `query_time` is from there until the queue is known; both add up to `total_time`.
//!
//! Kinds of failure: `connect` when Postfix does not run, `protocol` when it says something else than a queue, `limit` when more than
//! `entries_max` messages wait, `local` when this machine does not let us read.

mod config;
mod exim;
mod folder;
mod found;
mod opensmtpd;
mod postfix;
mod sendmail;
mod showq;
mod spool;
mod tally;
mod tops;

use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Unit, export_agents, standard};

pub use config::{Config, Kind};
use found::Found;

/// Messages by age.
pub const WAITING: Metric =
    Metric::gauge("waiting", Unit::Messages, "Messages in the queue, by how long they have waited.").by(&["queue", "age"]);

/// The agent `queue`, made for one job.
pub struct Queue {
    config: Config,
    /// Whether the log was told that Postfix's corrupt messages cannot be seen.
    warned: bool,
}

impl Agent for Queue {
    type Config = Config;
    const NAME: &'static str = "queue";
    const METRICS: &'static [Metric] = &[
        standard::CONNECT_TIME,
        standard::QUERY_TIME,
        standard::TOTAL_TIME,
        standard::QUEUE_SIZE,
        standard::QUEUE_BYTES,
        standard::QUEUE_OLDEST_AGE,
        WAITING,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        Ok(Self { config, warned: false })
    }

    fn target(config: &Config) -> String {
        config.path.display().to_string()
    }

    fn needs(config: &Config) -> Needs {
        match config.kind {
            Kind::Postfix => Needs::none().socket(postfix::socket(&config.path)).read(postfix::corrupt(&config.path)),
            _ => Needs::none().read(&config.path),
        }
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let mut found = Found::nothing(cx.now(), self.config.entries_max);
        let path = &*self.config.path;
        match self.config.kind {
            Kind::Postfix => postfix::count(cx, path, &mut found, &mut laps, &mut self.warned).await?,
            Kind::Exim => exim::count(cx, path, &mut found).await?,
            Kind::Sendmail => sendmail::count(cx, path, &mut found).await?,
            Kind::Opensmtpd => opensmtpd::count(cx, path, &mut found).await?,
            Kind::Directory => folder::count_directory(cx, path, &mut found).await?,
            Kind::Maildir => folder::count_maildir(cx, path, &mut found).await?,
        }
        laps.lap(standard::QUERY_TIME);
        found.tally.record(cx);
        found.tops.tell(cx, usize::from(self.config.top))?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

export_agents!(Queue);
