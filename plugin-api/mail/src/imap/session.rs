//! The commands of a session, each with its answer.

use std::num::NonZeroU32;

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, Login, Stream, Tls, TlsFacts};

use super::{
    Auth,
    auth::{self, Mechanism},
    fetch::{self, Fetched},
    mailbox::{self, Mailbox},
    offers::Offers,
    response::{Condition, Response, Status},
    search,
    wire::{Bounds, SMALL, Wire},
};

/// Responses to one command; who sends more does not answer.
const RESPONSES_MAX: usize = 10_000;

/// An open session.
pub struct Session<'a> {
    pub(super) cx: &'a Cx,
    pub(super) wire: Wire<'a>,
    offers: Option<Offers>,
    pub(super) mailbox: Mailbox,
    /// We have asked for the end, so the server may take its leave.
    leaving: bool,
}

/// How a session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// A login is wanted.
    Stranger,
    /// The server knows us already (PREAUTH).
    Known,
}

/// A message to be downloaded.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// The newest one.
    Newest,
    /// That of a UID.
    Uid(NonZeroU32),
}

/// What ends the wait for an answer.
pub(super) enum Answer {
    /// The server waits for more of the command.
    More(String),
    Done(Status),
}

impl<'a> Session<'a> {
    /// Begins a session over a stream that is open.
    pub(crate) fn new(cx: &'a Cx, stream: Stream) -> Self {
        Self { cx, wire: Wire::new(cx, stream), offers: None, mailbox: Mailbox::default(), leaving: false }
    }

