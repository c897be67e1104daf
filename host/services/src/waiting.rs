//! What a run waits for, as far as its dialogue tells: named when the run meets its deadline.
//!
//! What the target said is never quoted: it may be anybody's mail. What the agent said is, masked: it is the agent's own protocol.

use std::time::Duration;

use tokio::time::Instant;

/// A target that has said something so lately goes on.
const JUST_NOW: Duration = Duration::from_millis(250);
/// Characters of a quoted line.
const QUOTED_CHARS_MAX: usize = 80;

/// What was said since the target was last heard, and what is being done.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// What the host is doing for the run: "the TLS handshake with mail.lab.test".
    doing: Option<String>,
    /// What was reached last: "the connection to 127.0.0.1:25".
    reached: Option<String>,
    /// The first line that the agent said, and how many more before the target spoke again.
    asked: Option<(String, usize)>,
    /// Whether the target has spoken since.
    answered: bool,
    /// When it did last.
    heard: Option<Instant>,
}

impl Waiting {
    /// The host begins something that may take long.
    pub(crate) fn begins(&mut self, what: String) {
        self.doing = Some(what);
    }

    /// The host has ended what it began, well or not.
    pub(crate) fn ends(&mut self) {
        self.doing = None;
    }

    /// A new stretch of the session begins: nothing was said in it.
    pub(crate) fn reaches(&mut self, what: String) {
        self.ends();
        if self.answered {
            self.asked = None;
        }
        (self.reached, self.answered) = (Some(what), false);
    }

    /// The agent said a line.
    pub(crate) fn asks(&mut self, line: &str) {
        self.ends();
        if self.answered {
            (self.asked, self.answered) = (None, false);
        }
        match &mut self.asked {
            Some((_, more)) => *more += 1,
            None => self.asked = Some((quoted(line), 0)),
        }
    }

    /// The target said something.
    pub(crate) fn answers(&mut self) {
        self.ends();
        self.answered = true;
        self.heard = Some(Instant::now());
    }

    /// Whether something came just now: then it is the end that is missing, and not the next word.
    fn goes_on(&self) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < JUST_NOW)
    }

    /// Says what has not come; `None` when nothing was ever begun.
    pub(crate) fn told(&self) -> Option<String> {
        if let Some(doing) = &self.doing {
            return Some(format!("no end of {doing}"));
        }
        match (&self.asked, &self.reached, self.answered) {
            (Some((line, _)), _, true) if self.goes_on() => Some(format!("no end of the answer to `{line}`")),
            (None, Some(reached), true) if self.goes_on() => Some(format!("no end of what followed {reached}")),
            (None, None, true) if self.goes_on() => Some("no end of what came".to_owned()),
            (Some((line, 0)), _, false) => Some(format!("no answer to `{line}`")),
            (Some((line, more)), _, false) => {
                Some(format!("no answer to `{line}` and {more} more {}", if *more == 1 { "line" } else { "lines" }))
            }
            (Some((line, _)), _, true) => Some(format!("nothing more came after the answer to `{line}` began")),
            (None, Some(reached), false) => Some(format!("nothing came after {reached}")),
            (None, Some(reached), true) => Some(format!("nothing more came after what followed {reached}")),
            (None, None, true) => Some("nothing more came".to_owned()),
            (None, None, false) => None,
        }
    }
}

/// The beginning of a line, in one line.
fn quoted(line: &str) -> String {
    let shown = |c: char| if c.is_control() || c == '`' { '\u{fffd}' } else { c };
    let line = line.trim_end();
    let mut text = String::with_capacity(line.len().min(4 * QUOTED_CHARS_MAX) + '…'.len_utf8());
    text.extend(line.chars().take(QUOTED_CHARS_MAX).map(shown));
    if line.chars().nth(QUOTED_CHARS_MAX).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told after these steps: `!` reaches, `>` asks, `<` answers, `+` begins, `-` ends.
    fn check(steps: &[&str], expected: Option<&str>) {
        let mut waiting = Waiting::default();
        for step in steps {
            let text = step[1..].to_owned();
            match &step[..1] {
                "!" => waiting.reaches(text),
                ">" => waiting.asks(&text),
                "<" => {
                    waiting.answers();
                    waiting.heard = waiting.heard.and_then(|now| now.checked_sub(JUST_NOW * 2));
                }
                "~" => waiting.answers(),
                "+" => waiting.begins(text),
                _ => waiting.ends(),
            }
        }
        assert_eq!(waiting.told().as_deref(), expected, "{steps:?}");
    }

    #[test]
    fn a_deadline_names_what_has_not_come() {
        check(&[], None);
        check(&["+the look-up of mx1"], Some("no end of the look-up of mx1"));
        check(&["+the look-up of mx1", "-"], None);
        check(&["!the connection to mx1:25"], Some("nothing came after the connection to mx1:25"));
        check(&["!the connection to mx1:25", "<220"], Some("nothing more came after what followed the connection to mx1:25"));
        let greeted = ["!the connection to mx1:25", "<220", ">EHLO me"];
        check(&greeted, Some("no answer to `EHLO me`"));
        check(&[&greeted[..], &["<250-a"]].concat(), Some("nothing more came after the answer to `EHLO me` began"));
        check(&[&greeted[..], &["<250 a", ">AUTH PLAIN <secret>"]].concat(), Some("no answer to `AUTH PLAIN <secret>`"));
        check(&[&greeted[..], &[">MAIL", ">RCPT"]].concat(), Some("no answer to `EHLO me` and 2 more lines"));
        check(&[&greeted[..], &["<250-a", "~250-b"]].concat(), Some("no end of the answer to `EHLO me`"));
        check(&["!the connection to mx1:25", "~220-a"], Some("no end of what followed the connection to mx1:25"));
        let secured = [&greeted[..], &["<250 a", ">STARTTLS", "<220 go", "+the TLS handshake with mx1"]].concat();
        check(&secured, Some("no end of the TLS handshake with mx1"));
        check(&[&secured[..], &["!the TLS handshake with mx1"]].concat(), Some("nothing came after the TLS handshake with mx1"));
    }

    #[test]
    fn a_request_that_was_said_before_it_could_be_sent_waits_for_its_answer() {
        check(&[">GET / HTTP/1.1", ">host: a", "!the connection to a:80"], Some("no answer to `GET / HTTP/1.1` and 1 more line"));
    }

    #[test]
    fn a_long_line_is_cut_and_is_one_line() {
        check(&[&format!(">{}", "ä".repeat(81))], Some(&format!("no answer to `{}…`", "ä".repeat(80))));
        check(&[">a`b\u{1b}[31m\r"], Some("no answer to `a\u{fffd}b\u{fffd}[31m`"));
    }
}
