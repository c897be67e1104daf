//! What a ticket needs next: the reconciler. Pure: it is told what was asked and heard, and says what to ask.
//!
//! A step of the alarm waits until the ticket has it. From what is known of the ticket follows the next question:
//!
//! | the ticket                          | the step begins a life            | the step goes on        | the step ends the life            |
//! |-------------------------------------|-----------------------------------|-------------------------|-----------------------------------|
//! | was never asked for                 | search, then create               | search, then create     | nothing to end                    |
//! | may have been made (no sure answer) | search until the window is over; found: that one is it; else create   |  as before; not found: nothing to end |
//! | is open                             | comment                           | comment                 | comment, read, resolve            |
//! | is resolved or closed by us         | read, reopen, comment             | comment                 | comment                           |
//! | is resolved or closed by a person   | as before, within `reopen_within` | comment                 | comment                           |
//! | is gone, or cannot be reopened      | another ticket                    | nothing                 | nothing                           |
//!
//! Whatever changes a ticket is written down before it is sent. Where its outcome is not known (no answer, 5xx, a failure inside a
//! success, a kill), it is looked for before it is sent again, until the *window* is over: twice the deadline of a request and the time
//! for which a search may lag. A resolve and a reopen are never under way at the same time. Where a create made several tickets, the
//! oldest stays and the others are resolved as its duplicates, once the step is told, and read once they are: none of them holds up a step.
//!
//! A ticket of a situation tells of several alarms: it is over when all of them are.
//!
//! Reading order: [`words`] (what is asked and heard) · [`taking`] (a step that is to be told) · [`Ticket::next`] (the table) · [`hearing`]
//! (what is made of an answer) · [`ours`] (which comments we wrote) · [`merged`] (one that
//! stands for several alarms) · [`doubles`] (other tickets that bear the key).

mod doubles;
mod hearing;
mod merged;
mod ours;
mod taking;
mod words;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use doubles::{Doubles, in_duplicate};
use hearing::GONE_AFTER;
pub use merged::{Kin, Turned};
pub use words::{Ask, Can, Comment, Heard, Next, Seen, State, Unsure};

use super::opening::Opening;
use crate::alarm::notice::Notice;

/// Letters of a key behind its beginning.
const KEY_CHARS: usize = 26;
/// Between two looks for what may have been made, at least, nanoseconds.
const LOOK_AGAIN_MIN_NS: i64 = 100_000_000;

