//! Times every phase of an SMTP session: resolve, connect, banner, TLS, EHLO, login, transaction, end.
//!
//! Target: `host:port` of a relay, a submission service or an MX. Reading order: [`Config`] (what a job says) · [`Smtp`] (the order of
//! the phases); the commands are those of [`watchpost_mail::smtp`].
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

mod config;

use watchpost_mail::smtp::{Client, Envelope, Message, Session};
pub use watchpost_plugin_api::TlsMode;
use watchpost_plugin_api::{Agent, AgentError, Cx, ErrorKind, Laps, Level, Metric, Needs, export_agents, standard};

pub use config::Config;

/// The agent `smtp`, made for one job.
pub struct Smtp {
    config: Config,
    client: Client,
    envelope: Option<Envelope>,
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
        Ok(Self { client: Client::new(config.door(), login), config, envelope })
    }

    fn target(config: &Config) -> String {
        config.door().target()
    }

    fn needs(config: &Config) -> Needs {
        config.door().needs()
    }

    fn repeatable(config: &Config) -> bool {
        !config.submit
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let mut session = self.client.enter(cx, &mut laps).await?;
        if let Err(error) = self.converse(cx, &mut session, &mut laps).await {
            session.leave().await;
            return Err(error);
        }
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Smtp {
    /// From the login to the end.
    async fn converse(&self, cx: &Cx, session: &mut Session, laps: &mut Laps<'_>) -> Result<(), AgentError> {
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
            let text = "This message measures the mail service. It may be deleted.";
            let probe = Message { envelope, subject: "Watchpost probe", headers: &[], text };
            session.data(&probe.written(cx.now())).await?;
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
}

export_agents!(Smtp);
