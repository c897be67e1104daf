//! Dovecot: logins, retrieved and stored messages; through syslog, or in a log of its own.

use watchpost_logs::{
    head::{stamped, syslog},
    memchr::memchr,
    text::{after, has, number},
};

use super::{Pack, classes};
use crate::{
    config::Config,
    tally::{Seen, Tally, Total},
};

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
}

impl Pack for Dovecot {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = &[
        Total::MessagesStored,
        Total::MessagesRetrieved,
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
        let Some((process, said)) = split(message) else { return Seen::Unknown };
        if !self.only.is_empty() && !self.only.iter().any(|name| process.starts_with(name.as_bytes())) {
            return Seen::Foreign;
        }
        told(process, said, tally).map_or(Seen::Unknown, Seen::from)
    }
}

impl Dovecot {
    pub(crate) fn new(config: &Config) -> Self {
        Self { only: config.only.clone() }
    }
}

fn own(rest: &[u8]) -> bool {
    split(rest)
        .is_some_and(|(process, said)| level(said).is_some() && process.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'))
}

/// The process, and what it says: `imap(alice)<1234><id>: Disconnected: …`.
fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
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
    (!process.is_empty()).then(|| (process, said.strip_prefix(b" ").unwrap_or(said)))
}

fn level(said: &[u8]) -> Option<(&[u8], &[u8])> {
    let (level, rest) = said.split_at(memchr(b':', said)?);
    let rest = rest.strip_prefix(b": ")?;
    [&b"Info"[..], b"Debug", b"Warning", b"Error", b"Fatal", b"Panic"].contains(&level).then_some((level, rest))
}

fn told(process: &[u8], said: &[u8], tally: &mut Tally) -> Option<Class> {
    let (level, said) = level(said).unwrap_or((b"Info", said));
    match level {
        b"Warning" => return Some(Class::Warning),
        b"Error" => return Some(Class::Error),
        b"Fatal" => return Some(Class::Fatal),
        b"Panic" => return Some(Class::Panic),
        _ => {}
    }
    match process {
        b"imap-login" | b"pop3-login" | b"submission-login" | b"managesieve-login" => login(process, said, tally),
        b"imap" if ended(said) => Some(Class::ImapEnd),
        b"pop3" if ended(said) => {
            // `top=0/0, retr=2/1431, del=0/2, size=2862`
            if let Some(retrieved) = after(said, b" retr=").and_then(number) {
                tally.add(Total::MessagesRetrieved, retrieved);
            }
            Some(Class::Pop3End)
        }
        b"lmtp" | b"lda" | b"deliver" => delivery(said, tally),
        b"imap" | b"pop3" | b"managesieve" | b"submission" | b"indexer-worker" | b"doveadm" | b"imap-hibernate" => Some(Class::Session),
        b"auth" | b"auth-worker" => Some(Class::Auth),
        b"master" | b"config" | b"log" | b"anvil" | b"stats" | b"ssl-params" | b"replicator" | b"dict" | b"quota-status" | b"old-stats"
        | b"indexer" | b"script" | b"dovecot" => Some(Class::Service),
        _ => None,
    }
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

fn delivery(said: &[u8], tally: &mut Tally) -> Option<Class> {
    if said.starts_with(b"Connect from") {
        return Some(Class::LmtpConnect);
    }
    if said.starts_with(b"Disconnect from") {
        return Some(Class::LmtpEnd);
    }
    // `msgid=<…>: saved mail to INBOX`, and by Sieve `sieve: msgid=<…>: stored mail into mailbox 'INBOX'`.
    if has(said, b": saved mail to ") || has(said, b": stored mail into mailbox ") {
        tally.add(Total::MessagesStored, 1);
        return Some(Class::Stored);
    }
    match has(said, b"save failed") || has(said, b"failed to store") {
        true => Some(Class::DeliveryFailed),
        false => Some(Class::Session),
    }
}
