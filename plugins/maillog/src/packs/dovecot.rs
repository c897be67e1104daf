//! Dovecot: logins, retrieved and stored messages; through syslog, or in a log of its own.
//!
//! A message that came by LMTP for three recipients is told three times, with one session id that ends in `:R2` and `:R3` from the second
//! on: it is received once and stored three times. Where `mail_log_prefix` has no session, each copy counts as received. Volumes are told
//! when `deliver_log_format` has the size at its end: `msgid=%m, size=%p: %$`.

use watchpost_logs::{
    head::{stamped, syslog},
    memchr::{memchr, memmem::rfind, memrchr},
    text::{after, has, number},
};

use super::{Pack, classes, named};
use crate::{
    config::Config,
    recent::{Recent, hash},
    tally::{Seen, Tally, Total},
};

/// How the line of a stored message ends, by Dovecot and by Sieve: the mailbox follows.
const STORED: [&[u8]; 2] = [b": saved mail to ", b": stored mail into mailbox "];
/// The same of one that could not be stored.
const NOT_STORED: [&[u8]; 2] = [b": save failed to ", b": failed to store into mailbox "];
/// How a session by LMTP is over in good order: nothing was under way.
const AT_REST: [&[u8]; 3] = [b"(state=READY)", b"(in reset)", b"uccessful quit"];

classes! {
    ImapLogin = "imap_login",
    Pop3Login = "pop3_login",
    OtherLogin = "other_login",
    AuthFailed = "auth_failed",
    NoAuth = "no_auth",
    Refused = "connection_refused",
    Inactive = "timeout",
    LoginAborted = "login_aborted",
    ImapEnd = "imap_session_end",
    Pop3End = "pop3_session_end",
    LmtpConnect = "lmtp_connect",
    LmtpEnd = "lmtp_disconnect",
    LmtpLost = "lmtp_lost",
    LmtpTimeout = "lmtp_timeout",
    Stored = "stored",
    DeliveryFailed = "delivery_failed",
    Auth = "auth_note",
    Session = "session_note",
    Service = "service_note",
    Warning = "warning",
    Error = "error",
    Fatal = "fatal",
    Panic = "panic",
}

/// The pack `dovecot`.
pub(crate) struct Dovecot {
    only: Vec<String>,
    /// Messages whose first copy was told of.
    received: Recent,
}

impl Pack for Dovecot {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = &[
        Total::MessagesReceived,
        Total::MessagesStored,
        Total::MessagesRetrieved,
        Total::MessagesUnsized,
        Total::ReceivedBytes,
        Total::StoredBytes,
        Total::Connections,
        Total::ConnectionsFailed,
        Total::ConnectionsRejected,
        Total::ConnectionsTimedOut,
    ];

    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
        let message = match syslog(line) {
            Some(head) if head.program == b"dovecot" => head.message,
            // A log of its own has neither host nor program: `Nov 24 18:50:16 imap-login: Info: Login: …`.
            _ => match stamped(line) {
                Some(rest) if own(rest) => rest,
                Some(_) => return Seen::Foreign,
                None => return Seen::Unknown,
            },
        };
        let Some(entry) = split(message) else { return Seen::Unknown };
        if !self.only.is_empty() && !self.only.iter().any(|name| named(entry.process, name)) {
            return Seen::Foreign;
        }
        self.told(&entry, tally).map_or(Seen::Unknown, Seen::from)
    }

    fn keep(&self) -> Vec<u64> {
        self.received.keep().collect()
    }

    fn go_on(&mut self, kept: &[u64]) {
        self.received.go_on(kept);
    }
}

/// Says whether a total is told: volumes are once a size was seen.
pub(super) fn tells(total: Total, tally: &Tally) -> bool {
    !matches!(total, Total::ReceivedBytes | Total::StoredBytes) || tally.total(total) > 0
}

