//! Postfix. Figures about deliveries count recipients, as its lines do.

mod client;
mod files;

use watchpost_logs::{
    head::syslog,
    memchr::{memchr, memmem::Finder, memrchr},
    text::{after, has, number},
};

use self::{
    client::Of,
    files::{Activation, Files},
};
use super::{Pack, classes, named, severity};
use crate::{
    config::Config,
    recent::{Recent, hash},
    tally::{Seen, Tally, Total},
};

/// How what is kept between runs is laid out: this, how many recent connections, those, and the queue files.
const LAYOUT: u64 = 2;
/// More often than that no logger repeats a line.
const TIMES_MAX: u64 = 1_000_000;

classes! {
    Connect = "connect",
    Disconnect = "disconnect",
    Lost = "lost_connection",
    TimedOut = "timeout",
    TooMany = "too_many_errors",
    ConnectionRefused = "connection_refused",
    Client = "received_smtp",
    Reinjected = "reinjected",
    Pickup = "received_local",
    Reject = "reject",
    MilterReject = "milter_reject",
    Action = "access_action",
    AuthFailed = "auth_failed",
    Tls = "tls",
    Cleanup = "message_id",
    Header = "header_info",
    FirstActive = "queued",
    ReinjectedActive = "queued_reinjected",
    Active = "requeued",
    Removed = "removed",
    Expired = "expired",
    QueueNote = "queue_note",
    Sent = "sent",
    Stored = "stored",
    HandedOn = "handed_to_filter",
    Forwarded = "forwarded",
    Deferred = "deferred",
    Bounced = "bounced",
    Probe = "probe",
    Discarded = "discarded",
    Notice = "bounce_notice",
    DeliveryNote = "delivery_note",
    Postscreen = "postscreen",
    Statistics = "statistics",
    Service = "service_note",
    Warning = "warning",
    Error = "error",
    Fatal = "fatal",
    Panic = "panic",
}

/// The pack `postfix`.
pub(crate) struct Postfix {
    only: Vec<String>,
    reinjected: Vec<String>,
    /// The first activation of a file counts its bytes as received, each delivery to a mailbox as stored.
    files: Files,
    /// Connections of the delivering clients that were told of.
    connections: Recent,
    relay: Finder<'static>,
    status: Finder<'static>,
    size: Finder<'static>,
}

impl Pack for Postfix {
    const CLASSES: &[&str] = Class::NAMES;
    const TOTALS: &[Total] = &[
        Total::MessagesReceived,
        Total::MessagesStored,
        Total::MessagesSent,
        Total::MessagesDeferred,
        Total::MessagesBounced,
        Total::MessagesProcessed,
        Total::ReceivedBytes,
        Total::StoredBytes,
        Total::MessagesUnsized,
        Total::Connections,
        Total::ConnectionsFailed,
        Total::ConnectionsRejected,
        Total::ConnectionsTimedOut,
        Total::RelayConnections,
        Total::RelayErrors,
    ];

    #[inline]
    fn line(&mut self, line: &[u8], tally: &mut Tally) -> Seen {
        let Some(head) = syslog(line) else { return Seen::Unknown };
        if !head.program.starts_with(b"postfix") || !self.counts(head.program) {
            return Seen::Foreign;
        }
        let Some(slash) = memrchr(b'/', head.program) else { return Seen::Unknown };
        let (instance, service) = (&head.program[..slash], &head.program[slash + 1..]);
        let mut message = head.message;
        if message.starts_with(b"message repeated ") {
            (tally.times, message) = repeated(message).unwrap_or((1, message));
        }
        self.message(Writer { instance, service, pid: head.pid }, message, tally).map_or(Seen::Unknown, Seen::from)
    }

    fn keep(&self) -> Vec<u64> {
        let connections: Vec<u64> = self.connections.keep().collect();
        [&[LAYOUT, connections.len() as u64], connections.as_slice(), &self.files.keep()].concat()
    }

    fn go_on(&mut self, kept: &[u64]) {
        if let [LAYOUT, connections, kept @ ..] = kept
            && let Some((connections, files)) = usize::try_from(*connections).ok().and_then(|count| kept.split_at_checked(count))
        {
            self.connections.go_on(connections);
            self.files.go_on(files);
        }
    }
}

/// Who wrote a line.
#[derive(Clone, Copy)]
struct Writer<'a> {
    instance: &'a [u8],
    service: &'a [u8],
    pid: &'a [u8],
}

