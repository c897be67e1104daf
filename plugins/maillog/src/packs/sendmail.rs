//! Sendmail, and what logs as it does. Figures about deliveries count recipients; one line can name several.

use watchpost_logs::{
    head::{syslog, word},
    memchr::memmem,
    text::{after, has, number},
};

use super::{Pack, classes};
use crate::{
    config::Config,
    tally::{Seen, Tally, Total},
};

classes! {
    Connect = "connect",
    Lost = "lost_connection",
    TimedOut = "timeout",
    Refused = "connection_refused",
    NoMail = "no_mail",
    Received = "received",
    Sent = "sent",
    Stored = "stored",
    Deferred = "deferred",
    Queued = "queued",
    Failed = "failed",
    Done = "done",
    Notice = "bounce_notice",
    Reject = "reject",
    Auth = "auth",
    Tls = "tls",
    Milter = "milter",
    MessageNote = "message_note",
    Service = "service_note",
}

/// The pack `sendmail`.
pub(crate) struct Sendmail;

impl Pack for Sendmail {
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
        let Some(head) = syslog(line) else { return Seen::Unknown };
        if !matches!(head.program, b"sendmail" | b"sm-mta" | b"sm-msp-queue" | b"sm-que" | b"MTA" | b"sm-acceptingconnections") {
            return Seen::Foreign;
        }
        told(head.message, tally).map_or(Seen::Unknown, Seen::from)
    }
}

impl Sendmail {
    pub(crate) fn new(_: &Config) -> Self {
        Self
    }
}

fn told(message: &[u8], tally: &mut Tally) -> Option<Class> {
    let Some((id, said)) = word(message).filter(|(id, _)| is_id(id)) else {
        let refuses = message.starts_with(b"rejecting connections ");
        let is_service = message.starts_with(b"starting daemon ") || message.starts_with(b"alias database ") || has(message, b"runqueue");
        return (refuses || is_service).then_some(if refuses { Class::Refused } else { Class::Service });
    };
    let _ = id;
    let begins = |word: &[u8]| said.starts_with(word);
    match said.first()? {
        b'f' if begins(b"from=") => {
            // Without a size it is no message yet: `from=<a>, size=0, class=0, nrcpts=0` is what is left of a session without one.
            let bytes = after(said, b", size=").and_then(number)?;
            if after(said, b", nrcpts=").and_then(number) == Some(0) {
                return Some(Class::MessageNote);
            }
            tally.add(Total::MessagesReceived, 1);
            tally.add(Total::ReceivedBytes, bytes);
            Some(Class::Received)
        }
        b't' if begins(b"to=") => delivery(said, tally),
        b'd' if begins(b"done; ") => {
            tally.add(Total::MessagesProcessed, 1);
            Some(Class::Done)
        }
        b'c' if begins(b"connect from ") => {
            tally.add(Total::Connections, 1);
            Some(Class::Connect)
        }
        b'l' if begins(b"lost input channel from ") => {
            tally.add(Total::ConnectionsFailed, 1);
            Some(Class::Lost)
        }
        b't' if begins(b"timeout waiting for input from ") => {
            tally.add(Total::ConnectionsTimedOut, 1);
            Some(Class::TimedOut)
        }
        b'r' if begins(b"ruleset=") => Some(Class::Reject),
        b'A' if begins(b"AUTH") => Some(Class::Auth),
        b'S' if begins(b"STARTTLS") => Some(Class::Tls),
        b'M' | b'm' if begins(b"Milter") || begins(b"milter=") => Some(Class::Milter),
        _ if has(said, b": DSN: ") || has(said, b": return to sender: ") || has(said, b": sender notify: ") => Some(Class::Notice),
        _ if has(said, b" did not issue MAIL/EXPN/VRFY/ETRN during connection") => Some(Class::NoMail),
        _ => Some(Class::MessageNote),
    }
}

/// `to=<a>,<b>, delay=…, …, stat=Sent (…)`; what the other server said stands in `reply=` before, or in brackets after it.
fn delivery(said: &[u8], tally: &mut Tally) -> Option<Class> {
    let end = memmem::find(said, b", delay=")?;
    let recipients = 1 + memmem::find_iter(&said[..end], b">,<").count() as u64;
    let status = after(&said[end..], b", stat=")?;
    let (class, total) = match () {
        () if status.starts_with(b"Sent") => {
            let is_local = has(&said[end..], b", mailer=local,") || has(&said[end..], b", mailer=lmtp,");
            if is_local {
                tally.add(Total::MessagesStored, recipients);
            }
            (if is_local { Class::Stored } else { Class::Sent }, Total::MessagesSent)
        }
        () if status.starts_with(b"Deferred") => (Class::Deferred, Total::MessagesDeferred),
        () if status.starts_with(b"queued") => return Some(Class::Queued),
        () => (Class::Failed, Total::MessagesBounced),
    };
    tally.add(total, recipients);
    Some(class)
}

/// `6AM51l6P028409:`, `NOQUEUE:`
fn is_id(word: &[u8]) -> bool {
    let Some((b':', id)) = word.split_last() else { return false };
    id == b"NOQUEUE" || (id.len() >= 12 && id.iter().all(u8::is_ascii_alphanumeric) && id[0].is_ascii_digit())
}
