//! A server's reply: one code, one or more lines of text (RFC 5321 4.2).

use watchpost_plugin_api::{AgentError, Lines, quoted};

/// Lines of one reply; an EHLO of a large server has two dozen.
const LINES_MAX: usize = 100;
/// Bytes of one reply, all lines together.
const BYTES_MAX: usize = 64 * 1024;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// Text after the code, line by line.
    pub(crate) lines: Vec<String>,
}

impl Reply {
    /// Reads a whole reply.
    ///
    /// Errors: kind `protocol` for what is no reply, for codes that differ within one, and for one without an end.
    pub(crate) async fn read(from: &mut Lines) -> Result<Self, AgentError> {
        let mut gathering = Gathering::default();
        loop {
            if let Some(reply) = gathering.take(&from.read().await?)? {
                return Ok(reply);
            }
        }
    }

    /// Says whether it is a success: 2yz.
    pub(crate) fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Says whether the command is unknown or unwelcome for good: 5yz.
    pub(crate) fn is_refusal_for_good(&self) -> bool {
        self.code / 100 == 5
    }

    /// Fails unless it is the code wanted; `to` names what it answers.
    pub(crate) fn wanted(self, code: u16, to: &str) -> Result<Self, AgentError> {
        match self.code == code {
            true => Ok(self),
            false => Err(self.unwelcome(to)),
        }
    }

    /// Fails unless it is a success; `to` names what it answers.
    pub(crate) fn positive(self, to: &str) -> Result<Self, AgentError> {
        match self.is_positive() {
            true => Ok(self),
            false => Err(self.unwelcome(to)),
        }
    }

    /// The error for a reply that ends the session.
    pub(crate) fn unwelcome(&self, to: &str) -> AgentError {
        AgentError::protocol(format!("{to}: the server answered {}", self.quoted()))
    }

    /// Code and text as a message may show them.
    pub(crate) fn quoted(&self) -> String {
        let text = self.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ");
        format!("{} {}", self.code, quoted(&text)).trim_end().to_owned()
    }
}

/// A reply of which some lines have come.
#[derive(Default)]
struct Gathering {
    code: Option<u16>,
    lines: Vec<String>,
    bytes: usize,
}

impl Gathering {
    /// Takes a line; gives the reply if that was its last.
    fn take(&mut self, line: &str) -> Result<Option<Reply>, AgentError> {
        let (code, last, text) = parts(line).ok_or_else(|| AgentError::protocol(format!("no SMTP reply: \"{}\"", quoted(line))))?;
        if let Some(first) = self.code.replace(code)
            && first != code
        {
            return Err(AgentError::protocol(format!("one reply with two codes, {first} and {code}")));
        }
        self.bytes += line.len();
        if self.lines.len() == LINES_MAX || self.bytes > BYTES_MAX {
            return Err(AgentError::protocol(format!("a reply without an end: more than {LINES_MAX} lines or {BYTES_MAX} bytes")));
        }
        self.lines.push(text.to_owned());
        Ok(last.then(|| Reply { code, lines: std::mem::take(&mut self.lines) }))
    }
}

/// Code, whether the line is the last of its reply, and text; `None` if it is no reply line.
fn parts(line: &str) -> Option<(u16, bool, &str)> {
    let code = line.get(..3).filter(|code| code.bytes().all(|digit| digit.is_ascii_digit()))?;
    let code: u16 = code.parse().ok().filter(|code| (200..600).contains(code))?;
    match line.as_bytes().get(3) {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(lines: &[&str]) -> Result<Option<Reply>, String> {
        let mut gathering = Gathering::default();
        for line in lines {
            if let Some(reply) = gathering.take(line).map_err(|error| error.message().to_owned())? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    fn check(lines: &[&str], expected: &str) {
        let found = match gather(lines) {
            Ok(Some(reply)) => reply.quoted(),
            Ok(None) => "goes on".into(),
            Err(message) => message,
        };
        assert_eq!(found, expected, "{lines:?}");
    }

    #[test]
    fn a_reply_ends_with_the_line_that_has_no_hyphen() {
        check(&["220 mx ready"], "220 mx ready");
        check(&["250-mx", "250-SIZE", "250 HELP"], "250 mx / SIZE / HELP");
        check(&["250-mx"], "goes on");
        check(&["250"], "250");
        check(&["250-", "250 "], "250");
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        check(&["HTTP/1.1 400 Bad Request"], "no SMTP reply: \"HTTP/1.1 400 Bad Request\"");
        check(&["", "250 ok"], "no SMTP reply: \"\"");
        check(&["25"], "no SMTP reply: \"25\"");
        check(&["2500 ok"], "no SMTP reply: \"2500 ok\"");
        check(&["099 ok"], "no SMTP reply: \"099 ok\"");
        check(&["700 ok"], "no SMTP reply: \"700 ok\"");
        check(&["+50 ok"], "no SMTP reply: \"+50 ok\"");
        check(&["2é0 ok"], "no SMTP reply: \"2é0 ok\"");
        check(&["\u{1b}[2J\0"], "no SMTP reply: \"\\u{1b}[2J\\u{0}\"");
        check(&["250-a", "550 b"], "one reply with two codes, 250 and 550");
    }

    #[test]
    fn a_reply_has_a_bound_and_a_quotation_a_shorter_one() {
        let lines = vec!["250-x"; 101];
        check(&lines, "a reply without an end: more than 100 lines or 65536 bytes");
        let long = format!("250-{}", "x".repeat(40_000));
        check(&[&long, &long], "a reply without an end: more than 100 lines or 65536 bytes");
        let long = format!("550 {}", "é".repeat(1000));
        assert_eq!(gather(&[&long]).unwrap().unwrap().quoted().chars().count(), "550 ".len() + 301);
    }
}
