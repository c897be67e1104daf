//! Which messages a step makes, changes and takes back.

use std::borrow::Cow;

use rusqlite::{Transaction, params};

use super::{
    condition_number,
    held::{Held, Telling},
    number,
};
use crate::{
    alarm::notice::{Notice, Step},
    notify::route::{Address, Routes, While},
};

/// What a channel already has of an alarm.
#[derive(Default)]
pub(super) struct Known {
    /// It was told, or will be whatever happens.
    pub(super) told: bool,
    /// A message that is told only if the alarm lasts.
    pending: Option<i64>,
}

/// A step on its way into the outbox.
pub(super) struct Put<'t> {
    pub(super) transaction: &'t Transaction<'t>,
    pub(super) notice: &'t Notice,
    pub(super) routes: &'t Routes,
    pub(super) json: String,
}

impl Put<'_> {
    /// Tells who is to know, and who knows already.
    pub(super) fn tell(&mut self) -> rusqlite::Result<()> {
        let addressed = self.routes.addressed(self.notice);
        for address in &addressed {
            address.via.as_ref().map_or(Ok(()), |roster| self.renew_by(roster))?;
            let known = self.known(&address.channel)?;
            let wants = self.routes.wants(&address.channel, self.notice.step);
            match known {
                Known { told: true, .. } if self.routes.people.rosters.contains_key(&address.channel) => self.tell_on_duty(address)?,
                Known { told: true, .. } if self.notice.silenced.is_some() => self.withhold(&address.channel)?,
                // The escalation of an alarm whose acknowledgement has run out starts anew.
                Known { told: true, pending: None } if address.condition == While::Untaken && self.notice.step == Step::Unacknowledged => {
                    self.insert(address, Telling::Begins)?;
                }
                Known { told: true, pending } if wants => {
                    // What was to remind of it would tell what is past.
                    pending.map_or(Ok(()), |id| self.replace(id))?;
                    let Address { channel, repeat_s, via, .. } = address;
                    self.insert(&Address { repeat_s: *repeat_s, via: via.clone(), ..self.at_once(channel) }, Telling::GoesOn)?;
                }
                Known { told: true, .. } => {}
                Known { pending: Some(id), .. } => self.renew(id, address)?,
                Known { .. } if self.notice.silenced.is_some() => self.withhold(&address.channel)?,
                // To a channel that hears of it for the first time it is raised, whatever happened.
                Known { .. } if self.routes.wants(&address.channel, Step::Raised) => self.insert(address, Telling::Begins)?,
                Known { .. } => {}
            }
        }
        let names: Vec<&str> = addressed.iter().map(|address| address.channel.as_str()).collect();
        for channel in self.told()?.iter().filter(|channel| !names.contains(&channel.as_str())) {
            if self.notice.silenced.is_none() && self.routes.wants(channel, self.notice.step) {
                // No route wants that somebody is reminded of it any more.
                self.known(channel)?.pending.map_or(Ok(()), |id| self.replace(id))?;
                self.insert(&self.at_once(channel), Telling::GoesOn)?;
            }
        }
        Ok(())
    }

    /// Tells those who know of the alarm.
    pub(super) fn follow(&mut self) -> rusqlite::Result<()> {
        for channel in self.told()? {
            if self.routes.wants(&channel, self.notice.step) {
                self.insert(&self.at_once(&channel), Telling::GoesOn)?;
            }
        }
        Ok(())
    }

    /// Tells those who know of the alarm that it is over; who was still to hear of it hears nothing.
    pub(super) fn end(&mut self) -> rusqlite::Result<()> {
        self.drop_waiting(While::Open)?;
        self.leave_lanes()?;
        self.follow()
    }

    /// Takes back what depends on what no longer holds, and is not being told already.
    pub(super) fn drop_waiting(&self, condition: While) -> rusqlite::Result<()> {
        let alarm = number(self.notice.alarm);
        let mut drop = self.transaction.prepare_cached(
            "UPDATE outbox SET state = 3, done_ns = ?2, why = ?3 WHERE alarm = ?1 AND state = 0 AND begun = 0 AND condition >= ?4",
        )?;
        let why = format!("{} before it was told", self.notice.step.name());
        drop.execute(params![alarm, self.notice.time_ns, why, condition_number(condition)])?;
        // What is on its way is not told again either.
        let mut once = self.transaction.prepare_cached("UPDATE outbox SET repeat_s = NULL WHERE alarm = ?1 AND repeat_s IS NOT NULL")?;
        once.execute([alarm])?;
        Ok(())
    }

    pub(super) fn known(&self, channel: &str) -> rusqlite::Result<Known> {
        known_of(self.transaction, number(self.notice.alarm), channel)
    }

    /// Channels that know of the alarm.
    fn told(&self) -> rusqlite::Result<Vec<String>> {
        let mut select = self.transaction.prepare_cached(
            "SELECT DISTINCT channel FROM outbox
             WHERE alarm = ?1 AND (state IN (1, 2) OR (state = 0 AND (condition = 0 OR begun = 1))) ORDER BY channel",
        )?;
        select.query_map([number(self.notice.alarm)], |row| row.get(0))?.collect()
    }

    pub(super) fn at_once(&self, channel: &str) -> Address {
        let not_before_ns = self.notice.time_ns;
        Address {
            channel: channel.to_owned(),
            not_before_ns,
            condition: While::Always,
            group: None,
            repeat_s: None,
            via: None,
            by_situation: false,
        }
    }

    /// What a channel is told: that the alarm was raised, where it hears of it first or is told of no such step.
    pub(super) fn said_to(&self, channel: &str) -> rusqlite::Result<Cow<'_, str>> {
        let step = self.notice.step;
        let as_it_is = step == Step::Raised || self.routes.wants(channel, step) && (step.ends() || self.known(channel)?.told);
        if as_it_is {
            return Ok(Cow::Borrowed(&self.json));
        }
        Ok(as_raised(self.notice).map_or(Cow::Borrowed(&self.json), Cow::Owned))
    }

    pub(super) fn insert(&self, address: &Address, telling: Telling) -> rusqlite::Result<()> {
        let held = self.held(address, telling)?;
        let lane = self.lane(address)?;
        if held.digest.is_none() && self.routes.people.owner(&address.channel).is_some() {
            self.bring_forward(&address.channel, held.not_before_ns)?;
        }
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO outbox (channel, alarm, seq, active, notice, grouped, not_before_ns, condition, repeat_s, via, ripe_ns, why, alarm_key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        let Notice { alarm, seq, active, .. } = self.notice;
        let Held { not_before_ns, ripe_ns, condition, group, digest, repeat_s, why } = held;
        let (repeat_s, condition, group) =
            (repeat_s.map(number), condition_number(condition), digest.as_deref().or(lane.as_deref()).or(group));
        let Address { channel, via, .. } = address;
        insert.execute(params![
            channel,
            number(*alarm),
            number(*seq),
            active,
            self.said_to(channel)?,
            group,
            not_before_ns,
            condition,
            repeat_s,
            via,
            ripe_ns,
            why,
            self.notice.key
        ])?;
        Ok(())
    }

    pub(super) fn withhold(&self, channel: &str) -> rusqlite::Result<()> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO outbox (channel, alarm, seq, active, notice, not_before_ns, condition, state, why, done_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 4, ?7, ?6)",
        )?;
        let Notice { alarm, seq, active, time_ns, silenced, .. } = self.notice;
        insert.execute(params![channel, number(*alarm), number(*seq), active, self.json, time_ns, silenced])?;
        Ok(())
    }

    /// Takes a message back that another one stands for.
    fn replace(&self, id: i64) -> rusqlite::Result<()> {
        let mut update = self.transaction.prepare_cached("UPDATE outbox SET state = 3, done_ns = ?2, why = ?3 WHERE id = ?1")?;
        update.execute(params![id, self.notice.time_ns, format!("{} before it was told again", self.notice.step.name())])?;
        Ok(())
    }

    /// Gives a message that is still to be told what is true now; what has become worse may be told sooner.
    fn renew(&self, id: i64, address: &Address) -> rusqlite::Result<()> {
        let not_before_ns = self.held(address, Telling::Begins)?.not_before_ns;
        let mut update = self
            .transaction
            .prepare_cached("UPDATE outbox SET notice = ?2, seq = ?3, not_before_ns = min(not_before_ns, ?4) WHERE id = ?1")?;
        update.execute(params![id, self.said_to(&address.channel)?, number(self.notice.seq), not_before_ns])?;
        Ok(())
    }
}

/// What a channel has of an alarm.
pub(super) fn known_of(transaction: &Transaction<'_>, alarm: i64, channel: &str) -> rusqlite::Result<Known> {
    let mut known = Known::default();
    let mut select = transaction.prepare_cached(
        "SELECT id, state, condition, begun FROM outbox WHERE alarm = ?1 AND channel = ?2 AND state IN (0, 1, 2, 6) ORDER BY id",
    )?;
    let mut rows = select.query(params![alarm, channel])?;
    while let Some(row) = rows.next()? {
        let (id, state, condition, begun): (i64, i64, i64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if state == 0 && condition > 0 && !begun {
            known.pending = Some(id);
        } else {
            known.told = true;
        }
    }
    Ok(known)
}

/// A notice for whoever hears of no other step first: the alarm was raised, by nobody.
pub(super) fn as_raised(notice: &Notice) -> Option<String> {
    serde_json::to_string(&Notice { step: Step::Raised, by: None, comment: None, ..notice.clone() }).ok()
}
