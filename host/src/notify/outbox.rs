//! The outbox: messages to channels, written in the transaction that makes the step they tell of, and kept until they are delivered.

mod duty;
mod held;
mod lane;
mod messages;
mod order;
mod put;

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{
    person::Person,
    route::{Routes, While},
};
use crate::alarm::{
    notice::{Notice, Step},
    turns::Turns,
};
use duty::HANDED_MAX;
pub(crate) use duty::hand_on;
use held::ripen;
use put::Put;

pub use held::is_digest;
pub use lane::{TABLES_OF_LANES, begun_by, is_lane};
pub use messages::{Message, messages_of};
pub use order::TABLES_OF_KEYS;

/// How long another writer (the alarms themselves, a backup) may hold the file.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// What became of a message outlives the process, and not a power cut: what was told just before is told again then, under the same id. The
/// next step of an alarm makes all durable that was written before it. Source: sqlite.org, "PRAGMA synchronous".
const WRITTEN: &str = "NORMAL";
/// What is noted before it is told is durable.
const DURABLE: &str = "FULL";

/// Nanoseconds after which a message is given up.
const GIVEN_UP_NS: i64 = 7 * 86_400 * 1_000_000_000;
/// Nanoseconds that a message that is done with is kept.
const KEPT_NS: i64 = 30 * 86_400 * 1_000_000_000;
/// Messages that are dropped in one go, at most.
const DROPPED_MAX: i64 = 1_000;

/// Messages of the same step that come before a row in its channel, whatever became of them: the same for each attempt.
const AGAIN: &str = "(SELECT count(*) FROM outbox AS before WHERE before.alarm = outbox.alarm AND before.channel = outbox.channel
    AND before.id < outbox.id AND before.seq = outbox.seq)";

/// Tables of the alarms' database that are the outbox's.
pub const TABLES: &str = "
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,   -- order in which things are told
        channel TEXT NOT NULL,
        alarm INTEGER NOT NULL,
        seq INTEGER NOT NULL,                   -- of the step
        active INTEGER NOT NULL,                -- whether the alarm was there after it
        notice TEXT NOT NULL,                   -- JSON, whole
        grouped TEXT,                           -- with which others it is told
        not_before_ns INTEGER NOT NULL,
        condition INTEGER NOT NULL,             -- 0 always, 1 while the alarm is there, 2 while nobody has taken it
        repeat_s INTEGER,                       -- told again after so long, while nobody has taken it
        begun INTEGER NOT NULL DEFAULT 0,       -- a channel may have it already
        attempts INTEGER NOT NULL DEFAULT 0,
        state INTEGER NOT NULL DEFAULT 0,       -- 0 waits, 1 delivered, 2 refused for good, 3 no longer needed, 4 withheld, 5 given up, 6 handed on
        why TEXT,                               -- it failed, was refused, not needed or withheld
        done_ns INTEGER
    ) STRICT;
    CREATE TABLE instance (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        id TEXT NOT NULL                        -- tells this daemon's messages from those of any other
    ) STRICT;
    INSERT INTO instance VALUES (1, lower(hex(randomblob(6))));
    CREATE INDEX outbox_waits ON outbox (channel, not_before_ns, id) WHERE state = 0;
    CREATE INDEX outbox_of_alarm ON outbox (alarm, channel, id);
";

/// What the outbox has for persons and rosters.
pub const TABLES_OF_PEOPLE: &str = "
    ALTER TABLE outbox ADD COLUMN via TEXT;         -- the roster by which somebody is told
    ALTER TABLE outbox ADD COLUMN ripe_ns INTEGER;  -- when it would be told if nobody had to be waited for
";

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is to be told.
    Waits,
    /// The channel has it.
    Delivered,
    /// The channel will never take it.
    Refused,
    /// What it was to tell is over.
    NotNeeded,
    /// Nobody was to be told.
    Withheld,
    /// There is nobody to take it any more.
    GivenUp,
    /// Whoever is on duty has a message of his own instead.
    HandedOn,
}

impl State {
    /// Names it, as people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::NotNeeded => "not needed",
            Self::Withheld => "withheld",
            Self::GivenUp => "given up",
            Self::HandedOn => "handed on",
        }
    }

    const ALL: [Self; 7] = [Self::Waits, Self::Delivered, Self::Refused, Self::NotNeeded, Self::Withheld, Self::GivenUp, Self::HandedOn];

    fn number(self) -> i64 {
        Self::ALL.iter().zip(0..).find(|(state, _)| **state == self).map_or(0, |(_, number)| number)
    }

    fn of(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied().unwrap_or(Self::Waits)
    }
}

