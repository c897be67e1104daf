//! A program that runs, and what comes from it: both of its outputs are read at once, so that neither holds it up.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use watchpost_plugin_api::{AgentError, Child, Cx, ErrorKind, Exit, Program, Stream, prelude::AsyncReadExt, quoted};

/// Bytes read at once.
const CHUNK_BYTES: usize = 8 * 1024;
/// Bytes of the end of standard error that are kept: its last line is shown.
const COMPLAINT_BYTES: usize = 1024;
/// How long a program may take to end when its outputs have.
const END_WITHIN: Duration = Duration::from_secs(1);
/// How often a silent program is asked whether it has ended, while another that it left behind holds its outputs.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A program that was started.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout_ended: bool,
    stderr_ended: bool,
    /// The end of its standard error.
    complaint: Vec<u8>,
}

/// What a look for more has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// More of its standard output, or of its complaints.
    More,
    /// Neither will come.
    End,
}

impl Running {
    /// Starts a program.
    pub(crate) async fn start(cx: &Cx, program: &Program) -> Result<Self, AgentError> {
        let child = cx.spawn(program).await?;
        Ok(Self { child, stdout_ended: false, stderr_ended: false, complaint: Vec::new() })
    }

    /// Waits for more of what it writes, which is added to `into`. Nothing is lost when this is dropped.
    pub(crate) async fn more(&mut self, into: &mut Vec<u8>) -> Came {
        poll_fn(|task| {
            let before = into.len();
            let out = poll_into(&mut self.child.stdout, &mut self.stdout_ended, into, task);
            let err = poll_into(&mut self.child.stderr, &mut self.stderr_ended, &mut self.complaint, task);
            let surplus = self.complaint.len().saturating_sub(COMPLAINT_BYTES);
            self.complaint.drain(..surplus);
            match (into.len() > before, self.stdout_ended && self.stderr_ended, out || err) {
                (true, ..) => Poll::Ready(Came::More),
                (_, true, _) => Poll::Ready(Came::End),
                (.., true) => Poll::Ready(Came::More),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Lets others have their turn: one who always has more to read would never have to wait.
    pub(crate) async fn give_way() {
        let mut gave_way = false;
        poll_fn(|task| {
            if std::mem::replace(&mut gave_way, true) {
                return Poll::Ready(());
            }
            task.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Reads all that it writes until it ends.
    ///
    /// Errors: kind `limit` when it is more than `bytes_max`.
    pub(crate) async fn all(&mut self, cx: &Cx, bytes_max: usize) -> Result<(Vec<u8>, Exit), AgentError> {
        let mut written = Vec::new();
        loop {
            let came = cx.within(LOOK_EVERY, async { Ok(self.more(&mut written).await) }).await;
            if written.len() > bytes_max {
                return Err(AgentError::new(ErrorKind::LIMIT, format!("the program wrote more than {bytes_max} bytes")));
            }
            match came {
                Ok(Came::More) => Self::give_way().await,
                Ok(Came::End) => return Ok((written, self.child.wait().await?)),
                // It is silent; if it has ended, whoever still holds its outputs is not waited for.
                Err(_) => {
                    if let Some(exit) = self.ended(cx, Duration::from_millis(1)).await {
                        return Ok((written, exit));
                    }
                }
            }
        }
    }

    /// Whether it will say no more, though it may go on complaining.
    pub(crate) fn has_closed(&self) -> bool {
        self.stdout_ended
    }

    /// How it has ended, if it does so in time.
    pub(crate) async fn ended(&mut self, cx: &Cx, within: Duration) -> Option<Exit> {
        cx.within(within, self.child.wait()).await.ok()
    }

    /// Says how it has ended, and the last that it complained of; one that has closed its outputs and does not end is killed.
    pub(crate) async fn epitaph(&mut self, cx: &Cx) -> String {
        let how = match self.ended(cx, END_WITHIN).await {
            Some(exit) => format!("the program {exit}"),
            None => {
                let _gone = self.child.kill();
                "the program has closed its output".to_owned()
            }
        };
        match self.last_complaint() {
            complaint if complaint.is_empty() => how,
            complaint => format!("{how}: {complaint}"),
        }
    }

    /// The last line of its standard error.
    pub(crate) fn last_complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.complaint);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        last.map(quoted).unwrap_or_default()
    }
}

/// Reads once; says whether anything has changed.
fn poll_into(stream: &mut Stream, ended: &mut bool, into: &mut Vec<u8>, task: &mut std::task::Context<'_>) -> bool {
    if *ended {
        return false;
    }
    let mut room = [0; CHUNK_BYTES];
    let read = pin!(stream.read(&mut room)).poll(task);
    match read {
        Poll::Pending => false,
        Poll::Ready(Ok(bytes @ 1..)) => {
            into.extend_from_slice(&room[..bytes]);
            true
        }
        Poll::Ready(_) => {
            *ended = true;
            true
        }
    }
}
