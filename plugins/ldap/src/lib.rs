//! Times every phase of an LDAP search: resolve, connect, TLS, bind, search, entries; counts what is found and compares it with what is
//! expected.
//!
//! Target: `host:port` of a directory, or the path of its Unix socket. Reading order: [`Config`] (what a job says) · [`Ldap`] (the order
//! of the phases) · `session` (the operations) · `message`, `outcome`, `search`, `filter` (what crosses) · `frames`, `ber` (how) ·
//! `expect` (what is judged).
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

mod ber;
mod config;
mod expect;
mod filter;
mod frames;
mod message;
mod outcome;
mod search;
mod session;

use std::time::Duration;

pub use watchpost_plugin_api::TlsMode;
use watchpost_plugin_api::{Agent, AgentError, Cx, Endpoint, Laps, Metric, Needs, Stream, Unit, export_agents, standard};

pub use config::{Auth, Config, Scope};
use config::{Place, Who};
pub use expect::Expected;
use expect::{Expectation, Found};
use message::Request;
use outcome::{Outcome, SUCCESS};
use search::{NUMBER_MAX, Search};
use session::Session;

/// Entries that the search found.
pub const ENTRIES: Metric = Metric::gauge("entries", Unit::Answers, "Entries that the search found.");
/// Places that the search was sent to.
pub const REFERRALS: Metric = Metric::gauge("referrals", Unit::Answers, "Places that the search was sent to, not followed.");

/// The agent `ldap`, made for one job.
pub struct Ldap {
    place: Place,
    who: Who,
    search: Search,
    expectation: Expectation,
    /// Whether the log was told that the password crosses the network in the clear.
    warned: bool,
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
        config.check()?;
        let (who, expectation) = (config.who()?, Expectation::of(&config)?);
        let search = Search::of(&config, expectation.attributes())?;
        Ok(Self { place: config.place(), who, search, expectation, warned: false })
    }

    fn target(config: &Config) -> String {
        config.place().target()
    }

    fn needs(config: &Config) -> Needs {
        config.place().needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let stream = self.enter(cx, &mut laps).await?.binary();
        let in_clear = matches!(&self.place, Place::Door(door) if door.is_overheard(stream.ends()?));
        let mut session = Session::new(cx, stream);
        let done = self.converse(cx, &mut session, in_clear, &mut laps).await;
        session.leave().await;
        done?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Ldap {
    /// To an open connection, encrypted if it is to be from the first byte.
    async fn enter(&self, cx: &Cx, laps: &mut Laps<'_>) -> Result<Stream, AgentError> {
        match &self.place {
            Place::Door(door) => door.enter(cx, laps).await,
            Place::Socket(path) => {
                let stream = cx.connect(Endpoint::unix(path)).await?;
                laps.lap(standard::CONNECT_TIME);
                Ok(stream)
            }
        }
    }

    /// From there to the end of the search.
    async fn converse(&mut self, cx: &Cx, session: &mut Session<'_>, in_clear: bool, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        if let Place::Door(door) = &self.place
            && door.tls == TlsMode::Starttls
        {
            session.start_tls(&door.handshake()).await?;
            laps.lap(standard::TLS_TIME);
        }
        if let (Place::Door(door), Who::Entry(_), true, false) = (&self.place, &self.who, in_clear, self.warned) {
            self.warned = true;
            door.warn_of_clear_text(cx);
        }
        session.bind(self.bind()).await?;
        laps.lap(standard::BIND_TIME);
        self.look_up(cx, session, laps).await.map_err(|error| error.context("search"))
    }

    fn bind(&self) -> Request<'_> {
        match &self.who {
            Who::Nobody => Request::Anonymous,
            Who::OfSocket => Request::External,
            Who::Entry(login) => Request::Simple(&login.user, login.password.expose()),
        }
    }

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