/// A message, taken apart: `imap(alice)<1234><id>: Disconnected: …`.
struct Entry<'a> {
    process: &'a [u8],
    /// What is between the process and the colon.
    context: &'a [u8],
    said: &'a [u8],
}

impl Dovecot {
    pub(crate) fn new(config: &Config) -> Self {
        Self { only: config.only.clone(), received: Recent::new() }
    }

    fn told(&mut self, entry: &Entry<'_>, tally: &mut Tally) -> Option<Class> {
        let (level, said) = level(entry.said).unwrap_or((b"Info", entry.said));
        match level {
            b"Warning" => return Some(Class::Warning),
            b"Error" => return Some(Class::Error),
            b"Fatal" => return Some(Class::Fatal),
            b"Panic" => return Some(Class::Panic),
            _ => {}
        }
        match entry.process {
            b"imap-login" | b"pop3-login" | b"submission-login" | b"managesieve-login" => login(entry.process, said, tally),
            b"imap" if ended(said) => Some(end(said, b" body_count=", Class::ImapEnd, tally)),
            b"pop3" if ended(said) => Some(end(said, b" retr=", Class::Pop3End, tally)),
            b"lmtp" | b"lda" | b"deliver" => Some(self.delivery(entry.context, said, tally)),
            b"imap" | b"pop3" | b"managesieve" | b"submission" | b"indexer-worker" | b"doveadm" | b"imap-hibernate" => Some(Class::Session),
            b"auth" | b"auth-worker" => Some(Class::Auth),
            b"master" | b"config" | b"log" | b"anvil" | b"stats" | b"ssl-params" | b"replicator" | b"dict" | b"quota-status"
            | b"old-stats" | b"indexer" | b"script" | b"dovecot" => Some(Class::Service),
            _ => None,
        }
    }

    fn delivery(&mut self, context: &[u8], said: &[u8], tally: &mut Tally) -> Class {
        if said.starts_with(b"Connect from") {
            tally.add(Total::Connections, 1);
            return Class::LmtpConnect;
        }
        if said.starts_with(b"Disconnect from") {
            return lmtp_end(said, tally);
        }
        let last = |words: &[&[u8]]| words.iter().filter_map(|words| rfind(said, words)).max();
        // A message id may pretend anything; what Dovecot says comes last.
        match (last(&STORED), last(&NOT_STORED)) {
            (Some(at), other) if other.is_none_or(|other| other < at) => {
                self.stored(context, &said[..at], tally);
                Class::Stored
            }
            (_, Some(_)) => Class::DeliveryFailed,
            _ => Class::Session,
        }
    }

    fn stored(&mut self, context: &[u8], before: &[u8], tally: &mut Tally) {
        let bytes = size(before);
        tally.add(Total::MessagesStored, 1);
        tally.add(if bytes.is_some() { Total::StoredBytes } else { Total::MessagesUnsized }, bytes.unwrap_or(1));
        if message(context).is_none_or(|message| self.received.is_new(hash(&[message]))) {
            tally.add(Total::MessagesReceived, 1);
            tally.add(Total::ReceivedBytes, bytes.unwrap_or(0));
        }
    }
}

fn own(rest: &[u8]) -> bool {
    split(rest)
        .is_some_and(|entry| level(entry.said).is_some() && entry.process.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'))
}

fn split(message: &[u8]) -> Option<Entry<'_>> {
    let end = message.iter().position(|byte| matches!(byte, b':' | b'(' | b' ' | b'<'))?;
    let (process, rest) = message.split_at(end);
    // The user's name may hold a colon, but not a colon and a space after a closing bracket.
    let said = match rest[0] {
        b':' => &rest[1..],
        b'(' | b'<' => {
            let round = after(rest, b"): ");
            let angle = after(rest, b">: ");
            match (round, angle) {
                (Some(round), Some(angle)) if round.len() > angle.len() => round,
                (_, Some(angle)) => angle,
                (round, None) => round?,
            }
        }
        _ => return None,
    };
    let context = &rest[..rest.len() - said.len()];
    (!process.is_empty()).then(|| Entry { process, context, said: said.strip_prefix(b" ").unwrap_or(said) })
}

