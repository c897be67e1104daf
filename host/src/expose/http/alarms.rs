//! Alarms, and their steps as they come.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::{Bytes, Frame};
use serde::Serialize;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinError,
    time::timeout,
};

use super::MORE;
use crate::alarm::{
    notice::Notice,
    request::{AlarmRequestError, Found},
};

/// Listeners to the stream at one time.
const STREAMS_MAX: usize = 64;
/// After so long without a step a line is sent that says nothing: whoever is gone is found out.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// Listeners there are.
static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// Alarms as a list; [`MORE`] says in a header whether the limit cut it.
pub(crate) fn answer_alarms(found: Result<Result<Found, AlarmRequestError>, JoinError>) -> Response {
    match found {
        Ok(Ok(found)) => ([(MORE, found.more.to_string())], Json(found.alarms)).into_response(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(error.to_string()),
    }
}

/// What is told of one alarm.
pub(crate) fn answer_alarm<T: Serialize>(found: Result<Result<T, AlarmRequestError>, JoinError>) -> Response {
    match found {
        Ok(Ok(found)) => Json(found).into_response(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(error.to_string()),
    }
}

fn refused(error: &AlarmRequestError) -> Response {
    let status = match error {
        AlarmRequestError::Unknown(_) | AlarmRequestError::Nobody(_) => StatusCode::NOT_FOUND,
        error if error.is_asked_wrong() => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(serde_json::json!({ "error": crate::chain(error) }))).into_response()
}

fn failed(error: String) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(serde_json::json!({ "error": error }))).into_response()
}

/// Steps from now on, as server-sent events: `id` is the number of the step, `event` what happened, `data` the notice.
///
/// Source: HTML Living Standard, "Server-sent events".
pub(crate) fn stream_of(steps: Receiver<Arc<Notice>>) -> Response {
    let Some(turn) = Turn::take() else {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(serde_json::json!({ "error": "too many listen already" }))).into_response();
    };
    let body = Steps { next: Box::pin(next(steps, true)), _turn: turn };
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(body)).into_response()
}

/// One listener's place.
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        let more = |streams: usize| (streams < STREAMS_MAX).then_some(streams + 1);
        STREAMS.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok().map(|_| Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        STREAMS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What comes next, and whoever gives what comes after; nothing more where the daemon ends.
type Next = Pin<Box<dyn Future<Output = Option<(String, Receiver<Arc<Notice>>)>> + Send>>;

struct Steps {
    next: Next,
    _turn: Turn,
}

impl hyper::body::Body for Steps {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.next.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some((text, steps))) => {
                self.next = Box::pin(next(steps, false));
                Poll::Ready(Some(Ok(Frame::data(text.into()))))
            }
        }
    }
}

async fn next(mut steps: Receiver<Arc<Notice>>, is_first: bool) -> Option<(String, Receiver<Arc<Notice>>)> {
    if is_first {
        // Something at once: whoever asks knows that he is heard.
        return Some((": listening\n\n".into(), steps));
    }
    let text = match timeout(ALIVE_EVERY, steps.recv()).await {
        Err(_) => ": alive\n\n".to_owned(),
        Ok(Ok(notice)) => {
            let data = serde_json::to_string(&*notice).unwrap_or_default();
            format!("id: {}\nevent: {}\ndata: {data}\n\n", notice.seq, notice.step.name())
        }
        Ok(Err(RecvError::Lagged(lost))) => format!("event: lost\ndata: {{\"steps\":{lost}}}\n\n"),
        Ok(Err(RecvError::Closed)) => return None,
    };
    Some((text, steps))
}
