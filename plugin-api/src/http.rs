//! HTTP/1.1 requests, which the host makes: what is asked, what came of it, and when.

mod body;
mod request;

use std::{fmt, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{AgentError, TlsFacts};

pub use body::HttpBody;
pub use request::{HttpRequest, Keep};

/// The answer to a request, its body still to be read.
pub struct HttpResponse {
    /// Everything before the body.
    pub head: HttpHead,
    /// The body, as the server sends it: no encoding of contents is asked for, and none undone.
    pub body: HttpBody,
}

/// Everything of an answer before its body.
#[derive(Clone, Serialize, Deserialize)]
pub struct HttpHead {
    /// The status: `200`.
    pub status: u16,
    /// The words after it, which mean nothing.
    pub reason: String,
    /// The server's version: `HTTP/1.1`.
    pub version: String,
    /// Names as they were written, values with bytes that are no UTF-8 replaced, in the order sent.
    pub headers: Vec<(String, String)>,
    /// When each phase ended.
    pub times: HttpTimes,
    /// Whether the connection had served a request before.
    pub reused: bool,
    /// Who answered.
    pub peer: Option<SocketAddr>,
    /// What the handshake of this connection gave; `None` without TLS.
    pub tls: Option<TlsFacts>,
}

/// When each phase of a request ended, by the run's clock: as [`Cx::elapsed`](crate::Cx::elapsed) has it.
///
/// Marks can be laps: [`Laps::lap_at`](crate::Laps::lap_at).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTimes {
    /// The host was asked.
    #[serde(with = "nanos")]
    pub begun: Duration,
    /// The name had its addresses; `None` where none was looked up.
    #[serde(with = "nanos_if")]
    pub resolved: Option<Duration>,
    /// There was a connection; `None` where there was one before.
    #[serde(with = "nanos_if")]
    pub connected: Option<Duration>,
    /// TLS was agreed on; `None` without it, or where it was before.
    #[serde(with = "nanos_if")]
    pub secured: Option<Duration>,
    /// The request was sent, as far as it was when the answer came.
    #[serde(with = "nanos")]
    pub sent: Duration,
    /// The first byte of the answer was there.
    #[serde(with = "nanos")]
    pub answered: Duration,
}

impl HttpTimes {
    /// How long the name took.
    pub fn resolve(&self) -> Option<Duration> {
        Some(self.resolved?.saturating_sub(self.begun))
    }

    /// How long the connection took.
    pub fn connect(&self) -> Option<Duration> {
        Some(self.connected?.saturating_sub(self.resolved.unwrap_or(self.begun)))
    }

    /// How long the TLS handshake took.
    pub fn tls(&self) -> Option<Duration> {
        Some(self.secured?.saturating_sub(self.connected?))
    }

    /// How long sending the request took.
    pub fn send(&self) -> Duration {
        self.sent.saturating_sub(self.secured.or(self.connected).unwrap_or(self.begun))
    }

    /// How long the server took until its first byte.
    pub fn wait(&self) -> Duration {
        self.answered.saturating_sub(self.sent)
    }
}

impl fmt::Debug for HttpHead {
    /// Without the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpHead({} {}, {} headers)", self.version, self.status, self.headers.len())
    }
}

impl HttpHead {
    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers of that name, in the order sent.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head.fmt(f)
    }
}

impl HttpResponse {
    /// The status: `200`.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// When each phase ended.
    pub fn times(&self) -> HttpTimes {
        self.head.times
    }

    /// Reads the body to its end.
    ///
    /// Errors: kind `limit` when it has more than `bytes_max`, `protocol` when it breaks off.
    pub async fn bytes(self, bytes_max: usize) -> Result<Vec<u8>, AgentError> {
        self.body.bytes(bytes_max).await
    }

    /// Reads the body to its end as text, bytes that are no UTF-8 replaced.
    ///
    /// Errors: as [`bytes`](HttpResponse::bytes).
    pub async fn text(self, bytes_max: usize) -> Result<String, AgentError> {
        self.body.text(bytes_max).await
    }
}

/// Times as whole nanoseconds.
mod nanos {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}

/// Times as whole nanoseconds, where there are any.
mod nanos_if {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_nanos))
    }
}
