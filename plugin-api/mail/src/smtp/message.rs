//! A message of ours: small, recognisable, answered by no machine.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use super::Envelope;
use crate::date;

/// A message that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Between whom.
    pub envelope: &'a Envelope,
    /// What it is called.
    pub subject: &'a str,
    /// Headers beside those that every message of ours has, each `Name: value`.
    pub headers: &'a [String],
    /// What people read who find it; ASCII.
    pub text: &'a str,
}

impl Message<'_> {
    /// Writes it (RFC 5322). `Auto-Submitted` keeps vacation programs from answering it (RFC 3834 5).
    pub fn written(&self, now: SystemTime) -> String {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let Envelope { from, to } = self.envelope;
        let usual = [
            format!("From: <{}>", with_domain(from, from)),
            format!("To: <{}>", with_domain(to, from)),
            format!("Date: {}", date::written(since)),
            format!("Message-ID: {}", message_id(from, since)),
            format!("Subject: {}", self.subject),
            "Auto-Submitted: auto-generated".into(),
            "MIME-Version: 1.0".into(),
            "Content-Type: text/plain; charset=us-ascii".into(),
        ];
        format!("{}\r\n\r\n{}\r\n", [&usual[..], self.headers].concat().join("\r\n"), self.text)
    }
}

/// A message as DATA sends it: a dot before each line that begins with one, and a lone dot at the end (RFC 5321 4.5.2).
pub(crate) fn on_the_wire(message: &str) -> String {
    let mut wire = String::with_capacity(message.len() + 8);
    for line in message.split_inclusive("\r\n") {
        if line.starts_with('.') {
            wire.push('.');
        }
        wire.push_str(line);
    }
    if !wire.ends_with("\r\n") {
        wire.push_str("\r\n");
    }
    wire.push_str(".\r\n");
    wire
}

/// The address with a domain: a header's has one even where the envelope's (`postmaster`) has none.
fn with_domain(address: &str, other: &str) -> String {
    match address.contains('@') {
        true => address.to_owned(),
        false => format!("{address}@{}", domain(other)),
    }
}

fn domain(address: &str) -> &str {
    // RFC 6761 6.4: a name that nobody has.
    address.rsplit_once('@').map_or("watchpost.invalid", |(_, domain)| domain)
}

/// A name that no other message has: time, process and a count.
fn message_id(from: &str, since: Duration) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("<watchpost.{}.{}.{count}@{}>", since.as_nanos(), process::id(), domain(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(from: &str, to: &str) -> Envelope {
        Envelope { from: from.into(), to: to.into() }
    }

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another() {
        assert_eq!(on_the_wire("a\r\n.\r\n..b\r\nc.\r\n"), "a\r\n..\r\n...b\r\nc.\r\n.\r\n");
        assert_eq!(on_the_wire("no end"), "no end\r\n.\r\n");
    }

    #[test]
    fn a_probe_has_the_headers_of_a_message_and_says_that_a_machine_sent_it() {
        let envelope = envelope("probe@lab.test", "postmaster");
        let headers = ["X-Mark: 1".to_owned()];
        let message = Message { envelope: &envelope, subject: "Watchpost probe", headers: &headers, text: "Hello." };
        let message = message.written(SystemTime::UNIX_EPOCH);
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(lines[..3], ["From: <probe@lab.test>", "To: <postmaster@lab.test>", "Date: Thu, 1 Jan 1970 00:00:00 +0000"]);
        assert!(lines[3].starts_with("Message-ID: <watchpost.0.") && lines[3].ends_with("@lab.test>"), "{}", lines[3]);
        assert_eq!(lines[4..6], ["Subject: Watchpost probe", "Auto-Submitted: auto-generated"]);
        assert_eq!(lines.last(), Some(&"X-Mark: 1"));
        assert!(message.is_ascii() && message.split("\r\n").all(|line| line.len() < 998 && !line.contains(['\r', '\n'])));
    }

    #[test]
    fn no_two_messages_have_one_name() {
        let name = || message_id("a@b", Duration::from_secs(1));
        assert_ne!(name(), name());
    }
}
