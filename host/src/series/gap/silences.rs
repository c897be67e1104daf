//! Why a job gives no readings, by the slots from which on that holds.

use serde::{Deserialize, Serialize};

use crate::reading::Reason;

/// Changes of the reason without a reading between, at most; beyond, the oldest give way.
const CHANGES_MAX: usize = 32;
/// Times in a row that the same reason is kept with the slots from which on it was said to hold: a reading may be that many runs late.
const SAME_MAX: usize = 4;

/// Reasons that hold until a reading comes that was due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Silences(Vec<(i64, Reason)>);

impl Silences {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a reason that holds from a slot on, in place of what was to hold from there. Says whether that changes anything.
    pub fn note(&mut self, from: i64, reason: Reason) -> bool {
        let before = self.0.clone();
        self.0.retain(|(slot, _)| *slot < from);
        // The same once more matters: the reading of a run between the two may still come, and ends the first alone.
        if self.0.iter().rev().take_while(|(_, last)| *last == reason).count() >= SAME_MAX {
            self.0.pop();
        }
        self.0.push((from, reason));
        if self.0.len() > CHANGES_MAX {
            self.0.remove(0);
        }
        self.0 != before
    }

    /// Forgets what held up to a slot, of which a reading came that was due. Says whether there was anything.
    pub fn passed(&mut self, slot: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|(from, _)| *from > slot);
        self.0.len() != before
    }

    /// Why there is no reading of a slot, if that was said.
    pub fn at(&self, slot: i64) -> Option<Reason> {
        self.0.iter().rev().find(|(from, _)| *from <= slot).map(|(_, reason)| *reason)
    }

    /// The time after `from`, up to `to`, by reasons; nothing is said of the first where no reason holds yet.
    ///
    /// A slot stands for the step that ends with it.
    pub(super) fn over(&self, from: i64, to: i64, step: i64) -> Vec<(i64, i64, Option<Reason>)> {
        let mut pieces = vec![(from, to, None)];
        for (slot, reason) in &self.0 {
            // As slots lie, also where the clock of a removed job said so.
            let begins = slot.div_euclid(step) * step - step;
            let begins = begins.max(from);
            if begins >= to {
                break;
            }
            if pieces.last().is_some_and(|(_, _, last)| *last == Some(*reason)) {
                continue;
            }
            if let Some(last) = pieces.last_mut() {
                last.1 = begins;
            }
            pieces.push((begins, to, Some(*reason)));
        }
        pieces.retain(|(from, to, _)| from < to);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_holds_from_its_slot_until_another_or_a_reading() {
        let mut silences = Silences::default();
        assert!(silences.note(120, Reason::NotDue) && silences.note(300, Reason::Blackout));
        assert!(silences.note(360, Reason::Blackout) && !silences.note(360, Reason::Blackout), "the same once more is nothing new");
        assert_eq!(
            [60, 120, 299, 300, 900].map(|slot| silences.at(slot)),
            [None, Some(Reason::NotDue), Some(Reason::NotDue), Some(Reason::Blackout), Some(Reason::Blackout)]
        );
        let expected = [(0, 60, None), (60, 240, Some(Reason::NotDue)), (240, 480, Some(Reason::Blackout))];
        assert_eq!(silences.over(0, 480, 60), expected);
        assert!(silences.note(180, Reason::Paused), "from there on it is paused, whatever was to come");
        assert_eq!(silences.at(900), Some(Reason::Paused));
        assert!(silences.passed(150) && silences.at(150).is_none() && silences.at(180) == Some(Reason::Paused));
        assert!(silences.passed(600) && silences.is_empty());
    }
}
