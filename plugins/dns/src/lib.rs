//! Asks a DNS server for the records of a name, times the answer, counts what is in it, and compares it with what is expected.
//!
//! Target: one question to one server, as `lab.test MX @192.0.2.53:53`. Reading order: [`Config`] (what a job says) · [`Dns`] (the order
//! of the phases) · `exchange` (over datagrams, over a connection) · `query`, `answer` (what crosses) · `expect` (what is judged).
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly:
//! - `resolve_time` is for the server's own name; next to nothing where `host` is an address.
//! - `connect_time` is there only when a TCP connection was opened: with `transport = "tcp"`, or after a truncated answer.
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

mod answer;
mod config;
mod exchange;
mod expect;
mod query;

use std::net::SocketAddr;

use watchpost_plugin_api::{Agent, AgentError, Cx, Laps, Metric, Needs, RecordType, Resolver, Unit, export_agents, standard};

use answer::Answer;
pub use config::{Config, Transport};
use expect::Expectation;
pub use expect::Expected;
use query::Question;

const ANSWERS: Metric = Metric::gauge("answers", Unit::Answers, "Records of the wanted type in the answer.");
const ANSWER_TTL: Metric = Metric::gauge("answer_ttl", Unit::Seconds, "Smallest time to live among the records of the wanted type.");

/// The agent `dns`, made for one job.
pub struct Dns {
    config: Config,
    question: Question,
    expectation: Expectation,
}

impl Agent for Dns {
    type Config = Config;
    const NAME: &'static str = "dns";
    const METRICS: &'static [Metric] =
        &[standard::RESOLVE_TIME, standard::CONNECT_TIME, standard::QUERY_TIME, standard::TOTAL_TIME, ANSWERS, ANSWER_TTL];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let (question, expectation) = (config.question()?, config.expectation()?);
        Ok(Self { config, question, expectation })
    }

    fn target(config: &Config) -> String {
        config.target()
    }

    fn needs(config: &Config) -> Needs {
        let port = config.port();
        match config.transport {
            Transport::Auto => Needs::none().udp(port).tcp(port),
            Transport::Udp => Needs::none().udp(port),
            Transport::Tcp => Needs::none().tcp(port),
        }
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let host = &self.config.host;
        let addresses = cx.resolve(host, RecordType::Any, Resolver::System).await?;
        laps.lap(standard::RESOLVE_TIME);
        let servers: Vec<SocketAddr> = addresses.iter().map(|&address| (address, self.config.port()).into()).collect();
        let answer = self.ask(cx, &servers, &mut laps).await.map_err(|error| self.question.during(error))?;
        record(cx, &answer);
        self.expectation.judge(&answer).map_err(|error| self.question.during(error))?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Dns {
    /// Asks by datagram, by connection, or by the one and then the other, and gives a whole answer.
    async fn ask(&self, cx: &Cx, servers: &[SocketAddr], laps: &mut Laps<'_>) -> Result<Answer, AgentError> {
        if self.config.transport != Transport::Tcp {
            let answer = exchange::by_datagram(cx, servers, &self.question).await?;
            laps.lap(standard::QUERY_TIME);
            match self.config.transport {
                _ if !answer.truncated => return Ok(answer),
                Transport::Udp => return Err(AgentError::protocol("the answer is truncated, and `transport` allows no TCP")),
                // RFC 1035 4.2.1, RFC 7766 5: what does not fit into a datagram is asked for again over TCP.
                _ => {}
            }
        }
        let stream = exchange::connect(cx, servers).await?;
        laps.lap(standard::CONNECT_TIME);
        let answer = exchange::by_stream(cx, stream, &self.question).await?;
        laps.lap(standard::QUERY_TIME);
        match answer.truncated {
            true => Err(AgentError::protocol("the answer is truncated even over TCP")),
            false => Ok(answer),
        }
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
