//! Asks a running daemon over its socket.

use std::{path::Path, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};

use super::{Context, Failure, runtime};
use crate::daemon::api::{Refusal, socket_path};

/// How long a daemon may take to answer; a run takes as long as its own timeout at most.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);

/// What a daemon answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    headers: HeaderMap,
}

impl Answer {
    /// A header of the answer, if it is there.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the body of a success; anything else is a failure with the daemon's reason.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.success()?;
        serde_json::from_slice(&self.body).map_err(|error| Failure::of("the daemon's answer is not understood", &error))
    }

    /// Passes a success.
    pub(super) fn success(&self) -> Result<(), Failure> {
        if self.status.is_success() {
            return Ok(());
        }
        let why = serde_json::from_slice::<Refusal>(&self.body).map(|refusal| refusal.error);
        let why = why.unwrap_or_else(|_| format!("it answered {}", self.status));
        let asked_wrong = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&self.status);
        Err(if asked_wrong { Failure::Wrong(why) } else { Failure::Failed(why) })
    }
}

impl Context {
    /// Asks the daemon of this configuration; without one this fails.
    pub(super) fn ask(&self, method: Method, path: &str) -> Result<Answer, Failure> {
        let data = self.data_folder()?;
        match ask(&data, method, path)? {
            Some(answer) => Ok(answer),
            None => Err(no_daemon(&data)),
        }
    }
}

/// There is nobody to ask.
pub(super) fn no_daemon(data: &Path) -> Failure {
    Failure::Failed(format!("no daemon runs on {}; start one with `watchpost run`", data.display()))
}

/// Asks the daemon with this data folder, if one runs.
pub(super) fn ask(data: &Path, method: Method, path: &str) -> Result<Option<Answer>, Failure> {
    runtime()?.block_on(async {
        match timeout(ANSWER_TIMEOUT, exchange(data, method, path)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Failed("the daemon does not answer".into())),
        }
    })
}

async fn exchange(data: &Path, method: Method, path: &str) -> Result<Option<Answer>, Failure> {
    let socket = socket_path(data);
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(Failure::of(&format!("cannot reach the daemon at {}", socket.display()), &error)),
    };
    let broken = |error: hyper::Error| Failure::of("the daemon broke off", &error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "watchpost").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| Failure::of("cannot ask the daemon", &error))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
    Ok(Some(Answer { status, body, headers }))
}

/// Puts parameters into a URL.
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    let encode = |text: &str| -> String {
        let byte = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    };
    pairs.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect::<Vec<_>>().join("&")
}
