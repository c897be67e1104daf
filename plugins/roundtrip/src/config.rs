//! What a job of this agent says of itself.

use std::{num::NonZeroU16, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_mail::{
    imap, pop3,
    smtp::{self, Envelope},
};
use watchpost_plugin_api::{AgentError, Door, Login, Needs, PathBuf, Secret, TlsMode};

use crate::span::Span;

/// A message's way: handed over at one door by SMTP, found in one mailbox. `host`, `from`, `to` and `receive` are required.
///
/// The keys of the sending door stand at the top, so that `targets` can vary it: one job for each mailbox, one target for each door.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name or address of the server that the message is handed to, e.g. "mx1.example.org", "192.0.2.25" or "2001:db8::25".
    /// A name is looked up anew in each run; its addresses are tried in the order this machine prefers.
    pub host: String,
    /// Its TCP port. Default: 25 with `tls = "none"`, 587 with "starttls", 465 with "implicit".
    pub port: Option<NonZeroU16>,
    /// Whether and how the sending session is encrypted: "none" (the default), "starttls" (after EHLO, RFC 3207)
    /// or "implicit" (from the first byte, RFC 8314). A server that does not offer what is asked for fails the run.
    #[serde(default)]
    pub tls: TlsMode,
    /// Name that the certificate of the sending door must carry, also sent as SNI. Default: `host`. Unused with `tls = "none"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's at the sending door, e.g. "ca.pem". Unused with `tls = "none"`.
    pub ca_file: Option<PathBuf>,
    /// Logs in under this name before sending, with `password`, by AUTH PLAIN or else LOGIN, whichever the server offers.
    /// With `tls = "none"` the password crosses the network in the clear; the log says so once.
    pub user: Option<String>,
    /// Password of `user`: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
    pub password: Option<Secret>,
    /// Sender of the messages, e.g. "probe@example.org". What cannot be delivered comes back to it.
    pub from: String,
    /// Recipient of the messages, whose mailbox `receive` is, e.g. "probe@example.net".
    pub to: String,
    /// The mailbox in which the messages are found: one of `imap`, `pop3` and `maildir`, e.g.
    /// { maildir = { path = "/home/probe/Maildir" } }. Several jobs may share one; best is a mailbox that only probes use.
    pub receive: Receive,
    /// How long a run waits for the message that it has sent, e.g. "5s" (the default). It ends a second before the job's timeout in any
    /// case: what has not come by then is under way, and a later run finds it.
    #[serde(default = "five_seconds")]
    pub wait: Span,
    /// After which time a message is late, e.g. "1m" (the default).
    #[serde(default = "a_minute")]
    pub late_after: Span,
    /// After which time a message that nobody has seen is given up as lost, e.g. "1d" (the default). Servers try for days; a message that
    /// comes after all is an event then, and no arrival.
    #[serde(default = "a_day")]
    pub lost_after: Span,
}

/// A mailbox, by the way in which it is read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", try_from = "Ways")]
#[schemars(!try_from)]
pub enum Receive {
    /// By IMAP.
    Imap(ImapReceive),
    /// By POP3.
    Pop3(Pop3Receive),
    /// As files.
    Maildir(MaildirReceive),
}

/// The ways of [`Receive`] as they may be written, so that none and several are refused in words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ways {
    imap: Option<ImapReceive>,
    pop3: Option<Pop3Receive>,
    maildir: Option<MaildirReceive>,
}

impl TryFrom<Ways> for Receive {
    type Error = &'static str;

    fn try_from(ways: Ways) -> Result<Self, Self::Error> {
        match (ways.imap, ways.pop3, ways.maildir) {
            (Some(imap), None, None) => Ok(Self::Imap(imap)),
            (None, Some(pop3), None) => Ok(Self::Pop3(pop3)),
            (None, None, Some(maildir)) => Ok(Self::Maildir(maildir)),
            (None, None, None) => {
                Err("is empty; one of `imap`, `pop3` and `maildir` is wanted, e.g. { maildir = { path = \"/home/probe/Maildir\" } }")
            }
            _ => Err("holds several mailboxes; one of `imap`, `pop3` and `maildir` is wanted, and a job of its own for each"),
        }
    }
}

