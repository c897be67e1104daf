//! What a rule makes of the values of one series: nothing yet, trouble so bad, or well again.
//!
//! | standing | value                                                  | found          |
//! |----------|--------------------------------------------------------|----------------|
//! | nothing  | N of the last M cross a bound                          | Trouble        |
//! | trouble  | N of the last M cross a worse one                      | Trouble, worse |
//! | trouble  | the last K are all milder, or not come back to re-arm  | Trouble, milder |
//! | trouble  | the last K cross none and have come back               | Well           |
//! | any      | unknown                                                | nothing, and nothing is forgotten |

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

use super::{history::History, recent::Recent};
use crate::config::SEVERITIES;

/// A place among the severities that have a bound, counted from 1; 0 is none.
pub type Level = u8;

/// How many values decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// So many have to cross…
    pub times: u32,
    /// …of so many.
    pub of: u32,
    /// So many in a row have to be well.
    pub clear_after: u32,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The worst severity whose bound it crosses.
    pub level: Level,
    /// The same, but that a value that has not come back far enough still counts for the mildest severity.
    pub held: Level,
}

/// What a rule finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing that is not known.
    Nothing,
    /// So bad, and the value is part of it.
    Trouble(Severity),
    /// Over.
    Well,
}

/// What a rule remembers of a series; of most series nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// What the latest known values were, the newest last.
    recent: Vec<(Level, Level)>,
    /// What stands.
    level: Level,
    /// Values of late, for what looks at more than the last.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
    /// Events of late, where it looks at events.
    #[serde(default, skip_serializing_if = "Recent::is_empty")]
    pub events: Recent,
}

/// What stands and what made it, without the values.
pub type Standing = (Vec<(Level, Level)>, Level);

impl Memory {
    /// Takes a known value.
    pub fn take(&mut self, seen: Seen, patience: Patience) -> Finding {
        let Patience { times, of, clear_after } = patience;
        let [times, of, clear_after] = [times, of, clear_after].map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        self.recent.push((seen.level, seen.held));
        self.recent.drain(..self.recent.len().saturating_sub(of.max(clear_after)));
        let looked_back = |count: usize| self.recent.get(self.recent.len().saturating_sub(count)..).unwrap_or_default();
        let crossed = |level: Level| looked_back(of).iter().filter(|(crossed, _)| *crossed >= level).count() >= times;
        let risen = (1..=4).rev().find(|level| crossed(*level)).unwrap_or(0);
        if risen > self.level {
            self.level = risen;
            return found(risen);
        }
        if self.level == 0 {
            self.forget_what_is_well();
            return Finding::Nothing;
        }
        let worst = looked_back(clear_after).iter().map(|(_, held)| *held).max().unwrap_or(0);
        if self.recent.len() >= clear_after && worst < self.level {
            self.level = worst;
            if worst > 0 {
                // What was worse is over: it raises nothing anew.
                self.recent.iter_mut().for_each(|(level, held)| (*level, *held) = ((*level).min(worst), (*held).min(worst)));
                return found(worst);
            }
            self.recent.clear();
            return Finding::Well;
        }
        if seen.level > 0 { found(self.level) } else { Finding::Nothing }
    }

    /// No value came for too long; gives how bad that is, if that is news.
    pub fn miss(&mut self, level: Level) -> Option<Severity> {
        let is_news = level > self.level;
        self.level = self.level.max(level);
        is_news.then(|| severity(level))
    }

    /// Whether it is as before the first value.
    pub fn is_blank(&self) -> bool {
        self.level == 0 && self.recent.is_empty() && self.history.is_empty() && self.events.is_empty()
    }

    /// What stands, if anything does.
    pub fn standing_level(&self) -> Option<Level> {
        Some(self.level).filter(|level| *level > 0)
    }

    /// Whether nothing stands, and the latest value crossed nothing.
    pub fn is_calm(&self) -> bool {
        self.level == 0 && self.recent.last().is_none_or(|(level, _)| *level == 0)
    }

    /// What stands and what made it.
    pub fn standing(&self) -> Standing {
        (self.recent.clone(), self.level)
    }

    /// Nothing stands: values that cross nothing change no count.
    fn forget_what_is_well(&mut self) {
        if self.recent.iter().all(|(level, _)| *level == 0) {
            self.recent.clear();
        }
    }
}

/// The severity of a level.
pub fn severity(level: Level) -> Severity {
    let place = usize::from(level).checked_sub(1);
    place.and_then(|place| SEVERITIES.get(place)).map_or(Severity::Indeterminate, |(severity, _)| *severity)
}

fn found(level: Level) -> Finding {
    Finding::Trouble(severity(level))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values by their levels, `+` one that crosses nothing and has not come back, `?` unknown; and what is found: `.` nothing, `-` well.
    fn check(patience: (u32, u32, u32), values: &str, expected: &str) {
        let patience = Patience { times: patience.0, of: patience.1, clear_after: patience.2 };
        let mut memory = Memory::default();
        let found = values.chars().map(|value| {
            let seen = match value {
                '?' => return '.',
                '+' => Seen { level: 0, held: 1 },
                level => {
                    let level = level.to_digit(10).unwrap() as u8;
                    Seen { level, held: level }
                }
            };
            match memory.take(seen, patience) {
                Finding::Nothing => '.',
                Finding::Well => '-',
                Finding::Trouble(found) => char::from_digit((1..=4).find(|level| severity(*level) == found).unwrap().into(), 10).unwrap(),
            }
        });
        assert_eq!(found.collect::<String>(), expected, "{values}");
    }

    #[test]
    fn values_make_findings() {
        check((1, 1, 1), "0010110", "..1-11-");
        check((3, 3, 1), "1101110", ".....1-");
        check((3, 5, 1), "1010100", "....1-.");
        check((2, 2, 3), "3300030004", ".3..-.....");
        check((1, 1, 2), "4411001", "4441.-1");
        check((1, 1, 1), "1++01+", "1..-1.");
        check((1, 1, 1), "3++0", "31.-");
        check((3, 3, 1), "1?1?1", "....1");
        check((1, 3, 1), "22210", "2221-");
        check((1, 1, 2), "10?0", "1..-");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// What is well long enough is found to be well, once; nothing is found well that was no trouble; memory is bounded.
        #[test]
        fn trouble_and_well_take_turns(
            levels in proptest::collection::vec(0_u8..5, 1..60),
            (times, more, clear_after) in (1_u32..5, 0_u32..4, 1_u32..5),
        ) {
            let patience = Patience { times, of: times + more, clear_after };
            let (mut memory, mut stands) = (Memory::default(), false);
            for level in levels.iter().copied().chain(std::iter::repeat_n(0, clear_after as usize)) {
                match memory.take(Seen { level, held: level }, patience) {
                    Finding::Trouble(_) => stands = true,
                    Finding::Well => { prop_assert!(stands); stands = false }
                    Finding::Nothing => {}
                }
                prop_assert!(memory.recent.len() <= patience.of.max(clear_after) as usize);
            }
            prop_assert!(!stands);
            prop_assert_eq!(memory.level, 0);
        }
    }
}
