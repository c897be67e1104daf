//! How a job stands, and since when.

use serde::{Deserialize, Serialize};
use watchpost_services::outcome::Status;

/// A lapse in which nothing was learnt of the target is bridged if it is no longer than this, nanoseconds: worker or daemon was started
/// again, and that is no news of the target.
const LAPSE_NS_MAX: i64 = 300 * 1_000_000_000;

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Health {
    /// The target did not do what it should.
    Failing,
    /// Nothing is known: no reading yet, an old one, or a failure of our own.
    Unknown,
    /// The target did what it should.
    Ok,
}

impl Health {
    /// Reads it from how a run ended.
    pub fn of(status: &Status) -> Self {
        match status.up() {
            Some(up) if up > 0.0 => Self::Ok,
            Some(_) => Self::Failing,
            None => Self::Unknown,
        }
    }

    /// Names it as pages and JSON do.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }
}

/// How a job stood at its last run, and since when.
///
/// The order of fields is the wire format (postcard) of what outlives a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    last: Spell,
    /// What was known of the target last, when the last run told nothing of it.
    known: Option<Spell>,
}

/// A time during which a job stood alike; nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spell {
    health: Health,
    since_ns: i64,
    /// When what was learnt last goes stale.
    until_ns: i64,
}

impl Standing {
    /// How a job stands after a run of this health, that began and goes stale then.
    pub(super) fn after(before: Option<Self>, health: Health, started_ns: i64, stale_ns: i64) -> Self {
        let continued =
            before.and_then(|before| before.spell(health)).filter(|spell| started_ns < spell.until_ns.saturating_add(LAPSE_NS_MAX));
        let since_ns = continued.map_or(started_ns, |spell| spell.since_ns);
        let last = Spell { health, since_ns, until_ns: stale_ns };
        let known = if health == Health::Unknown { before.and_then(Self::known) } else { None };
        Self { last, known }
    }

    /// How it stood at its last run.
    pub fn health(self) -> Health {
        self.last.health
    }

    /// Since when it stands as it does at `now_ns`.
    pub fn since_ns(self, now_ns: i64) -> i64 {
        let went_stale = now_ns >= self.last.until_ns && self.last.health != Health::Unknown;
        if went_stale { self.last.until_ns } else { self.last.since_ns }
    }

    /// Says whether another tells the same, give or take how long it holds: `within_ns`.
    pub fn is_like(self, other: Self, within_ns: i64) -> bool {
        let alike = |a: Spell, b: Spell| {
            (a.health, a.since_ns) == (b.health, b.since_ns) && a.until_ns.abs_diff(b.until_ns) < within_ns.unsigned_abs()
        };
        let known = match (self.known, other.known) {
            (Some(a), Some(b)) => alike(a, b),
            (a, b) => a == b,
        };
        known && alike(self.last, other.last)
    }

    /// The spell that a run of this health would go on with.
    fn spell(self, health: Health) -> Option<Spell> {
        [Some(self.last), self.known].into_iter().flatten().find(|spell| spell.health == health)
    }

    /// The last spell in which something was known of the target.
    fn known(self) -> Option<Spell> {
        if self.last.health == Health::Unknown { self.known } else { Some(self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Health::{Failing, Ok, Unknown};

    const SECOND: i64 = 1_000_000_000;

    /// Runs `(second, health)`, each good for 40 s; since when the job stands so after the last of them.
    fn check(runs: &[(i64, Health)], since: i64) {
        let last = runs.iter().fold(None, |before, &(at, health)| Some(Standing::after(before, health, at * SECOND, (at + 40) * SECOND)));
        let (at, _) = runs[runs.len() - 1];
        assert_eq!(last.map(|standing| standing.since_ns(at * SECOND)), Some(since * SECOND), "{runs:?}");
    }

    #[test]
    fn it_stands_so_since_the_first_run_that_said_so() {
        check(&[(1, Ok), (31, Ok), (61, Ok)], 1);
        check(&[(1, Ok), (31, Failing), (61, Failing)], 31);
        check(&[(1, Failing), (31, Ok), (61, Failing)], 61);
        check(&[(1, Failing), (31, Unknown)], 31);
    }

    #[test]
    fn a_failure_of_our_own_and_a_short_lapse_are_no_news_of_the_target() {
        check(&[(1, Failing), (31, Unknown), (61, Unknown), (91, Failing)], 1);
        check(&[(1, Failing), (41 + 299, Failing)], 1);
        check(&[(1, Ok), (31, Unknown), (61, Failing), (91, Unknown), (121, Failing)], 61);
        check(&[(1, Failing), (31, Unknown), (61, Ok)], 61);
    }

    #[test]
    fn a_long_lapse_in_which_nobody_looked_ends_it() {
        check(&[(1, Failing), (41 + 300, Failing)], 341);
        check(&[(1, Failing), (31, Unknown), (301, Unknown), (351, Failing)], 351);
    }

    #[test]
    fn what_is_stale_is_unknown_since_it_went_stale() {
        let standing = Standing::after(None, Ok, SECOND, 41 * SECOND);
        assert_eq!((standing.since_ns(41 * SECOND - 1), standing.since_ns(41 * SECOND)), (SECOND, 41 * SECOND));
        let unknown = Standing::after(Some(standing), Unknown, 31 * SECOND, 71 * SECOND);
        assert_eq!(unknown.since_ns(1000 * SECOND), 31 * SECOND, "it was unknown before");
    }

    #[test]
    fn it_is_like_another_until_it_holds_much_longer() {
        let early = Standing::after(None, Failing, SECOND, 41 * SECOND);
        let later = |at: i64| Standing::after(Some(early), Failing, at * SECOND, (at + 40) * SECOND);
        assert!(early.is_like(later(31), 60 * SECOND) && !early.is_like(later(61), 60 * SECOND));
        assert!(!early.is_like(Standing::after(Some(early), Unknown, 2 * SECOND, 42 * SECOND), 60 * SECOND));
    }
}
