//! Persons: by what they are told, and when. What comes while somebody is not to be told waits; what is collected is told together.

use std::{collections::BTreeMap, sync::Arc};

use watchpost_plugin_api::Severity;

use super::{roster::Roster, route::label_of};
use crate::{
    alarm::notice::Notice,
    schedule::{Moment, Windows, Zone},
    series::selector::Selector,
};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;
/// Digests that are looked at until one lies in somebody's hours.
const DIGESTS_TRIED_MAX: usize = 1_000;

/// One `[[person]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// What he or she is called.
    pub name: String,
    /// Channels of his or her own, made of those of the configuration.
    pub addresses: Vec<String>,
    /// Whose clocks.
    pub zone: Zone,
    /// When there; always where nothing is said.
    pub hours: Option<Windows>,
    /// When there and not to be disturbed either.
    pub undisturbed: Option<Windows>,
    /// What disturbs all the same.
    pub breaks_quiet: Vec<Filter>,
    /// What is collected, and told when.
    pub digest: Option<Digest>,
}

/// Messages that are collected.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// When they are told; one at least.
    pub at: Vec<Moment>,
    /// What is told at once all the same.
    pub breaks: Vec<Filter>,
}

/// Some alarms.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Those that are so bad at least.
    pub severity: Severity,
    /// Those with these labels.
    pub matches: Option<Selector>,
}

/// For what a message waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until somebody is there.
    Hours,
    /// Until quiet hours end.
    Quiet,
    /// Until it is told with others.
    Digest,
}

impl Wait {
    /// Says it of somebody.
    pub fn said(self, person: &str) -> String {
        match self {
            Self::Hours => format!("{person} is not there"),
            Self::Quiet => format!("{person} has quiet hours"),
            Self::Digest => format!("in a digest for {person}"),
        }
    }
}

/// When a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// The instant, nanoseconds since 1970.
    pub at_ns: i64,
    /// Why not before; nothing if nothing is in the way.
    pub wait: Option<Wait>,
}

impl Filter {
    /// Whether an alarm is one of them.
    pub fn has(&self, notice: &Notice) -> bool {
        let labelled = self.matches.as_ref().is_none_or(|selector| selector.matches(|label| label_of(notice, label)));
        labelled && notice.severity >= self.severity
    }
}

impl Person {
    /// When he or she is told of something, from an instant on.
    ///
    /// Shape: what is told in a digest is told at one that lies in the hours, and in no quiet ones; hours that never come again are none.
    pub fn when(&self, notice: &Notice, from_ns: i64) -> When {
        let disturbs = self.breaks_quiet.iter().any(|filter| filter.has(notice));
        let windows = if disturbs { &self.hours } else { &self.undisturbed };
        if let Some(digest) = self.digest.as_ref().filter(|digest| !digest.breaks.iter().any(|filter| filter.has(notice))) {
            let at_s = digest.next_from(ceiling(from_ns), self.zone, self.undisturbed.as_ref());
            return When { at_ns: at_s * SECOND, wait: Some(Wait::Digest) };
        }
        let at_s = from_ns.div_euclid(SECOND);
        match windows.as_ref().and_then(|windows| windows.opens_from(at_s, self.zone)) {
            Some(opens) if opens > at_s => {
                let is_there = self.hours.as_ref().is_none_or(|hours| hours.hold(at_s, self.zone));
                When { at_ns: opens * SECOND, wait: Some(if is_there { Wait::Quiet } else { Wait::Hours }) }
            }
            _ => When { at_ns: from_ns, wait: None },
        }
    }
}

impl Digest {
    /// The first digest from an instant on, seconds since 1970, that lies in windows; where none does, the first.
    pub fn next_from(&self, at_s: i64, zone: Zone, windows: Option<&Windows>) -> i64 {
        self.next_in(at_s, zone, windows).unwrap_or_else(|| self.next(at_s, zone))
    }

    /// The first digest from an instant on that lies in windows; nothing if none does in a long time.
    pub fn next_in(&self, at_s: i64, zone: Zone, windows: Option<&Windows>) -> Option<i64> {
        let all = std::iter::successors(Some(self.next(at_s, zone)), |at| Some(self.next(at + 1, zone))).take(DIGESTS_TRIED_MAX);
        all.into_iter().find(|at| windows.is_none_or(|windows| windows.hold(*at, zone)))
    }

    fn next(&self, from: i64, zone: Zone) -> i64 {
        self.at.iter().map(|moment| moment.next_from(from, zone)).min().unwrap_or(from)
    }
}

/// The first whole second from an instant on.
fn ceiling(at_ns: i64) -> i64 {
    at_ns.div_euclid(SECOND) + i64::from(at_ns.rem_euclid(SECOND) != 0)
}

/// Who there is, and who takes turns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct People {
    /// Persons by their names.
    pub persons: BTreeMap<String, Arc<Person>>,
    /// Rosters by their names.
    pub rosters: BTreeMap<String, Roster>,
    /// Whose an address is.
    owners: BTreeMap<String, Arc<Person>>,
}

impl People {
    /// All of them.
    pub fn new(persons: &[Arc<Person>], rosters: &[Roster]) -> Self {
        let of_address = |person: &Arc<Person>| {
            let person = person.clone();
            person.addresses.clone().into_iter().map(move |address| (address, person.clone()))
        };
        Self {
            persons: persons.iter().map(|person| (person.name.clone(), person.clone())).collect(),
            rosters: rosters.iter().map(|roster| (roster.name.clone(), roster.clone())).collect(),
            owners: persons.iter().flat_map(of_address).collect(),
        }
    }