    /// The run that it belongs to.
    pub fn cx(&self) -> &'a Cx {
        self.cx
    }

    /// Waits for the server's greeting.
    pub(crate) async fn banner(&mut self) -> Result<Greeting, AgentError> {
        let name = "banner";
        let Response::Untagged(status) = self.wire.receive(&SMALL).await.map_err(during(name))? else {
            return Err(AgentError::protocol("banner: an answer before anything was asked"));
        };
        self.learn(&status).map_err(during(name))?;
        match status.condition {
            Condition::Ok => Ok(Greeting::Stranger),
            Condition::Preauth => Ok(Greeting::Known),
            _ => Err(status.unwelcome(name)),
        }
    }

    /// Turns the session into an encrypted one. RFC 9051 6.2.1: what was offered before holds no longer.
    pub(crate) async fn start_tls(&mut self, greeting: Greeting, tls: &Tls) -> Result<TlsFacts, AgentError> {
        if greeting == Greeting::Known {
            // RFC 9051 7.1.4: the command is for strangers; who wants TLS must not go on.
            return Err(AgentError::tls("the server greets with PREAUTH, after which there is no STARTTLS"));
        }
        if !self.offers().await?.have("STARTTLS") {
            return Err(AgentError::tls("the server offers no STARTTLS"));
        }
        let status = self.command("STARTTLS", "STARTTLS").await?;
        if status.condition != Condition::Ok {
            return Err(AgentError::tls(status.answered("STARTTLS")));
        }
        self.offers = None;
        self.wire.start_tls(tls).await.map_err(during("STARTTLS"))
    }

    /// Chooses how to log in, asking what the server offers if it has not said so.
    pub(crate) async fn mechanism(&mut self, wanted: Auth) -> Result<Mechanism, AgentError> {
        Mechanism::choose(wanted, self.offers().await?)
    }

    /// Logs in.
    pub(crate) async fn login(&mut self, mechanism: Mechanism, login: &Login) -> Result<(), AgentError> {
        let name = mechanism.name();
        if let Some(response) = mechanism.response(login) {
            self.cx.hide(&response)?;
        }
        let lines = mechanism.lines(login, self.offers().await?.have("SASL-IR"));
        self.wire.send(&lines.command).await.map_err(during(name))?;
        let mut further = lines.further.into_iter();
        let mut reason = None;
        loop {
            let challenge = match self.answer(name, &SMALL, |_, _| Ok(())).await? {
                Answer::Done(status) => return auth::verdict(&status, name, reason.as_deref()),
                Answer::More(challenge) => challenge,
            };
            let line = match further.next() {
                Some(line) => line,
                None if mechanism == Mechanism::Xoauth2 && reason.is_none() => {
                    reason = Some(auth::reason(&challenge));
                    String::new()
                }
                None => return Err(self.take_back(mechanism).await),
            };
            self.wire.go_on(&line).await.map_err(during(name))?;
        }
    }

    /// Takes back a login of which the server wants more than there is; what we say after it would else be taken for a part of it.
    async fn take_back(&mut self, mechanism: Mechanism) -> AgentError {
        if mechanism != Mechanism::Login {
            // RFC 9051 6.2.2. Whether it arrives matters to nobody.
            let _ = self.wire.go_on("*").await;
        }
        asks_for_more(mechanism.name())
    }

    /// Opens a mailbox, and gives how many messages it holds.
    pub async fn open(&mut self, name: &str, select: bool) -> Result<u32, AgentError> {
        let command = if select { "SELECT" } else { "EXAMINE" };
        let name = mailbox::quoted_string(&mailbox::utf7(name)).unwrap_or_default();
        self.command(command, &format!("{command} {name}")).await?.positive(command)?;
        let messages = self.mailbox.messages();
        messages.ok_or_else(|| AgentError::protocol(format!("{command}: the server does not say how many messages there are")))
    }

    /// Searches the open mailbox, and gives how many messages it found.
    pub async fn search(&mut self, criterion: &str) -> Result<u64, AgentError> {
        let name = "SEARCH";
        // RFC 4731: a figure, instead of every number of a mailbox that may have a million.
        let figure = self.offers.as_ref().is_some_and(|offers| offers.have("ESEARCH"));
        let returned = if figure { "RETURN (COUNT) " } else { "" };
        self.wire.send(&format!("SEARCH {returned}{criterion}")).await.map_err(during(name))?;
        let (tag, mut found, before) = (self.wire.tag(), None, self.mailbox.messages());
        let count = |data: &str, _: &[u8]| {
            if let Some(counted) = search::count(data, &tag, figure)? {
                found = Some(counted.saturating_add(found.unwrap_or(0)));
            }
            Ok(())
        };
        self.done(name, &search::FOUND, count).await?.positive(name)?;
        let found = found.ok_or_else(|| AgentError::protocol("SEARCH: the server does not say what it found"))?;
        let messages = before.max(self.mailbox.messages()).unwrap_or_default();
        match found > messages.into() {
            true => Err(AgentError::protocol(format!("SEARCH: the server found {found} of {messages} messages"))),
            false => Ok(found),
        }
    }

    /// Downloads a message, at most so much of it, and gives its size; `None` if there is none, or none any more. Its flags stay (PEEK).
    ///
    /// Errors: kind `limit` if the server announces more than it was asked for, `protocol` if there is no message of a UID.
    pub async fn download(&mut self, wanted: Wanted, bytes_max: NonZeroU32) -> Result<Option<u64>, AgentError> {
        let (name, message) = match wanted {
            Wanted::Newest => match self.mailbox.messages() {
                None | Some(0) => return Ok(None),
                Some(newest) => ("FETCH", newest),
            },
            Wanted::Uid(uid) => ("UID FETCH", uid.get()),
        };
        let bounds = Bounds { literal_bytes: bytes_max.get().into(), literal_name: "download_max", ..SMALL };
        self.wire.hush();
        self.wire.send(&format!("{name} {message} BODY.PEEK[]<0.{bytes_max}>")).await.map_err(during(name))?;
        let mut downloaded = None;
        let take = |data: &str, _: &[u8]| {
            if fetch::is_fetch(data) {
                downloaded = body_of(wanted, message, data)?.or(downloaded);
            }
            Ok(())
        };
        let status = self.done(name, &bounds, take).await?;
        match (downloaded, wanted) {
            (Some(bytes), _) if bytes > bounds.literal_bytes => Err(AgentError::limit(bounds.literal_name).context(name)),
            (Some(bytes), _) => status.positive(name).map(|()| Some(bytes)),
            // RFC 5530 3: others may delete what we are about to read.
            (None, Wanted::Newest) if status.condition == Condition::Ok || status.code() == Some("EXPUNGEISSUED") => Ok(None),
            (None, _) => {
                status.positive(name)?;
                Err(AgentError::protocol(format!("{name}: there is no message with UID {message}")))
            }
        }
    }

    /// Ends the session.
    pub async fn close(&mut self) -> Result<(), AgentError> {
        self.leaving = true;
        self.command("LOGOUT", "LOGOUT").await?.positive("LOGOUT")
    }

    /// Leaves a session that failed, without waiting, so that a server's log stays free of lost connections.
    pub async fn leave(&mut self) {
        // What failed is told already; whether the farewell arrives matters to nobody.
        let _ = self.wire.send("LOGOUT").await;
    }

    /// What the server offers; asked for only if it has not said so by itself.
    pub(super) async fn offers(&mut self) -> Result<&Offers, AgentError> {
        if self.offers.is_none() {
            self.command("CAPABILITY", "CAPABILITY").await?.positive("CAPABILITY")?;
        }
        self.offers.as_ref().ok_or_else(|| AgentError::protocol("CAPABILITY: the server does not say what it offers"))
    }

    pub(super) async fn command(&mut self, name: &str, line: &str) -> Result<Status, AgentError> {
        self.wire.send(line).await.map_err(during(name))?;
        self.done(name, &SMALL, |_, _| Ok(())).await
    }

    /// Waits for the end of a command of which all has been said, and gives its data and the literals in it to `each`.
    pub(super) async fn done(
        &mut self,
        name: &str,
        bounds: &Bounds,
        each: impl FnMut(&str, &[u8]) -> Result<(), AgentError>,
    ) -> Result<Status, AgentError> {
        match self.answer(name, bounds, each).await? {
            Answer::Done(status) => Ok(status),
            Answer::More(_) => Err(asks_for_more(name)),
        }
    }

    pub(super) async fn answer(
        &mut self,
        name: &str,
        bounds: &Bounds,
        mut each: impl FnMut(&str, &[u8]) -> Result<(), AgentError>,
    ) -> Result<Answer, AgentError> {
        for _ in 0..RESPONSES_MAX {
            match self.wire.receive(bounds).await.map_err(during(name))? {
                Response::More(text) => return Ok(Answer::More(text)),
                Response::Tagged(tag, status) if tag == self.wire.tag() => {
                    self.learn(&status).map_err(during(name))?;
                    return Ok(Answer::Done(status));
                }
                Response::Tagged(..) => return Err(AgentError::protocol(format!("{name}: the server answered another command"))),
                Response::Untagged(status) => self.hear(&status, name)?,
                Response::Data(data) => {
                    let taken = self.take(&data).and_then(|()| each(&data, self.wire.taken()));
                    taken.map_err(|error| self.wire.unquoting(error)).map_err(during(name))?;
                }
            }
        }
        Err(AgentError::protocol(format!("{name}: an answer without an end: more than {RESPONSES_MAX} responses")))
    }

    /// Takes what the server says of itself. A warning (NO) is no failure; BAD speaks of the one command that we have open.
    pub(super) fn hear(&mut self, status: &Status, name: &str) -> Result<(), AgentError> {
        match status.condition {
            Condition::Bye if self.leaving => Ok(()),
            Condition::Bye | Condition::Bad => Err(status.unwelcome(name)),
            _ => self.learn(status).map_err(during(name)),
        }
    }

    fn learn(&mut self, status: &Status) -> Result<(), AgentError> {
        status.code().into_iter().for_each(|code| self.mailbox.hear(code));
        match status.code().and_then(capabilities) {
            Some(list) => self.set_offers(list),
            None => Ok(()),
        }
    }

    pub(super) fn take(&mut self, data: &str) -> Result<(), AgentError> {
        match capabilities(data) {
            Some(list) => self.set_offers(list),
            None => self.mailbox.take(data),
        }
    }

    fn set_offers(&mut self, list: &str) -> Result<(), AgentError> {
        self.offers = Some(Offers::parse(list)?);
        Ok(())
    }
}