fn level(said: &[u8]) -> Option<(&[u8], &[u8])> {
    let (level, rest) = said.split_at(memchr(b':', said)?);
    let rest = rest.strip_prefix(b": ")?;
    [&b"Info"[..], b"Debug", b"Warning", b"Error", b"Fatal", b"Panic"].contains(&level).then_some((level, rest))
}

fn ended(said: &[u8]) -> bool {
    [&b"Disconnected"[..], b"Logged out", b"Connection closed"].iter().any(|word| said.starts_with(word))
}

/// A login process says one line of each connection: that somebody came in, or why nobody did.
fn login(process: &[u8], said: &[u8], tally: &mut Tally) -> Option<Class> {
    if said.starts_with(b"Login: ") {
        tally.add(Total::Connections, 1);
        return Some(match process {
            b"imap-login" => Class::ImapLogin,
            b"pop3-login" => Class::Pop3Login,
            _ => Class::OtherLogin,
        });
    }
    // What the client sent, a user's name for one, comes after the reason.
    let reason = &said[..after(said, b": user=<").map_or(said.len(), |rest| said.len() - rest.len())];
    let (class, total) = if has(reason, b"Maximum number of connections") || has(reason, b"Too many connections") {
        (Class::Refused, Total::ConnectionsRejected)
    } else if has(reason, b"(auth failed, ") {
        (Class::AuthFailed, Total::ConnectionsFailed)
    } else if has(reason, b"Inactivity") || has(reason, b"inactivity") {
        (Class::Inactive, Total::ConnectionsTimedOut)
    } else if has(reason, b"(no auth attempts") {
        (Class::NoAuth, Total::ConnectionsFailed)
    } else if said.starts_with(b"Disconnected") || said.starts_with(b"Aborted login") {
        (Class::LoginAborted, Total::ConnectionsFailed)
    } else {
        return Some(Class::Session);
    };
    tally.add(Total::Connections, 1);
    tally.add(total, 1);
    Some(class)
}

/// `top=0/0, retr=2/1431, del=0/2, size=2862` of POP3, `body_count=2 body_bytes=2932` of IMAP.
fn end(said: &[u8], retrieved: &[u8], class: Class, tally: &mut Tally) -> Class {
    tally.add(Total::MessagesRetrieved, after(said, retrieved).and_then(number).unwrap_or(0));
    class
}

/// `Disconnect from 127.0.0.1: Connection closed (state=DATA)`.
fn lmtp_end(said: &[u8], tally: &mut Tally) -> Class {
    let (class, total) = if has(said, b"nactivity") {
        (Class::LmtpTimeout, Total::ConnectionsTimedOut)
    } else if AT_REST.iter().any(|words| has(said, words)) {
        return Class::LmtpEnd;
    } else {
        (Class::LmtpLost, Total::ConnectionsFailed)
    };
    tally.add(total, 1);
    class
}

/// The session id of a message: `(alice)<13654><0Y3tHLCkDGsQOgAAg+zDdQ:R2>: `, without the recipient's number.
fn message(context: &[u8]) -> Option<&[u8]> {
    let context = context.strip_suffix(b">: ")?;
    let (before, session) = context.split_at(memrchr(b'<', context)? + 1);
    // A process number alone is no session.
    if !before.ends_with(b"><") || session.is_empty() {
        return None;
    }
    let number = session.len() - session.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    Some(session[..number].strip_suffix(b":R").unwrap_or(session))
}

/// The number at the end of `…, size=2862`.
fn size(before: &[u8]) -> Option<u64> {
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = before.split_at(before.len() - digits);
    before.ends_with(b"size=").then(|| number(digits))?
}