/// A mailbox read by IMAP. `host`, `user` and `password` are required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImapReceive {
    /// Name or address of the mail server, e.g. "imap.example.org".
    pub host: String,
    /// TCP port. Default: 143 with `tls = "none"` or "starttls", 993 with "implicit".
    pub port: Option<NonZeroU16>,
    /// Whether and how the session is encrypted: "none" (the default), "starttls" or "implicit".
    #[serde(default)]
    pub tls: TlsMode,
    /// Name that the server's certificate must carry, also sent as SNI. Default: `host`. Unused with `tls = "none"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem". Unused with `tls = "none"`.
    pub ca_file: Option<PathBuf>,
    /// Name of the login.
    pub user: String,
    /// Its password: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`. With `auth = "xoauth2"` it is an access token.
    pub password: Secret,
    /// How to log in: "plain", "login", "xoauth2" or "auto" (the default), as for the agent `imap`.
    #[serde(default)]
    pub auth: imap::Auth,
    /// Mailbox in which the messages arrive, e.g. "INBOX" (the default).
    #[serde(default = "inbox")]
    pub mailbox: String,
    /// How a run waits: "poll" (the default) asks the server every `poll` what is new; "idle" has it tell (IDLE, RFC 2177), which is easy on
    /// the server, and takes as long as mail programs wait for their news: Dovecot gathers half a second of it.
    #[serde(default)]
    pub watch: Watch,
    /// How often a run that waits asks what is new, e.g. "100ms" (the default). The round trip is known as exactly as that.
    #[serde(default = "a_tenth")]
    pub poll: Span,
}

/// How a run waits at a server that can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// It asks.
    #[default]
    Poll,
    /// It is told.
    Idle,
}

/// A mailbox read by POP3. `host`, `user` and `password` are required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pop3Receive {
    /// Name or address of the mail server, e.g. "pop.example.org".
    pub host: String,
    /// TCP port. Default: 110 with `tls = "none"` or "starttls", 995 with "implicit".
    pub port: Option<NonZeroU16>,
    /// Whether and how the session is encrypted: "none" (the default), "starttls" or "implicit".
    #[serde(default)]
    pub tls: TlsMode,
    /// Name that the server's certificate must carry, also sent as SNI. Default: `host`. Unused with `tls = "none"`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem". Unused with `tls = "none"`.
    pub ca_file: Option<PathBuf>,
    /// Name of the login.
    pub user: String,
    /// Its password: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
    pub password: Secret,
    /// How to log in: "plain", "user", "apop" or "auto" (the default), as for the agent `pop3`.
    #[serde(default)]
    pub auth: pop3::Auth,
    /// How often a run that waits looks again, e.g. "1s" (the default): each look is a session of its own, for POP3 shows a mailbox as it
    /// was at the login. The round trip is known as exactly as that.
    #[serde(default = "a_second")]
    pub poll: Span,
}

/// A mailbox read as files. Only `path` is required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaildirReceive {
    /// The Maildir, which holds `new` and `cur`, e.g. "/home/probe/Maildir". Whoever measures must be able to read what is in both, and to
    /// write in both: messages of this job are removed there, and nothing else.
    pub path: PathBuf,
    /// How often a run that waits looks again, e.g. "100ms" (the default). The round trip is known as exactly as that.
    #[serde(default = "a_tenth")]
    pub poll: Span,
}

fn inbox() -> String {
    "INBOX".into()
}

fn a_tenth() -> Span {
    Span(Duration::from_millis(100))
}

fn a_second() -> Span {
    Span(Duration::from_secs(1))
}