/// A ticket, as it is known here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is still to be done, or not")]
pub struct Ticket {
    /// The channel.
    pub channel: String,
    /// The system's name.
    pub system: String,
    /// What the system knows it by: the same for every attempt to make it.
    pub key: String,
    /// What the alarm is known by over all its lives, or the lane of a situation.
    pub alarm_key: String,
    /// The life that it was made for.
    pub first: u64,
    /// The life that it tells of.
    pub alarm: u64,
    /// All lives that it told of.
    pub lives: Vec<u64>,
    /// Those of them that go on, where it is of a situation.
    #[serde(default)]
    pub going: BTreeSet<u64>,
    /// The system's id.
    pub id: Option<String>,
    /// Where people look at it.
    pub link: Option<String>,
    /// How it stands.
    pub state: State,
    /// The system's word for that.
    pub word: Option<String>,
    /// Which state of it that is.
    pub version: Option<String>,
    /// Who takes care of it.
    pub owner: Option<String>,
    /// Whether it is to be over.
    pub over: bool,
    /// When its alarm's life ended, nanoseconds since 1970.
    pub ended_ns: Option<i64>,
    /// The last step that is in it.
    pub told: u64,
    /// The step that is being told.
    pub telling: u64,
    /// Whether it is still to be reopened.
    pub reopens: bool,
    /// Whether it is still to be resolved.
    pub resolves: bool,
    /// Whether its owner is still to be told.
    pub takes: bool,
    /// How often the system was asked to make it.
    pub creates: u32,
    /// A change whose outcome is not known.
    pub unsure: Option<Unsure>,
    /// A comment of which it is not known whether it was written.
    pub written: Option<Unsure>,
    /// Until when a resolve, or else a reopen, may still take effect.
    pub late: Option<(Ask, i64)>,
    /// When nothing was found last.
    pub searched_ns: Option<i64>,
    /// When the comment was not there last.
    pub looked_ns: Option<i64>,
    /// Whether it was read since it was changed last.
    pub fresh: bool,
    /// Whether duplicates were looked for since the step came.
    pub swept: bool,
    /// Duplicates that are to be resolved, and those that were.
    pub duplicates: Vec<String>,
    /// Duplicates that are resolved.
    pub retired: Vec<String>,
    /// What else is known of tickets that bear the key.
    #[serde(default)]
    pub doubles: Doubles,
    /// Comments that were seen.
    pub seen: Vec<String>,
    /// Comments that are about to be notes of the alarm: a kill may have come in between.
    #[serde(default)]
    pub noting: Vec<String>,
    /// How comments of ours begin, by the number of the step: so that one that quotes ours is somebody's.
    #[serde(default)]
    pub begins: Vec<(u64, String)>,
    /// How it was turned last, as far as that is known.
    #[serde(default)]
    pub turned: Option<Turned>,
    /// Whether it was merged into one that is none of ours.
    #[serde(default)]
    pub is_anothers: bool,
    /// Tickets of ours whose comments stand in it, too.
    #[serde(skip)]
    pub kin: Vec<Kin>,
    /// Whether its comments are to be read once more: what it tells of ended since they were.
    #[serde(default)]
    pub looks: bool,
    /// The life that goes on, where another ticket came after this one.
    #[serde(skip)]
    pub heir: Option<u64>,
    /// Why the system will never take the step, if so.
    pub refused: Option<String>,
    /// Whether its owner, when read next, is what we made him.
    pub took: bool,
    /// Whether it is known who had it from the beginning: that nobody took it.
    #[serde(default = "was_met")]
    pub met: bool,
    /// How often, one time after the other, the system said that there is no such ticket, or that we may not.
    #[serde(default)]
    pub denied: u32,
    /// Whether the system lets us in otherwise, since it said so last.
    #[serde(default)]
    pub vouched: bool,
    /// Looks at its comments that failed, one after the other, though it could be read itself.
    #[serde(default)]
    pub unlooked: u32,
    /// Times that it could not be read without need, one after the other.
    #[serde(default)]
    pub unread: u32,
    /// Attempts that failed, one after the other.
    pub attempts: u32,
    /// What failed last, until that or a change goes well.
    #[serde(default)]
    pub failing: Option<String>,
    /// Not before this instant, nanoseconds since 1970.
    pub next_ns: i64,
    /// When it was read last without need.
    pub polled_ns: i64,
    /// What went wrong last, and has not gone well since.
    pub error: Option<String>,
    /// What is being asked.
    pub asking: Option<String>,
    /// The alarm as it was told last.
    pub notice: Notice,
    /// What it is opened with, where that is more than the alarm.
    #[serde(skip)]
    pub opening: Option<Opening>,
}

/// One that was written down before anybody asked was read before, too.
fn was_met() -> bool {
    true
}

/// The key of a ticket: nobody else's, and the same whoever makes it again.
pub fn key(instance: &str, alarm_key: &str, first: u64) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(format!("{instance}\n{alarm_key}\n{first}"));
    let bit = |at: usize| digest.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let letter = |at: usize| LETTERS[(0..5).fold(0, |value, more| value << 1 | usize::from(bit(at * 5 + more)))];
    let letters: String = (0..KEY_CHARS).map(|at| char::from(letter(at))).collect();
    format!("watchpost-{letters}")
}

/// What a comment bears, so that it is known again: the key and the step's number.
pub fn mark(key: &str, seq: u64) -> String {
    format!("{key}/{seq}")
}

/// Whether a comment bears a mark on a line of its own: one that is quoted is somebody else's.
pub fn bears(text: &str, mark: &str) -> bool {
    text.lines().any(|line| line.trim() == mark)
}

