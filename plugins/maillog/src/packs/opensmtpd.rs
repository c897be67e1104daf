//! OpenSMTPD, since its log has sessions with ids of 16 hexadecimal digits.

use watchpost_logs::{
    head::{syslog, word},
    text::{after, has, number},
};

use super::{Pack, classes};
use crate::{
    config::Config,
    tally::{Seen, Tally, Total},
};

classes! {
    Connected = "connect",
    Disconnected = "disconnect",
    Lost = "lost_connection",
    TimedOut = "timeout",
    Message = "received",
    Envelope = "envelope",
    FailedCommand = "failed_command",
    Sent = "sent",
    Stored = "stored",
    TempFail = "deferred",
    PermFail = "bounced",
    Expired = "expired",
    Session = "session_note",
    Relay = "relay_note",
    Service = "service_note",
}

/// The pack `opensmtpd`.
pub(crate) struct Opensmtpd;

impl Pack for Opensmtpd {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = &[
        Total::MessagesReceived,
        Total::MessagesStored,
        Total::MessagesSent,
        Total::MessagesDeferred,
        Total::MessagesBounced,
        Total::ReceivedBytes,
        Total::Connections,
        Total::ConnectionsFailed,
        Total::ConnectionsTimedOut,
    ];

    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
        let Some(head) = syslog(line) else { return Seen::Unknown };
        if head.program != b"smtpd" {
            return Seen::Foreign;
        }
        let told = match word(head.message) {
            Some((id, said)) if id.len() == 16 && id.iter().all(u8::is_ascii_hexdigit) => session(said, tally),
            _ => elsewhere(head.message),
        };
        told.map_or(Seen::Unknown, Seen::from)
    }
}

impl Opensmtpd {
    pub(crate) fn new(_: &Config) -> Self {
        Self
    }
}

fn session(said: &[u8], tally: &mut Tally) -> Option<Class> {
    let (side, rest) = word(said)?;
    let (event, rest) = word(rest).unwrap_or((rest, b""));
    match (side, event) {
        (b"smtp", b"connected") => {
            tally.add(Total::Connections, 1);
            Some(Class::Connected)
        }
        (b"smtp", b"disconnected") => Some(disconnected(rest, tally)),
        (b"smtp", b"message") => {
            tally.add(Total::MessagesReceived, 1);
            tally.add(Total::ReceivedBytes, after(rest, b" size=").and_then(number)?);
            Some(Class::Message)
        }
        (b"smtp", b"envelope") => Some(Class::Envelope),
        (b"smtp", b"failed-command") => Some(Class::FailedCommand),
        (b"mta" | b"mda", b"delivery") => delivery(side, rest, tally),
        (b"smtp", _) => Some(Class::Session),
        (b"mta" | b"mda", _) => Some(Class::Relay),
        _ => None,
    }
}

fn disconnected(rest: &[u8], tally: &mut Tally) -> Class {
    let reason = rest.strip_prefix(b"reason=").unwrap_or(rest);
    let (class, total) = match reason {
        b"quit" => return Class::Disconnected,
        b"timeout" => (Class::TimedOut, Total::ConnectionsTimedOut),
        _ => (Class::Lost, Total::ConnectionsFailed),
    };
    tally.add(total, 1);
    class
}

/// `evpid=… from=<…> to=<…> … delay=1s result="Ok" stat="…"`: what the other server said comes last.
fn delivery(side: &[u8], rest: &[u8], tally: &mut Tally) -> Option<Class> {
    let result = after(rest, b" result=\"")?;
    let (class, total) = match () {
        () if result.starts_with(b"Ok\"") => {
            if side == b"mda" {
                tally.add(Total::MessagesStored, 1);
            }
            (if side == b"mda" { Class::Stored } else { Class::Sent }, Total::MessagesSent)
        }
        () if result.starts_with(b"TempFail\"") => (Class::TempFail, Total::MessagesDeferred),
        () if result.starts_with(b"PermFail\"") || result.starts_with(b"Loop\"") => (Class::PermFail, Total::MessagesBounced),
        () => return None,
    };
    tally.add(total, 1);
    Some(class)
}

fn elsewhere(said: &[u8]) -> Option<Class> {
    let begins = |word: &[u8]| said.starts_with(word);
    match () {
        () if begins(b"relay: Expire for ") => Some(Class::Expired),
        () if begins(b"mta: ") || begins(b"smtp-out: ") || begins(b"relay: ") || has(said, b" preference ") => Some(Class::Relay),
        () if begins(b"smtpd: ") || begins(b"info: ") || begins(b"warn: ") || begins(b"queue: ") || begins(b"scheduler: ") => {
            Some(Class::Service)
        }
        () => None,
    }
}