fn condition_number(condition: While) -> i64 {
    match condition {
        While::Always => 0,
        While::Open => 1,
        While::Untaken => 2,
    }
}

/// Writes down who is to be told of a step, in the transaction that makes it.
///
/// Who was told of an alarm is told how it goes on, also where a route no longer is about it; who was not told hears nothing of its end.
pub fn put(transaction: &Transaction<'_>, notice: &Notice, routes: &Routes) -> rusqlite::Result<()> {
    if routes.wants.is_empty() {
        return Ok(());
    }
    ripen(transaction, notice)?;
    let mut box_ = Put { transaction, notice, routes, json: serde_json::to_string(notice).unwrap_or_default() };
    match notice.step {
        step if step.ends() => box_.end(),
        Step::Owned | Step::Acknowledged | Step::Shelved | Step::Silenced => {
            box_.drop_waiting(if matches!(notice.step, Step::Owned | Step::Acknowledged) { While::Untaken } else { While::Open })?;
            box_.follow()
        }
        Step::Annotated | Step::Settled => box_.follow(),
        _ if !notice.active => box_.follow(),
        _ => box_.tell(),
    }
}

fn number(value: impl Into<u64>) -> i64 {
    i64::try_from(value.into()).unwrap_or(i64::MAX)
}

/// A message that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Its number in the outbox.
    pub id: i64,
    /// What it tells.
    pub notice: Notice,
    /// With which others.
    pub group: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    repeat_s: Option<i64>,
    condition: i64,
    /// The roster by which somebody is told.
    via: Option<String>,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The channel has it.
    Delivered,
    /// The channel has it, and not for all whom it was for.
    DeliveredBut {
        /// Who will never have it, and why.
        why: String,
    },
    /// Once more at this instant, nanoseconds since 1970.
    Again {
        /// When.
        at_ns: i64,
        /// What went wrong.
        why: String,
    },
    /// Never.
    Refused {
        /// What the channel said.
        why: String,
    },
}

/// How a channel stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Messages that are due and not delivered.
    pub due: u64,
    /// Since when the first of them is due, nanoseconds since 1970.
    pub since_ns: Option<i64>,
    /// When the next one is due.
    pub next_ns: Option<i64>,
}

/// What waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For whom: a channel or a roster.
    pub channel: String,
    /// Messages that are not done with.
    pub messages: u64,
    /// Those of them that are not to be told yet, and were never tried.
    pub later: u64,
    /// When what the first of them tells of happened, nanoseconds since 1970.
    pub since_ns: Option<i64>,
}

/// The outbox as channels see it.
#[derive(Debug)]
pub struct Outbox {
    connection: Connection,
    turns: Turns,
}

impl Outbox {
    #[cfg(test)]
    pub(crate) fn of(connection: Connection) -> Self {
        Self { connection, turns: Turns::default() }
    }

