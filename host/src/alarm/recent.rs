//! What is remembered of events that a rule looks at: those that its windows ask for, and what they came to.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{Severity, Unit};

use super::limit::{Limit, Of};
use crate::config::{AlarmRule, EventPattern, SEVERITIES};

/// Events that are remembered, at most: as many as a bound may count, and one.
const EVENTS_MAX: usize = 1_001;

/// How a rule counts events.
#[derive(Clone, Debug, PartialEq)]
pub enum Counting {
    /// An event is as bad as it says, for so many seconds.
    Each(i64),
    /// So many in so many seconds are so bad; the worst first.
    Bounds(Vec<(Severity, Limit, i64)>),
}

impl Counting {
    /// That of a rule over events.
    pub fn of(rule: &AlarmRule, pattern: &EventPattern) -> Self {
        let seconds = |span: std::time::Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        let bounds = rule.bounds.iter().zip(SEVERITIES).rev().filter_map(|(bound, (severity, _))| {
            let limit = bound.as_ref()?.value.limit(Unit::Number).ok()?;
            let Of::Events(window) = limit.of else { return None };
            Some((severity, limit, seconds(window)))
        });
        match pattern.quiet {
            Some(quiet) => Self::Each(seconds(quiet)),
            None => Self::Bounds(bounds.collect()),
        }
    }

    /// The longest time that it looks back, seconds.
    fn back(&self) -> i64 {
        match self {
            Self::Each(quiet) => *quiet,
            Self::Bounds(bounds) => bounds.iter().map(|(_, _, window)| *window).max().unwrap_or(0),
        }
    }
}

/// Events of late, by rising time: seconds since 1970, and how bad each was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent {
    events: Vec<(i64, Severity)>,
    /// How bad it stands; nothing stands otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stands: Option<Severity>,
}

/// What came of events, or of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// So bad, and new or again.
    Trouble(Severity),
    /// Over.
    Well,
}

impl Recent {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.stands.is_none()
    }

    /// How bad it stands; nothing where it does not.
    pub fn stands(&self) -> Option<Severity> {
        self.stands
    }

    /// An event came.
    pub fn hear(&mut self, at_s: i64, severity: Severity, counting: &Counting) -> Heard {
        if let Counting::Each(_) = counting {
            // The last one of a severity is all that counts.
            self.events.retain(|(_, known)| *known != severity);
        }
        // Clocks are turned back: it is the latest all the same.
        let at_s = self.events.last().map_or(at_s, |(last, _)| at_s.max(*last));
        self.events.push((at_s, severity));
        self.stands = self.judge(at_s, counting);
        self.stands.map_or(Heard::Nothing, Heard::Trouble)
    }

    /// An event says that it is over.
    pub fn clear(&mut self) -> Heard {
        self.events.clear();
        self.stands.take().map_or(Heard::Nothing, |_| Heard::Well)
    }

    /// Nothing more has come until now.
    pub fn settle(&mut self, at_s: i64, counting: &Counting) -> Heard {
        let before = self.stands;
        self.stands = self.judge(at_s, counting);
        match (before, self.stands) {
            (Some(_), None) => Heard::Well,
            (before, Some(now)) if before != Some(now) => Heard::Trouble(now),
            _ => Heard::Nothing,
        }
    }

    /// How many events came in so many seconds.
    pub fn count(&self, at_s: i64, window: i64) -> usize {
        self.events.iter().filter(|(time, _)| *time > at_s.saturating_sub(window)).count()
    }

    /// How bad it is, and forgets what is too old to count.
    fn judge(&mut self, at_s: i64, counting: &Counting) -> Option<Severity> {
        let oldest = at_s.saturating_sub(counting.back());
        self.events.retain(|(time, _)| *time > oldest);
        self.events.drain(..self.events.len().saturating_sub(EVENTS_MAX));
        match counting {
            Counting::Each(_) => self.events.iter().map(|(_, severity)| *severity).max(),
            Counting::Bounds(bounds) => {
                let crossed = bounds.iter().find(|(_, limit, window)| limit.is_crossed(self.count(at_s, *window) as f64));
                crossed.map(|(severity, ..)| *severity)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::bound::Bound;

    fn bounds(all: &[(Severity, &str)]) -> Counting {
        let bound = |(severity, text): &(Severity, &str)| {
            let limit = Bound::parse(text).unwrap().limit(Unit::Number).unwrap();
            let Of::Events(window) = limit.of else { panic!("{text}") };
            (*severity, limit, window.as_secs() as i64)
        };
        Counting::Bounds(all.iter().map(bound).collect())
    }

    #[test]
    fn an_event_is_as_bad_as_it_says_until_it_has_been_quiet() {
        let (mut recent, counting) = (Recent::default(), Counting::Each(600));
        assert_eq!(recent.hear(0, Severity::Warning, &counting), Heard::Trouble(Severity::Warning));
        assert_eq!(recent.hear(100, Severity::Critical, &counting), Heard::Trouble(Severity::Critical));
        assert_eq!(recent.hear(200, Severity::Warning, &counting), Heard::Trouble(Severity::Critical), "it is no better");
        assert_eq!(recent.settle(699, &counting), Heard::Nothing);
        assert_eq!(recent.settle(700, &counting), Heard::Trouble(Severity::Warning), "what was worst is over");
        assert_eq!(recent.settle(800, &counting), Heard::Well);
        assert_eq!(recent.settle(900, &counting), Heard::Nothing);
        assert!(recent.is_empty());
        recent.hear(1_000, Severity::Minor, &counting);
        assert_eq!((recent.clear(), recent.clear()), (Heard::Well, Heard::Nothing));
    }

    #[test]
    fn events_are_counted_in_their_windows() {
        let counting = bounds(&[(Severity::Major, "> 3 in 1h"), (Severity::Warning, ">= 2 in 1m")]);
        let mut recent = Recent::default();
        let heard: Vec<Heard> = [0, 100, 110, 200].map(|at| recent.hear(at, Severity::Minor, &counting)).to_vec();
        assert_eq!(heard, [Heard::Nothing, Heard::Nothing, Heard::Trouble(Severity::Warning), Heard::Trouble(Severity::Major)]);
        assert_eq!(recent.settle(3_599, &counting), Heard::Nothing);
        assert_eq!(recent.settle(3_600, &counting), Heard::Well, "three of the hour are not more than three");
    }

    #[test]
    fn however_many_come_few_are_remembered() {
        let counting = bounds(&[(Severity::Major, "> 1000 in 1d")]);
        let mut recent = Recent::default();
        let heard: Vec<Heard> = (0..3_000).map(|at| recent.hear(at, Severity::Minor, &counting)).collect();
        assert_eq!(heard.iter().position(|heard| *heard != Heard::Nothing), Some(1_000));
        assert!(recent.events.len() <= EVENTS_MAX);
    }
}