impl Postfix {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            only: config.only.clone(),
            reinjected: config.reinjected.iter().map(|name| format!("/{name}")).collect(),
            files: Files::default(),
            connections: Recent::new(),
            relay: Finder::new(b">, relay="),
            status: Finder::new(b", status="),
            size: Finder::new(b">, size="),
        }
    }

    fn counts(&self, program: &[u8]) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| named(program, name))
    }

    fn message(&mut self, writer: Writer<'_>, message: &[u8], tally: &mut Tally) -> Option<Class> {
        if let Some((id, told)) = queue_id(message) {
            return self.of_queue_file(writer, id, told, tally);
        }
        if message.ends_with(b" has changed -- restarting") {
            return Some(Class::Service);
        }
        let severe = severity(message, [Class::Warning, Class::Error, Class::Fatal, Class::Panic]);
        match writer.service {
            b"smtpd" | b"submission" | b"smtps" => session(message, severe, tally),
            b"postscreen" if message.starts_with(b"NOQUEUE: reject") => Some(Class::Reject),
            b"postscreen" | b"dnsblog" | b"tlsproxy" => severe.or(Some(Class::Postscreen)),
            b"anvil" | b"scache" => severe.or_else(|| message.starts_with(b"statistics: ").then_some(Class::Statistics)),
            b"smtp" | b"lmtp" | b"relay" | b"local" | b"virtual" | b"pipe" | b"error" | b"retry" => {
                severe.or_else(|| client::said(message, tally))
            }
            b"cleanup" if message.starts_with(b"NOQUEUE: ") => Some(verdict(&message[9..]).unwrap_or(Class::Action)),
            b"qmgr" | b"cleanup" | b"pickup" | b"bounce" | b"master" | b"postfix-script" | b"postlog" | b"sendmail" | b"postdrop"
            | b"postsuper" | b"postqueue" | b"showq" | b"tlsmgr" | b"verify" | b"trivial-rewrite" | b"proxymap" | b"flush"
            | b"postalias" | b"postmap" | b"postmulti" | b"spawn" | b"discard" | b"policyd-spf" => severe.or(Some(Class::Service)),
            _ => severe,
        }
    }

    /// A line about a message.
    fn of_queue_file(&mut self, writer: Writer<'_>, id: &[u8], told: &[u8], tally: &mut Tally) -> Option<Class> {
        match told.first()? {
            b't' if told.starts_with(b"to=<") => self.delivery(writer, id, told, tally),
            b'f' if told.starts_with(b"from=<") => self.queued(id, told, tally),
            b'r' if told == b"removed" => {
                self.files.remove(hash(&[id]));
                tally.add(Total::MessagesProcessed, 1);
                Some(Class::Removed)
            }
            b'm' if told.starts_with(b"message-id=") => {
                self.files.expect(hash(&[id]), false);
                Some(Class::Cleanup)
            }
            b'c' if told.starts_with(b"client=") => {
                let class = self.received(writer.instance, told, tally);
                if class == Class::Reinjected {
                    self.files.expect(hash(&[id]), true);
                }
                Some(class)
            }
            b'u' if told.starts_with(b"uid=") => {
                tally.add(Total::MessagesReceived, 1);
                Some(Class::Pickup)
            }
            b's' if told.starts_with(b"sender ") => Some(Class::Notice),
            b'p' if told.starts_with(b"postmaster ") => Some(Class::Notice),
            b'i' if told.starts_with(b"info: ") => Some(Class::Header),
            b'r' if told.starts_with(b"resent-message-id=") => Some(Class::QueueNote),
            _ if client::connects(writer.service) => client::noted(&mut self.connections, Of { pid: writer.pid, id }, told, tally),
            _ => verdict(told).or_else(|| note(writer.service, told)),
        }
    }

    fn received(&self, instance: &[u8], told: &[u8], tally: &mut Tally) -> Class {
        let named = self.reinjected.iter().any(|name| instance.ends_with(name.as_bytes()));
        // XFORWARD: the filter says what the message was before.
        if named || has(told, b", orig_queue_id=") || has(told, b", orig_client=") {
            return Class::Reinjected;
        }
        tally.add(Total::MessagesReceived, 1);
        Class::Client
    }

    /// A message became active. It does so again at every try, and only the first time is told by nothing but what came before.
    fn queued(&mut self, id: &[u8], told: &[u8], tally: &mut Tally) -> Option<Class> {
        let Some(at) = self.size.find(told) else {
            let is_expired = has(told, b">, status=expired, ") || has(told, b">, status=force-expired, ");
            return is_expired.then_some(Class::Expired);
        };
        let bytes = number(&told[at + 8..])?;
        Some(match self.files.activate(hash(&[id]), bytes) {
            Activation::Again => Class::Active,
            Activation::FirstReinjected => Class::ReinjectedActive,
            Activation::First => {
                tally.add(Total::ReceivedBytes, bytes);
                Class::FirstActive
            }
        })
    }

    /// `to=<…>, orig_to=<…>, relay=…, delay=…, delays=…, dsn=…, status=sent (…)`: the words in brackets are the other server's.
    fn delivery(&mut self, writer: Writer<'_>, id: &[u8], told: &[u8], tally: &mut Tally) -> Option<Class> {
        let facts = &told[self.relay.find(told)? + 9..];
        let (facts, status) = facts.split_at(self.status.find(facts)?);
        let status = &status[9..];
        let (status, reply) = status.split_at(memchr(b' ', status).unwrap_or(status.len()));
        if client::connects(writer.service) {
            client::delivered(&mut self.connections, Of { pid: writer.pid, id }, facts, reply, tally);
        }
        let class = match status {
            b"sent" => match writer.service {
                b"discard" => return Some(Class::Discarded),
                b"local" if reply.starts_with(b" (forwarded as ") => return Some(Class::Forwarded),
                b"lmtp" | b"local" | b"virtual" => {
                    self.stored(id, tally);
                    return Some(Class::Stored);
                }
                _ if has(reply, b" from MTA(") => return Some(Class::HandedOn),
                _ => Class::Sent,
            },
            b"deferred" | b"SOFTBOUNCE" => Class::Deferred,
            b"bounced" => Class::Bounced,
            b"deliverable" | b"undeliverable" => return Some(Class::Probe),
            b"expired" => return Some(Class::Expired),
            _ => return None,
        };
        let total = match class {
            Class::Sent => Total::MessagesSent,
            Class::Deferred => Total::MessagesDeferred,
            _ => Total::MessagesBounced,
        };
        tally.add(total, 1);
        Some(class)
    }

    fn stored(&self, id: &[u8], tally: &mut Tally) {
        tally.add(Total::MessagesStored, 1);
        tally.add(Total::MessagesSent, 1);
        match self.files.bytes(hash(&[id])) {
            Some(bytes) => tally.add(Total::StoredBytes, bytes),
            None => tally.add(Total::MessagesUnsized, 1),
        }
    }
}