fn five_seconds() -> Span {
    Span(Duration::from_secs(5))
}

fn a_minute() -> Span {
    Span(Duration::from_secs(60))
}

fn a_day() -> Span {
    Span(Duration::from_secs(86_400))
}

impl Config {
    /// Where messages are handed over.
    pub(crate) fn door(&self) -> Door {
        let port = port_of(self.port, smtp::usual_port(self.tls));
        Door::new(&self.host, port).tls(self.tls).server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone())
    }

    /// Checks what the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let why = "is not longer than `late_after`: a message is late before it is lost";
        let times = AgentError::refuse_if(self.late_after >= self.lost_after, "lost_after", why);
        let receive = self.receive.check().map_err(|error| error.below(&format!("receive.{}", self.receive.name())));
        AgentError::all([self.door().check("mx1.example.org"), self.login().map(drop), self.envelope().map(drop), times, receive])
    }

    /// The login at the sending door, if there is to be one.
    pub(crate) fn login(&self) -> Result<Option<Login>, AgentError> {
        smtp::login(self.user.as_ref(), self.password.as_ref())
    }

    /// Sender and recipient.
    pub(crate) fn envelope(&self) -> Result<Envelope, AgentError> {
        Envelope::of(&self.from, &self.to)
    }

    /// Everything that a run touches.
    pub(crate) fn needs(&self) -> Needs {
        self.door().needs().and(self.receive.needs())
    }
}

impl Receive {
    fn name(&self) -> &'static str {
        match self {
            Self::Imap(_) => "imap",
            Self::Pop3(_) => "pop3",
            Self::Maildir(_) => "maildir",
        }
    }

    /// Names the mailbox: what is under way belongs to it.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Imap(imap) => format!("imap {} {} {}", imap.door().target(), imap.user, imap.mailbox),
            Self::Pop3(pop3) => format!("pop3 {} {}", pop3.door().target(), pop3.user),
            Self::Maildir(maildir) => format!("maildir {}", maildir.path.display()),
        }
    }

    fn check(&self) -> Result<(), AgentError> {
        let poll = |poll: &Span| AgentError::refuse_if(!(10..=10_000).contains(&poll.0.as_millis()), "poll", "is from 10ms to 10s");
        match self {
            Self::Imap(receive) => {
                let (door, login) = (receive.door().check("imap.example.org"), receive.login().map(drop));
                AgentError::all([door, login, imap::check_mailbox(&receive.mailbox), poll(&receive.poll)])
            }
            Self::Pop3(receive) => {
                let (door, login) = (receive.door().check("pop.example.org"), receive.login().map(drop));
                AgentError::all([door, login, poll(&receive.poll)])
            }
            Self::Maildir(receive) => poll(&receive.poll),
        }
    }

    fn needs(&self) -> Needs {
        match self {
            Self::Imap(imap) => imap.door().needs(),
            Self::Pop3(pop3) => pop3.door().needs(),
            Self::Maildir(maildir) => Needs::none().read(&maildir.path).remove_in(&maildir.path),
        }
    }
}

impl ImapReceive {
    /// Where the mailbox is entered.
    pub(crate) fn door(&self) -> Door {
        let port = port_of(self.port, imap::usual_port(self.tls));
        Door::new(&self.host, port).tls(self.tls).server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone())
    }

    /// The login.
    pub(crate) fn login(&self) -> Result<Option<Login>, AgentError> {
        imap::login(Some(&self.user), Some(&self.password))
    }
}

impl Pop3Receive {
    /// Where the mailbox is entered.
    pub(crate) fn door(&self) -> Door {
        let port = port_of(self.port, pop3::usual_port(self.tls));
        Door::new(&self.host, port).tls(self.tls).server_name(self.server_name.as_ref()).ca_file(self.ca_file.clone())
    }

