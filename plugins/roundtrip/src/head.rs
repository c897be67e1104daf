//! The head of a message that may be anybody's: marks, and the servers that it passed.

use watchpost_mail::date;

use crate::mark::HEADER;

/// Bytes of a head that are looked at. Every server on the way adds some hundred; what is behind these is not seen.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Servers that are told; RFC 5321 6.3 takes a hundred for a loop.
const HOPS_MAX: usize = 30;
/// Characters of a server's name.
const NAME_CHARS_MAX: usize = 100;

/// What matters of a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Values of our header, whoever wrote them.
    pub(crate) marks: Vec<String>,
    /// The servers that it passed, the first one first.
    pub(crate) hops: Vec<Hop>,
}

/// One server on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    /// What it calls itself.
    pub(crate) by: String,
    /// When it took the message, in whole seconds since 1970 by its own clock; `None` if that cannot be read.
    pub(crate) at: Option<u64>,
}

impl Head {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]);
        let mut head = Self::default();
        let mut field = String::new();
        for line in text.lines() {
            // RFC 5322 2.2.3: a line that begins with a space goes on with the one before.
            if line.starts_with([' ', '\t']) {
                field.push_str(line);
                continue;
            }
            head.take(&std::mem::take(&mut field));
            if line.is_empty() {
                break;
            }
            field.push_str(line);
        }
        head.take(&field);
        // Each server writes above what it finds.
        head.hops.truncate(HOPS_MAX);
        head.hops.reverse();
        head
    }

    fn take(&mut self, field: &str) {
        let Some((name, value)) = field.split_once(':') else { return };
        if name.trim_end().eq_ignore_ascii_case(HEADER) {
            self.marks.push(value.trim().to_owned());
        } else if name.trim_end().eq_ignore_ascii_case("Received") {
            self.hops.extend(hop(value));
        }
    }
}

/// RFC 5321 4.4: `from … by NAME … ; date`. What names no server is no hop.
fn hop(value: &str) -> Option<Hop> {
    let (said, date) = value.rsplit_once(';').unwrap_or((value, ""));
    let mut words = said.split_ascii_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("by"));
    let by: String = words.nth(1)?.chars().filter(|c| c.is_ascii_alphanumeric() || "._:-[]".contains(*c)).take(NAME_CHARS_MAX).collect();
    (!by.is_empty()).then(|| Hop { by: by.to_ascii_lowercase(), at: date::read(date) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POSTFIX: &str = "Return-Path: <probe@lab.test>\r\nDelivered-To: alice@lab.test\r\n\
        Received: from mail.lab.test ([127.0.0.1])\r\n\tby mail.lab.test with LMTP\r\n\tid 7\r\n\t(envelope-from <probe@lab.test>)\r\n\t\
        for <alice@lab.test>; Sun, 29 Nov 2026 22:14:15 +0000\r\n\
        Received: from [127.0.0.1] (localhost [127.0.0.1])\r\n\tby MX1.lab.test (Postfix; by hand) with ESMTP id 4\r\n\t\
        for <alice@lab.test>; Sun, 29 Nov 2026 23:14:14 +0100 (CET)\r\n\
        From: <probe@lab.test>\r\nX-Watchpost-Roundtrip: a b\r\n c\r\n\r\nReceived: by body; x\r\nX-Watchpost-Roundtrip: body\r\n";

    fn hop(by: &str, at: Option<u64>) -> Hop {
        Hop { by: by.into(), at }
    }

    #[test]
    fn hops_are_told_in_the_order_of_the_way_and_a_folded_mark_is_whole() {
        let head = Head::read(POSTFIX.as_bytes());
        assert_eq!(head.marks, ["a b c"]);
        assert_eq!(head.hops, [hop("mx1.lab.test", Some(1_795_990_454)), hop("mail.lab.test", Some(1_795_990_455))]);
    }

    #[test]
    fn a_hop_without_a_time_has_none_and_one_without_a_name_is_none() {
        let head = |received: &str| Head::read(format!("Received: {received}\r\n\r\n").as_bytes()).hops;
        assert_eq!(head("from a by b with c; whenever"), [hop("b", None)]);
        assert_eq!(head("from a by b with c"), [hop("b", None)]);
        assert_eq!(head("from a with c; 29 Nov 2026 22:14:14 +0000"), []);
        assert_eq!(head("by \"\u{1b}é\" x"), []);
        assert_eq!(head(&format!("by {}", "x".repeat(5000))), [hop(&"x".repeat(100), None)]);
        let many = "Received: by a\r\n".repeat(5000);
        assert_eq!(Head::read(many.as_bytes()).hops.len(), HOPS_MAX);
    }

    #[test]
    fn what_stands_behind_the_bound_is_not_seen() {
        let huge = format!("X-Pad: {}\r\nX-Watchpost-Roundtrip: a\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(Head::read(huge.as_bytes()), Head::default());
    }

    proptest! {
        #[test]
        fn no_bytes_whatsoever_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "(Received|X-Watchpost-Roundtrip|by|;|:|\\r\\n|[ \\t]|.){0,40}") {
            Head::read(&bytes);
            Head::read(text.as_bytes());
        }
    }
}
