//! SMTP (RFC 5321): how mail is handed over.

mod auth;
mod envelope;
mod message;
mod reply;
mod session;

use watchpost_plugin_api::{AgentError, Cx, Door, Laps, Login, Metric, Secret, Stream, Tls, TlsFacts, TlsMode, standard};

pub use envelope::Envelope;
pub use message::Message;
pub use session::Session;

/// The port unless a job says otherwise.
pub fn usual_port(tls: TlsMode) -> u16 {
    match tls {
        TlsMode::None => 25,
        TlsMode::Starttls => 587,
        TlsMode::Implicit => 465,
    }
}

/// Takes the keys `user` and `password`; `None` if there is to be no login.
///
/// Errors: kind `config`, at the key.
pub fn login(user: Option<&String>, password: Option<&Secret>) -> Result<Option<Login>, AgentError> {
    // RFC 4616 2: NUL parts the fields of PLAIN, so none can hold it.
    Login::of(user, password)?.map(|login| login.without(&['\0'], "a NUL character")).transpose()
}

/// Goes from an open connection to its handshake, and takes leave; `lap` is told the end of each phase: `banner_time`, `ehlo_time`, `tls_time`.
///
/// Errors: kind `tls` when TLS is not offered or the handshake fails, `protocol` for what the server says before it.
pub async fn inspect(stream: Stream, tls: &Tls, lap: impl FnMut(Metric) + Send) -> Result<TlsFacts, AgentError> {
    let ends = stream.ends()?;
    let mut session = Session::new(stream, ends);
    let facts = shake_hands(&mut session, tls, lap).await;
    session.leave().await;
    facts
}

async fn shake_hands(session: &mut Session, tls: &Tls, mut lap: impl FnMut(Metric) + Send) -> Result<TlsFacts, AgentError> {
    session.banner().await?;
    lap(standard::BANNER_TIME);
    session.hello().await?;
    lap(standard::EHLO_TIME);
    let facts = session.start_tls(tls).await?;
    lap(standard::TLS_TIME);
    Ok(facts)
}

/// Who enters a service, and how.
#[derive(Debug)]
pub struct Client {
    door: Door,
    login: Option<Login>,
    /// Whether the log was told that the password crosses the network in the clear.
    warned: bool,
}

impl Client {
    /// Enters by that door, and logs in there if a login is given.
    pub fn new(door: Door, login: Option<Login>) -> Self {
        Self { door, login, warned: false }
    }

    /// Goes from the name to a session in which mail can be handed over. Its phases are those of [`Door::enter`], `banner_time`,
    /// `ehlo_time`, `tls_time` and `authenticate_time`.
    ///
    /// Errors: kinds `resolve`, `connect`, `tls`, `auth`, `protocol`.
    pub async fn enter(&mut self, cx: &Cx, laps: &mut Laps<'_>) -> Result<Session, AgentError> {
        let stream = self.door.enter(cx, laps).await?;
        let ends = stream.ends()?;
        if self.login.is_some() && self.door.is_overheard(ends) && !self.warned {
            self.warned = true;
            self.door.warn_of_clear_text(cx);
        }
        let mut session = Session::new(stream, ends);
        match self.greet(&mut session, laps).await {
            Ok(()) => Ok(session),
            Err(error) => {
                session.leave().await;
                Err(error)
            }
        }
    }

    async fn greet(&self, session: &mut Session, laps: &mut Laps<'_>) -> Result<(), AgentError> {
        session.banner().await?;
        laps.lap(standard::BANNER_TIME);
        session.hello().await?;
        laps.lap(standard::EHLO_TIME);
        if self.door.tls == TlsMode::Starttls {
            session.start_tls(&self.door.handshake()).await?;
            laps.lap(standard::TLS_TIME);
            session.hello().await?;
            laps.lap(standard::EHLO_TIME);
        }
        if let Some(login) = &self.login {
            session.login(login).await?;
            laps.lap(standard::AUTHENTICATE_TIME);
        }
        Ok(())
    }
}
