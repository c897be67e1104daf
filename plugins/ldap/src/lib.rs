//! Times every phase of an LDAP search: resolve, connect, TLS, bind, search, entries; counts what is found and compares it with what is
//! expected.
//!
//! Target: `host:port` of a directory, or the path of its Unix socket. Reading order: [`Config`] (what a job says) · [`Ldap`] (the order
//! of the phases) · `expect` (what is judged) · the crate `watchpost-directory` (the protocol).
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly:
//! - `resolve_time` is for the server's name; a socket has none.
//! - `tls_time` is the handshake, with the operation StartTLS before it where there is one.
//! - `bind_time` is from the bind to its answer. It comes before every search, as nobody where no `user` is given.
//! - `search_time` is from the search to the first thing that the directory answers: an entry, a referral, or the end of a search that
//!   found nothing. It is known of a search that was refused, too.
//! - `entries_time` is from there to the end of the search. A search whose first answer is its end has nothing to receive, so the time
//!   stays unknown.
//!
//! A phase that was not reached is unknown, and so is the total of a run that failed. The session is ended by an unbind, which nobody
//! answers, so it is in no phase. The time that is left of the run is told to the directory as the search's time limit: it searches for
//! nobody who has gone.
//!
//! `entries` counts what a search found that ended well; of one that was capped, broken off or refused it is unknown. `referrals` counts
//! the places that a search was sent to, which this agent does not follow; a directory that has nothing but a referral to answer with
//! fails the run.
//!
//! Kinds of failure: `auth` when the directory does not know us, believe us or let us (49, 48, 8, 50, …), `timeout` when it gave up
//! (3), `limit` when it had more than it, or `entries_max`, lets through (4, 11), `protocol` for everything else that it answers: busy
//! (51), unavailable (52), no such entry as `base` (32), ….

mod config;
mod expect;

use std::time::Duration;

pub use watchpost_directory::{Auth, Scope};
use watchpost_directory::{
    Directory, NUMBER_MAX, Search, Session,
    message::Request,
    outcome::{Outcome, SUCCESS},
};
pub use watchpost_plugin_api::TlsMode;
use watchpost_plugin_api::{Agent, AgentError, Cx, Laps, Metric, Needs, Unit, export_agents, standard};

pub use config::Config;
pub use expect::Expected;
use expect::{Expectation, Found};

/// Entries that the search found.
pub const ENTRIES: Metric = Metric::gauge("entries", Unit::Answers, "Entries that the search found.");
/// Places that the search was sent to.
pub const REFERRALS: Metric = Metric::gauge("referrals", Unit::Answers, "Places that the search was sent to, not followed.");

/// The agent `ldap`, made for one job.
pub struct Ldap {
    directory: Directory,
    search: Search,
    expectation: Expectation,
}

impl Agent for Ldap {
    type Config = Config;
    const NAME: &'static str = "ldap";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::TLS_TIME,
        standard::BIND_TIME,
        standard::SEARCH_TIME,
        standard::ENTRIES_TIME,
        standard::TOTAL_TIME,
        ENTRIES,
        REFERRALS,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        let (directory, expectation) = (config.keys().directory()?, Expectation::of(&config)?);
        let search = config.search(expectation.attributes())?;
        Ok(Self { directory, search, expectation })
    }

    fn target(config: &Config) -> String {
        config.keys().place().target()
    }

    fn needs(config: &Config) -> Needs {
        config.keys().place().needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let mut session = self.directory.enter(cx, &mut laps).await?;
        let done = self.look_up(cx, &mut session, &mut laps).await.map_err(|error| error.context("search"));
        session.leave().await;
        done?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Ldap {
    /// Searches, and judges what was found.
    async fn look_up(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let mut found = Found::nothing(&self.expectation, self.search.entries_max);
        let outcome = self.receive(cx, session, &mut found, laps).await?;
        if outcome.code == SUCCESS || outcome.is_elsewhere() {
            cx.record(REFERRALS, found.referrals);
        }
        if outcome.code != SUCCESS {
            return Err(outcome.of_search());
        }
        cx.record(ENTRIES, found.entries);
        found.judge()
    }

    /// From the search to how it ended.
    async fn receive(&self, cx: &Cx, session: &mut Session<'_>, found: &mut Found<'_>, laps: &mut Laps<'_>) -> Result<Outcome, AgentError> {
        let first = session.search(Request::Search(&self.search, whole_seconds(cx.remaining()))).await?;
        laps.lap(standard::SEARCH_TIME);
        if let Some(outcome) = found.take(first)? {
            return Ok(outcome);
        }
        loop {
            if let Some(outcome) = found.take(session.next().await?)? {
                laps.lap(standard::ENTRIES_TIME);
                return Ok(outcome);
            }
        }
    }
}

/// A time as LDAP writes a limit: 0 would be none.
fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs_f64().ceil() as u32; // saturates
    seconds.clamp(1, NUMBER_MAX)
}

export_agents!(Ldap);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_never_less_than_the_time_and_never_none() {
        let check = |time, expected| assert_eq!(whole_seconds(time), expected, "{time:?}");
        check(Duration::ZERO, 1);
        check(Duration::from_nanos(1), 1);
        check(Duration::from_secs(10), 10);
        check(Duration::from_millis(9001), 10);
        check(Duration::MAX, NUMBER_MAX);
    }
}