    #[cfg(test)]
    pub(crate) fn transaction(&mut self) -> Transaction<'_> {
        self.connection.transaction().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Opens the outbox of the alarms' database, to be written in turns.
    pub fn open(path: &Path, turns: Turns) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_MAX)?;
        Turns::leave_to_thread(&connection)?;
        connection.pragma_update(None, "synchronous", WRITTEN)?;
        Ok(Self { connection, turns })
    }

    /// The earliest digest that waits to be told, due or not: a later one is not told before it.
    pub fn next_digest(&self, channel: &str) -> rusqlite::Result<Option<String>> {
        let mut select = self
            .connection
            .prepare_cached("SELECT min(grouped) FROM outbox WHERE channel = ?1 AND state = 0 AND grouped BETWEEN ?2 AND ?3")?;
        select.query_row(params![channel, held::DIGEST, format!("{}~", held::DIGEST)], |row| row.get(0))
    }

    /// Notes that a channel is about to get messages, durably; gives those that are still to be told.
    ///
    /// What may be taken back needs it: from here on it is not, and the end of its alarm is told too. A group does, so that it is the same
    /// when it is told again.
    pub fn begin(&mut self, messages: Vec<Due>) -> rusqlite::Result<Vec<Due>> {
        if messages.iter().all(|message| message.condition == 0 && message.group.is_none()) {
            return Ok(messages);
        }
        let _turn = self.turns.after();
        self.connection.pragma_update(None, "synchronous", DURABLE)?;
        let begun = begin(&mut self.connection, messages);
        self.connection.pragma_update(None, "synchronous", WRITTEN)?;
        begun
    }

    /// Gives what is due to rosters to whoever is on duty now, durably; says whether there was anything.
    pub fn hand_on(&mut self, routes: &Routes, now_ns: i64) -> rusqlite::Result<bool> {
        if !self.any_due(routes, now_ns)? {
            return Ok(false);
        }
        for roster in routes.people.rosters.keys() {
            loop {
                // Alarms come between: there may be very many.
                let mut turn = self.turns.after();
                let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let handed = hand_on(&transaction, roster, routes, now_ns)?;
                transaction.commit()?;
                turn.wrote(handed);
                if handed < HANDED_MAX {
                    break;
                }
            }
        }
        Ok(true)
    }

    fn any_due(&self, routes: &Routes, now_ns: i64) -> rusqlite::Result<bool> {
        let mut select =
            self.connection.prepare_cached("SELECT 1 FROM outbox WHERE channel = ?1 AND state = 0 AND not_before_ns <= ?2 LIMIT 1")?;
        for roster in routes.people.rosters.keys() {
            if select.exists(params![roster, now_ns])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes down what became of messages; a kill takes none of it back.
    ///
    /// `person`: whose the channel is, if it is somebody's: reminders come when he or she may be told.
    pub fn mark(&mut self, fates: &[(&Due, Fate)], person: Option<&Person>, now_ns: i64) -> rusqlite::Result<()> {
        let mut turn = self.turns.after();
        turn.wrote(fates.len());
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut done = transaction.prepare_cached(
                "UPDATE outbox SET state = ?2, attempts = attempts + 1, why = ?3, done_ns = ?4 WHERE id = ?1 AND state = 0",
            )?;
            let mut again = transaction
                .prepare_cached("UPDATE outbox SET attempts = attempts + 1, not_before_ns = ?2, why = ?3 WHERE id = ?1 AND state = 0")?;
            // One that reminds already is enough; an escalation or an annotation reminds of nothing.
            let mut repeat = transaction.prepare_cached(
                "INSERT INTO outbox (channel, alarm, alarm_key, seq, active, notice, grouped, not_before_ns, condition, repeat_s)
                 SELECT coalesce(via, channel), alarm, alarm_key, seq, active, notice, NULL, ?2, 2, repeat_s FROM outbox
                 WHERE id = ?1 AND repeat_s IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM outbox AS later WHERE later.alarm = outbox.alarm AND later.id > outbox.id
                                 AND later.channel = outbox.channel AND later.repeat_s IS NOT NULL)
                 AND NOT EXISTS (SELECT 1 FROM outbox AS known WHERE known.alarm = outbox.alarm AND known.channel = outbox.via
                                 AND known.state = 0 AND known.repeat_s IS NOT NULL)",
            )?;
            for (message, fate) in fates {
                match fate {
                    Fate::Delivered | Fate::DeliveredBut { .. } => {
                        let but = if let Fate::DeliveredBut { why } = fate { Some(why) } else { None };
                        done.execute(params![message.id, State::Delivered.number(), but, now_ns])?;
                        if let Some(repeat_s) = message.repeat_s {
                            let again_ns = now_ns.saturating_add(repeat_s.saturating_mul(1_000_000_000));
                            let person = person.filter(|_| message.via.is_none());
                            let when_ns = person.map_or(again_ns, |person| person.when(&message.notice, again_ns).at_ns);
                            repeat.execute(params![message.id, when_ns])?;
                        }
                    }
                    Fate::Refused { why } => {
                        done.execute(params![message.id, State::Refused.number(), why, now_ns])?;
                    }
                    Fate::Again { at_ns, why } => {
                        again.execute(params![message.id, at_ns, why])?;
                    }
                }
            }
        }
        transaction.commit()
    }

    /// How a channel stands.
    pub fn backlog(&self, channel: &str, now_ns: i64) -> rusqlite::Result<Backlog> {
        let mut select = self.connection.prepare_cached(
            "SELECT count(*) FILTER (WHERE not_before_ns <= ?2), min(not_before_ns) FILTER (WHERE not_before_ns <= ?2),
                    min(not_before_ns) FILTER (WHERE not_before_ns > ?2)
             FROM outbox WHERE channel = ?1 AND state = 0",
        )?;
        select.query_row(params![channel, now_ns], |row| {
            Ok(Backlog { due: row.get::<_, i64>(0)?.unsigned_abs(), since_ns: row.get(1)?, next_ns: row.get(2)? })
        })
    }

    /// What waits, for each channel, person's channel and roster.
    pub fn waiting(&self, now_ns: i64) -> rusqlite::Result<Vec<Waiting>> {
        let mut select = self.connection.prepare_cached(
            "SELECT channel, waits, later, (SELECT json_extract(notice, '$.time_ns') FROM outbox WHERE id = first) FROM (
                 SELECT channel, count(*) AS waits, count(*) FILTER (WHERE attempts = 0 AND not_before_ns > ?1) AS later, min(id) AS first
                 FROM outbox WHERE state = 0 GROUP BY channel)",
        )?;
        let count = |row: &rusqlite::Row<'_>, at: usize| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.unsigned_abs());
        let found = select.query_map([now_ns], |row| {
            Ok(Waiting { channel: row.get(0)?, messages: count(row, 1)?, later: count(row, 2)?, since_ns: row.get(3)? })
        })?;
        found.collect()
    }

    /// Why a channel could not be told when it was tried last, if what was tried waits still.
    pub fn failed(&self, channel: &str) -> rusqlite::Result<Option<String>> {
        let mut select = self.connection.prepare_cached(
            "SELECT why FROM outbox WHERE channel = ?1 AND state = 0 AND attempts > 0 AND why IS NOT NULL ORDER BY not_before_ns DESC LIMIT 1",
        )?;
        select.query_row([channel], |row| row.get(0)).optional()
    }

    /// Has all due at an instant, but not before it, that failed before and is to be tried again later; gives how many messages.
    pub fn wake(&mut self, channel: &str, at_ns: i64) -> rusqlite::Result<usize> {
        let mut turn = self.turns.after();
        let mut update = self.connection.prepare_cached(
            "UPDATE outbox SET not_before_ns = ?2 WHERE channel = ?1 AND state = 0 AND attempts > 0 AND not_before_ns > ?2",
        )?;
        let woken = update.execute(params![channel, at_ns])?;
        turn.wrote(woken);
        Ok(woken)
    }

    /// The last message that a channel got of each alarm that is there, or was there at an instant: what a receiver forgets unless it is
    /// told again.
    pub fn standing(&self, channel: &str, ended_after_ns: i64) -> rusqlite::Result<Vec<Notice>> {
        let mut select = self.connection.prepare_cached(
            "SELECT notice FROM outbox WHERE id IN (SELECT max(id) FROM outbox WHERE channel = ?1 AND state = 1 GROUP BY alarm)
             AND (active = 1 OR done_ns > ?2) ORDER BY id",
        )?;
        let texts = select.query_map(params![channel, ended_after_ns], |row| row.get::<_, String>(0))?;
        texts.map(|text| Ok(serde_json::from_str(&text?).ok())).filter_map(Result::transpose).collect()
    }

    /// What waits for others than these channels: for whom, how many messages, and since when the first of them.
    pub fn astray(&self, channels: &[String]) -> rusqlite::Result<Vec<(String, u64, i64)>> {
        let mut select =
            self.connection.prepare_cached("SELECT channel, count(*), min(not_before_ns) FROM outbox WHERE state = 0 GROUP BY channel")?;
        let found = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs(), row.get(2)?)))?;
        let is_astray = |found: &rusqlite::Result<(String, u64, i64)>| found.as_ref().map_or(true, |(name, ..)| !channels.contains(name));
        found.filter(is_astray).collect()
    }

    /// Gives up all that waits for a channel that is gone; gives how many messages.
    pub fn give_up(&mut self, channel: &str, now_ns: i64) -> rusqlite::Result<usize> {
        let _turn = self.turns.after();
        let mut update = self.connection.prepare_cached(
            "UPDATE outbox SET state = 5, done_ns = ?2, why = 'the configuration has no such channel any more' WHERE channel = ?1 AND state = 0",
        )?;
        update.execute(params![channel, now_ns])
    }

    /// What tells this daemon's messages from those of any other.
    pub fn instance(&self) -> rusqlite::Result<String> {
        self.connection.query_row("SELECT id FROM instance", [], |row| row.get(0))
    }

    /// Gives up what a channel could not be told for a week, and drops what is done with and a month old; what a channel knows of an alarm
    /// that is there stays. Gives how many were given up.
    pub fn prune(&mut self, channel: &str, now_ns: i64) -> rusqlite::Result<usize> {
        let mut turn = self.turns.after();
        let mut expire = self.connection.prepare_cached(
            "UPDATE outbox SET state = 2, done_ns = ?2, why = 'a week too late: ' || coalesce(why, 'never tried')
             WHERE channel = ?1 AND state = 0 AND not_before_ns < ?3",
        )?;
        let expired = expire.execute(params![channel, now_ns, now_ns.saturating_sub(GIVEN_UP_NS)])?;
        let mut drop = self.connection.prepare_cached(
            "DELETE FROM outbox WHERE id IN (
                 SELECT id FROM outbox WHERE channel = ?1 AND state > 0 AND done_ns < ?2
                 AND alarm NOT IN (SELECT number FROM alarms WHERE stage < 2) LIMIT ?3)",
        )?;
        turn.wrote(drop.execute(params![channel, now_ns.saturating_sub(KEPT_NS), DROPPED_MAX])?);
        Ok(expired)
    }
}

