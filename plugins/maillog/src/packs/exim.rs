//! Exim's mainlog. Ids have 16 characters, or 23 since 4.97.

use watchpost_logs::{
    head::{stamped, word},
    text::{after, has, number},
};

use super::{Pack, classes};
use crate::{
    config::Config,
    tally::{Seen, Tally, Total},
};

classes! {
    Received = "received",
    BounceReceived = "bounce_received",
    Delivered = "delivered",
    DeliveredAlso = "delivered_also",
    CutThrough = "cut_through",
    Suppressed = "suppressed",
    Failed = "failed",
    Deferred = "deferred",
    FakeReject = "fakereject",
    Completed = "completed",
    MessageNote = "message_note",
    Connect = "connect",
    Disconnect = "disconnect",
    Lost = "lost_connection",
    TimedOut = "timeout",
    Refused = "connection_refused",
    Rejected = "rejected",
    Incomplete = "incomplete_transaction",
    QueueRun = "queue_run",
    Tls = "tls",
    Auth = "auth_failed",
    Service = "service_note",
}

/// The pack `exim`.
pub(crate) struct Exim;

impl Pack for Exim {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = &[
        Total::MessagesReceived,
        Total::MessagesStored,
        Total::MessagesSent,
        Total::MessagesDeferred,
        Total::MessagesBounced,
        Total::MessagesProcessed,
        Total::ReceivedBytes,
        Total::Connections,
        Total::ConnectionsFailed,
        Total::ConnectionsRejected,
        Total::ConnectionsTimedOut,
    ];

    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
        let Some(mut rest) = stamped(line) else { return Seen::Unknown };
        if rest.first() == Some(&b'[')
            && let Some((_, said)) = word(rest)
        {
            // log_selector +pid
            rest = said;
        }
        let told = match word(rest) {
            Some((id, said)) if is_id(id) => of_message(said, tally),
            _ => elsewhere(rest, tally),
        };
        told.map_or(Seen::Unknown, Seen::from)
    }
}

impl Exim {
    pub(crate) fn new(_: &Config) -> Self {
        Self
    }
}

/// `1xUzYk-00000t-0A`, `1xUzYk-000000000zz-0A1b`
fn is_id(id: &[u8]) -> bool {
    let dashes: &[usize] = match id.len() {
        16 => &[6, 13],
        23 => &[6, 18],
        _ => return false,
    };
    id.iter().enumerate().all(|(at, byte)| if dashes.contains(&at) { *byte == b'-' } else { byte.is_ascii_alphanumeric() })
}

fn of_message(said: &[u8], tally: &mut Tally) -> Option<Class> {
    let (flag, rest) = word(said).unwrap_or((said, b""));
    let class = match flag {
        b"<=" => {
            tally.add(Total::MessagesReceived, 1);
            if let Some(bytes) = after(rest, b" S=").and_then(number) {
                tally.add(Total::ReceivedBytes, bytes);
            }
            return Some(if rest.starts_with(b"<> ") { Class::BounceReceived } else { Class::Received });
        }
        b"=>" => Class::Delivered,
        b"->" => Class::DeliveredAlso,
        b">>" => Class::CutThrough,
        b"*>" => return Some(Class::Suppressed),
        b"(=" => return Some(Class::FakeReject),
        b"**" => {
            tally.add(Total::MessagesBounced, 1);
            return Some(Class::Failed);
        }
        b"==" => {
            tally.add(Total::MessagesDeferred, 1);
            return Some(Class::Deferred);
        }
        b"Completed" => {
            tally.add(Total::MessagesProcessed, 1);
            return Some(Class::Completed);
        }
        _ => return Some(rejected(said, tally).unwrap_or(Class::MessageNote)),
    };
    tally.add(Total::MessagesSent, 1);
    // Only another machine has a host.
    if !has(rest, b" H=") {
        tally.add(Total::MessagesStored, 1);
    }
    Some(class)
}

/// What is said of connections and of Exim itself.
fn elsewhere(said: &[u8], tally: &mut Tally) -> Option<Class> {
    let begins = |word: &[u8]| said.starts_with(word);
    if begins(b"SMTP connection from ") {
        let (class, total) = match () {
            () if has(said, b"(TCP/IP connection count = ") => (Class::Connect, Total::Connections),
            () if has(said, b" closed by ") => return Some(Class::Disconnect),
            () if has(said, b" lost") => (Class::Lost, Total::ConnectionsFailed),
            () => return Some(Class::Disconnect),
        };
        tally.add(total, 1);
        return Some(class);
    }
    if begins(b"Connection from ") && has(said, b" refused") {
        tally.add(Total::ConnectionsRejected, 1);
        return Some(Class::Refused);
    }
    if begins(b"SMTP command timeout on ") || begins(b"SMTP data timeout ") {
        tally.add(Total::ConnectionsTimedOut, 1);
        return Some(Class::TimedOut);
    }
    if begins(b"unexpected disconnection while reading SMTP command ") {
        tally.add(Total::ConnectionsFailed, 1);
        return Some(Class::Lost);
    }
    if begins(b"Start queue run") || begins(b"End queue run") {
        return Some(Class::QueueRun);
    }
    if begins(b"exim ") || begins(b"no host name found ") || begins(b"no IP address found ") || begins(b"cwd=") || begins(b"Spool ") {
        return Some(Class::Service);
    }
    if begins(b"TLS ") {
        return Some(Class::Tls);
    }
    if has(said, b" authenticator failed for ") {
        return Some(Class::Auth);
    }
    if begins(b"H=") && has(said, b" incomplete transaction ") {
        return Some(Class::Incomplete);
    }
    rejected(said, tally)
}

fn rejected(said: &[u8], _: &mut Tally) -> Option<Class> {
    let is = (said.starts_with(b"H=") || said.starts_with(b"U=")) && (has(said, b" rejected ") || has(said, b" temporarily rejected "));
    (is || said.starts_with(b"rejected ")).then_some(Class::Rejected)
}
