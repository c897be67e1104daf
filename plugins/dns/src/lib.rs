//! Asks a DNS server for the records of a name, times the answer, counts what is in it, and compares it with what is expected.
//!
//! Target: one question to one server, as `lab.test MX @192.0.2.53:53`. Reading order: [`Config`] (what a job says) · [`Dns`] (the order
//! of the phases) · `watchpost-records` (how a question travels, and what crosses) · `expect` (what is judged) · `agree` (whether the
//! servers of a zone have the same).
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly:
//! - `resolve_time` is for the server's own name; next to nothing where `host` is an address.
//! - `connect_time` is there only when a TCP connection was opened: with `transport = "tcp"` or "tls", or after a truncated answer.
//! - `tls_time` is the handshake of `transport = "tls"` (RFC 7858); no session is resumed, so each run times a whole one.
//! - `query_time` is from the question to the whole answer; after a truncated one both questions together.
//!
//! One question is sent once. A datagram that is lost is what this agent is there to see, so nothing is sent again: the run meets its
//! deadline. A server of several addresses is asked at the first of them; the next one has its turn when the network tells that the one
//! before cannot be reached or that nobody listens there. Answers that do not belong to the question (another id, another question) are
//! passed over and waiting goes on.
//!
//! `answers` counts the records of the wanted type in the answer, so the CNAMEs that lead there do not count; `answer_ttl` is the smallest
//! time to live among them. An answer without such records is a good one with 0 `answers`, unless `expect` asks for more. A response
//! code other than NOERROR fails the run, unless `expect` asks for it; `query_time` is known all the same, and after NXDOMAIN `answers` is 0.
//!
//! With `agree` the other servers are asked once the first has answered, all at once, in no phase. Each serial number that is known is
//! told; how many there are and who lags behind is told only when all are known, for a server that is silent may have another one.

mod agree;
mod config;
mod expect;

use std::net::SocketAddr;

use watchpost_plugin_api::{Agent, AgentError, Cx, Laps, Metric, Needs, Unit, export_agents, standard};
use watchpost_records::{Answer, Question, Server, exchange};

pub use agree::{SERIAL_LAG, SERIALS_DISTINCT, SOA_SERIAL};
pub use config::{Config, Transport};
use expect::Expectation;
pub use expect::Expected;

const ANSWERS: Metric = Metric::gauge("answers", Unit::Answers, "Records of the wanted type in the answer.");
const ANSWER_TTL: Metric = Metric::gauge("answer_ttl", Unit::Seconds, "Smallest time to live among the records of the wanted type.");

/// The agent `dns`, made for one job.
pub struct Dns {
    config: Config,
    question: Question,
    expectation: Expectation,
    server: Server,
    others: Vec<Server>,
    /// Whether the servers had the same serial number when they were compared last.
    agreed: bool,
}

impl Agent for Dns {
    type Config = Config;
    const NAME: &'static str = "dns";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::TLS_TIME,
        standard::QUERY_TIME,
        standard::TOTAL_TIME,
        ANSWERS,
        ANSWER_TTL,
        SOA_SERIAL,
        SERIAL_LAG,
        SERIALS_DISTINCT,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let (question, expectation) = (config.question()?, config.expectation()?);
        let (server, others) = (config.server(), config.others()?);
        Ok(Self { config, question, expectation, server, others, agreed: true })
    }

    fn target(config: &Config) -> String {
        config.target()
    }

    fn needs(config: &Config) -> Needs {
        config.needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let servers = self.server.addresses(cx, self.config.port()).await?;
        laps.lap(standard::RESOLVE_TIME);
        let answer = self.ask(cx, &servers, &mut laps).await.map_err(|error| self.question.during(error))?;
        record(cx, &answer);
        self.expectation.judge(&answer).map_err(|error| self.question.during(error))?;
        if !self.others.is_empty() {
            self.compare(cx, &answer).await.map_err(|error| self.question.during(error))?;
        }
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Dns {
    /// Asks by datagram, by connection, or by the one and then the other, and gives a whole answer.
    async fn ask(&self, cx: &Cx, servers: &[SocketAddr], laps: &mut Laps<'_>) -> Result<Answer, AgentError> {
        if matches!(self.config.transport, Transport::Auto | Transport::Udp) {
            let answer = exchange::by_datagram(cx, servers, &self.question).await?;
            laps.lap(standard::QUERY_TIME);
            match self.config.transport {
                _ if !answer.truncated => return Ok(answer),
                Transport::Udp => return Err(AgentError::protocol("the answer is truncated, and `transport` allows no TCP")),
                // RFC 1035 4.2.1, RFC 7766 5: what does not fit into a datagram is asked for again over TCP.
                _ => {}
            }
        }
        let mut stream = exchange::connect(cx, servers).await?;
        laps.lap(standard::CONNECT_TIME);
        if let Some(tls) = self.config.handshake(&self.server) {
            stream.start_tls(&tls).await?;
            laps.lap(standard::TLS_TIME);
        }
        let answer = exchange::by_stream(cx, stream, &self.question).await?;
        laps.lap(standard::QUERY_TIME);
        exchange::whole(answer)
    }
}

/// Records what is known of the answer: of a server that refused or failed, how many records there are is not.
fn record(cx: &Cx, answer: &Answer) {
    if answer.tells_what_there_is() {
        cx.record(ANSWERS, answer.wanted().count());
        if let Some(ttl) = answer.wanted().map(|record| record.ttl).min() {
            cx.record(ANSWER_TTL, ttl);
        }
    }
}

export_agents!(Dns);
