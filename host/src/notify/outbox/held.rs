//! When a person is told of a step: at once, when quiet hours end or hours begin, or in a digest.

use rusqlite::{Transaction, params};

use super::{number, put::Put};
use crate::{
    alarm::notice::{Notice, Step},
    notify::{
        person::{Person, Wait},
        route::{Address, While},
    },
};

/// Begins the group of what is told in a digest; its instant follows, so that names are in the order of time.
pub(super) const DIGEST: &str = "digest:";

/// Whether a group is a digest.
pub fn is_digest(group: &str) -> bool {
    group.starts_with(DIGEST)
}

/// What has lasted as long as it had to is told, though somebody is not told yet.
pub(super) fn ripen(transaction: &Transaction<'_>, notice: &Notice) -> rusqlite::Result<()> {
    let mut update =
        transaction.prepare_cached("UPDATE outbox SET condition = 0 WHERE alarm = ?1 AND state = 0 AND condition = 1 AND ripe_ns <= ?2")?;
    update.execute(params![number(notice.alarm), notice.time_ns])?;
    Ok(())
}

/// Whether a message is the first of an alarm, or tells how it goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    Begins,
    GoesOn,
}

/// When a message is told, and what else becomes of it since it is for a person.
pub(super) struct Held<'a> {
    pub(super) not_before_ns: i64,
    pub(super) ripe_ns: Option<i64>,
    pub(super) condition: While,
    pub(super) group: Option<&'a str>,
    pub(super) digest: Option<String>,
    pub(super) repeat_s: Option<u64>,
    pub(super) why: Option<String>,
}

impl Put<'_> {
    /// Gives what a roster, or who is on duty by it, is still to be told what is true now.
    pub(super) fn renew_by(&self, roster: &str) -> rusqlite::Result<()> {
        let (alarm, seq) = (number(self.notice.alarm), number(self.notice.seq));
        let of_it = "alarm = ?1 AND (channel = ?2 OR via = ?2) AND state = 0 AND begun = 0 AND condition > 0";
        let mut select = self.transaction.prepare_cached(&format!("SELECT DISTINCT channel FROM outbox WHERE {of_it}"))?;
        let channels = select.query_map(params![alarm, roster], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
        let mut renew =
            self.transaction.prepare_cached(&format!("UPDATE outbox SET notice = ?3, seq = ?4 WHERE {of_it} AND channel = ?5"))?;
        for channel in channels {
            renew.execute(params![alarm, roster, self.said_to(&channel)?, seq, channel])?;
        }
        Ok(())
    }

    /// Tells who has come on duty since the alarm was handed on; the escalation of one that nobody has taken after all starts anew.
    pub(super) fn tell_on_duty(&mut self, address: &Address) -> rusqlite::Result<()> {
        self.renew_by(&address.channel)?;
        if self.notice.silenced.is_some() {
            return Ok(());
        }
        if address.condition == While::Untaken {
            return if self.notice.step == Step::Unacknowledged { self.insert(address, Telling::Begins) } else { Ok(()) };
        }
        let at_once = Address { repeat_s: address.repeat_s, ..self.at_once(&address.channel) };
        for own in self.routes.on_duty(&at_once, self.notice.time_ns) {
            if !self.known(&own.channel)?.told {
                self.insert(&own, Telling::Begins)?;
            }
        }
        Ok(())
    }

    /// When a message is told: a person's hours, quiet hours and digests hold, unless he or she is on duty.
    pub(super) fn held<'a>(&self, address: &'a Address, telling: Telling) -> rusqlite::Result<Held<'a>> {
        let Address { channel, not_before_ns, condition, group, repeat_s, via, .. } = address;
        let (not_before_ns, condition, repeat_s, group) = (*not_before_ns, *condition, *repeat_s, group.as_deref());
        let at_once = Held { not_before_ns, ripe_ns: None, condition, group, digest: None, repeat_s, why: None };
        let Some(person) = self.routes.people.owner(channel) else { return Ok(at_once) };
        if via.is_some() || self.is_on_duty(channel, person)? {
            return Ok(at_once);
        }
        let when = person.when(self.notice, not_before_ns);
        let Some(wait) = when.wait else { return Ok(at_once) };
        let digest = (wait == Wait::Digest).then(|| format!("{DIGEST}{:020}", when.at_ns));
        let condition = match (wait, telling, condition) {
            // What is over before somebody comes is not told; of what goes on all is told.
            (Wait::Hours | Wait::Quiet, Telling::Begins, While::Always) => While::Open,
            (_, _, condition) => condition,
        };
        // A digest tells what was, too, once it has lasted as long as the route wants.
        let ripe_ns = digest.as_ref().map(|_| not_before_ns);
        let repeat_s = repeat_s.filter(|_| digest.is_none());
        Ok(Held { not_before_ns: when.at_ns, ripe_ns, condition, group, digest, repeat_s, why: Some(wait.said(&person.name)) })
    }

    /// Whether somebody was told of the alarm on duty, and still is on it.
    fn is_on_duty(&self, channel: &str, person: &Person) -> rusqlite::Result<bool> {
        let mut select =
            self.transaction.prepare_cached("SELECT DISTINCT via FROM outbox WHERE alarm = ?1 AND channel = ?2 AND via IS NOT NULL")?;
        let rosters = select.query_map(params![number(self.notice.alarm), channel], |row| row.get::<_, String>(0))?;
        for roster in rosters {
            if self.routes.people.on_duty(&roster?, self.notice.time_ns).is_some_and(|on_duty| on_duty.name == person.name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells what waits for somebody no later than what comes after it.
    pub(super) fn bring_forward(&self, channel: &str, not_before_ns: i64) -> rusqlite::Result<()> {
        let mut update = self.transaction.prepare_cached(
            "UPDATE outbox SET not_before_ns = ?3, grouped = NULL, why = NULL
             WHERE alarm = ?1 AND channel = ?2 AND state = 0 AND begun = 0 AND attempts = 0 AND condition = 0 AND not_before_ns > ?3",
        )?;
        update.execute(params![number(self.notice.alarm), channel, not_before_ns])?;
        Ok(())
    }
}
