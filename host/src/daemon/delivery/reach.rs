//! Whether what a channel tells can be reached: how long it is left alone, and who is told that it is away.

use std::time::{Duration, Instant};

use tracing::{info, warn};
use watchpost_plugin_api::Severity;

use super::again;
use crate::{
    daemon::{appender::Appender, host_alarms::Overheard},
    log::seconds,
};

/// Rounds that fail, and the time over which they do, before somebody is told by other channels.
const DOWN_AFTER: (u32, Duration) = (3, Duration::from_secs(10));

/// How a channel can be reached.
pub(super) struct Reach {
    channel: String,
    /// What becomes of what it is to be told meanwhile.
    meanwhile: &'static str,
    appender: Appender,
    overheard: Overheard,
    failing: Option<Failing>,
    /// Whether it was heard since this daemon began that it can be reached.
    is_known: bool,
}

/// A channel that cannot be reached.
struct Failing {
    rounds: u32,
    since: Instant,
    told: bool,
}

impl Reach {
    pub(super) fn new(channel: &str, meanwhile: &'static str, appender: Appender, overheard: Overheard) -> Self {
        Self { channel: channel.to_owned(), meanwhile, appender, overheard, failing: None, is_known: false }
    }

    /// It failed when it was tried last, by the daemon before this one.
    pub(super) fn was_failing(&mut self) {
        self.failing.get_or_insert_with(Failing::begin);
    }

    /// Whether the last round failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// A round failed; gives how long the channel is to be left alone.
    pub(super) fn failed(&mut self, why: &str) -> Duration {
        let failing = self.failing.get_or_insert_with(Failing::begin);
        failing.rounds += 1;
        if !failing.told && failing.rounds >= DOWN_AFTER.0 && failing.since.elapsed() >= DOWN_AFTER.1 {
            failing.told = true;
            warn!(channel = self.channel, "cannot be reached: {why}");
            let text = format!("channel {} cannot be reached: {why}; {}", self.channel, self.meanwhile);
            self.appender.report(None, Severity::Major, "channel_down", text);
            self.overheard.channel(&self.channel, Some(why.to_owned()));
        }
        again(failing.rounds, u64::from(failing.rounds))
    }

    /// A round was taken; gives whether the one before had failed.
    pub(super) fn reached(&mut self) -> bool {
        let failing = self.failing.take();
        if failing.is_some() || !self.is_known {
            self.is_known = true;
            self.overheard.channel(&self.channel, None);
        }
        if let Some(Failing { since, told: true, .. }) = failing {
            info!(channel = self.channel, lasted_s = seconds(since.elapsed()), "can be reached again");
            let text = format!("channel {} can be reached again", self.channel);
            self.appender.report(None, Severity::Indeterminate, "channel_up", text);
        }
        failing.is_some()
    }
}

impl Failing {
    fn begin() -> Self {
        Self { rounds: 0, since: Instant::now(), told: false }
    }
}
