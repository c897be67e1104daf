//! Domino's console. Sizes of stored messages are rounded to KB there, so the volume is too.

use watchpost_logs::text::{after, has, number};

use super::{Pack, classes};
use crate::{
    config::Config,
    tally::{Seen, Tally, Total},
};

classes! {
    Delivered = "delivered",
    Transferred = "transferred",
    NotTransferred = "not_transferred",
    NotDelivered = "not_delivered",
    Forwarded = "auto_forwarded",
    RouterNote = "router_note",
    Received = "received_smtp",
    Connected = "connect",
    Disconnected = "disconnect",
    SmtpNote = "smtp_note",
}

/// The pack `domino`.
pub(crate) struct Domino;

impl Pack for Domino {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = &[
        Total::MessagesReceived,
        Total::MessagesStored,
        Total::MessagesSent,
        Total::MessagesBounced,
        Total::ReceivedBytes,
        Total::StoredBytes,
        Total::Connections,
    ];

    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
        let Some(said) = said(line) else { return Seen::Unknown };
        if let Some(said) = said.strip_prefix(b"Router: ") {
            return router(said, tally).map_or(Seen::Unknown, Seen::from);
        }
        match said.strip_prefix(b"SMTP Server: ") {
            Some(said) => smtp(said, tally).map_or(Seen::Unknown, Seen::from),
            None => Seen::Foreign,
        }
    }
}

impl Domino {
    pub(crate) fn new(_: &Config) -> Self {
        Self
    }
}

/// What follows `[pid:thread] date time`; date, separators and a 12 hour clock are the system's, so only their digits are asked for.
fn said(line: &[u8]) -> Option<&[u8]> {
    let mut rest = line;
    if rest.first() == Some(&b'[') {
        rest = after(rest, b"] ")?.trim_ascii_start();
    }
    for _ in 0..2 {
        let end = rest.iter().position(|byte| *byte == b' ')?;
        if !rest[0].is_ascii_digit() || end > 12 {
            return None;
        }
        rest = rest[end..].trim_ascii_start();
    }
    for half in [&b"AM "[..], b"PM "] {
        rest = rest.strip_prefix(half).unwrap_or(rest);
    }
    Some(rest.trim_ascii_start())
}

fn router(said: &[u8], tally: &mut Tally) -> Option<Class> {
    let Some(message) = said.strip_prefix(b"Message ") else { return Some(Class::RouterNote) };
    // The number of the message, then what became of it; names come after that.
    let end = message.iter().position(|byte| *byte == b' ')?;
    let became = &message[end + 1..];
    let begins = |word: &[u8]| became.starts_with(word);
    let (class, total) = match () {
        () if begins(b"delivered to ") => {
            if let Some(kilobytes) = after(became, b" Size: ").and_then(number) {
                tally.add(Total::StoredBytes, kilobytes.saturating_mul(1024));
            }
            (Class::Delivered, Total::MessagesStored)
        }
        () if begins(b"transferred to ") => (Class::Transferred, Total::MessagesSent),
        () if begins(b"NOT transferred ") => (Class::NotTransferred, Total::MessagesBounced),
        () if begins(b"NOT delivered ") => (Class::NotDelivered, Total::MessagesBounced),
        () if begins(b"auto forwarded ") || begins(b"forwarded ") => return Some(Class::Forwarded),
        () => return None,
    };
    tally.add(total, 1);
    Some(class)
}

fn smtp(said: &[u8], tally: &mut Tally) -> Option<Class> {
    if said.starts_with(b"Message ") && has(said, b") received from ") {
        let received = after(said, b") received from ")?;
        tally.add(Total::ReceivedBytes, after(received, b" size ").and_then(number)?);
        tally.add(Total::MessagesReceived, 1);
        return Some(Class::Received);
    }
    if said.ends_with(b" connected") {
        tally.add(Total::Connections, 1);
        return Some(Class::Connected);
    }
    Some(if has(said, b" disconnected") { Class::Disconnected } else { Class::SmtpNote })
}
