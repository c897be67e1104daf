//! The commands of a session, each with its answer.

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, Lines, Login, Stream, Tls, TlsFacts, quoted};

use super::{
    Auth,
    auth::{self, Mechanism, Timestamp},
    body,
    mailbox::{self, Listing, Message, Size},
    reply::{Reply, Status},
};

/// Lines of one list of capabilities; large servers have a dozen.
const CAPABILITIES_MAX: usize = 100;

/// An open session.
pub struct Session<'a> {
    cx: &'a Cx,
    lines: Lines,
    timestamp: Option<Timestamp>,
    /// From the download on bytes are counted, not shown: a message is nobody's business. What else is said is shown in words.
    counted: bool,
    /// What is no reply may be more of a message, which is not to be quoted.
    after_message: bool,
}

/// What the server offers, as its CAPA says (RFC 2449 5).
#[derive(Debug, Default)]
pub(crate) struct Offers(Vec<String>);

impl Offers {
    fn take(&mut self, line: &str) -> Result<(), AgentError> {
        if self.0.len() == CAPABILITIES_MAX {
            return Err(AgentError::protocol(format!("a list without an end: more than {CAPABILITIES_MAX} lines")));
        }
        self.0.push(line.to_owned());
        Ok(())
    }

    /// The parameters of a capability; `None` if it is not offered.
    pub(crate) fn find(&self, capability: &str) -> Option<Vec<&str>> {
        let is_it = |line: &String| line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(capability));
        let found = self.0.iter().find(|line| is_it(line))?;
        Some(found.split_whitespace().skip(1).collect())
    }
}

impl<'a> FromIterator<&'a str> for Offers {
    fn from_iter<T: IntoIterator<Item = &'a str>>(lines: T) -> Self {
        Self(lines.into_iter().map(str::to_owned).collect())
    }
}

impl<'a> Session<'a> {
    /// Begins a session over a stream that is open.
    pub(crate) fn new(cx: &'a Cx, stream: Stream) -> Self {
        Self { cx, lines: Lines::new(stream), timestamp: None, counted: false, after_message: false }
    }

    /// Waits for the server's greeting.
    pub(crate) async fn banner(&mut self) -> Result<(), AgentError> {
        let banner = self.reply().await.map_err(during("banner"))?.positive("banner")?;
        self.timestamp = Timestamp::find(&banner.text);
        Ok(())
    }

    /// Turns the session into an encrypted one. RFC 2595 4: what was offered before holds no longer.
    pub(crate) async fn start_tls(&mut self, tls: &Tls) -> Result<TlsFacts, AgentError> {
        if self.capabilities().await?.is_none_or(|offers| offers.find("STLS").is_none()) {
            return Err(AgentError::tls("the server offers no STLS"));
        }
        let reply = self.command("STLS", "STLS").await?;
        if reply.status != Status::Ok {
            return Err(AgentError::tls(reply.answered("STLS")));
        }
        self.lines.start_tls(tls).await.map_err(during("STLS"))
    }

    /// Chooses how to log in, asking what the server offers where that decides it.
    pub(crate) async fn mechanism(&mut self, wanted: Auth, encrypted: bool) -> Result<Mechanism, AgentError> {
        match auth::choose_unasked(wanted, encrypted, self.timestamp.as_ref())? {
            Some(mechanism) => Ok(mechanism),
            None => auth::choose(wanted, self.capabilities().await?.as_ref(), self.timestamp.as_ref()),
        }
    }

    /// Logs in.
    pub(crate) async fn login(&mut self, mechanism: &Mechanism, login: &Login) -> Result<(), AgentError> {
        match mechanism {
            Mechanism::Plain => self.plain(login).await,
            Mechanism::User => {
                self.step("USER", &format!("USER {}", login.user)).await?;
                self.step("PASS", &format!("PASS {}", login.password.expose())).await
            }
            Mechanism::Apop(timestamp) => {
                let digest = timestamp.digest(login);
                self.cx.hide(&digest)?;
                self.step("APOP", &format!("APOP {} {digest}", login.user)).await
            }
        }
    }

    async fn plain(&mut self, login: &Login) -> Result<(), AgentError> {
        let name = "AUTH PLAIN";
        let (begin, rest) = auth::plain(login);
        let mut reply = self.command(name, &begin).await?;
        if let (Status::More, Some(rest)) = (reply.status, rest) {
            reply = self.command(name, &rest).await?;
        }
        auth::verdict(&reply, name)
    }

    async fn step(&mut self, name: &str, line: &str) -> Result<(), AgentError> {
        auth::verdict(&self.command(name, line).await?, name)
    }

    /// Asks what the mailbox holds; gives its size and its newest message.
    pub async fn query(&mut self) -> Result<(Size, Option<Message>), AgentError> {
        let stat = self.command("STAT", "STAT").await?.positive("STAT")?;
        let size = Size::parse(&stat.text).map_err(during("STAT"))?;
        self.command("LIST", "LIST").await?.positive("LIST")?;
        let mut listing = Listing::of(size.messages);
        body::lines(&mut self.lines, |line| listing.take(line)).await.map_err(during("LIST"))?;
        let newest = listing.end().map_err(during("LIST"))?;
        Ok((size, newest))
    }

