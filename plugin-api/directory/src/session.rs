//! The operations of a session, each with its answer.

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, Stream, Tls, TlsFacts};

use crate::{
    frames::Frames,
    message::{self, Answer, Request, UNSOLICITED},
    outcome::SUCCESS,
};

/// Messages nobody asked for that are passed over; one who sends more has nothing else to do.
const UNASKED_MAX: usize = 100;
/// Answers of a search that the dialogue shows.
const SHOWN_MAX: usize = 20;

/// An open session.
pub struct Session<'a> {
    cx: &'a Cx,
    frames: Frames,
    /// The id of what was asked last.
    id: u32,
    shown: usize,
}

impl<'a> Session<'a> {
    /// Begins a session over a stream that is open.
    pub fn new(cx: &'a Cx, stream: Stream) -> Self {
        Self { cx, frames: Frames::new(stream), id: 0, shown: 0 }
    }

    /// Turns the session into an encrypted one, and tells what the handshake gave.
    pub async fn start_tls(&mut self, tls: &Tls) -> Result<TlsFacts, AgentError> {
        let during = |error: AgentError| error.context("StartTLS");
        match self.ask(Request::StartTls).await.map_err(during)? {
            Answer::Extended(outcome, _) if outcome.code == SUCCESS => {}
            Answer::Extended(outcome, _) => return Err(during(outcome.of_start_tls())),
            other => return Err(during(unexpected(&other))),
        }
        self.frames.start_tls(tls).await.map_err(|error| match error.kind() {
            ErrorKind::PROTOCOL => during(error),
            // A failed handshake explains itself.
            _ => error,
        })
    }

    /// Says who we are.
    pub async fn bind(&mut self, who: Request<'_>) -> Result<(), AgentError> {
        let during = |error: AgentError| error.context("bind");
        match self.ask(who).await.map_err(during)? {
            Answer::Bound(outcome) if outcome.code == SUCCESS => Ok(()),
            Answer::Bound(outcome) => Err(during(outcome.of_bind())),
            other => Err(during(unexpected(&other))),
        }
    }

    /// Begins a search; gives the first of its answers.
    pub async fn search(&mut self, search: Request<'_>) -> Result<Answer<'_>, AgentError> {
        self.ask(search).await.and_then(of_search)
    }

    /// Gives the next answer of the search.
    pub async fn next(&mut self) -> Result<Answer<'_>, AgentError> {
        self.answer().await.and_then(of_search)
    }

    /// Ends the session, without waiting: a directory answers nothing to it.
    pub async fn leave(&mut self) {
        // What was to be measured is; whether the farewell arrives matters to nobody.
        let _ = self.send(Request::Unbind).await;
    }

    async fn ask(&mut self, request: Request<'_>) -> Result<Answer<'_>, AgentError> {
        self.send(request).await?;
        self.answer().await
    }

    async fn send(&mut self, request: Request<'_>) -> Result<(), AgentError> {
        self.id += 1;
        self.frames.write(&request.bytes(self.id)).await?;
        // While the server is at work: telling it costs no phase its time.
        self.cx.note_sent(&request.to_string());
        Ok(())
    }

    /// Waits for an answer to what was asked last.
    async fn answer(&mut self) -> Result<Answer<'_>, AgentError> {
        let mut unasked = 0;
        loop {
            self.frames.next().await?;
            let (id, answer) = message::read(self.frames.message())?;
            if id == self.id {
                break;
            }
            if id != UNSOLICITED {
                return Err(AgentError::protocol(format!("an answer to message {id}, which nobody sent")));
            }
            self.cx.note_received(&format!("unasked: {answer}"));
            if let Some(outcome) = answer.disconnection() {
                return Err(AgentError::protocol(format!("the server ends the session: {outcome}")));
            }
            unasked += 1;
            if unasked > UNASKED_MAX {
                return Err(AgentError::protocol(format!("more than {UNASKED_MAX} messages that nobody asked for")));
            }
        }
        let (_, answer) = message::read(self.frames.message())?;
        show(self.cx, &answer, &mut self.shown);
        Ok(answer)
    }
}

/// Shows an answer, and of those that are found the first few.
fn show(cx: &Cx, answer: &Answer<'_>, shown: &mut usize) {
    let is_found = matches!(answer, Answer::Entry(_) | Answer::Reference(_));
    match *shown {
        SHOWN_MAX if is_found => cx.note_received("(and more)"),
        SHOWN_MAX.. if is_found => return,
        _ => cx.note_received(&answer.to_string()),
    }
    *shown += usize::from(is_found);
}

fn of_search(answer: Answer<'_>) -> Result<Answer<'_>, AgentError> {
    match answer {
        Answer::Entry(_) | Answer::Reference(_) | Answer::Done(_) => Ok(answer),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer<'_>) -> AgentError {
    AgentError::protocol(format!("the server answered something else: {answer}"))
}
