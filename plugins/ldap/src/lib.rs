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

use watchpost_plugin_api::{
    Agent, AgentError, Cx, Endpoint, Ends, Laps, Level, Metric, Needs, RecordType, Resolver, Unit, export_agents, standard,
};

pub use config::{Auth, Config, Scope, TlsMode};
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
    config: Config,
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
        Ok(Self { config, who, search, expectation, warned: false })
    }

    fn target(config: &Config) -> String {
        config.target()
    }

    fn needs(config: &Config) -> Needs {
        let needs = match &config.socket {
            Some(path) => Needs::none().socket(path),
            None => Needs::none().tcp(config.port()),
        };
        match &config.ca_file {
            Some(path) => needs.read(path),
            None => needs,
        }
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let (mut session, ends) = self.connect(cx, &mut laps).await?;
        let done = self.converse(cx, &mut session, ends, &mut laps).await;
        session.leave().await;
        done?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Ldap {
    /// From the name to an open connection, encrypted if it is to be from the first byte.
    async fn connect<'a>(&self, cx: &'a Cx, laps: &mut Laps<'_>) -> Result<(Session<'a>, Ends), AgentError> {
        let endpoint = match self.config.place()? {
            Place::Socket(path) => Endpoint::unix(path),
            Place::Host(host) => {
                let addresses = cx.resolve(host, RecordType::Any, Resolver::System).await?;
                laps.lap(standard::RESOLVE_TIME);
                Endpoint::tcp(&addresses, self.config.port())
            }
        };
        let mut stream = cx.connect(endpoint).await?.binary();
        laps.lap(standard::CONNECT_TIME);
        let ends = stream.ends()?;
        if self.config.tls == TlsMode::Implicit {
            stream.start_tls(&self.config.handshake()).await?;
            laps.lap(standard::TLS_TIME);
        }
        Ok((Session::new(cx, stream), ends))
    }

    /// From there to the end of the search.
    async fn converse(&mut self, cx: &Cx, session: &mut Session<'_>, ends: Ends, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        if self.config.tls == TlsMode::Starttls {
            session.start_tls(&self.config.handshake()).await?;
            laps.lap(standard::TLS_TIME);
        }
        let who = match &self.who {
            Who::Nobody => Request::Anonymous,
            Who::OfSocket => Request::External,
            Who::Entry(name, password) => {
                if self.config.tls == TlsMode::None && self.config.socket.is_none() && leaves_this_machine(ends) && !self.warned {
                    self.warned = true;
                    warn_of_clear_text(cx, &self.config.target());
                }
                Request::Simple(name, password.expose())
            }
        };
        session.bind(who).await?;
        laps.lap(standard::BIND_TIME);
        self.look_up(cx, session, laps).await.map_err(|error| error.context("search"))
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

/// A bind in the clear is what the job asks for, so it is done; its operator should know.
fn warn_of_clear_text(cx: &Cx, target: &str) {
    cx.log(Level::Warn, &format!("the password crosses the network to {target} in the clear; set tls to \"starttls\" or \"implicit\""));
}

/// Whether a connection goes over a network; one of which we do not know it is taken to.
fn leaves_this_machine(ends: Ends) -> bool {
    ends.peer.is_none_or(|peer| !peer.ip().to_canonical().is_loopback() && ends.local.map(|local| local.ip()) != Some(peer.ip()))
}

export_agents!(Ldap);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_within_this_machine_keeps_a_password_from_the_network() {
        let check = |local: &str, peer: &str, expected| {
            let ends = Ends { local: local.parse().ok(), peer: peer.parse().ok() };
            assert_eq!(leaves_this_machine(ends), expected, "{local} to {peer}");
        };
        check("127.0.0.1:40000", "127.0.0.1:389", false);
        check("[::1]:40000", "[::1]:389", false);
        check("[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:389", false);
        check("192.0.2.1:40000", "192.0.2.1:389", false);
        check("192.0.2.1:40000", "192.0.2.89:389", true);
        check("", "", true);
    }

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
