//! A connection on which IMAP is spoken: commands with their tags out, whole responses in.

use watchpost_plugin_api::{AgentError, Cx, Lines, Stream, Tls, TlsFacts, quoted};

use super::response::{Response, literal};

/// How much of a response is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of its lines.
    pub(crate) line_bytes: u64,
    /// Bytes of its literals, all together.
    pub(crate) literal_bytes: u64,
    /// What names the bound of the literals.
    pub(crate) literal_name: &'static str,
    /// Whether the literals are kept, for [`Wire::taken`].
    pub(crate) kept: bool,
}

/// What is enough for everything but lists of numbers and messages.
pub(crate) const SMALL: Bounds =
    Bounds { line_bytes: 64 * 1024, literal_bytes: 64 * 1024, literal_name: "the bound of 64 KiB for a literal", kept: false };

/// One end of a session.
pub(crate) struct Wire<'a> {
    cx: &'a Cx,
    lines: Lines,
    commands: u32,
    /// From now on bytes are counted and not shown, and what the server says is told in words that cannot be a message's.
    hushed: bool,
    /// Literals of the last response, one after the other, if they are kept.
    taken: Vec<u8>,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(cx: &'a Cx, stream: Stream) -> Self {
        Self { cx, lines: Lines::new(stream), commands: 0, hushed: false, taken: Vec::new() }
    }

    /// The tag of the last command.
    pub(crate) fn tag(&self) -> String {
        format!("w{}", self.commands)
    }

    /// Sends a command.
    pub(crate) async fn send(&mut self, command: &str) -> Result<(), AgentError> {
        self.commands += 1;
        self.go_on(&format!("{} {command}", self.tag())).await
    }

    /// Sends a line of a command after its first one.
    pub(crate) async fn go_on(&mut self, line: &str) -> Result<(), AgentError> {
        self.lines.write(line).await?;
        if self.hushed {
            self.cx.note_sent(line);
        }
        Ok(())
    }

    /// Keeps what passes from the dialogue, and the server's words from messages: a message is nobody's business.
    pub(crate) fn hush(&mut self) {
        self.lines.binary();
        self.hushed = true;
    }

    /// Does a TLS handshake and goes on encrypted.
    pub(crate) async fn start_tls(&mut self, tls: &Tls) -> Result<TlsFacts, AgentError> {
        self.lines.start_tls(tls).await
    }

    /// Reads a response with all its lines; of its literals it keeps the announcements.
    ///
    /// Errors: kind `protocol` for what is none, `limit` for literals that are larger than `bounds`.
    pub(crate) async fn receive(&mut self, bounds: &Bounds) -> Result<Response, AgentError> {
        let line = self.lines.read_within(bounds.line_bytes).await?;
        let Some(mut response) = Response::parse(&line) else { return Err(self.no_response(&line)) };
        let mut literal_bytes = 0;
        self.taken.clear();
        // Only data has literals; a text may end as an announcement does.
        if let Response::Data(text) = &mut response {
            let mut announced = literal(text);
            while let Some(bytes) = announced {
                literal_bytes = bytes.saturating_add(literal_bytes);
                if literal_bytes > bounds.literal_bytes {
                    return Err(AgentError::limit(bounds.literal_name));
                }
                self.pass_over(bytes, bounds.kept).await?;
                let rest = self.lines.read_within(bounds.line_bytes).await?;
                announced = literal(&rest);
                text.push_str(&rest);
                if text.len() as u64 > bounds.line_bytes {
                    return Err(AgentError::protocol(format!("a response without an end: more than {} KiB", bounds.line_bytes / 1024)));
                }
            }
        }
        if self.hushed {
            self.cx.note_received(&in_words(&response, &self.tag(), literal_bytes));
            if let Response::Untagged(status) = &mut response {
                status.text.clear();
            }
        }
        Ok(response)
    }

    /// The literals of the last response, if they were to be kept.
    pub(crate) fn taken(&self) -> &[u8] {
        &self.taken
    }

    /// Takes that many bytes, and keeps them or not.
    async fn pass_over(&mut self, bytes: u64, kept: bool) -> Result<(), AgentError> {
        let mut left = bytes;
        while left > 0 {
            let arrived = self.lines.peek().await?;
            let taken = usize::try_from(left).map_or(arrived.len(), |left| left.min(arrived.len()));
            if kept {
                self.taken.extend_from_slice(&arrived[..taken]);
            }
            self.lines.consume(taken);
            left -= taken as u64;
        }
        Ok(())
    }

    fn no_response(&self, line: &str) -> AgentError {
        self.unquoting(AgentError::protocol(format!("no IMAP response: \"{}\"", quoted(line))))
    }

    /// An error about something that the server said, without its words where these could be a message's.
    pub(crate) fn unquoting(&self, error: AgentError) -> AgentError {
        match (self.hushed, error.message().split_once(": \"")) {
            (true, Some((what, _))) => AgentError::new(error.kind(), what),
            _ => error,
        }
    }
}

/// A response without anything that could be a message's text: a server that announces too small a literal sends such text as responses.
fn in_words(response: &Response, ours: &str, literal_bytes: u64) -> String {
    match response {
        Response::More(_) => "+".into(),
        Response::Tagged(tag, status) if tag == ours => format!("{tag} {} {}", status.condition.name(), status.text),
        Response::Tagged(..) => "an answer to another command".into(),
        Response::Untagged(status) => format!("* {}", status.condition.name()),
        Response::Data(text) => {
            let mut words = text.split(' ');
            let known = match (words.next().and_then(|number| number.parse::<u32>().ok()), words.next()) {
                (Some(number), Some(word @ ("EXISTS" | "RECENT" | "EXPUNGE" | "FETCH"))) => format!("* {number} {word}"),
                _ => "* data".into(),
            };
            if literal_bytes > 0 { format!("{known}, {literal_bytes} bytes") } else { known }
        }
    }
}
