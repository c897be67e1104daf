//! The mailbox in which messages arrive, whichever way it is read.

mod files;
mod imap;
mod pop3;

use std::{collections::HashSet, time::Duration};

use watchpost_plugin_api::{AgentError, Cx, PathBuf};

use crate::{
    arrival::Stamp,
    config::Receive,
    head::{Head, Hop},
    ledger::Ledger,
    mark::{HEADER, Identity, Mark},
};

/// Messages of one mailbox that are looked at; a mailbox with more is no place to wait in.
const MESSAGES_MAX: usize = 10_000;

/// A message of ours that lies in the mailbox.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) mark: Mark,
    /// Where it lies: a number that no other message of the mailbox has.
    pub(crate) place: u64,
    pub(crate) stamp: Option<Stamp>,
    pub(crate) hops: Vec<Hop>,
    /// How it is deleted.
    pub(crate) handle: Handle,
}

/// What names a message to its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handle {
    Uid(u32),
    /// A number that holds as long as the session.
    Number(u64),
    File(PathBuf),
}

/// The way to a mailbox, and what is known of it from run to run.
#[derive(Debug)]
pub(crate) struct Receiver {
    way: Way,
    /// Places of messages that are not ours, so that each is read once only.
    foreign: HashSet<u64>,
}

#[derive(Debug)]
enum Way {
    Imap(imap::Way),
    Pop3(pop3::Way),
    Files(files::Way),
}

/// A mailbox while a run looks into it.
pub(crate) struct Visit<'a> {
    cx: &'a Cx,
    identity: Identity,
    foreign: &'a mut HashSet<u64>,
    /// Places of our messages that this run was told of.
    told: HashSet<u64>,
    open: Open<'a>,
}

enum Open<'a> {
    Imap(Box<imap::Open<'a>>),
    Pop3(pop3::Open<'a>),
    Files(&'a files::Way),
}

impl Receiver {
    /// Errors: kind `config`.
    pub(crate) fn new(receive: &Receive) -> Result<Self, AgentError> {
        let way = match receive {
            Receive::Imap(receive) => Way::Imap(imap::Way::new(receive)?),
            Receive::Pop3(receive) => Way::Pop3(pop3::Way::new(receive)?),
            Receive::Maildir(receive) => Way::Files(files::Way::new(receive)),
        };
        Ok(Self { way, foreign: HashSet::new() })
    }

    /// Begins a visit; what has been looked through before is left out where the mailbox allows it.
    pub(crate) async fn enter<'a>(&'a mut self, cx: &'a Cx, ledger: &Ledger) -> Result<Visit<'a>, AgentError> {
        let open = match &mut self.way {
            Way::Imap(way) => Open::Imap(Box::new(way.enter(cx, ledger.uids).await?)),
            Way::Pop3(way) => Open::Pop3(pop3::Open::new(way)),
            Way::Files(way) => Open::Files(way),
        };
        if self.foreign.len() > 10 * MESSAGES_MAX {
            // Most of them are gone; those that are not are read once more.
            self.foreign.clear();
        }
        Ok(Visit { cx, identity: ledger.identity.clone(), foreign: &mut self.foreign, told: HashSet::new(), open })
    }
}

impl Visit<'_> {
    /// Looks for messages of ours, and gives those that this run was not told of yet. Each look is followed by [`settle`](Visit::settle).
    pub(crate) async fn look(&mut self) -> Result<Vec<Found>, AgentError> {
        let mut eyes = Eyes { cx: self.cx, identity: &self.identity, foreign: self.foreign, told: &mut self.told, found: Vec::new() };
        match &mut self.open {
            Open::Imap(open) => open.look(&mut eyes).await?,
            Open::Pop3(open) => open.look(self.cx, &mut eyes).await?,
            Open::Files(way) => way.look(&mut eyes).await?,
        }
        Ok(eyes.found)
    }

    /// Deletes messages that the last look gave.
    pub(crate) async fn settle(&mut self, handles: &[Handle]) -> Result<(), AgentError> {
        match &mut self.open {
            Open::Imap(open) => open.settle(self.cx, handles).await,
            Open::Pop3(open) => open.settle(handles).await,
            Open::Files(way) => way.settle(self.cx, handles).await,
        }
    }

    /// Waits until another look is worth it, at most so long; says whether the server told that it is.
    pub(crate) async fn pause(&mut self, time: Duration) -> Result<bool, AgentError> {
        let poll = match &mut self.open {
            Open::Imap(open) => match open.idle(time).await? {
                Some(told) => return Ok(told),
                None => open.poll(),
            },
            Open::Pop3(open) => open.poll(),
            Open::Files(way) => way.poll(),
        };
        self.cx.sleep(poll.min(time)).await;
        Ok(false)
    }

    /// The longest time between two looks of a run that waits, a look itself included.
    pub(crate) fn watched(&self) -> Duration {
        let poll = match &self.open {
            Open::Imap(open) => open.poll(),
            Open::Pop3(open) => open.poll(),
            Open::Files(way) => way.poll(),
        };
        2 * poll
    }

    /// Where an IMAP mailbox need not be looked through any more (UIDVALIDITY, UID).
    pub(crate) fn looked_through(&self) -> Option<(u32, u32)> {
        match &self.open {
            Open::Imap(open) => open.looked_through(),
            Open::Pop3(_) | Open::Files(_) => None,
        }
    }

    /// Ends the visit; that the mailbox takes its leave badly is no fault of a message's.
    pub(crate) async fn leave(&mut self) {
        match &mut self.open {
            Open::Imap(open) => open.leave().await,
            Open::Pop3(open) => open.leave().await,
            Open::Files(_) => {}
        }
    }
}

/// Tells ours from others'.
struct Eyes<'a> {
    cx: &'a Cx,
    identity: &'a Identity,
    foreign: &'a mut HashSet<u64>,
    told: &'a mut HashSet<u64>,
    found: Vec<Found>,
}

impl Eyes<'_> {
    /// Says whether the message at a place has been looked at before.
    fn have_seen(&self, place: u64) -> bool {
        self.foreign.contains(&place) || self.told.contains(&place)
    }

    /// Looks at the head of a message. Only one mark counts, and only if it is ours: others are forged, or another job's.
    fn see(&mut self, place: u64, head: &[u8], stamp: impl FnOnce(&Head) -> Option<Stamp>, handle: Handle) {
        let head = Head::read(head);
        let mark = head.marks.iter().find_map(|value| self.identity.read(value));
        let Some(mark) = mark else {
            self.foreign.insert(place);
            return;
        };
        self.told.insert(place);
        let stamp = stamp(&head);
        self.found.push(Found { mark, place, stamp, hops: head.hops, handle });
    }
}

/// A number for a place (FNV-1a), never 0.
fn place(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.max(1)
}
