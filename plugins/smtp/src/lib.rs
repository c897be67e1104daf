//! Times every phase of an SMTP session: resolve, connect, banner, TLS, EHLO, login, transaction, end.
//!
//! Target: `host:port` of a relay, a submission service or an MX. Reading order: [`Config`] (what a job says) · [`Smtp`] (the order of
//! the phases) · `session` (the commands) · `auth`, `message`, `reply` (what they are made of).
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly:
//! - `tls_time` is the handshake, with the command STARTTLS before it where there is one; under implicit TLS it comes before the banner.
//! - `ehlo_time` holds both EHLO of a STARTTLS session, and the HELO that follows where a server knows no EHLO.
//! - `quit_time` holds the RSET that takes a transaction back without a message.
//! - `transmission_time` stands beside the sum: from MAIL to the acceptance of the message. Without `submit` no message is
//!   transmitted, so it stays unknown.
//!
//! A phase that was not reached is unknown, and so is the total of a run that failed. One thing is forgiven: whatever a server does wrong
//! after the last answer that matters (many close the connection instead of answering QUIT) leaves `quit_time` unknown, and `total_time`
//! is the sum of the other phases. A server that keeps silent there runs into the deadline as in every phase.

mod auth;
mod config;
mod message;
mod reply;
mod session;

use watchpost_plugin_api::{
    Agent, AgentError, Cx, Endpoint, Ends, ErrorKind, Laps, Level, Metric, Needs, RecordType, Resolver, export_agents, standard,
};

pub use config::{Config, TlsMode};
use config::{Envelope, Login};
use session::Session;

/// The agent `smtp`, made for one job.
pub struct Smtp {
    config: Config,
    login: Option<Login>,
    envelope: Option<Envelope>,
    /// Whether the log was told that the password crosses the network in the clear.
    warned: bool,
}

impl Agent for Smtp {
    type Config = Config;
    const NAME: &'static str = "smtp";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::BANNER_TIME,
        standard::TLS_TIME,
        standard::EHLO_TIME,
        standard::AUTHENTICATE_TIME,
        standard::MAIL_TIME,
        standard::RCPT_TIME,
        standard::DATA_TIME,
        standard::QUIT_TIME,
        standard::TRANSMISSION_TIME,
        standard::TOTAL_TIME,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let (login, envelope) = (config.login()?, config.envelope()?);
        Ok(Self { config, login, envelope, warned: false })
    }

    fn target(config: &Config) -> String {
        config.target()
    }

    fn needs(config: &Config) -> Needs {
        let needs = Needs::none().tcp(config.port());
        match &config.ca_file {
            Some(path) => needs.read(path),
            None => needs,
        }
    }

    fn repeatable(config: &Config) -> bool {
        !config.submit
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let mut session = self.connect(cx, &mut laps).await?;
        if let Err(error) = self.converse(cx, &mut session, &mut laps).await {
            session.leave().await;
            return Err(error);
        }
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Smtp {
    /// From the name to an open connection, encrypted if it is to be from the first byte.
    async fn connect(&mut self, cx: &Cx, laps: &mut Laps<'_>) -> Result<Session, AgentError> {
        let addresses = cx.resolve(&self.config.host, RecordType::Any, Resolver::System).await?;
        laps.lap(standard::RESOLVE_TIME);
        let mut stream = cx.connect(Endpoint::tcp(&addresses, self.config.port())).await?;
        laps.lap(standard::CONNECT_TIME);
        let ends = stream.ends()?;
        self.warn_of_clear_text(cx, ends);
        if self.config.tls == TlsMode::Implicit {
            stream.start_tls(&self.config.handshake()).await?;
            laps.lap(standard::TLS_TIME);
        }
        Ok(Session::new(stream, ends))
    }

    /// From the banner to the end.
    async fn converse(&self, cx: &Cx, session: &mut Session, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        session.banner().await?;
        laps.lap(standard::BANNER_TIME);
        session.hello().await?;
        laps.lap(standard::EHLO_TIME);
        if self.config.tls == TlsMode::Starttls {
            session.start_tls(&self.config.handshake()).await?;
            laps.lap(standard::TLS_TIME);
            session.hello().await?;
            laps.lap(standard::EHLO_TIME);
        }
        if let Some(login) = &self.login {
            session.login(login).await?;
            laps.lap(standard::AUTHENTICATE_TIME);
        }
        if let Some(envelope) = &self.envelope {
            self.transact(cx, session, envelope, laps).await?;
        }
        self.close(cx, session, laps).await
    }

    async fn transact(&self, cx: &Cx, session: &mut Session, envelope: &Envelope, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let begun = laps.mark();
        session.mail(&envelope.from).await?;
        laps.lap(standard::MAIL_TIME);
        session.recipient(&envelope.to).await?;
        laps.lap(standard::RCPT_TIME);
        if self.config.submit {
            session.data(&message::probe(envelope, cx.now())).await?;
            laps.lap(standard::DATA_TIME);
            laps.span(standard::TRANSMISSION_TIME, begun);
        }
        Ok(())
    }

    /// Everything that was to be measured has been: a server that takes its leave badly costs quit_time, and no more.
    async fn close(&self, cx: &Cx, session: &mut Session, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let to_take_back = self.envelope.is_some() && !self.config.submit;
        match session.close(to_take_back).await {
            Ok(()) => {
                laps.lap(standard::QUIT_TIME);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::PROTOCOL => {
                cx.log(Level::Debug, &format!("no proper end: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A login in the clear is what the job asks for, so it is done; over a network its operator should know.
    fn warn_of_clear_text(&mut self, cx: &Cx, ends: Ends) {
        if self.config.tls == TlsMode::None && self.login.is_some() && leaves_this_machine(ends) && !self.warned {
            self.warned = true;
            let target = self.config.target();
            cx.log(
                Level::Warn,
                &format!("the password crosses the network to {target} in the clear; set tls to \"starttls\" or \"implicit\""),
            );
        }
    }
}

/// Whether a connection goes over a network; one of which we do not know it is taken to.
fn leaves_this_machine(ends: Ends) -> bool {
    ends.peer.is_none_or(|peer| !peer.ip().to_canonical().is_loopback() && ends.local.map(|local| local.ip()) != Some(peer.ip()))
}

export_agents!(Smtp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_within_this_machine_keeps_a_password_from_the_network() {
        let check = |local: &str, peer: &str, expected| {
            let ends = Ends { local: local.parse().ok(), peer: peer.parse().ok() };
            assert_eq!(leaves_this_machine(ends), expected, "{local} to {peer}");
        };
        check("127.0.0.1:40000", "127.0.0.1:25", false);
        check("[::1]:40000", "[::1]:25", false);
        check("[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:25", false);
        check("192.0.2.1:40000", "192.0.2.1:25", false);
        check("192.0.2.1:40000", "192.0.2.25:25", true);
        check("", "", true);
    }
}