/// What smtpd says of a session.
fn session(message: &[u8], severe: Option<Class>, tally: &mut Tally) -> Option<Class> {
    let begins = |word: &[u8]| message.starts_with(word);
    let (class, total) = match message.first()? {
        b'c' if begins(b"connect from ") => (Class::Connect, Total::Connections),
        b'd' if begins(b"disconnect from ") => return Some(Class::Disconnect),
        b'l' if begins(b"lost connection after ") => (Class::Lost, Total::ConnectionsFailed),
        b't' if begins(b"timeout after ") => (Class::TimedOut, Total::ConnectionsTimedOut),
        b't' if begins(b"too many errors after ") => (Class::TooMany, Total::ConnectionsFailed),
        b'N' if begins(b"NOQUEUE: ") => return verdict(&message[9..]).or_else(|| tls(&message[9..])),
        b'w' if begins(b"warning: Connection ") && has(message, b" limit exceeded: ") => {
            (Class::ConnectionRefused, Total::ConnectionsRejected)
        }
        b'w' if begins(b"warning: ") && has(message, b"]: SASL ") && has(message, b" authentication failed") => {
            return Some(Class::AuthFailed);
        }
        _ => return severe.or_else(|| tls(message)).or_else(|| begins(b"improper command pipelining after ").then_some(Class::Service)),
    };
    tally.add(total, 1);
    Some(class)
}

/// What an access rule, or a filter, did.
fn verdict(told: &[u8]) -> Option<Class> {
    let (action, _) = told.split_at(memchr(b':', told)?);
    match action {
        b"reject" => Some(Class::Reject),
        b"milter-reject" => Some(Class::MilterReject),
        b"hold" | b"milter-hold" | b"discard" | b"milter-discard" | b"filter" | b"redirect" | b"prepend" | b"replace" | b"warn"
        | b"bcc" | b"permit" | b"client" | b"strip" | b"pass" => Some(Class::Action),
        _ => None,
    }
}

fn tls(message: &[u8]) -> Option<Class> {
    let is_tls = has(message, b"TLS connection ") || message.starts_with(b"SSL_") || has(message, b"certificate verification failed");
    is_tls.then_some(Class::Tls)
}

/// What is said of a message that no figure depends on.
fn note(service: &[u8], told: &[u8]) -> Option<Class> {
    match service {
        b"qmgr" => Some(Class::QueueNote),
        b"postsuper" | b"local" | b"pipe" | b"virtual" | b"cleanup" => Some(Class::DeliveryNote),
        b"smtpd" if has(told, b" from ") => Some(Class::Action),
        _ => None,
    }
}

/// `QID: …`: hexadecimal digits, or letters and digits without vowels where ids are long.
fn queue_id(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = message.iter().take(21).position(|byte| !byte.is_ascii_alphanumeric())?;
    let is_id = end >= 6 && message[end] == b':' && message.get(end + 1) == Some(&b' ') && message[..end] != *b"NOQUEUE";
    // A word such as `warning` has small letters only; an id has digits or capitals.
    let is_id = is_id && message[..end].iter().any(|byte| !byte.is_ascii_lowercase());
    is_id.then(|| (&message[..end], &message[end + 2..]))
}

/// rsyslog: `message repeated 3 times: [ connect from …]`.
fn repeated(message: &[u8]) -> Option<(u64, &[u8])> {
    let rest = after(message, b"message repeated ")?;
    let times = number(rest)?;
    let inner = after(rest, b" times: [")?;
    let inner = inner.strip_prefix(b" ").unwrap_or(inner).strip_suffix(b"]")?;
    Some((times.clamp(1, TIMES_MAX), inner))
}
