//! One connection that speaks HTTP/1.1, driven by whoever waits for it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming},
    client::conn::http1::{Builder, Connection, SendRequest},
};
use watchpost_plugin_api::{AgentError, Ends, TlsFacts};

use super::{
    fault::told,
    wire::{HEAD_BYTES_MAX, Tap, Wire},
};
use crate::stream::Io;

/// A connection that speaks HTTP/1.1.
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<Connection<Wire, Full<Bytes>>>>,
    ended: bool,
    pub(crate) tap: Tap,
    pub(crate) facts: Option<TlsFacts>,
    pub(crate) ends: Ends,
}

/// A request without an answer.
pub(crate) struct Unanswered {
    pub(crate) error: AgentError,
    /// It was not even begun to be sent.
    pub(crate) untouched: bool,
    /// Nothing of an answer came.
    pub(crate) silent: bool,
}

impl Link {
    /// Makes a connection one of HTTP.
    pub(crate) async fn new(io: Io, facts: Option<TlsFacts>) -> Result<Self, AgentError> {
        let (tap, ends) = (Tap::default(), io.ends());
        let mut builder = Builder::new();
        // Our own bound comes first, and names itself.
        builder.max_buf_size(2 * HEAD_BYTES_MAX).title_case_headers(true);
        let made = builder.handshake(Wire::new(io, tap.clone())).await;
        let (sender, driver) = made.map_err(|error| told(&error, true))?;
        Ok(Self { sender, driver: Box::pin(driver), ended: false, tap, facts, ends })
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        self.tap.begin();
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            drive(&mut self.driver, &mut self.ended, cx);
            answer.as_mut().poll(cx)
        });
        answered.await.map_err(|mut failed| {
            let untouched = failed.take_message().is_some();
            let silent = self.tap.is_silent();
            Unanswered { error: told(failed.error(), silent), untouched, silent }
        })
    }

    /// Gives the next frame of an answer's body.
    pub(crate) fn poll_frame(&mut self, body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        // Asked first, the body tells the connection that it is wanted, which is driven once then and not twice.
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        drive(&mut self.driver, &mut self.ended, cx);
        Pin::new(body).poll_frame(cx)
    }

    /// Says whether it can take another request just now: whether the server has neither closed it nor said anything unasked.
    pub(crate) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| {
            drive(&mut self.driver, &mut self.ended, cx);
            Poll::Ready(!self.ended && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))))
        })
        .await
    }
}

/// Lets hyper read and write what it can. Its errors come out where the answer is waited for.
fn drive(driver: &mut Pin<Box<Connection<Wire, Full<Bytes>>>>, ended: &mut bool, cx: &mut Context<'_>) {
    if !*ended {
        *ended = driver.as_mut().poll(cx).is_ready();
    }
}
