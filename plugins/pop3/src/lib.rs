//! Times every phase of a POP3 session: resolve, connect, banner, TLS, login, query, download, end.
//!
//! Target: `host:port` of a POP3 service. Reading order: [`Config`] (what a job says) · [`Pop3`] (the order of the phases);
//! the commands are those of [`watchpost_mail::pop3`].
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly:
//! - `tls_time` is the handshake, with CAPA and STLS before it where there are such; under implicit TLS it comes before the banner.
//! - `authenticate_time` is the login, with the CAPA before it where the choice of a mechanism needs one.
//! - `query_time` is STAT and the whole LIST, what a mail program asks before it shows anything: a server has to look at each message
//!   for it, so this is the phase that grows with the mailbox. (UIDL is optional, RFC 1939 7, and would cost the same again.)
//! - `download_time` is RETR of the newest message. Of an empty mailbox nothing can be downloaded, so it stays unknown.
//!
//! A phase that was not reached is unknown, and so is the total of a run that failed. One thing is forgiven: whatever a server does wrong
//! after QUIT (many close the connection instead of answering) leaves `quit_time` unknown, and `total_time` is the sum of the other
//! phases. A server that keeps silent there runs into the deadline as in every phase.
//!
//! Nothing is deleted: no command of this agent changes a mailbox. Nothing of a message is shown: the dialogue has its size.

mod config;

pub use watchpost_mail::pop3::Auth;
use watchpost_mail::pop3::{Client, Session};
pub use watchpost_plugin_api::TlsMode;
use watchpost_plugin_api::{Agent, AgentError, Cx, ErrorKind, Laps, Level, Metric, Needs, Unit, export_agents, standard};

pub use config::Config;

/// Messages in the mailbox, by STAT.
pub const MAILBOX_SIZE: Metric = Metric::gauge("mailbox_size", Unit::Messages, "Messages in the mailbox.");
/// Volume of the mailbox, by STAT.
pub const MAILBOX_BYTES: Metric = Metric::gauge("mailbox_bytes", Unit::Bytes, "Volume of the mailbox.");

/// The agent `pop3`, made for one job.
pub struct Pop3 {
    config: Config,
    client: Client,
}

impl Agent for Pop3 {
    type Config = Config;
    const NAME: &'static str = "pop3";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::BANNER_TIME,
        standard::TLS_TIME,
        standard::AUTHENTICATE_TIME,
        standard::QUERY_TIME,
        standard::DOWNLOAD_TIME,
        standard::QUIT_TIME,
        standard::TOTAL_TIME,
        MAILBOX_SIZE,
        MAILBOX_BYTES,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        let login = config.login()?;
        Ok(Self { client: Client::new(config.door(), login, config.auth), config })
    }

    fn target(config: &Config) -> String {
        config.door().target()
    }

    fn needs(config: &Config) -> Needs {
        config.door().needs()
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

impl Pop3 {
    /// From the login to the end.
    async fn converse(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        if self.client.logs_in() {
            self.read_mail(cx, session, laps).await?;
        }
        self.close(cx, session, laps).await
    }

    /// What a mail program does once it is in.
    async fn read_mail(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let (size, newest) = session.query().await?;
        laps.lap(standard::QUERY_TIME);
        cx.record(MAILBOX_SIZE, size.messages);
        cx.record(MAILBOX_BYTES, size.bytes);
        if let Some(message) = newest.filter(|_| self.config.download) {
            session.retrieve(message).await?;
            laps.lap(standard::DOWNLOAD_TIME);
        }
        Ok(())
    }

    /// Everything that was to be measured has been: a server that takes its leave badly costs quit_time, and no more.
    async fn close(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        match session.close().await {
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

export_agents!(Pop3);