    /// The login.
    pub(crate) fn login(&self) -> Result<Option<Login>, AgentError> {
        pop3::login(Some(&self.user), Some(&self.password))
    }
}

fn port_of(given: Option<NonZeroU16>, usual: u16) -> u16 {
    given.map_or(usual, NonZeroU16::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAILDIR: &str = "receive.maildir.path = '/m'";
    const IMAP: &str = "receive.imap = { host = 'i', user = 'u', password = 'p' }";

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let config: Config = toml::from_str(text).unwrap();
        let found = config.check().map(|()| config.receive.place()).map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        let expected = expected.map(str::to_owned).map_err(|(path, message)| (path.to_owned(), message.to_owned()));
        assert_eq!(found, expected, "{text}");
    }

    fn with(keys: &str, receive: &str) -> String {
        format!("host = 'mx'\nfrom = 'a@b'\nto = 'c@d'\n{keys}\n{receive}")
    }

    #[test]
    fn a_mailbox_is_read_in_one_of_three_ways() {
        check(&with("", MAILDIR), Ok("maildir /m"));
        check(&with("", IMAP), Ok("imap i:143 u INBOX"));
        check(&with("", "receive.imap = { host = 'i', tls = 'implicit', user = 'u', password = 'p' }"), Ok("imap i:993 u INBOX"));
        check(&with("", "receive.pop3 = { host = 'p', user = 'u', password = 'p' }"), Ok("pop3 p:110 u"));
        for receive in ["receive = {}", "receive = 'maildir'", "receive.mbox.path = '/m'", &format!("{MAILDIR}\n{IMAP}")] {
            assert!(toml::from_str::<Config>(&with("", receive)).is_err(), "{receive}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        check("host = 'mx:25'\nfrom = 'a@b'\nto = 'c@d'\nreceive.maildir.path = '/m'", {
            Err(("host", "holds more than a name or an address; a port goes into `port`"))
        });
        check(&with("user = 'u'", MAILDIR), Err(("user", "needs `password` beside it")));
        let wanted = "has no @; an address is wanted, e.g. \"probe@example.org\"";
        check("host = 'mx'\nfrom = 'a@b'\nto = 'c'\nreceive.maildir.path = '/m'", Err(("to", wanted)));
        let order = "is not longer than `late_after`: a message is late before it is lost";
        check(&with("late_after = '1d'", MAILDIR), Err(("lost_after", order)));
        check(&with("", "receive.maildir = { path = '/m', poll = '1ms' }"), Err(("receive.maildir.poll", "is from 10ms to 10s")));
        let crafted = "receive.imap = { host = 'i', user = \"a\\r\\nx DELETE INBOX\", password = 'p' }";
        check(&with("", crafted), Err(("receive.imap.user", "cannot contain a line end or a NUL character")));
        let crafted = "receive.pop3 = { host = 'i:1', user = 'u', password = 'p' }";
        check(&with("", crafted), Err(("receive.pop3.host", "holds more than a name or an address; a port goes into `port`")));
        let control = "receive.imap = { host = 'i', user = 'u', password = 'p', mailbox = \"a\\r\\n\" }";
        check(&with("", control), Err(("receive.imap.mailbox", "cannot contain control characters")));
    }

    #[test]
    fn what_is_not_said_is_usual() {
        let config: Config = toml::from_str(&with("", MAILDIR)).unwrap();
        assert_eq!((config.wait, config.late_after, config.lost_after), (five_seconds(), a_minute(), a_day()));
        assert_eq!(config.door().target(), "mx:25");
    }

    #[test]
    fn a_job_touches_both_doors_or_a_folder() {
        let needs = |receive: &str| toml::from_str::<Config>(&with("", receive)).unwrap().needs();
        assert_eq!(needs(IMAP), Needs::none().tcp(25).tcp(143));
        assert_eq!(needs(MAILDIR), Needs::none().tcp(25).read("/m").remove_in("/m"));
    }
}
