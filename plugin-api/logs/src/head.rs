//! What stands before a message: stamp, host, program.
//!
//! Stamps are passed over, not believed: RFC 3164 has neither year nor zone, and nothing that is counted depends on them.

use memchr::memchr;

/// What a line of syslog says before its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The machine that wrote it.
    pub host: &'a [u8],
    /// The program, as it calls itself: `postfix/smtpd`, `dovecot`.
    pub program: &'a [u8],
    /// The number of its process, as digits; empty if there is none.
    pub pid: &'a [u8],
    /// The message.
    pub message: &'a [u8],
}

/// Reads a line of syslog: RFC 3164 and RFC 5424, with ISO stamps too, with or without the priority in front.
pub fn syslog(line: &[u8]) -> Option<Head<'_>> {
    let line = without_priority(line);
    if let Some(rest) = line.strip_prefix(b"1 ")
        && iso(rest).is_some()
    {
        return rfc5424(rest);
    }
    let (host, rest) = word(stamped(line)?)?;
    let colon = memchr(b':', rest)?;
    let tag = &rest[..colon];
    // A tag has no spaces; a message that has no tag may have a colon anywhere.
    let (program, pid) = match memchr(b'[', tag) {
        Some(bracket) if tag.ends_with(b"]") => (&tag[..bracket], &tag[bracket + 1..tag.len() - 1]),
        _ => (tag, &tag[..0]),
    };
    if program.is_empty() || memchr(b' ', program).is_some() {
        return None;
    }
    let message = &rest[colon + 1..];
    Some(Head { host, program, pid, message: message.strip_prefix(b" ").unwrap_or(message) })
}

/// What follows the stamp: RFC 3164's (`Nov 22 05:01:47`), or ISO's with a `T` or a space in it, with or without fractions and zone.
pub fn stamped(line: &[u8]) -> Option<&[u8]> {
    match line.first()? {
        b'0'..=b'9' => iso(line),
        _ => rfc3164(line),
    }
}

fn rfc3164(line: &[u8]) -> Option<&[u8]> {
    // The day has two places as a rule; some loggers forget the space before a single digit.
    let shift = match line.get(15) {
        Some(b' ') if line[6] == b' ' => 0,
        _ if line.get(14) == Some(&b' ') && line[5] == b' ' => 1,
        _ => return None,
    };
    let is_time = line[3] == b' ' && line[9 - shift] == b':' && line[12 - shift] == b':';
    (is_time && line[0].is_ascii_uppercase()).then(|| &line[16 - shift..])
}

fn iso(line: &[u8]) -> Option<&[u8]> {
    let is_iso = line.len() > 19 && line[4] == b'-' && line[7] == b'-' && line[13] == b':' && line[16] == b':';
    if !is_iso || !matches!(line[10], b'T' | b' ') || !line[0].is_ascii_digit() {
        return None;
    }
    let (_, rest) = word(&line[11..])?;
    // A zone of its own, as in `05:01:47 +0100`.
    match rest.first() {
        Some(b'+' | b'-') if rest.len() > 5 && rest[5] == b' ' && rest[1..5].iter().all(u8::is_ascii_digit) => Some(&rest[6..]),
        _ => Some(rest),
    }
}

/// RFC 5424 6: stamp, host, program, process, message id, structured data, message.
fn rfc5424(line: &[u8]) -> Option<Head<'_>> {
    let (host, rest) = word(iso(line)?)?;
    let (program, rest) = word(rest)?;
    let (pid, rest) = word(rest)?;
    let (_, mut rest) = word(rest)?;
    if let Some(none) = rest.strip_prefix(b"-") {
        rest = none;
    }
    while rest.first() == Some(&b'[') {
        rest = after_element(rest)?;
    }
    let message = rest.strip_prefix(b" ").unwrap_or(rest);
    let pid = pid.strip_prefix(b"-").unwrap_or(pid);
    Some(Head { host, program, pid, message: message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message) })
}

/// Passes over one `[element key="value"]`; a quoted value may hold an escaped bracket or quote.
fn after_element(text: &[u8]) -> Option<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(&text[at + 1..]),
            _ => {}
        }
    }
    None
}

fn without_priority(line: &[u8]) -> &[u8] {
    if line.first() != Some(&b'<') {
        return line;
    }
    match memchr(b'>', &line[..line.len().min(5)]) {
        Some(end) if end > 1 && line[1..end].iter().all(u8::is_ascii_digit) => &line[end + 1..],
        _ => line,
    }
}

/// The first word, and what follows the space after it.
pub fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b' ', text)?;
    Some((&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(line: &str, expected: Option<(&str, &str, &str, &str)>) {
        let head = expected.map(|(host, program, pid, message)| Head {
            host: host.as_bytes(),
            program: program.as_bytes(),
            pid: pid.as_bytes(),
            message: message.as_bytes(),
        });
        assert_eq!(syslog(line.as_bytes()), head, "{line}");
    }

    #[test]
    fn heads_of_every_syslog_are_read() {
        let expected = Some(("mx1", "postfix/smtpd", "284", "connect from a"));
        check("Nov 22 05:01:47 mx1 postfix/smtpd[284]: connect from a", expected);
        check("Nov  2 05:01:47 mx1 postfix/smtpd[284]: connect from a", expected);
        check("Nov 2 05:01:47 mx1 postfix/smtpd[284]: connect from a", expected);
        check("<22>Nov 22 05:01:47 mx1 postfix/smtpd[284]: connect from a", expected);
        check("2026-11-22T05:01:47.123456+01:00 mx1 postfix/smtpd[284]: connect from a", expected);
        check("2026-11-22 05:01:47 +0100 mx1 postfix/smtpd[284]: connect from a", expected);
        check("<22>1 2026-11-22T05:01:47Z mx1 postfix/smtpd 284 - - connect from a", expected);
        check("1 2026-11-22T05:01:47Z mx1 postfix/smtpd 284 - [a@1 b=\"\\\"]\"][c] \u{feff}connect from a", expected);
        check("Nov 22 05:01:47 mx1 kernel: up", Some(("mx1", "kernel", "", "up")));
        for none in ["", "connect from a", "Nov 22 05:01:47", "Nov 22 05:01:47 mx1 ", "Nov 22 05:01:47 mx1 a b: c", "<999999>x: y", "1 "] {
            check(none, None);
        }
    }

    proptest! {
        #[test]
        fn no_line_is_more_than_unknown(line in proptest::collection::vec(any::<u8>(), 0..80), at in 0usize..4) {
            let fronts: [&[u8]; 4] = [b"", b"Nov 22 05:01:47 ", b"2026-11-22T05:01:47Z ", b"<1>1 2026-11-22T05:01:47Z h p 1 - ["];
            let line = [fronts[at], &line].concat();
            let _ = syslog(&line);
        }
    }
}
