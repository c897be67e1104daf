//! What a scripted server does, as data.

use std::time::Duration;

use crate::authority::ServerTls;

/// One thing that a server does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes at once.
    Send(Vec<u8>),
    /// Sends these bytes one by one, waiting before each.
    Trickle(Vec<u8>, Duration),
    /// Sends these bytes again and again, until the client goes.
    Flood(Vec<u8>),
    /// Reads a line, which must have these parts in this order, the first at its beginning.
    Expect(Vec<String>),
    /// Reads lines up to and with the one that is just this.
    ExpectUntil(String),
    /// Reads a message, whose whole length the function tells as soon as enough of it has come; these bytes must be somewhere in it.
    ExpectMessage(fn(&[u8]) -> Option<usize>, Vec<u8>),
    /// Does nothing for a while.
    Pause(Duration),
    /// Does nothing until the client goes; what it sends is not read as lines.
    Silence,
    /// Closes the connection.
    Cut,
    /// Resets the connection.
    Reset,
    /// Does a TLS handshake; a client that refuses it ends the script.
    Tls(ServerTls),
}

/// What a server does from the beginning to the end of one connection; after the last step it closes.
///
/// Lines end in CR LF; `say` adds it, `expect` takes it off.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(crate) steps: Vec<Step>,
}

impl Script {
    /// Begins a script; the client is connected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any step.
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds all steps of another script.
    pub fn then(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        self
    }

    /// Gives what comes before each thing that a client waits for, a line or a handshake, in order: the places where a server can fail it.
    pub fn prefixes(&self) -> Vec<Self> {
        let awaited = |step: &Step| matches!(step, Step::Send(_) | Step::Trickle(..) | Step::Flood(_) | Step::Tls(_));
        let places = self.steps.iter().enumerate().filter(|(_, step)| awaited(step));
        places.map(|(at, _)| Self { steps: self.steps[..at].to_vec() }).collect()
    }

    /// Waits before everything it says.
    pub fn slowed(self, wait: Duration) -> Self {
        let slowed = self.steps.into_iter().flat_map(|step| match step {
            Step::Send(_) => vec![Step::Pause(wait), step],
            other => vec![other],
        });
        Self { steps: slowed.collect() }
    }

    /// Says a line. A text of several lines is sent at once.
    pub fn say(self, text: &str) -> Self {
        let lines: String = text.lines().map(|line| format!("{line}\r\n")).collect();
        self.send(lines)
    }

    /// Sends bytes as they are.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Says a line byte by byte, waiting before each.
    pub fn trickle(self, text: &str, every: Duration) -> Self {
        self.step(Step::Trickle(format!("{text}\r\n").into_bytes(), every))
    }

    /// Sends a line without end.
    pub fn endless_line(self) -> Self {
        self.step(Step::Flood(b"x".to_vec()))
    }

    /// Says a line again and again, without end.
    pub fn endless_lines(self, text: &str) -> Self {
        self.step(Step::Flood(format!("{text}\r\n").into_bytes()))
    }

    /// Sends what belongs to no protocol.
    pub fn garbage(self) -> Self {
        self.send(b"\x00\xff\x1b[31m\x07 SSH-2.0-garbage\r\n".as_slice())
    }

    /// Waits for a line that begins so.
    pub fn expect(self, prefix: &str) -> Self {
        self.expect_parts(&[prefix])
    }

    /// Waits for a line that has these parts in this order, the first at its beginning.
    pub fn expect_parts(self, parts: &[&str]) -> Self {
        self.step(Step::Expect(parts.iter().map(|&part| part.to_owned()).collect()))
    }

    /// Reads lines up to and with the one that is just `line`.
    pub fn expect_until(self, line: &str) -> Self {
        self.step(Step::ExpectUntil(line.to_owned()))
    }

    /// Waits for a message of a protocol that has no lines; `length` tells how long one is as soon as enough of it has come.
    pub fn expect_message(self, length: fn(&[u8]) -> Option<usize>, part: impl Into<Vec<u8>>) -> Self {
        self.step(Step::ExpectMessage(length, part.into()))
    }

    /// Does nothing for a while.
    pub fn pause(self, time: Duration) -> Self {
        self.step(Step::Pause(time))
    }

    /// Does nothing more, and does not close either.
    pub fn silence(self) -> Self {
        self.step(Step::Silence)
    }

    /// Closes the connection here.
    pub fn cut(self) -> Self {
        self.step(Step::Cut)
    }

    /// Resets the connection here.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Does a TLS handshake here: at the beginning for implicit TLS, after the answer to STARTTLS in the middle.
    pub fn tls(self, tls: &ServerTls) -> Self {
        self.step(Step::Tls(tls.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_can_fail_its_client_before_each_thing_that_the_client_waits_for() {
        let script = Script::new().say("220 hi").expect("EHLO").say("250 ok").pause(Duration::ZERO).endless_line();
        let lengths: Vec<usize> = script.prefixes().iter().map(|prefix| prefix.steps.len()).collect();
        assert_eq!(lengths, [0, 2, 4]);
    }
}
