//! Times every phase of an IMAP session: resolve, connect, banner, TLS, login, select, search, download, logout.
//!
//! Target: `host:port` of an IMAP service. Reading order: [`Config`] (what a job says) · [`Imap`] (the order of the phases);
//! the commands are those of [`watchpost_mail::imap`].
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly:
//! - `tls_time` is the handshake, with STARTTLS before it where there is one, and CAPABILITY before that if the banner does not say
//!   what the server offers; under implicit TLS it comes before the banner.
//! - `authenticate_time` is the login, with CAPABILITY before it where the server has not said what it offers: always after STARTTLS.
//! - `select_time` is EXAMINE or SELECT, `search_time` SEARCH with the job's criterion.
//! - `download_time` is FETCH of one message, of which at most `download_max` bytes are asked for. Of an empty mailbox nothing can be
//!   downloaded, and where somebody else deletes the message in this very moment nothing is either: then it stays unknown.
//! - A server that greets with PREAUTH has logged us in already: `authenticate_time` stays unknown.
//!
//! A phase that was not reached is unknown, and so is the total of a run that failed. One thing is forgiven: whatever a server does wrong
//! after LOGOUT (many close the connection instead of answering) leaves `logout_time` unknown, and `total_time` is the sum of the other
//! phases. A server that keeps silent there runs into the deadline as in every phase.
//!
//! Nothing is changed: the mailbox is opened for reading only unless the job says otherwise, and no command of this agent sets a flag.
//! Nothing of a message is shown: from the download on the dialogue has sizes, and in words what was said.

mod config;

pub use watchpost_mail::imap::Auth;
use watchpost_mail::imap::{Client, Session, Wanted};
pub use watchpost_plugin_api::TlsMode;
use watchpost_plugin_api::{Agent, AgentError, Cx, ErrorKind, Laps, Level, Metric, Needs, Unit, export_agents, standard};

pub use config::Config;

/// Messages in the mailbox, by EXISTS.
pub const MAILBOX_SIZE: Metric = Metric::gauge("mailbox_size", Unit::Messages, "Messages in the mailbox.");
/// Messages that meet the job's criterion.
pub const SEARCH_FOUND: Metric = Metric::gauge("search_found", Unit::Messages, "Messages that the search found.");
/// Size of what was downloaded: the message, or its beginning.
pub const DOWNLOAD_BYTES: Metric = Metric::gauge("download_bytes", Unit::Bytes, "Volume of the message downloaded, or of its part.");

/// The agent `imap`, made for one job.
pub struct Imap {
    config: Config,
    client: Client,
}

impl Agent for Imap {
    type Config = Config;
    const NAME: &'static str = "imap";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::BANNER_TIME,
        standard::TLS_TIME,
        standard::AUTHENTICATE_TIME,
        standard::SELECT_TIME,
        standard::SEARCH_TIME,
        standard::DOWNLOAD_TIME,
        standard::LOGOUT_TIME,
        standard::TOTAL_TIME,
        MAILBOX_SIZE,
        SEARCH_FOUND,
        DOWNLOAD_BYTES,
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

impl Imap {
    /// From the login to the end.
    async fn converse(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        if self.client.logs_in() {
            self.read_mail(cx, session, laps).await?;
        }
        self.close(cx, session, laps).await
    }

    /// What a mail program does once it is in.
    async fn read_mail(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let messages = session.open(&self.config.mailbox, self.config.select).await?;
        laps.lap(standard::SELECT_TIME);
        cx.record(MAILBOX_SIZE, messages);
        if !self.config.search.is_empty() {
            let found = session.search(&self.config.search).await?;
            laps.lap(standard::SEARCH_TIME);
            cx.record(SEARCH_FOUND, found);
        }
        if self.config.download {
            self.download(cx, session, laps).await?;
        }
        Ok(())
    }

    async fn download(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        let wanted = self.config.uid.map_or(Wanted::Newest, Wanted::Uid);
        match session.download(wanted, self.config.download_max).await? {
            Some(bytes) => {
                laps.lap(standard::DOWNLOAD_TIME);
                cx.record(DOWNLOAD_BYTES, bytes);
            }
            // An attempt that had nothing to download is no download, and no part of the logout.
            None => laps.skip(),
        }
        Ok(())
    }

    /// Everything that was to be measured has been: a server that takes its leave badly costs logout_time, and no more.
    async fn close(&self, cx: &Cx, session: &mut Session<'_>, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        match session.close().await {
            Ok(()) => {
                laps.lap(standard::LOGOUT_TIME);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::PROTOCOL | ErrorKind::LIMIT) => {
                cx.log(Level::Debug, &format!("no proper end: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

export_agents!(Imap);
