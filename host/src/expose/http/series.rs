//! Series as programs ask for them: values over a range, and which there are.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::task::JoinError;

use crate::{
    plain,
    series::{
        fetch::Kept,
        request::{FetchError, FetchRequest, Fetched, Format},
    },
};

/// The header under which an answer says what its reader should know besides.
pub(crate) const NOTE: &str = "watchpost-note";

/// Answers a question about values.
pub type ValueReader = Box<dyn Fn(&FetchRequest) -> Result<Fetched, FetchError> + Send + Sync>;

/// Values in the form that was asked for, and notes in headers.
pub(crate) fn answer_fetch(format: Format, fetched: Result<Result<Fetched, FetchError>, JoinError>) -> Response {
    match fetched {
        Ok(Ok(Fetched { body, notes })) => noted(([(header::CONTENT_TYPE, format.content_type())], body).into_response(), &notes),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(error.to_string()),
    }
}

/// Series as a list of objects.
pub(crate) fn answer_series(listed: Result<Result<Vec<Kept>, FetchError>, JoinError>) -> Response {
    match listed {
        Ok(Ok(kept)) => Json(kept).into_response(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(error.to_string()),
    }
}

/// Puts notes into the headers of an answer.
pub(crate) fn noted(mut answer: Response, notes: &[String]) -> Response {
    for note in notes {
        if let Ok(note) = HeaderValue::from_bytes(plain(note).as_bytes()) {
            answer.headers_mut().append(NOTE, note);
        }
    }
    answer
}

fn refused(error: &FetchError) -> Response {
    let status = if error.is_asked_wrong() { StatusCode::BAD_REQUEST } else { StatusCode::INTERNAL_SERVER_ERROR };
    (status, Json(serde_json::json!({ "error": crate::chain(error) }))).into_response()
}

fn failed(error: String) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(serde_json::json!({ "error": error }))).into_response()
}
