//! By POP3: a session for each look, which shows the mailbox as it was at the login.

use std::time::Duration;

use watchpost_mail::pop3::{Client, Session};
use watchpost_plugin_api::{AgentError, Cx, Laps};

use super::{Eyes, Handle, MESSAGES_MAX, place};
use crate::{
    arrival::Stamp,
    config::Pop3Receive,
    head::{HEAD_BYTES_MAX, Head},
};

#[derive(Debug)]
pub(super) struct Way {
    client: Client,
    poll: Duration,
}

pub(super) struct Open<'a> {
    way: &'a mut Way,
    session: Option<Session<'a>>,
}

impl Way {
    pub(super) fn new(receive: &Pop3Receive) -> Result<Self, AgentError> {
        Ok(Self { client: Client::new(receive.door(), receive.login()?, receive.auth), poll: receive.poll.0 })
    }
}

impl<'a> Open<'a> {
    pub(super) fn new(way: &'a mut Way) -> Self {
        Self { way, session: None }
    }

    pub(super) async fn look(&mut self, cx: &'a Cx, eyes: &mut Eyes<'_>) -> Result<(), AgentError> {
        let session = self.session.insert(self.way.client.enter(cx, &mut Laps::unrecorded(cx)).await?);
        for (number, name) in session.names(MESSAGES_MAX).await? {
            let place = place(&name);
            if eyes.have_seen(place) {
                continue;
            }
            let head = session.head(number, HEAD_BYTES_MAX).await?;
            // The last server on the way is the one that put it here.
            let stamp = |head: &Head| head.hops.last()?.at.map(Stamp::seconds);
            eyes.see(place, &head, stamp, Handle::Number(number));
        }
        Ok(())
    }

    /// Deletes, and ends the session: only then is anything deleted.
    pub(super) async fn settle(&mut self, handles: &[Handle]) -> Result<(), AgentError> {
        let Some(mut session) = self.session.take() else { return Ok(()) };
        for handle in handles {
            if let Handle::Number(number) = handle {
                session.delete(*number).await?;
            }
        }
        match session.close().await {
            Err(error) if !handles.is_empty() => Err(error),
            // Many close the connection instead of answering.
            _ => Ok(()),
        }
    }

    pub(super) fn poll(&self) -> Duration {
        self.way.poll
    }

    pub(super) async fn leave(&mut self) {
        if let Some(mut session) = self.session.take() {
            session.leave().await;
        }
    }
}