fn begin(connection: &mut Connection, messages: Vec<Due>) -> rusqlite::Result<Vec<Due>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut begun = Vec::with_capacity(messages.len());
    {
        let mut update =
            transaction.prepare_cached(&format!("UPDATE outbox SET begun = 1 WHERE id = ?1 AND state = 0 RETURNING notice, {AGAIN}"))?;
        for message in messages {
            // It may have been given what is true now since it was read.
            let notice = update.query_row([message.id], |row| notice_of(row, 0, 1)).optional()?.flatten();
            begun.extend(notice.map(|notice| Due { notice, ..message }));
        }
    }
    transaction.commit()?;
    Ok(begun)
}

/// What became of a message that is done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The channel has it.
    Delivered,
    /// The channel will never take it.
    Refused(String),
    /// What it was to tell is over.
    NotNeeded(String),
}

/// Notes that a channel is about to get a message; false where it is no longer to be told, or tells of another step by now.
pub fn begin_one(transaction: &Transaction<'_>, id: i64, seq: u64) -> rusqlite::Result<bool> {
    let mut update =
        transaction.prepare_cached("UPDATE outbox SET begun = 1, attempts = attempts + 1 WHERE id = ?1 AND seq = ?2 AND state = 0")?;
    Ok(update.execute([id, number(seq)])? == 1)
}

