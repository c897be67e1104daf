//! A request to a receiver by HTTP: one connection, one answer, both bounded.

use std::{path::PathBuf, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::{Buf, Bytes},
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use watchpost_plugin_api::Tls;

use super::channel::{Sender, Undelivered};

/// Bytes of an answer that are read, at most.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Characters of an answer that are told of.
const TOLD_CHARS_MAX: usize = 200;
/// A receiver that asks for more patience than this gets less.
const AFTER_MAX: Duration = Duration::from_hours(1);

/// Where a receiver is, and how it is known to be the right one.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// `http://…` or `https://…`, with a host.
    pub url: Uri,
    /// PEM file of the authorities to trust; the system's own when absent.
    pub ca_file: Option<PathBuf>,
}

/// What a receiver said.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) after: Option<Duration>,
}

impl Receiver {
    /// Its host and port.
    pub(super) fn place(&self) -> String {
        let usual = if self.url.scheme_str() == Some("https") { 443 } else { 80 };
        format!("{}:{}", self.url.host().unwrap_or_default(), self.url.port_u16().unwrap_or(usual))
    }

    /// Sends a body and reads what is answered.
    pub(super) async fn send(
        &self,
        sender: &Sender,
        method: Method,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: String,
    ) -> Result<Answer, Undelivered> {
        self.ask(sender, method, headers, body, ANSWER_BYTES_MAX).await
    }

    /// Sends a body and reads what is answered, up to so many bytes.
    pub(crate) async fn ask(
        &self,
        sender: &Sender,
        method: Method,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: String,
        answer_bytes_max: usize,
    ) -> Result<Answer, Undelivered> {
        let (host, secure) = (self.url.host().unwrap_or_default(), self.url.scheme_str() == Some("https"));
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = self.url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let failed = |why: String| Undelivered::later(format!("{host}:{port}: {why}"));
        let stream = TcpStream::connect((name.as_str(), port)).await.map_err(|error| failed(crate::chain(&error)))?;
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder().method(method).uri(path).body(Full::new(Bytes::from(body)));
        if let Ok(request) = &mut request {
            let own = self.url.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
            let own = own.and_then(|own| HeaderValue::from_str(own).ok()).map(|own| (HOST, own));
            let agent = HeaderValue::from_static(concat!("watchpost/", env!("CARGO_PKG_VERSION")));
            request.headers_mut().extend(own.into_iter().chain([(USER_AGENT, agent)]).chain(headers));
        }
        let request = request.map_err(|error| Undelivered::never(error.to_string()))?;
        if secure {
            let mut wanted = Tls::verify(name);
            wanted.ca_file.clone_from(&self.ca_file);
            let (stream, _) = sender.shared.handshake(&wanted, stream).await.map_err(|error| failed(error.message().to_owned()))?;
            ask(stream, request, answer_bytes_max).await.map_err(failed)
        } else {
            ask(stream, request, answer_bytes_max).await.map_err(failed)
        }
    }
}

impl Answer {
    /// Takes any 2xx for a delivery; what is worth another try is told from what is not.
    pub(super) fn delivered(self) -> Result<Self, Undelivered> {
        let why = format!("answered {}{}", self.status.as_u16(), self.told());
        match self.status.as_u16() {
            200..=299 => Ok(self),
            408 | 425 | 429 | 500..=599 => Err(Undelivered::Later { why, after: self.after }),
            // Who is not let in may be let in once somebody has mended that.
            401 | 403 | 404 | 407 => Err(Undelivered::Later { why, after: self.after }),
            _ => Err(Undelivered::never(why)),
        }
    }

    fn told(&self) -> String {
        let text: String = super::text::plain_line(self.text.trim()).chars().take(TOLD_CHARS_MAX).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

/// The header of a body in JSON.
pub(super) fn json() -> (HeaderName, HeaderValue) {
    (CONTENT_TYPE, HeaderValue::from_static("application/json"))
}

async fn ask<S>(stream: S, request: Request<Full<Bytes>>, bytes_max: usize) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let told = |error: hyper::Error| crate::chain(&error);
    let (mut asking, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    // Ends with what it serves: whoever asks has a deadline, and takes it along.
    let connection = AbortOnDrop(tokio::spawn(async move { drop(connection.await) }));
    let answer = asking.send_request(request).await.map_err(told)?;
    let (head, body) = answer.into_parts();
    let after = head.headers.get(RETRY_AFTER).and_then(|after| patience(after.to_str().ok()?)).map(|after| after.min(AFTER_MAX));
    let body = Limited::new(body, bytes_max).collect().await.map_err(|error| format!("the answer: {error}"))?;
    drop(connection);
    let mut bytes = body.aggregate();
    let text = String::from_utf8_lossy(&bytes.copy_to_bytes(bytes.remaining())).into_owned();
    Ok(Answer { status: head.status, headers: head.headers, text, after })
}

/// How long a receiver wants to be left alone: seconds, or until a date (RFC 9110, 10.2.3).
fn patience(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
    (until.to_utc() - chrono::Utc::now()).to_std().ok()
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
