//! Reads what servers publish of themselves, and gives it the names that mean the same everywhere.
//!
//! Target: the address that is asked, with the service where there are several behind it. Reading order: [`Config`] (what a job says) ·
//! [`ServerStats`] (the order of a run) · `sources` (how each kind of server is asked, and what it says, as samples with labels) ·
//! `selector` (which samples are meant; the text of Prometheus and OpenMetrics is read by the crate `watchpost-exposition`) · `map` (from
//! samples to metrics) · `ready` (maps that are ready, one file for each kind of server and service).
//!
//! A total stays the running total that the server has: what falls was begun anew (the server was restarted), and what a server does not
//! tell is unknown, never 0. The exception is said by each map: `zero_if` names a sample whose presence shows that the server counts
//! something and merely has not met it yet (Dovecot and BIND leave such samples out). A sample that is NaN or infinite is unknown, and so
//! is a sum that it would be part of. A page is understood to its end or not at all.
//!
//! A selector names all labels of its sample, for a family may hold the same events twice: Dovecot's `…_total{cmd_name}` and
//! `…_total{cmd_name,tagged_reply_state}` are one family, and their sum would count each command twice.
//!
//! `query_time` is from the connection to the end of what was said, understood; with the phases before it, it adds up to `total_time`.
//!
//! Kinds of failure: `auth` for a key or a login that is refused, `protocol` for what is no page of that kind, for a page that breaks off
//! and for one without what was asked for, `limit` for a page beyond `bytes_max`.

mod config;
mod map;
mod ready;
mod selector;
mod sources;

use watchpost_plugin_api::{Agent, AgentError, Cx, Level, Metric, Needs, Unit, export_agents, standard};

pub use config::{Config, Map, Service, Source, Texts};
use map::{Mapping, Tally};
use sources::Asked;

/// Commands by name.
pub const COMMANDS: Metric =
    Metric::counter("commands", Unit::Queries, "Commands that the server has carried out, whatever it answered, by name.").by(&["command"]);
/// Operations by sort.
pub const OPERATIONS: Metric =
    Metric::counter("operations", Unit::Queries, "Operations that the server has completed, by sort.").by(&["operation"]);
/// Messages removed.
pub const MESSAGES_DELETED: Metric = Metric::counter("messages_deleted", Unit::Messages, "Messages that their readers have removed.");
/// Failed queries, whatever the reason.
pub const QUERIES_FAILED: Metric = Metric::counter("queries_failed", Unit::Errors, "Queries that failed, for whatever reason.");
/// Lookups in a cache.
pub const CACHE_LOOKUPS: Metric =
    Metric::counter("cache_lookups", Unit::Queries, "Queries by whether a cache knew the answer: hit or miss.").by(&["result"]);
/// Entries sent by a directory.
pub const ENTRIES_SENT: Metric = Metric::counter("entries_sent", Unit::Answers, "Entries that the directory has sent.");

/// The agent `serverstats`, made for one job.
pub struct ServerStats {
    asked: Asked,
    mappings: Vec<Mapping>,
    /// Whether the log was told of what the server does not publish.
    warned: bool,
}

impl Agent for ServerStats {
    type Config = Config;
    const NAME: &'static str = "serverstats";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::TLS_TIME,
        standard::BIND_TIME,
        standard::QUERY_TIME,
        standard::TOTAL_TIME,
        standard::CONNECTIONS_ACTIVE,
        standard::CONNECTIONS,
        standard::CONNECTION_ERRORS,
        standard::MESSAGES_RECEIVED,
        standard::MESSAGES_STORED,
        standard::MESSAGES_SENT,
        standard::MESSAGES_DEFERRED,
        standard::MESSAGES_BOUNCED,
        standard::MESSAGES_PROCESSED,
        standard::MESSAGES_RETRIEVED,
        standard::RECEIVED_BYTES,
        standard::STORED_BYTES,
        standard::QUERIES,
        standard::QUERIES_SUCCEEDED,
        standard::QUERY_ERRORS,
        standard::QUEUE_SIZE,
        standard::QUEUE_BYTES,
        standard::QUEUE_OLDEST_AGE,
        COMMANDS,
        OPERATIONS,
        MESSAGES_DELETED,
        QUERIES_FAILED,
        CACHE_LOOKUPS,
        ENTRIES_SENT,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        let asked = config.asked()?;
        let ready = config.ready()?;
        let understood = |(at, map)| Mapping::of(map, Self::METRICS).map_err(|fault| fault.at(at));
        let ready = ready.iter().enumerate().map(understood);
        let mappings = ready.chain(config.map.iter().enumerate().map(understood));
        let mut mappings = mappings.collect::<Result<Vec<_>, _>>()?;
        let ready = mappings.len() - config.map.len();
        Mapping::unite(&mut mappings, &config.map).map_err(|(at, fault)| fault.at(at.saturating_sub(ready)))?;
        Ok(Self { asked, mappings, warned: false })
    }

    fn target(config: &Config) -> String {
        config.target()
    }

    fn needs(config: &Config) -> Needs {
        config.asked().map_or_else(|_| Needs::none(), |asked| asked.needs())
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let mut tally = Tally::of(&self.mappings);
        self.asked.ask(cx, &mut laps, &mut tally).await?;
        laps.lap(standard::QUERY_TIME);
        let missing = tally.record(cx)?;
        if let (false, Some(text)) = (self.warned, &missing.told) {
            self.warned = true;
            cx.log(Level::Warn, text);
        }
        missing.fails.map_or(Ok(()), Err)?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

export_agents!(ServerStats);
