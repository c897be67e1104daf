//! Asks a running daemon over its socket.

use std::{io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};

use super::{
    Context,
    elsewhere::{self, Elsewhere},
    failure::Failure,
    runtime,
};
use crate::{
    daemon::api::{Refusal, socket_path},
    expose::http::NOTE,
};

/// How long a daemon may take to do what it is asked; a run takes as long as its own timeout at most.
const WORK_TIMEOUT: Duration = Duration::from_secs(300);
/// How long it may take to tell what it knows.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to copy all that it has.
const COPY_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// What copies.
const COPIES: &str = "/api/v1/backup?";
/// What takes as long as work, though it only tells.
const SLOW: [&str; 3] = ["/api/v1/fetch?", "/api/v1/events?", "/api/v1/series?"];

/// What a daemon answered.
pub(super) struct Answer {
    /// What it was asked for, as an error begins: `cannot run job `relay``.
    cannot: String,
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    headers: HeaderMap,
}

impl Answer {
    /// A header of the answer, if it is there.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the daemon says beside the answer.
    pub(super) fn notes(&self) -> Vec<String> {
        self.headers.get_all(NOTE).iter().map(|note| String::from_utf8_lossy(note.as_bytes()).into_owned()).collect()
    }

    /// Reads the body of a success; anything else is a failure with the daemon's reason.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.success()?;
        self.parsed()
    }

    /// Reads the body, whatever it tells.
    pub(super) fn parsed<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let parsed = serde_json::from_slice(&self.body);
        parsed.map_err(|error| Failure::failed(&self.cannot, format!("the daemon's answer is not understood: {error}")))
    }

    /// Passes a success.
    pub(super) fn success(&self) -> Result<(), Failure> {
        if self.status.is_success() {
            return Ok(());
        }
        let why = serde_json::from_slice::<Refusal>(&self.body).map(|refusal| refusal.error);
        let why = why.unwrap_or_else(|_| format!("the daemon answered {}", self.status));
        let asked_wrong = [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(&self.status);
        Err(if asked_wrong { Failure::wrong(&self.cannot, why) } else { Failure::failed(&self.cannot, why) })
    }
}

impl Context {
    /// Asks the daemon of this configuration; without one this fails.
    ///
    /// `cannot` begins the error: `cannot run job `relay``.
    pub(super) fn ask(&self, cannot: &str, method: Method, path: &str) -> Result<Answer, Failure> {
        self.running(cannot, self.ask_if_it_runs(cannot, method, path)?)
    }

    /// Asks the daemon of this configuration to do something, and says more than fits into a URL: a body of JSON.
    pub(super) fn ask_saying(&self, cannot: &str, path: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        self.running(cannot, self.ask_with(cannot, Method::POST, path, body.into())?)
    }

    fn running(&self, cannot: &str, answer: Option<Answer>) -> Result<Answer, Failure> {
        match answer {
            Some(answer) => Ok(answer),
            None => {
                Err(Failure::failed(cannot, format!("no daemon runs on {}; start one with `watchpost run`", self.data_folder()?.display())))
            }
        }
    }

    /// Asks the daemon of this configuration, if one runs: that of its data folder, else one that was started with this file
    /// when it named another folder.
    pub(super) fn ask_if_it_runs(&self, cannot: &str, method: Method, path: &str) -> Result<Option<Answer>, Failure> {
        self.ask_with(cannot, method, path, Bytes::new())
    }

    /// The same with a body, which is JSON if there is one.
    pub(super) fn ask_with(&self, cannot: &str, method: Method, path: &str, body: Bytes) -> Result<Option<Answer>, Failure> {
        let data = self.data_folder()?;
        if let Some(answer) = ask(&data, cannot, &method, path, &body)? {
            return Ok(Some(answer));
        }
        let file = self.file()?;
        let Some(Elsewhere { pid, data: old }) = elsewhere::find(&file) else { return Ok(None) };
        let runs = format!("process {pid}, which runs {},", file.display());
        let Some(old) = old else {
            let why = format!("no daemon runs on {}, and {runs} is another user's", data.display());
            return Err(Failure::failed(cannot, why));
        };
        if std::fs::canonicalize(&data).is_ok_and(|data| data == old) {
            return Err(Failure::failed(cannot, format!("{runs} does not answer: it is starting or ending")));
        }
        let answer = ask(&old, cannot, &method, path, &body)?;
        if answer.is_some() {
            eprintln!("note: `data` is {} now; process {pid} was started on {} and is asked there", data.display(), old.display());
        }
        Ok(answer)
    }
}

/// Asks the daemon with this data folder, if one runs.
fn ask(data: &Path, cannot: &str, method: &Method, path: &str, body: &Bytes) -> Result<Option<Answer>, Failure> {
    runtime()?.block_on(async {
        let is_work = *method != Method::GET || SLOW.iter().any(|slow| path.starts_with(slow));
        let patience = match is_work {
            _ if path.starts_with(COPIES) => COPY_TIMEOUT,
            true => WORK_TIMEOUT,
            false => ANSWER_TIMEOUT,
        };
        let asked = timeout(patience, exchange(data, cannot, method, path, body)).await;
        let late = || Err(format!("the daemon has not answered for {} s", patience.as_secs()));
        asked.unwrap_or_else(|_| late()).map_err(|why| Failure::failed(cannot, why))
    })
}

async fn exchange(data: &Path, cannot: &str, method: &Method, path: &str, body: &Bytes) -> Result<Option<Answer>, String> {
    let socket = socket_path(data);
    let stream = match UnixStream::connect(&socket).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(not_ours(data)),
        Err(error) => return Err(format!("the daemon's socket {}: {}", socket.display(), crate::chain(&error))),
    };
    let broken = |error: hyper::Error| format!("the daemon broke off: {}", crate::chain(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "watchpost");
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Full::new(body.clone()));
    let request = request.map_err(|error| format!("it cannot be asked: {error}"))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
    Ok(Some(Answer { cannot: cannot.to_owned(), status, body, headers }))
}

/// The data folder is closed to us.
fn not_ours(data: &Path) -> String {
    let owner = std::fs::metadata(data).map(|facts| format!(" (uid {})", facts.uid())).unwrap_or_default();
    format!("{} is closed to you; only the user who runs the daemon{owner} may ask it", data.display())
}

/// Puts parameters into a URL.
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

/// A text as a part of a URL.
pub(super) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
