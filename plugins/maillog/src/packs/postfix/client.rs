//! Connections that Postfix makes to deliver: by smtp(8) and lmtp(8), which write no line of a connection as such.
//!
//! A delivery tells its relay, and with `conn_use=` that an earlier connection served. The recipients of one message that went over one
//! connection are told one by one, by one process, with the same times before the transmission.

use watchpost_logs::{
    memchr::{memchr, memrchr},
    text::{after, has},
};

use super::{Class, tls};
use crate::{
    recent::{Recent, hash},
    tally::{Tally, Total},
};

/// How replies begin that tell of a connection which came to nothing.
const BROKEN: [&[u8]; 5] =
    [b"lost connection with ", b"conversation with ", b"Cannot start TLS", b"Server certificate not ", b"TLS is required, "];

/// Who tells of a delivery: the process, and the message.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) pid: &'a [u8],
    pub(super) id: &'a [u8],
}

/// Says whether a service makes connections of its own.
pub(super) fn connects(service: &[u8]) -> bool {
    matches!(service, b"smtp" | b"lmtp" | b"relay")
}

/// `relay[ip]:25, conn_use=2, delay=4, delays=1/0.1/2/0.9, dsn=2.0.0`, and what the other side said in brackets.
pub(super) fn delivered(recent: &mut Recent, of: Of<'_>, facts: &[u8], reply: &[u8], tally: &mut Tally) {
    let Some(end) = memchr(b',', facts) else { return };
    let (relay, rest) = facts.split_at(end);
    // Without a relay none was reached; each that was tried has a line of its own.
    if relay == b"none" || rest.starts_with(b", conn_use=") {
        return;
    }
    let times = after(rest, b", delays=").and_then(|times| times.get(..memrchr(b'/', times)?)).unwrap_or(b"");
    if recent.is_new(hash(&[of.pid, of.id, relay, times])) {
        tally.add(Total::RelayConnections, 1);
        if reply.strip_prefix(b" (").is_some_and(is_broken) {
            tally.add(Total::RelayErrors, 1);
        }
    }
}

/// What is said of a message beside its deliveries: `host mx[ip] said: …` before the next host is tried.
pub(super) fn noted(recent: &mut Recent, of: Of<'_>, told: &[u8], tally: &mut Tally) -> Option<Class> {
    let failed = is_broken(told);
    if failed || told.starts_with(b"host ") && has(told, b"] said: ") {
        let host = &told[..memchr(b']', told).unwrap_or(told.len())];
        let host = &host[memrchr(b' ', host).map_or(0, |at| at + 1)..];
        if recent.is_new(hash(&[of.pid, of.id, host])) {
            tally.add(Total::RelayConnections, 1);
            tally.add(Total::RelayErrors, u64::from(failed));
        }
    }
    known(told)
}

/// What is said without a message: `connect to mx[ip]:25: Connection refused`.
pub(super) fn said(message: &[u8], tally: &mut Tally) -> Option<Class> {
    if message.starts_with(b"connect to ") {
        tally.add(Total::RelayConnections, 1);
        tally.add(Total::RelayErrors, 1);
    }
    known(message)
}

fn is_broken(told: &[u8]) -> bool {
    // `host mx[ip] refused to talk to me: …`; what follows is the other side's.
    let refused = || told.split(|byte| *byte == b']').nth(1).is_some_and(|rest| rest.starts_with(b" refused to talk to me: "));
    BROKEN.iter().any(|begin| told.starts_with(begin)) || told.starts_with(b"host ") && refused()
}

fn known(told: &[u8]) -> Option<Class> {
    let is_note =
        [&b"connect to "[..], b"enabling PIX", b"breaking line > "].iter().any(|begin| told.starts_with(begin)) || has(told, b"host ");
    let is_note = is_note || has(told, b"lost connection") || has(told, b"timed out");
    tls(told).or_else(|| is_note.then_some(Class::DeliveryNote))
}
