//! The commands of a session, each with its answer.

use std::net::{IpAddr, SocketAddr};

use watchpost_plugin_api::{AgentError, Ends, ErrorKind, Lines, Login, Stream, Tls, TlsFacts, quoted};

use super::{auth, message, reply::Reply};

/// An open session.
pub struct Session {
    lines: Lines,
    /// What we call ourselves.
    name: String,
    offers: Offers,
}

/// What the server offers, as its last EHLO says.
#[derive(Debug, Default)]
pub(crate) struct Offers(Vec<String>);

impl Offers {
    fn of(ehlo: Reply) -> Self {
        Self(ehlo.lines.into_iter().skip(1).collect())
    }

    /// The parameters of an extension; `None` if it is not offered.
    pub(crate) fn find(&self, extension: &str) -> Option<Vec<&str>> {
        let found = self.0.iter().find_map(|line| {
            // Before RFC 2554 some wrote `AUTH=PLAIN`, and some servers still send that form beside the other.
            let (keyword, parameters) = line.split_once([' ', '=']).unwrap_or((line, ""));
            keyword.trim().eq_ignore_ascii_case(extension).then_some(parameters)
        });
        found.map(|parameters| parameters.split_whitespace().collect())
    }
}

impl Session {
    /// Begins a session over a stream that is open.
    pub(crate) fn new(stream: Stream, ends: Ends) -> Self {
        Self { lines: Lines::new(stream), name: own_name(ends.local), offers: Offers::default() }
    }

    /// Waits for the server's greeting.
    pub(crate) async fn banner(&mut self) -> Result<(), AgentError> {
        Reply::read(&mut self.lines).await.map_err(during("banner"))?.wanted(220, "banner").map(drop)
    }

    /// Says who we are and learns what the server offers.
    pub(crate) async fn hello(&mut self) -> Result<(), AgentError> {
        let ehlo = self.command("EHLO", &format!("EHLO {}", self.name)).await?;
        // RFC 5321 3.2: a server that does not know EHLO is asked again by HELO, which offers nothing.
        self.offers = match ehlo.is_refusal_for_good() {
            false => Offers::of(ehlo.wanted(250, "EHLO")?),
            true => {
                let helo = self.command("HELO", &format!("HELO {}", self.name)).await?;
                if !helo.is_positive() {
                    return Err(helo.unwelcome("HELO").context(format!("EHLO was answered {}", ehlo.quoted())));
                }
                Offers::default()
            }
        };
        Ok(())
    }

    /// Turns the session into an encrypted one. RFC 3207 4.2: the next thing to say is EHLO, what was offered before holds no longer.
    pub(crate) async fn start_tls(&mut self, tls: &Tls) -> Result<TlsFacts, AgentError> {
        if self.offers.find("STARTTLS").is_none() {
            return Err(AgentError::tls("the server offers no STARTTLS"));
        }
        let reply = self.command("STARTTLS", "STARTTLS").await?;
        if reply.code != 220 {
            return Err(AgentError::tls(format!("STARTTLS: the server answered {}", reply.quoted())));
        }
        self.lines.start_tls(tls).await.map_err(during("STARTTLS"))
    }

    /// Logs in by the best mechanism that both sides know.
    pub(crate) async fn login(&mut self, login: &Login) -> Result<(), AgentError> {
        let mechanism = auth::choose(self.offers.find("AUTH"))?;
        let mut answers = mechanism.answers(login).into_iter();
        let begin = mechanism.command(login);
        let mut reply = self.command(mechanism.name(), &begin).await?;
        while reply.code == 334 {
            let Some(answer) = answers.next() else {
                return Err(AgentError::protocol(format!("{}: the server asks for more than the mechanism has", mechanism.name())));
            };
            reply = self.command(mechanism.name(), &answer).await?;
        }
        auth::verdict(&reply, mechanism)
    }

    /// Begins a transaction.
    pub async fn mail(&mut self, from: &str) -> Result<(), AgentError> {
        self.command("MAIL", &format!("MAIL FROM:<{from}>")).await?.positive("MAIL").map(drop)
    }

    /// Names the recipient. 251 (it will be forwarded) and 252 (it was not verified) accept it as well.
    pub async fn recipient(&mut self, to: &str) -> Result<(), AgentError> {
        self.command("RCPT", &format!("RCPT TO:<{to}>")).await?.positive("RCPT").map(drop)
    }

    /// Hands over a message until the server has taken it.
    pub async fn data(&mut self, message: &str) -> Result<(), AgentError> {
        self.command("DATA", "DATA").await?.wanted(354, "DATA")?;
        let end = "end of DATA";
        self.lines.write_raw(message::on_the_wire(message).as_bytes()).await.map_err(during(end))?;
        Reply::read(&mut self.lines).await.map_err(during(end))?.positive(end).map(drop)
    }

    /// Takes an open transaction back, if there is one, and ends the session.
    pub async fn close(&mut self, take_back: bool) -> Result<(), AgentError> {
        if take_back {
            self.command("RSET", "RSET").await?.positive("RSET")?;
        }
        self.command("QUIT", "QUIT").await?.wanted(221, "QUIT").map(drop)
    }

    /// Leaves a session that failed, without waiting: RFC 5321 4.1.1.10 wants a QUIT, and a server's log stays free of lost connections.
    pub async fn leave(&mut self) {
        // What failed is told already; whether the farewell arrives matters to nobody.
        let _ = self.lines.write("QUIT").await;
    }

    async fn command(&mut self, name: &str, line: &str) -> Result<Reply, AgentError> {
        self.lines.write(line).await.map_err(during(name))?;
        Reply::read(&mut self.lines).await.map_err(during(name))
    }
}

/// Puts the command before what broke during it; a failed handshake explains itself.
fn during(command: &str) -> impl Fn(AgentError) -> AgentError {
    move |error| match error.kind() {
        ErrorKind::PROTOCOL => error.context(quoted(command)),
        _ => error,
    }
}

/// What we call ourselves: the address literal of our end of the connection.
///
/// RFC 5321 4.1.4 asks for the client's name, or for its address literal where it has no good one. A probe has no name that it knows to
/// resolve from where the server stands; the literal is true, and passes the common checks (not an invalid name, not an unqualified
/// name, not an unknown name) without an entry in anybody's DNS.
fn own_name(local: Option<SocketAddr>) -> String {
    match local.map(|local| local.ip().to_canonical()) {
        Some(IpAddr::V4(address)) => format!("[{address}]"),
        Some(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        None => "[127.0.0.1]".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_called_by_our_own_address() {
        assert_eq!(own_name("192.0.2.1:40000".parse().ok()), "[192.0.2.1]");
        assert_eq!(own_name("[2001:db8::1]:40000".parse().ok()), "[IPv6:2001:db8::1]");
        assert_eq!(own_name("[::ffff:192.0.2.1]:40000".parse().ok()), "[192.0.2.1]");
    }

    #[test]
    fn an_extension_is_found_however_its_line_is_written() {
        let offers =
            Offers(vec!["SIZE 1000".into(), "auth=LOGIN".into(), "AUTH PLAIN LOGIN".into(), "STARTTLS ".into(), "8BITMIME".into()]);
        assert_eq!(offers.find("STARTTLS"), Some(vec![]));
        assert_eq!(offers.find("8bitmime"), Some(vec![]));
        assert_eq!(offers.find("SIZE"), Some(vec!["1000"]));
        assert_eq!(offers.find("AUTH"), Some(vec!["LOGIN"]));
        assert_eq!(offers.find("TLS"), None);
    }
}