/// What follows the word CAPABILITY.
fn capabilities(text: &str) -> Option<&str> {
    let (word, list) = text.split_once(' ')?;
    word.eq_ignore_ascii_case("CAPABILITY").then_some(list)
}

/// The bytes of the message that is wanted; `None` if the answer is about something else.
fn body_of(wanted: Wanted, message: u32, data: &str) -> Result<Option<u64>, AgentError> {
    let fetched = Fetched::parse(data).ok_or_else(|| AgentError::protocol("no answer to FETCH"))?;
    let named = match wanted {
        Wanted::Newest => Some(fetched.number),
        Wanted::Uid(_) => fetched.uid,
    };
    match fetched.body_bytes {
        Some(_) if named != Some(message) => Err(AgentError::protocol("the server sent another message")),
        bytes => Ok(bytes),
    }
}

pub(super) fn asks_for_more(name: &str) -> AgentError {
    AgentError::protocol(format!("{name}: the server asks for more than there is"))
}

/// Puts the command before what broke during it; a failed handshake explains itself.
pub(super) fn during(command: &str) -> impl Fn(AgentError) -> AgentError {
    move |error| match error.kind() {
        ErrorKind::PROTOCOL | ErrorKind::LIMIT => error.context(command),
        _ => error,
    }
}
