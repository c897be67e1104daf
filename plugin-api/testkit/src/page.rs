//! One answer of a server of pages.

use std::time::Duration;

use crate::script::{Script, Step};

/// An answer: a status, headers, a body, or whatever a hostile server sends instead.
#[derive(Clone, Debug)]
pub struct Page {
    status: String,
    headers: Vec<(String, String)>,
    body: Body,
    before: Duration,
    closes: bool,
}

#[derive(Clone, Debug)]
enum Body {
    /// With its length told.
    Sized(Vec<u8>),
    /// In these pieces.
    Chunked(Vec<Vec<u8>>),
    /// Ended by the end of the connection.
    UntilClosed(Vec<u8>),
    /// Instead of any answer.
    Raw(Script),
}

impl Page {
    /// Answers with a status, as `302 Found`, and no body.
    pub fn new(status: &str) -> Self {
        let body = Body::Sized(Vec::new());
        Self { status: status.to_owned(), headers: Vec::new(), body, before: Duration::ZERO, closes: false }
    }

    /// Answers 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Sized(body.into()), ..Self::new("200 OK") }
    }

    /// Answers 200 with a body in these pieces.
    pub fn chunked(pieces: &[&str]) -> Self {
        let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
        Self { body: Body::Chunked(pieces), ..Self::new("200 OK") }
    }

    /// Answers 200 with a body that ends with the connection.
    pub fn until_closed(body: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::UntilClosed(body.into()), closes: true, ..Self::new("200 OK") }
    }

    /// Sends the client elsewhere.
    pub fn redirect(to: &str) -> Self {
        Self::new("302 Found").header("Location", to)
    }

    /// Does what the script says, once the request is read, and closes.
    pub fn raw(script: Script) -> Self {
        Self { body: Body::Raw(script), closes: true, ..Self::new("") }
    }

    pub(crate) fn missing() -> Self {
        Self { status: "404 Not Found".into(), ..Self::ok("there is no such page") }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has a body all the same.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Sized(body.into());
        self
    }

    /// Answers only after a while.
    pub fn after(mut self, time: Duration) -> Self {
        self.before = time;
        self
    }

    /// Closes the connection after it, without a word.
    pub fn close(mut self) -> Self {
        self.closes = true;
        self
    }

    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    pub(crate) fn steps(self, head_only: bool) -> Vec<Step> {
        // A pause of no time would be one until the clock's next tick.
        let mut steps: Vec<Step> = (!self.before.is_zero()).then_some(Step::Pause(self.before)).into_iter().collect();
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = match self.body {
            Body::Raw(script) => return script.steps,
            Body::Sized(body) => {
                // RFC 9110 8.6: neither has a length, for neither has a body.
                if !self.status.starts_with("204") && !self.status.starts_with("304") {
                    head.push_str(&format!("Content-Length: {}\r\n", body.len()));
                }
                body
            }
            Body::Chunked(pieces) => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                let mut body = Vec::new();
                for piece in pieces {
                    body.extend(format!("{:x}\r\n", piece.len()).into_bytes());
                    body.extend(piece);
                    body.extend(b"\r\n");
                }
                body.extend(b"0\r\n\r\n");
                body
            }
            Body::UntilClosed(body) => body,
        };
        head.push_str("\r\n");
        let body = if head_only { Vec::new() } else { body };
        steps.push(Step::Send([head.into_bytes(), body].concat()));
        steps
    }
}
