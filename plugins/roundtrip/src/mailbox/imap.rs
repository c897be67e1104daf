//! By IMAP: one session for the whole run, in which the server searches.

use std::time::Duration;

use watchpost_mail::imap::{Client, Deleted, Session};
use watchpost_plugin_api::{AgentError, Cx, Laps, Level};

use super::{Eyes, HEADER, Handle, MESSAGES_MAX, place};
use crate::{
    arrival::Stamp,
    config::{ImapReceive, Watch},
    head::HEAD_BYTES_MAX,
};

/// How long the farewell may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Way {
    client: Client,
    receive: ImapReceive,
    /// Whether the log was told that messages are flagged only.
    warned: bool,
}

pub(super) struct Open<'a> {
    session: Session<'a>,
    way: &'a mut Way,
    validity: u32,
    /// UIDs below this one were looked at.
    next: u32,
    /// Where the first look of this run began.
    began: u32,
    /// The lowest UID of ours that stays in the mailbox.
    left: Option<u32>,
    /// Messages that there were at the last look; none before the first.
    messages: Option<u32>,
}

impl Way {
    pub(super) fn new(receive: &ImapReceive) -> Result<Self, AgentError> {
        let client = Client::new(receive.door(), receive.login()?, receive.auth);
        Ok(Self { client, receive: receive.clone(), warned: false })
    }

    pub(super) async fn enter<'a>(&'a mut self, cx: &'a Cx, known: Option<(u32, u32)>) -> Result<Open<'a>, AgentError> {
        let mut session = self.client.enter(cx, &mut Laps::unrecorded(cx)).await?;
        match self.open(&mut session).await {
            Ok(validity) => {
                // RFC 9051 2.3.1.1: with another validity no UID means what it did.
                let began = known.filter(|known| known.0 == validity).map_or(1, |known| known.1);
                Ok(Open { session, way: self, validity, next: began, began, left: None, messages: None })
            }
            Err(error) => {
                session.leave().await;
                Err(error)
            }
        }
    }

    async fn open(&self, session: &mut Session<'_>) -> Result<u32, AgentError> {
        session.open(&self.receive.mailbox, true).await?;
        if self.receive.watch == Watch::Idle && !session.offers_to("IDLE").await? {
            return Err(AgentError::protocol("the server offers no IDLE; set watch to \"poll\""));
        }
        session.uid_validity().ok_or_else(|| AgentError::protocol("SELECT: the server gives no UIDVALIDITY, so its UIDs mean nothing"))
    }
}

impl Open<'_> {
    pub(super) async fn look(&mut self, eyes: &mut Eyes<'_>) -> Result<(), AgentError> {
        if self.messages.is_some() {
            self.session.refresh().await?;
            if self.messages == Some(self.session.messages()) {
                return Ok(());
            }
        }
        self.messages = Some(self.session.messages());
        let uids = self.session.find(self.next, HEADER, &eyes.identity.name(), MESSAGES_MAX).await?;
        for &uid in &uids {
            let place = place(&format!("{}:{uid}", self.validity));
            if eyes.have_seen(place) {
                continue;
            }
            // What is gone meanwhile is somebody else's doing.
            let Some(head) = self.session.head(uid, HEAD_BYTES_MAX as u32).await? else { continue };
            eyes.see(place, &head.bytes, |_| head.delivered.map(Stamp::seconds), Handle::Uid(uid));
        }
        let ours = eyes.found.iter().filter_map(|found| uid_of(&found.handle));
        self.left = ours.chain(self.left).min();
        let highest = uids.iter().max().map(|uid| uid.saturating_add(1));
        self.next = [Some(self.next), self.session.uid_next(), highest].into_iter().flatten().max().unwrap_or(self.next);
        Ok(())
    }

    pub(super) async fn settle(&mut self, cx: &Cx, handles: &[Handle]) -> Result<(), AgentError> {
        let uids: Vec<u32> = handles.iter().filter_map(uid_of).collect();
        if uids.is_empty() {
            return Ok(());
        }
        if self.session.delete(&uids).await? == Deleted::Flagged && !self.way.warned {
            self.way.warned = true;
            let text =
                "the server offers no UIDPLUS: messages that were counted are flagged as deleted and stay until somebody expunges them";
            cx.log(Level::Warn, text);
        }
        Ok(())
    }

    /// Has the server tell of news; `None` if it is to be asked instead.
    pub(super) async fn idle(&mut self, time: Duration) -> Result<Option<bool>, AgentError> {
        match self.way.receive.watch {
            Watch::Idle => self.session.idle(time).await.map(Some),
            Watch::Poll => Ok(None),
        }
    }

    pub(super) fn poll(&self) -> Duration {
        self.way.receive.poll.0
    }

    /// What is ours and stays has to be found again, to be deleted; it lies where this run found it.
    pub(super) fn looked_through(&self) -> Option<(u32, u32)> {
        let from = self.left.unwrap_or(self.next);
        (from >= self.began).then_some((self.validity, from))
    }

    pub(super) async fn leave(&mut self) {
        let (cx, session) = (self.session.cx(), &mut self.session);
        // All that matters has been said.
        let _ended = cx.within(LEAVE_TIMEOUT, session.close()).await;
    }
}

fn uid_of(handle: &Handle) -> Option<u32> {
    match handle {
        Handle::Uid(uid) => Some(*uid),
        Handle::Number(_) | Handle::File(_) => None,
    }
}
