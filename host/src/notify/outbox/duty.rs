//! What is told to a roster goes to whoever is on duty when it is due.

use std::collections::BTreeSet;

use rusqlite::{Transaction, params};

use super::{
    number,
    put::{as_raised, known_of},
};
use crate::{
    alarm::notice::{Notice, Step},
    notify::route::{Address, Routes, While},
};

/// Messages that are handed on in one transaction, the rest of their groups apart: nobody else writes meanwhile.
pub(super) const HANDED_MAX: usize = 500;

/// A message that is due to a roster.
type DueOn = (i64, i64, i64, Option<i64>, String, Option<String>);

/// What is due to a roster, in the order of the outbox: so many messages, and what is told together with them.
fn due_to(transaction: &Transaction<'_>, roster: &str, now_ns: i64) -> rusqlite::Result<Vec<DueOn>> {
    const COLUMNS: &str = "SELECT id, alarm, not_before_ns, repeat_s, notice, grouped FROM outbox WHERE channel = ?1 AND state = 0";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?));
    let mut select = transaction.prepare_cached(&format!("{COLUMNS} AND not_before_ns <= ?2 ORDER BY id LIMIT ?3"))?;
    let mut due = select.query_map(params![roster, now_ns, HANDED_MAX as i64], read)?.collect::<rusqlite::Result<Vec<DueOn>>>()?;
    let groups: BTreeSet<String> = due.iter().filter_map(|(.., grouped)| grouped.clone()).collect();
    let mut others = transaction.prepare_cached(&format!("{COLUMNS} AND grouped = ?2 ORDER BY id LIMIT ?3"))?;
    for group in groups {
        for other in others.query_map(params![roster, group, HANDED_MAX as i64], read)? {
            due.push(other?);
        }
    }
    due.sort_by_key(|(id, ..)| *id);
    due.dedup_by_key(|(id, ..)| *id);
    Ok(due)
}

/// Gives some of what is due to one roster to whoever is on duty; gives how many messages.
pub(crate) fn hand_on(transaction: &Transaction<'_>, roster: &str, routes: &Routes, now_ns: i64) -> rusqlite::Result<usize> {
    let due = due_to(transaction, roster, now_ns)?;
    // What reminds somebody whoever is on duty goes on, unless the roster reminds in its place.
    let mut known_already = transaction.prepare_cached(
        "UPDATE outbox SET state = 3, done_ns = ?3, why = 'told on duty' WHERE alarm = ?1 AND channel = ?2 AND state = 0 AND begun = 0
         AND condition > 0 AND (?4 OR condition < 2 OR repeat_s IS NULL)",
    )?;
    let mut give = transaction.prepare_cached(
        "INSERT INTO outbox (channel, alarm, alarm_key, seq, active, notice, grouped, not_before_ns, condition, repeat_s, via)
         SELECT ?2, alarm, alarm_key, seq, active, coalesce(?4, notice), grouped, not_before_ns, condition, ?3, channel FROM outbox WHERE id = ?1",
    )?;
    let mut done = transaction.prepare_cached("UPDATE outbox SET state = 6, done_ns = ?2, why = ?3 WHERE id = ?1")?;
    for (id, alarm, not_before_ns, repeat_s, json, _) in &due {
        let notice: Option<Notice> = serde_json::from_str(json).ok();
        let place = Address {
            channel: roster.to_owned(),
            not_before_ns: *not_before_ns,
            condition: While::Always,
            group: None,
            repeat_s: repeat_s.map(i64::unsigned_abs),
            via: None,
            by_situation: false,
        };
        let told = routes.on_duty(&place, now_ns);
        for own in &told {
            known_already.execute(params![alarm, own.channel, now_ns, own.repeat_s.is_some()])?;
            let is_told = known_of(transaction, *alarm, &own.channel)?.told;
            let raised = match &notice {
                Some(notice) if notice.step == Step::Raised || is_told && routes.wants(&own.channel, notice.step) => None,
                notice => notice.as_ref().and_then(as_raised),
            };
            give.execute(params![id, own.channel, own.repeat_s.map(number), raised])?;
        }
        let person = routes.people.on_duty(roster, now_ns).map_or("nobody", |person| person.name.as_str());
        let why = if told.is_empty() { format!("{person} is on duty, and is told of no alarm") } else { format!("{person} is on duty") };
        done.execute(params![id, now_ns, why])?;
    }
    Ok(due.len())
}