impl Ticket {
    /// One that is to be made for a step.
    pub fn new(channel: &str, system: &str, instance: &str, notice: &Notice) -> Self {
        Self {
            channel: channel.into(),
            system: system.into(),
            key: key(instance, &notice.key, notice.alarm),
            alarm_key: notice.key.clone(),
            first: notice.alarm,
            alarm: notice.alarm,
            lives: vec![notice.alarm],
            going: BTreeSet::new(),
            id: None,
            link: None,
            state: State::Unmade,
            word: None,
            version: None,
            owner: None,
            over: false,
            ended_ns: None,
            told: 0,
            telling: 0,
            reopens: false,
            resolves: false,
            takes: false,
            creates: 0,
            unsure: None,
            written: None,
            late: None,
            searched_ns: None,
            looked_ns: None,
            fresh: false,
            swept: false,
            duplicates: Vec::new(),
            retired: Vec::new(),
            doubles: Doubles::default(),
            seen: Vec::new(),
            noting: Vec::new(),
            begins: Vec::new(),
            turned: None,
            is_anothers: false,
            kin: Vec::new(),
            looks: false,
            heir: None,
            refused: None,
            took: false,
            met: false,
            denied: 0,
            vouched: false,
            unlooked: 0,
            unread: 0,
            attempts: 0,
            failing: None,
            next_ns: 0,
            polled_ns: 0,
            error: None,
            asking: None,
            notice: notice.clone(),
            opening: None,
        }
    }

    /// What is to be asked so that the ticket has the step.
    pub fn next(&self, can: Can, now_ns: i64, window_ns: i64) -> Next {
        match &self.id {
            None => self.next_unmade(can, now_ns, window_ns),
            Some(_) if self.state == State::Gone || (self.denied > GONE_AFTER && !can.search) => {
                if self.reopens && self.first != self.notice.alarm { Next::Anew } else { Next::Settled }
            }
            Some(_) => self.next_made(can, now_ns, window_ns),
        }
    }

    fn next_unmade(&self, can: Can, now_ns: i64, window_ns: i64) -> Next {
        let found_out = match &self.unsure {
            None => !can.search || self.searched_ns.is_some(),
            Some(unsure) if can.search => match again(unsure, self.searched_ns, window_ns) {
                Some(at_ns) if at_ns > now_ns => return Next::Wait(at_ns),
                again => again.is_none(),
            },
            // Whoever knows a key by himself is asked again.
            Some(_) => !self.notice.step.ends(),
        };
        match found_out {
            _ if self.notice.step.ends() && self.unsure.is_none() => Next::Settled,
            true if self.notice.step.ends() => Next::Settled,
            true => Next::Ask(Ask::Create),
            false if can.search => Next::Ask(Ask::Search),
            false => Next::Ask(Ask::Create),
        }
    }

    fn next_made(&self, can: Can, now_ns: i64, window_ns: i64) -> Next {
        // Whether we are let in at all is asked where the answer is about no ticket.
        if can.search && self.is_doubtful() {
            return Next::Ask(Ask::Search);
        }
        match self.next_of_step(can, now_ns, window_ns) {
            Next::Settled => self.next_of_duplicates(can, now_ns).map_or(Next::Settled, Next::Ask),
            next => next,
        }
    }

    fn next_of_step(&self, can: Can, now_ns: i64, window_ns: i64) -> Next {
        if self.reopens && self.state.is_over() {
            return match self.may(&Ask::Resolve, now_ns) {
                Some(wait) => wait,
                None if can.read && !self.fresh => Next::Ask(Ask::Read),
                None if can.reopen && !self.is_anothers => Next::Ask(Ask::Reopen),
                None => Next::Anew,
            };
        }
        if self.told < self.telling && can.comment && !self.is_from_here() {
            return self.next_comment(can, now_ns, window_ns);
        }
        if self.takes && can.take && self.notice.owner.is_some() {
            return if can.versioned && can.read && !self.fresh { Next::Ask(Ask::Read) } else { Next::Ask(Ask::Take) };
        }
        if self.resolves {
            if !self.swept && self.is_to_be_swept(can) {
                return Next::Ask(Ask::Search);
            }
            if self.state == State::Open && can.resolve {
                return match self.may(&Ask::Reopen, now_ns) {
                    Some(wait) => wait,
                    None if can.read && !self.fresh => Next::Ask(Ask::Read),
                    None => Next::Ask(Ask::Resolve),
                };
            }
        }
        Next::Settled
    }

