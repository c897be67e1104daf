//! What a session does for somebody who waits for messages of his own, and deletes them.

use std::time::Duration;

use watchpost_plugin_api::{AgentError, ErrorKind};

use super::{
    fetch::{Fetched, is_fetch},
    response::{Condition, Response, Status},
    search,
    session::{Answer, Session, asks_for_more, during},
    wire::{Bounds, SMALL},
};
use crate::date;

/// The head of a message, or its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// When the server took it (INTERNALDATE), in whole seconds since 1970; `None` if that cannot be read.
    pub delivered: Option<u64>,
    /// The header as it is.
    pub bytes: Vec<u8>,
}

/// What became of messages that were to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// They are gone.
    Gone,
    /// They are flagged as deleted. Of a server without UIDPLUS (RFC 4315) EXPUNGE would take what others flagged, too.
    Flagged,
}

impl Session<'_> {
    /// What the UIDs of the open mailbox belong to; `None` if the server has not said it.
    pub fn uid_validity(&self) -> Option<u32> {
        self.mailbox.uid_validity()
    }

    /// Below which all UIDs are that were given when the mailbox was opened; `None` if the server has not said it.
    pub fn uid_next(&self) -> Option<u32> {
        self.mailbox.uid_next()
    }

    /// Messages in the open mailbox, as far as the server has told of them.
    pub fn messages(&self) -> u32 {
        self.mailbox.messages().unwrap_or_default()
    }

    /// Says whether the server offers a capability.
    ///
    /// Errors: those of asking for it.
    pub async fn offers_to(&mut self, capability: &str) -> Result<bool, AgentError> {
        Ok(self.offers().await?.have(capability))
    }

    /// Has the server tell what is new.
    pub async fn refresh(&mut self) -> Result<(), AgentError> {
        self.command("NOOP", "NOOP").await?.positive("NOOP")
    }

    /// Finds the messages from that UID on whose header of this name holds this text, both without quotes; gives their UIDs.
    ///
    /// Errors: kind `limit` if there are more than `found_max`.
    pub async fn find(&mut self, from: u32, header: &str, text: &str, found_max: usize) -> Result<Vec<u32>, AgentError> {
        let name = "UID SEARCH";
        self.wire.send(&format!("UID SEARCH UID {from}:* HEADER {header} \"{text}\"")).await.map_err(during(name))?;
        let (tag, mut found) = (self.wire.tag(), None);
        let take = |data: &str, _: &[u8]| {
            if let Some(uids) = search::uids(data, &tag, found_max)? {
                found.get_or_insert_with(Vec::new).extend(uids);
            }
            Ok(())
        };
        self.done(name, &search::FOUND, take).await?.positive(name)?;
        let mut found = found.ok_or_else(|| AgentError::protocol("UID SEARCH: the server does not say what it found"))?;
        // RFC 9051 9: a range has no order, so the last message is in `n:*` even if its UID is below n.
        found.retain(|uid| *uid >= from);
        match found.len() > found_max {
            true => Err(AgentError::new(ErrorKind::LIMIT, format!("more than {found_max} messages found"))),
            false => Ok(found),
        }
    }

    /// Reads the head of a message, at most so much of it; `None` if there is no such message any more. Its flags stay (PEEK).
    pub async fn head(&mut self, uid: u32, bytes_max: u32) -> Result<Option<Head>, AgentError> {
        let name = "UID FETCH";
        let bounds = Bounds { literal_bytes: bytes_max.into(), literal_name: "the bound for a head", kept: true, ..SMALL };
        self.wire.hush();
        self.wire.send(&format!("UID FETCH {uid} (UID INTERNALDATE BODY.PEEK[HEADER]<0.{bytes_max}>)")).await.map_err(during(name))?;
        let mut head = None;
        let take = |data: &str, literals: &[u8]| {
            let of_it = is_fetch(data) && Fetched::parse(data).is_some_and(|fetched| fetched.uid == Some(uid));
            // Flags that change are told by an answer of the same form, without what was asked for.
            if of_it && data.to_ascii_uppercase().contains("BODY[HEADER]") {
                head = Some(Head { delivered: internal_date(data), bytes: literals.to_vec() });
            }
            Ok(())
        };
        self.done(name, &bounds, take).await?.positive(name)?;
        Ok(head)
    }

    /// Waits until the server tells that there are more messages (IDLE, RFC 2177), at most so long; says whether there are.
    pub async fn idle(&mut self, time: Duration) -> Result<bool, AgentError> {
        let (name, before) = ("IDLE", self.messages());
        self.wire.send("IDLE").await.map_err(during(name))?;
        match self.answer(name, &SMALL, |_, _| Ok(())).await? {
            Answer::More(_) => {}
            Answer::Done(status) => {
                status.positive(name)?;
                return Err(AgentError::protocol("IDLE: the server ends it before it began"));
            }
        }
        let cx = self.cx;
        let more = match cx.within(time, self.told_of_more(before)).await {
            Err(error) if error.kind() == ErrorKind::TIMEOUT => false,
            told => told.map(|()| true)?,
        };
        self.wire.go_on("DONE").await.map_err(during(name))?;
        match self.answer(name, &SMALL, |_, _| Ok(())).await? {
            Answer::Done(status) => status.positive(name).map(|()| more || self.messages() > before),
            Answer::More(_) => Err(asks_for_more(name)),
        }
    }

    async fn told_of_more(&mut self, before: u32) -> Result<(), AgentError> {
        let name = "IDLE";
        while self.messages() <= before {
            match self.wire.receive(&SMALL).await.map_err(during(name))? {
                Response::Data(data) => self.take(&data).map_err(during(name))?,
                Response::Untagged(status) => self.hear(&status, name)?,
                Response::More(_) => return Err(asks_for_more(name)),
                Response::Tagged(_, status) => return Err(status.unwelcome(name)),
            }
        }
        Ok(())
    }

    /// Deletes messages by their UIDs, and no other; what is not there any more is no fault.
    pub async fn delete(&mut self, uids: &[u32]) -> Result<Deleted, AgentError> {
        let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let plus = self.offers_to("UIDPLUS").await?;
        done_or_gone(&self.command("UID STORE", &format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)")).await?, "UID STORE")?;
        if !plus {
            return Ok(Deleted::Flagged);
        }
        done_or_gone(&self.command("UID EXPUNGE", &format!("UID EXPUNGE {set}")).await?, "UID EXPUNGE")?;
        Ok(Deleted::Gone)
    }
}

/// RFC 5530 3: others may have deleted it.
fn done_or_gone(status: &Status, name: &str) -> Result<(), AgentError> {
    match status.condition == Condition::No && status.code() == Some("EXPUNGEISSUED") {
        true => Ok(()),
        false => status.positive(name),
    }
}

fn internal_date(data: &str) -> Option<u64> {
    let at = data.to_ascii_uppercase().find("INTERNALDATE \"")?;
    let rest = data.get(at + "INTERNALDATE \"".len()..)?;
    date::read(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_delivery_is_found_in_an_answer() {
        let data = "3 FETCH (UID 7 InternalDate \"29-Nov-2026 22:14:14 +0000\" BODY[HEADER]<0> {5})";
        assert_eq!(internal_date(data), Some(1_795_990_454));
        assert_eq!(internal_date("3 FETCH (UID 7 INTERNALDATE \"\")"), None);
        assert_eq!(internal_date("3 FETCH (UID 7 INTERNALDATE \"open"), None);
    }
}