    /// Whose an address is; nobody's if it is a channel like any other.
    pub fn owner(&self, channel: &str) -> Option<&Arc<Person>> {
        self.owners.get(channel)
    }

    /// Who is on duty by a roster, nanoseconds since 1970.
    pub fn on_duty(&self, roster: &str, at_ns: i64) -> Option<&Arc<Person>> {
        let roster = self.rosters.get(roster)?;
        self.persons.get(roster.on_duty(at_ns.div_euclid(SECOND)))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{alarm::notice::Step, notify::tests::notice};

    const ZONE: &str = "Europe/Berlin";

    fn ns(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp() * SECOND
    }

    fn at_least(severity: Severity) -> Vec<Filter> {
        vec![Filter { severity, matches: None }]
    }

    /// Who is there on weekdays, has quiet hours from noon to one, and gets digests at nine and at four, as far as it is said.
    fn person(hours: &[&str], quiet: &[&str], digest: &[&str]) -> Person {
        let windows = |active: &[&str], blackout: &[&str]| {
            Windows::parse(active.iter().copied(), blackout.iter().copied(), Default::default()).unwrap()
        };
        let at: Vec<Moment> = digest.iter().map(|text| Moment::parse(text).unwrap()).collect();
        Person {
            name: "ann".into(),
            addresses: vec!["ann/mail".into()],
            zone: Zone::parse(ZONE).unwrap(),
            hours: windows(hours, &[]),
            undisturbed: windows(hours, quiet),
            breaks_quiet: at_least(Severity::Critical),
            digest: (!at.is_empty()).then(|| Digest { at, breaks: at_least(Severity::Major) }),
        }
    }

    #[test]
    fn a_person_is_told_when_hours_quiet_hours_and_digests_allow() {
        use Severity::{Critical, Major, Minor};
        use Wait::{Digest, Hours, Quiet};
        let (office, night, digests) = (["MON-FRI 08:00-18:00"], ["daily 22:00-06:00"], ["09:00", "16:00"]);
        // 2026-11-30 is a Monday.
        for (hours, quiet, digest, severity, from, expected, wait) in [
            (&[][..], &[][..], &[][..], Minor, "2026-11-30T03:00:00+01:00", "2026-11-30T03:00:00+01:00", None),
            (&office, &[], &[], Minor, "2026-11-30T10:00:00+01:00", "2026-11-30T10:00:00+01:00", None),
            (&office, &[], &[], Critical, "2026-11-27T18:00:00+01:00", "2026-11-30T08:00:00+01:00", Some(Hours)),
            (&[], &night, &[], Major, "2026-11-30T22:00:00+01:00", "2026-12-01T06:00:00+01:00", Some(Quiet)),
            (&[], &night, &[], Critical, "2026-11-30T23:00:00+01:00", "2026-11-30T23:00:00+01:00", None),
            // Both: what ends the later of the two decides.
            (&office, &["daily 06:00-09:30"], &[], Major, "2026-11-30T07:00:00+01:00", "2026-11-30T09:30:00+01:00", Some(Hours)),
            (&office, &["daily 06:00-09:30"], &[], Critical, "2026-11-30T07:00:00+01:00", "2026-11-30T08:00:00+01:00", Some(Hours)),
            // The night in which clocks go forward is an hour shorter.
            (&[], &night, &[], Major, "2026-03-28T22:00:00+01:00", "2026-03-29T06:00:00+02:00", Some(Quiet)),
            (&[], &[], &digests, Minor, "2026-11-30T09:00:00+01:00", "2026-11-30T09:00:00+01:00", Some(Digest)),
            (&[], &[], &digests, Minor, "2026-11-30T09:00:01+01:00", "2026-11-30T16:00:00+01:00", Some(Digest)),
            (&[], &[], &digests, Minor, "2026-11-30T16:00:01+01:00", "2026-12-01T09:00:00+01:00", Some(Digest)),
            (&[], &[], &digests, Major, "2026-11-30T09:00:01+01:00", "2026-11-30T09:00:01+01:00", None),
            // A digest on a day on which nobody is there is told on one on which somebody is.
            (&office, &[], &digests, Minor, "2026-11-27T16:30:00+01:00", "2026-11-30T09:00:00+01:00", Some(Digest)),
            (&[], &["daily 08:00-10:00"], &digests, Minor, "2026-11-30T07:00:00+01:00", "2026-11-30T16:00:00+01:00", Some(Digest)),
            // What breaks through the digest, and not through quiet hours, waits for their end.
            (&[], &night, &digests, Major, "2026-11-30T23:00:00+01:00", "2026-12-01T06:00:00+01:00", Some(Quiet)),
        ] {
            let when = person(hours, quiet, digest).when(&notice(1, Step::Raised, severity, 1), ns(from));
            assert_eq!((when.at_ns, when.wait), (ns(expected), wait), "{hours:?} {quiet:?} {digest:?} {severity:?} from {from}");
        }
    }

    #[test]
    fn labels_break_through_too() {
        let filter = |text: &str| Filter { severity: Severity::Major, matches: Some(Selector::parse(text).unwrap()) };
        let notice = |severity| notice(1, Step::Raised, severity, 1);
        assert!(filter("{site=\"paris\"}").has(&notice(Severity::Major)));
        assert!(!filter("{site=\"paris\"}").has(&notice(Severity::Minor)));
        assert!(!filter("{site=\"rome\"}").has(&notice(Severity::Critical)));
    }
}
