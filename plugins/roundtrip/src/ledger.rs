//! What is under way, what has come, and the running totals: all that a run leaves to the next one.
//!
//! A run that is lost is not kept here, and no message of it either. So what the ledger knows to be under way is deleted by the run *after*
//! the one that counted it, when the count is safe; and a message that bears our mark and is not known here was sent by a run that was lost.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::mark::{Identity, Mark};

/// Messages that may be under way. With [`SETTLED_MAX`] the ledger stays below the 64 KiB of a cursor.
pub(crate) const IN_FLIGHT_MAX: usize = 500;
/// Messages that are remembered after they have come or were given up, so that a copy of one is known as such.
const SETTLED_MAX: usize = 450;
/// The place of a message that was given up before anybody saw it.
const NOWHERE: u64 = 0;

/// Running totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) late: u64,
    pub(crate) lost: u64,
    pub(crate) duplicate: u64,
    pub(crate) skewed: u64,
}

/// All that a run leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// The mailbox it belongs to; a job with another one begins anew.
    pub(crate) of: String,
    pub(crate) identity: Identity,
    pub(crate) totals: Totals,
    in_flight: Vec<Underway>,
    settled: VecDeque<Settled>,
    /// When the youngest of those that were settled and forgotten was sent, in ms; what is older and unknown is a copy.
    forgotten_ms: u64,
    /// When the mailbox was last looked at, in ns since 1970.
    pub(crate) looked_ns: u64,
    /// UIDVALIDITY of an IMAP mailbox, and the UID below which nothing of ours is left.
    pub(crate) uids: Option<(u32, u32)>,
}

/// A message under way: its id, when it was sent (ms since 1970), and whether it was counted as late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Underway(u64, u64, bool);

/// A message that came, or was given up: its id, its place in the mailbox, and when it was sent (ms since 1970).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Settled(u64, u64, u64);

/// What a message that lies in the mailbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It was under way, and has come.
    Arrived,
    /// It was counted before, at this place.
    Counted,
    /// It was counted before, at another place.
    Copy,
    /// It was given up before.
    Belated,
}

/// Messages that were found to be overdue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) late: u64,
    pub(crate) lost: u64,
}

impl Ledger {
    pub(crate) fn new(of: String) -> Self {
        let (in_flight, settled) = (Vec::new(), VecDeque::new());
        let (identity, totals) = (Identity::new(), Totals::default());
        Self { of, identity, totals, in_flight, settled, forgotten_ms: 0, looked_ns: 0, uids: None }
    }

    /// Whether there is no room for another message under way.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight.len() >= IN_FLIGHT_MAX
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// When the message that is under way for the longest time was sent, in ms since 1970.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        self.in_flight.iter().map(|message| message.1).min()
    }

    /// Notes a message that was handed over.
    pub(crate) fn send(&mut self, mark: Mark) {
        self.totals.sent += 1;
        self.in_flight.push(Underway(mark.id, millis(mark.sent_ns), false));
    }

    /// Takes a message found at a place, and counts it if it is new.
    pub(crate) fn find(&mut self, mark: Mark, place: u64) -> Finding {
        let finding = self.judge(mark, place);
        match finding {
            Finding::Arrived => self.totals.arrived += 1,
            Finding::Copy => self.totals.duplicate += 1,
            Finding::Counted => return finding,
            Finding::Belated => self.settled.retain(|settled| (settled.0, settled.1) != (mark.id, NOWHERE)),
        }
        self.settle(Settled(mark.id, place, millis(mark.sent_ns)));
        finding
    }

    fn judge(&mut self, mark: Mark, place: u64) -> Finding {
        let mut places = self.settled.iter().filter(|settled| settled.0 == mark.id).map(|settled| settled.1).peekable();
        if places.peek().is_some() {
            let places: Vec<u64> = places.collect();
            return match () {
                () if places.contains(&place) => Finding::Counted,
                () if places == [NOWHERE] => Finding::Belated,
                () => Finding::Copy,
            };
        }
        if let Some(at) = self.in_flight.iter().position(|message| message.0 == mark.id) {
            self.in_flight.remove(at);
            return Finding::Arrived;
        }
        match millis(mark.sent_ns) <= self.forgotten_ms {
            true => Finding::Copy,
            // Its run sent it and was lost, or nobody could tell whether the server had taken it.
            false => {
                self.totals.sent += 1;
                Finding::Arrived
            }
        }
    }

    /// Counts a message as late unless it was already.
    pub(crate) fn late(&mut self, late_before: bool) {
        self.totals.late += u64::from(!late_before);
    }

    /// Says whether a message under way was counted as late.
    pub(crate) fn was_late(&self, id: u64) -> bool {
        self.in_flight.iter().any(|message| message.0 == id && message.2)
    }

    /// Counts what was looked for at `now_ms` in vain: as late, and in the end as lost.
    pub(crate) fn miss(&mut self, now_ms: u64, late_after_ms: u64, lost_after_ms: u64) -> Overdue {
        let mut overdue = Overdue::default();
        let mut given_up = Vec::new();
        self.in_flight.retain_mut(|message| {
            let age = now_ms.saturating_sub(message.1);
            if age > late_after_ms && !message.2 {
                message.2 = true;
                overdue.late += 1;
            }
            let lost = age > lost_after_ms;
            if lost {
                given_up.push(Settled(message.0, NOWHERE, message.1));
            }
            !lost
        });
        overdue.lost = given_up.len() as u64;
        given_up.into_iter().for_each(|settled| self.settle(settled));
        self.totals.late += overdue.late;
        self.totals.lost += overdue.lost;
        overdue
    }

    fn settle(&mut self, settled: Settled) {
        if self.settled.len() == SETTLED_MAX
            && let Some(oldest) = self.settled.pop_front()
        {
            self.forgotten_ms = self.forgotten_ms.max(oldest.2);
        }
        self.settled.push_back(settled);
    }
}