/// Writes down that a message is done with.
pub fn finish(transaction: &Transaction<'_>, id: i64, done: &Done, now_ns: i64) -> rusqlite::Result<()> {
    let (state, why) = match done {
        Done::Delivered => (State::Delivered, None),
        Done::Refused(why) => (State::Refused, Some(why)),
        Done::NotNeeded(why) => (State::NotNeeded, Some(why)),
    };
    let mut update = transaction.prepare_cached("UPDATE outbox SET state = ?2, why = ?3, done_ns = ?4 WHERE id = ?1 AND state = 0")?;
    update.execute(params![id, state.number(), why, now_ns])?;
    Ok(())
}

/// A message that this program does not understand is none: it is of another version.
fn of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Due>> {
    let Some(notice) = notice_of(row, 1, 7)? else { return Ok(None) };
    let attempts = u32::try_from(row.get::<_, i64>(3)?).unwrap_or(u32::MAX);
    Ok(Some(Due { id: row.get(0)?, notice, group: row.get(2)?, attempts, repeat_s: row.get(4)?, condition: row.get(5)?, via: row.get(6)? }))
}

/// The notice of a row, and how many came before it.
fn notice_of(row: &rusqlite::Row<'_>, text: usize, again: usize) -> rusqlite::Result<Option<Notice>> {
    let notice: Option<Notice> = serde_json::from_str(&row.get::<_, String>(text)?).ok();
    let again = u32::try_from(row.get::<_, i64>(again)?).unwrap_or(u32::MAX);
    Ok(notice.map(|notice| Notice { again, ..notice }))
}
