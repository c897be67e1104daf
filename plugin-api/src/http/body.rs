//! The body of an answer.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::{AgentError, ErrorKind, Stream};

/// The body of an answer, read as it comes. Dropped before its end it takes the connection with it.
pub struct HttpBody(Stream);

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpBody")
    }
}

impl HttpBody {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(stream)
    }

    /// Reads it to its end.
    ///
    /// Errors: kind `limit` when it has more than `bytes_max`, `protocol` when it breaks off.
    pub async fn bytes(self, bytes_max: usize) -> Result<Vec<u8>, AgentError> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells a body that ends just there from one that goes on.
        self.0.take((bytes_max as u64).saturating_add(1)).read_to_end(&mut bytes).await?;
        match bytes.len() > bytes_max {
            true => Err(AgentError::new(ErrorKind::LIMIT, format!("more than {bytes_max} bytes in the body of the answer"))),
            false => Ok(bytes),
        }
    }

    /// Reads it to its end as text, bytes that are no UTF-8 replaced.
    ///
    /// Errors: as [`bytes`](HttpBody::bytes).
    pub async fn text(self, bytes_max: usize) -> Result<String, AgentError> {
        let bytes = self.bytes(bytes_max).await?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

impl AsyncRead for HttpBody {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
