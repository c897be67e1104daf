//! POP3 (RFC 1939): how mail is fetched.

mod auth;
mod body;
mod mailbox;
mod reply;
mod session;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_plugin_api::{AgentError, Cx, Door, Laps, Login, Metric, Secret, Stream, Tls, TlsFacts, TlsMode, standard};

pub use mailbox::{Message, Size};
pub use session::Session;

/// How to log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// By what fits best of what the server offers.
    #[default]
    Auto,
    /// By USER and PASS.
    User,
    /// By AUTH PLAIN.
    Plain,
    /// By APOP.
    Apop,
}

/// The port unless a job says otherwise.
pub fn usual_port(tls: TlsMode) -> u16 {
    match tls {
        TlsMode::None | TlsMode::Starttls => 110,
        TlsMode::Implicit => 995,
    }
}

/// Takes the keys `user` and `password`; `None` if there is to be no login.
///
/// Errors: kind `config`, at the key.
pub fn login(user: Option<&String>, password: Option<&Secret>) -> Result<Option<Login>, AgentError> {
    // A line end would begin another command; NUL parts the fields of PLAIN (RFC 4616 2).
    Login::of(user, password)?.map(|login| login.without(&['\0', '\r', '\n'], "a line end or a NUL character")).transpose()
}

/// Goes from an open connection to its handshake, and takes leave; `lap` is told the end of each phase: `banner_time`, `tls_time`.
///
/// Errors: kind `tls` when TLS is not offered or the handshake fails, `protocol` for what the server says before it.
pub async fn inspect(cx: &Cx, stream: Stream, tls: &Tls, lap: impl FnMut(Metric) + Send) -> Result<TlsFacts, AgentError> {
    let mut session = Session::new(cx, stream);
    let facts = shake_hands(&mut session, tls, lap).await;
    session.leave().await;
    facts
}

async fn shake_hands(session: &mut Session<'_>, tls: &Tls, mut lap: impl FnMut(Metric) + Send) -> Result<TlsFacts, AgentError> {
    session.banner().await?;
    lap(standard::BANNER_TIME);
    let facts = session.start_tls(tls).await?;
    lap(standard::TLS_TIME);
    Ok(facts)
}

/// Who enters a service, and how.
#[derive(Debug)]
pub struct Client {
    door: Door,
    login: Option<Login>,
    auth: Auth,
    /// Whether the log was told that the password crosses the network in the clear.
    warned: bool,
}

impl Client {
    /// Enters by that door, and logs in there if a login is given.
    pub fn new(door: Door, login: Option<Login>, auth: Auth) -> Self {
        Self { door, login, auth, warned: false }
    }

    /// Says whether there is a login, without which no mailbox opens.
    pub fn logs_in(&self) -> bool {
        self.login.is_some()
    }

    /// Goes from the name to a session that is logged in, if it is to be. Its phases are those of [`Door::enter`], `banner_time`,
    /// `tls_time` and `authenticate_time`.
    ///
    /// Errors: kinds `resolve`, `connect`, `tls`, `auth`, `protocol`, `limit`.
    pub async fn enter<'a>(&mut self, cx: &'a Cx, laps: &mut Laps<'_>) -> Result<Session<'a>, AgentError> {
        let stream = self.door.enter(cx, laps).await?;
        let overheard = self.door.is_overheard(stream.ends()?);
        let mut session = Session::new(cx, stream);
        match self.greet(cx, &mut session, overheard, laps).await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.leave().await;
                Err(error)
            }
        }
    }

    async fn greet(&mut self, cx: &Cx, session: &mut Session<'_>, overheard: bool, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        session.banner().await?;
        laps.lap(standard::BANNER_TIME);
        if self.door.tls == TlsMode::Starttls {
            session.start_tls(&self.door.handshake()).await?;
            laps.lap(standard::TLS_TIME);
        }
        if let Some(login) = &self.login {
            let mechanism = session.mechanism(self.auth, self.door.tls != TlsMode::None).await?;
            if mechanism.shows_password() && overheard && !self.warned {
                self.warned = true;
                self.door.warn_of_clear_text(cx);
            }
            session.login(&mechanism, login).await?;
            laps.lap(standard::AUTHENTICATE_TIME);
        }
        Ok(())
    }
}
