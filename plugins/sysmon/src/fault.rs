//! What a line says is wrong.

use watchpost_logs::{
    head::{Head, stamped, syslog},
    memchr::{memchr, memchr_iter},
};
use watchpost_plugin_api::Severity;

use crate::config::{Format, Words};

/// Names of severities, as the label `severity` has them.
pub(crate) const SEVERITIES: [(Severity, &str); 5] = [
    (Severity::Indeterminate, "indeterminate"),
    (Severity::Warning, "warning"),
    (Severity::Minor, "minor"),
    (Severity::Major, "major"),
    (Severity::Critical, "critical"),
];

/// A fault that a line tells of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault<'a> {
    pub(crate) process: &'a [u8],
    pub(crate) severity: Severity,
    /// What the server calls it: an event's name, or the word for its severity.
    pub(crate) code: &'a [u8],
    pub(crate) text: &'a [u8],
}

/// Finds faults in lines of one format.
pub(crate) struct Finder {
    format: Format,
    words: Vec<(Severity, Vec<String>)>,
}

impl Finder {
    pub(crate) fn new(format: Format, words: &Words) -> Self {
        let lower = |list: &[String]| list.iter().map(|word| word.to_lowercase()).collect();
        let words = vec![
            (Severity::Critical, lower(&words.critical)),
            (Severity::Major, lower(&words.major)),
            (Severity::Minor, lower(&words.minor)),
            (Severity::Warning, lower(&words.warning)),
        ];
        Self { format, words }
    }

    /// The fault a line tells of; most tell of none.
    pub(crate) fn fault<'a>(&self, line: &'a [u8]) -> Option<Fault<'a>> {
        match self.format {
            Format::Postfix => postfix(&syslog(line)?),
            Format::Dovecot => dovecot(line),
            Format::Intermail => intermail(line),
            Format::Words => self.words(&syslog(line)?),
        }
    }

    fn words<'a>(&self, head: &Head<'a>) -> Option<Fault<'a>> {
        let lower = String::from_utf8_lossy(head.message).to_lowercase();
        let (severity, _) = self.words.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)))?;
        Some(Fault { process: head.program, severity: *severity, code: b"words", text: head.message })
    }
}

/// `postfix/smtpd[1]: fatal: …`, and `QID: warning: …`
fn postfix<'a>(head: &Head<'a>) -> Option<Fault<'a>> {
    if !head.program.starts_with(b"postfix") {
        return None;
    }
    let mut message = head.message;
    if let Some(end) = memchr(b':', message)
        && end >= 6
        && message[..end].iter().all(u8::is_ascii_alphanumeric)
        && message[..end].iter().any(u8::is_ascii_digit)
    {
        message = message.get(end + 2..)?;
    }
    let end = memchr(b':', message)?;
    let severity = match &message[..end] {
        b"warning" => Severity::Warning,
        b"error" => Severity::Minor,
        // The process ends, and the master starts another.
        b"fatal" => Severity::Major,
        b"panic" => Severity::Critical,
        _ => return None,
    };
    let process = head.program.rsplit(|byte| *byte == b'/').next()?;
    Some(Fault { process, severity, code: &message[..end], text: message.get(end + 2..)? })
}

/// `dovecot: imap(alice)<1><a>: Error: …`, or without host and program in a log of its own.
fn dovecot(line: &[u8]) -> Option<Fault<'_>> {
    let message = match syslog(line) {
        Some(head) if head.program == b"dovecot" => head.message,
        _ => stamped(line)?,
    };
    let end = message.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')?;
    for colon in memchr_iter(b':', message) {
        let rest = message[colon + 1..].strip_prefix(b" ").unwrap_or(&[]);
        let length = memchr(b':', rest)?;
        let severity = match &rest[..length] {
            b"Warning" => Severity::Warning,
            b"Error" => Severity::Minor,
            b"Fatal" => Severity::Major,
            b"Panic" => Severity::Critical,
            // What follows another level is text, whatever words it has.
            b"Info" | b"Debug" => return None,
            _ => continue,
        };
        let text = rest[length + 1..].trim_ascii_start();
        return (end > 0).then_some(Fault { process: &message[..end], severity, code: &rest[..length], text });
    }
    None
}

/// `… mta 2003 18 0 Erro;NioConnRefused(44/240) …`: where the process stands is inferred, so it is the first word of letters after the
/// third place that is no number; the rest is looked for wherever it is.
fn intermail(line: &[u8]) -> Option<Fault<'_>> {
    for at in memchr_iter(b';', line) {
        let (before, rest) = (&line[..at], &line[at + 1..]);
        let code = &rest[..memchr(b'(', rest)?];
        let severity = match before.rsplit(|byte| matches!(byte, b' ' | b'\t' | b'|' | b':')).next()? {
            b"Warn" => Severity::Warning,
            b"Erro" => Severity::Minor,
            b"Urgt" => Severity::Major,
            b"Fatl" => Severity::Critical,
            b"Note" => return None,
            _ => continue,
        };
        let process = before.split(|byte| *byte == b' ').skip(3).find(|word| word.first().is_some_and(u8::is_ascii_alphabetic));
        let code = if !code.is_empty() && code.iter().all(u8::is_ascii_alphanumeric) { code } else { b"event" };
        return Some(Fault { process: process.unwrap_or(b"unknown"), severity, code, text: rest });
    }
    None
}
