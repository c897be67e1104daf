//! The message of a delivery: small, recognisable, answered by no machine.

use std::{
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use crate::config::Envelope;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes a probe (RFC 5322). `Auto-Submitted` keeps vacation programs from answering it (RFC 3834 5).
pub(crate) fn probe(envelope: &Envelope, now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let Envelope { from, to } = envelope;
    let headers = [
        format!("From: <{}>", with_domain(from, from)),
        format!("To: <{}>", with_domain(to, from)),
        format!("Date: {}", date(since)),
        format!("Message-ID: {}", message_id(from, since)),
        "Subject: Watchpost probe".into(),
        "Auto-Submitted: auto-generated".into(),
        "MIME-Version: 1.0".into(),
        "Content-Type: text/plain; charset=us-ascii".into(),
    ];
    format!("{}\r\n\r\nThis message measures the mail service. It may be deleted.\r\n", headers.join("\r\n"))
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

/// Date and time as RFC 5322 3.3 writes them, in UTC.
fn date(since: Duration) -> String {
    let (days, of_day) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let (weekday, month) = (WEEKDAYS[(days % 7) as usize], MONTHS[month as usize - 1]);
    format!("{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

/// Year, month and day of a day since 1970. Years begin in March here, so that the odd day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    const OF_400_YEARS: u64 = 146_097;
    const FROM_MARCH_OF_YEAR_0: u64 = 719_468;
    let days = days + FROM_MARCH_OF_YEAR_0;
    let (era, day) = (days / OF_400_YEARS, days % OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(from: &str, to: &str) -> Envelope {
        Envelope { from: from.into(), to: to.into() }
    }

    #[test]
    fn dates_are_right_at_the_edges_of_the_calendar() {
        let check = |secs, expected: &str| assert_eq!(date(Duration::from_secs(secs)), expected);
        check(0, "Thu, 1 Jan 1970 00:00:00 +0000");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000");
        check(1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000");
        check(1_709_251_200, "Fri, 1 Mar 2024 00:00:00 +0000");
        check(1_798_761_599, "Thu, 31 Dec 2026 23:59:59 +0000");
        check(4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000");
    }

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another() {
        assert_eq!(on_the_wire("a\r\n.\r\n..b\r\nc.\r\n"), "a\r\n..\r\n...b\r\nc.\r\n.\r\n");
        assert_eq!(on_the_wire("no end"), "no end\r\n.\r\n");
    }

    #[test]
    fn a_probe_has_the_headers_of_a_message_and_says_that_a_machine_sent_it() {
        let message = probe(&envelope("probe@lab.test", "postmaster"), SystemTime::UNIX_EPOCH);
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(lines[..3], ["From: <probe@lab.test>", "To: <postmaster@lab.test>", "Date: Thu, 1 Jan 1970 00:00:00 +0000"]);
        assert!(lines[3].starts_with("Message-ID: <watchpost.0.") && lines[3].ends_with("@lab.test>"), "{}", lines[3]);
        assert_eq!(lines[4..6], ["Subject: Watchpost probe", "Auto-Submitted: auto-generated"]);
        assert!(message.is_ascii() && message.split("\r\n").all(|line| line.len() < 998 && !line.contains(['\r', '\n'])));
    }

    #[test]
    fn no_two_messages_have_one_name() {
        let name = || message_id("a@b", Duration::from_secs(1));
        assert_ne!(name(), name());
    }
}