    /// Downloads a message.
    pub async fn retrieve(&mut self, message: Message) -> Result<(), AgentError> {
        if message.bytes > body::MESSAGE_BYTES_MAX {
            return Err(body::too_large().context("RETR"));
        }
        self.lines.binary();
        self.counted = true;
        self.command("RETR", &format!("RETR {}", message.number)).await?.positive("RETR")?;
        let (bytes, _) = body::message(&mut self.lines, 0).await.map_err(during("RETR"))?;
        self.cx.note_received(&format!("the message, {bytes} bytes"));
        self.after_message = true;
        Ok(())
    }

    /// Lists the messages with the names that the server gives them for ever (UIDL).
    ///
    /// Errors: kind `limit` if there are more than `messages_max`.
    pub async fn names(&mut self, messages_max: usize) -> Result<Vec<(u64, String)>, AgentError> {
        self.command("UIDL", "UIDL").await?.positive("UIDL")?;
        let mut names = Vec::new();
        let take = |line: &str| {
            let named = line.split_once(' ').and_then(|(number, name)| Some((mailbox::number(number)?, name.trim().to_owned())));
            names.push(named.ok_or_else(|| AgentError::protocol(format!("no number and name: \"{}\"", quoted(line))))?);
            match names.len() > messages_max {
                true => Err(AgentError::new(ErrorKind::LIMIT, format!("more than {messages_max} messages in the mailbox"))),
                false => Ok(()),
            }
        };
        body::lines(&mut self.lines, take).await.map_err(during("UIDL"))?;
        Ok(names)
    }

    /// Reads the head of a message (TOP), at most so much of it.
    pub async fn head(&mut self, number: u64, bytes_max: usize) -> Result<Vec<u8>, AgentError> {
        self.lines.binary();
        self.counted = true;
        self.command("TOP", &format!("TOP {number} 0")).await?.positive("TOP")?;
        let (bytes, head) = body::message(&mut self.lines, bytes_max).await.map_err(during("TOP"))?;
        self.cx.note_received(&format!("a head, {bytes} bytes"));
        self.after_message = true;
        Ok(head)
    }

    /// Has a message deleted when the session ends.
    pub async fn delete(&mut self, number: u64) -> Result<(), AgentError> {
        self.command("DELE", &format!("DELE {number}")).await?.positive("DELE").map(drop)
    }

    /// Ends the session.
    pub async fn close(&mut self) -> Result<(), AgentError> {
        self.command("QUIT", "QUIT").await?.positive("QUIT").map(drop)
    }

    /// Leaves a session that failed, without waiting: a server that gets no QUIT may keep the mailbox locked until its own deadline.
    pub async fn leave(&mut self) {
        // What failed is told already; whether the farewell arrives matters to nobody.
        let _ = self.lines.write("QUIT").await;
    }

    /// Asks what the server offers; `None` if it knows no CAPA.
    async fn capabilities(&mut self) -> Result<Option<Offers>, AgentError> {
        let reply = self.command("CAPA", "CAPA").await?;
        if reply.status == Status::Err && !reply.blames_the_server() {
            return Ok(None);
        }
        reply.positive("CAPA")?;
        let mut offers = Offers::default();
        body::lines(&mut self.lines, |line| offers.take(line)).await.map_err(during("CAPA"))?;
        Ok(Some(offers))
    }

    async fn command(&mut self, name: &str, line: &str) -> Result<Reply, AgentError> {
        self.lines.write(line).await.map_err(during(name))?;
        if self.counted {
            self.cx.note_sent(line);
        }
        self.reply().await.map_err(during(name))
    }

    async fn reply(&mut self) -> Result<Reply, AgentError> {
        let line = self.lines.read().await?;
        let reply = Reply::parse(&line).ok_or_else(|| match self.after_message {
            true => AgentError::protocol("no POP3 reply after the message"),
            false => AgentError::protocol(format!("no POP3 reply: \"{}\"", quoted(&line))),
        })?;
        if self.counted {
            self.cx.note_received(&line);
        }
        Ok(reply)
    }
}

/// Puts the command before what broke during it; a failed handshake explains itself.
fn during(command: &str) -> impl Fn(AgentError) -> AgentError {
    move |error| match error.kind() {
        ErrorKind::PROTOCOL | ErrorKind::LIMIT => error.context(quoted(command)),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_found_however_it_is_written() {
        let offers: Offers = ["TOP", "sasl PLAIN  LOGIN", "STLS ", "", "EXPIRE 30 USER"].into_iter().collect();
        assert_eq!(offers.find("STLS"), Some(vec![]));
        assert_eq!(offers.find("top"), Some(vec![]));
        assert_eq!(offers.find("SASL"), Some(vec!["PLAIN", "LOGIN"]));
        assert_eq!(offers.find("USER"), None);
        assert_eq!(offers.find("TLS"), None);
    }
}
