//! Why there is no answer, in words and kinds of ours.

use std::{error::Error, fmt, io};

use watchpost_plugin_api::{AgentError, ErrorKind};

use super::wire::HEAD_BYTES_MAX;
use crate::{refusal::broken, stream::reason};

/// What hyper says of a head with more than a hundred lines, or with a length near to the largest number; its function for it is the
/// servers' only.
const HYPER_TOO_LARGE: &str = "message head is too large";

/// A server sent no end of heads.
#[derive(Debug)]
pub(crate) struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} KiB before the body of the answer", HEAD_BYTES_MAX / 1024)
    }
}

impl Error for TooLong {}

/// Puts what hyper met into an error of ours; `silent` if nothing of an answer had come.
pub(crate) fn told(error: &hyper::Error, silent: bool) -> AgentError {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return of_io(io, silent);
        }
        cause = error.source();
    }
    let text = error.to_string();
    if text.starts_with(HYPER_TOO_LARGE) {
        return AgentError::new(ErrorKind::LIMIT, "more than 100 lines in the head of the answer, or a length beyond all measure");
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return closed(silent);
    }
    AgentError::protocol(format!("the answer is no HTTP/1.1: {text}"))
}

fn of_io(error: &io::Error, silent: bool) -> AgentError {
    if error.get_ref().is_some_and(|inner| inner.is::<TooLong>()) {
        return AgentError::new(ErrorKind::LIMIT, TooLong.to_string());
    }
    if let Some(error) = broken(error) {
        return error;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => closed(silent),
        io::ErrorKind::ConnectionReset => AgentError::protocol("connection reset by the other side"),
        _ => AgentError::protocol(reason(error)),
    }
}

fn closed(silent: bool) -> AgentError {
    AgentError::protocol(match silent {
        true => "connection closed by the other side before an answer",
        false => "connection closed by the other side in the middle of the answer",
    })
}