    fn next_comment(&self, can: Can, now_ns: i64, window_ns: i64) -> Next {
        if let Some(unsure) = self.written.as_ref().filter(|unsure| can.comments && unsure.seq == self.telling) {
            match again(unsure, self.looked_ns, window_ns) {
                Some(at_ns) if at_ns > now_ns => return Next::Wait(at_ns),
                // What cannot be read for good holds up nothing: better twice than never.
                Some(_) if self.unlooked > GONE_AFTER && now_ns > unsure.until_ns => {}
                Some(_) if self.unlooked > 0 && !self.fresh && can.read => return Next::Ask(Ask::Read),
                Some(_) => return Next::Ask(Ask::Look),
                None => {}
            }
        }
        if can.versioned && can.read && !self.fresh { Next::Ask(Ask::Read) } else { Next::Ask(Ask::Comment) }
    }

    /// Waits for the opposite to be past taking effect.
    fn may(&self, opposite: &Ask, now_ns: i64) -> Option<Next> {
        let unsure = self.unsure.as_ref().map(|unsure| (&unsure.ask, unsure.until_ns));
        let late = self.late.as_ref().map(|(ask, until_ns)| (ask, *until_ns));
        let until_ns = [unsure, late].into_iter().flatten().filter(|(ask, _)| *ask == opposite).map(|(_, until_ns)| until_ns).max()?;
        (until_ns > now_ns).then_some(Next::Wait(until_ns))
    }

    /// Notes that a change is about to be sent: this is written down before it is.
    pub fn send(&mut self, ask: &Ask, now_ns: i64, window_ns: i64) {
        self.asking = Some(ask.name().to_owned());
        if !ask.changes() {
            return;
        }
        self.fresh = false;
        let sent = Unsure { ask: ask.clone(), seq: self.telling, since_ns: now_ns, until_ns: now_ns.saturating_add(window_ns) };
        match ask {
            Ask::Comment => self.written = Some(sent),
            // It may be said twice of a duplicate that it is one.
            Ask::Disown(_) | Ask::Retire(_) => {}
            _ => {
                self.outlive();
                self.unsure = Some(sent);
            }
        }
        self.note_turn(ask, now_ns);
        match ask {
            Ask::Create => {
                self.creates = self.creates.saturating_add(1);
                self.searched_ns = None;
                self.doubles.until_ns = now_ns.saturating_add(window_ns);
                self.note_beginning();
            }
            Ask::Comment => {
                self.looked_ns = None;
                self.note_beginning();
            }
            _ => {}
        }
    }

    /// Whether a step of it is still to be told.
    pub fn is_behind(&self) -> bool {
        self.told < self.telling || self.reopens || self.resolves || self.takes
    }

    /// Ends being unsure of a change, and remembers until when it may still take effect.
    fn outlive(&mut self) {
        if let Some(unsure) = self.unsure.take().filter(|unsure| matches!(unsure.ask, Ask::Resolve | Ask::Reopen)) {
            let known = self.late.as_ref().filter(|(ask, _)| *ask == unsure.ask).map_or(0, |(_, until_ns)| *until_ns);
            self.late = Some((unsure.ask, unsure.until_ns.max(known)));
        }
    }

    /// Notes that the ticket has the step.
    pub fn settle(&mut self) {
        self.told = self.told.max(self.telling);
        (self.reopens, self.resolves, self.takes, self.fresh, self.asking) = (false, false, false, false, None);
        (self.attempts, self.failing) = (0, None);
    }
}

/// When it is looked again for what may have been made: at once, from time to time, and when the window is over; then no more.
fn again(unsure: &Unsure, last_ns: Option<i64>, window_ns: i64) -> Option<i64> {
    match last_ns {
        None => Some(unsure.since_ns),
        Some(last) if last >= unsure.until_ns => None,
        Some(last) => Some(last.saturating_add((window_ns / 8).max(LOOK_AGAIN_MIN_NS)).min(unsure.until_ns)),
    }
}

#[cfg(test)]
#[path = "life/tests.rs"]
mod tests;