/// Nanoseconds as whole milliseconds.
pub(crate) fn millis(ns: u64) -> u64 {
    ns / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(id: u64) -> Mark {
        Mark { id, sent_ns: id * 1_000_000_000 }
    }

    fn ledger() -> Ledger {
        Ledger::new("here".into())
    }

    #[track_caller]
    fn sums_up(ledger: &Ledger) {
        let Totals { sent, arrived, lost, .. } = ledger.totals;
        assert_eq!(sent, arrived + lost + ledger.in_flight.len() as u64, "{ledger:?}");
    }

    #[test]
    fn a_message_is_counted_once_and_its_copies_are_told_by_their_places() {
        let mut ledger = ledger();
        ledger.send(mark(1));
        assert_eq!(ledger.find(mark(1), 10), Finding::Arrived);
        assert_eq!(ledger.find(mark(1), 10), Finding::Counted);
        assert_eq!(ledger.find(mark(1), 11), Finding::Copy);
        assert_eq!(ledger.find(mark(1), 11), Finding::Counted);
        assert_eq!(ledger.totals, Totals { sent: 1, arrived: 1, duplicate: 1, ..Totals::default() });
        sums_up(&ledger);
    }

    #[test]
    fn a_message_of_a_run_that_was_lost_was_sent_all_the_same() {
        let mut ledger = ledger();
        assert_eq!(ledger.find(mark(7), 10), Finding::Arrived);
        assert_eq!(ledger.find(mark(7), 12), Finding::Copy);
        assert_eq!(ledger.totals, Totals { sent: 1, arrived: 1, duplicate: 1, ..Totals::default() });
    }

    #[test]
    fn a_message_is_late_once_then_lost_and_what_comes_after_that_is_no_arrival() {
        let mut ledger = ledger();
        ledger.send(mark(1));
        assert_eq!(ledger.miss(2000, 1000, 5000), Overdue::default());
        assert_eq!(ledger.miss(2001, 1000, 5000), Overdue { late: 1, lost: 0 });
        assert_eq!(ledger.miss(6000, 1000, 5000), Overdue::default());
        assert!(ledger.was_late(1));
        assert_eq!(ledger.miss(6001, 1000, 5000), Overdue { late: 0, lost: 1 });
        sums_up(&ledger);
        assert_eq!(ledger.find(mark(1), 10), Finding::Belated);
        assert_eq!(ledger.find(mark(1), 10), Finding::Counted);
        assert_eq!(ledger.find(mark(1), 11), Finding::Copy);
        assert_eq!(ledger.totals, Totals { sent: 1, late: 1, lost: 1, duplicate: 1, ..Totals::default() });
    }

    #[test]
    fn a_copy_that_comes_when_its_message_is_forgotten_is_no_arrival() {
        let mut ledger = ledger();
        for id in 1..=2000 {
            ledger.send(mark(id));
            assert_eq!(ledger.find(mark(id), id), Finding::Arrived);
        }
        assert_eq!(ledger.settled.len(), SETTLED_MAX);
        assert_eq!(ledger.find(mark(1), 1), Finding::Copy);
        assert_eq!(ledger.find(mark(1999), 1), Finding::Copy);
        assert_eq!(ledger.find(mark(3000), 1), Finding::Arrived);
    }

    #[test]
    fn a_full_ledger_fits_into_a_cursor() {
        let mut ledger = Ledger::new("x".repeat(600));
        let last = u64::MAX - 5000;
        for id in 0..1000 {
            let mark = Mark { id: last + id, sent_ns: u64::MAX };
            ledger.send(mark);
            ledger.find(mark, u64::MAX - id);
        }
        while !ledger.is_full() {
            ledger.send(Mark { id: u64::MAX, sent_ns: u64::MAX });
        }
        ledger.totals = Totals { sent: u64::MAX, arrived: u64::MAX, late: u64::MAX, lost: u64::MAX, duplicate: u64::MAX, skewed: u64::MAX };
        ledger.uids = Some((u32::MAX, u32::MAX));
        let bytes = serde_json::to_vec(&ledger).unwrap().len();
        assert!(bytes <= 60 * 1024, "{bytes}");
    }
}
