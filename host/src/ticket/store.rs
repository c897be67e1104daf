//! What is known of tickets, in the alarms' database: written before anything is sent, and with the message that is done with.

use std::{collections::BTreeSet, path::Path, time::Duration};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::life::{State, Ticket};
use crate::{
    alarm::{notice::Notice, turns::Turns},
    notify::outbox::{self, Done, Outbox, is_lane},
};

/// How long another writer may hold the file.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Tickets that are dropped in one go, at most.
const DROPPED_MAX: i64 = 10_000;

/// Under what the ticket of a message is kept: the alarm's key, or the lane of a situation. No other group has such a name.
macro_rules! kept_under {
    () => {
        "CASE WHEN grouped GLOB 'situation:*' THEN grouped ELSE notice ->> '$.key' END"
    };
}

/// Tables of the alarms' database that are the tickets'.
pub const TABLES: &str = "
    CREATE TABLE tickets (
        alarm_key TEXT NOT NULL,
        channel TEXT NOT NULL,
        first INTEGER NOT NULL,                 -- life of the alarm that it was made for
        alarm INTEGER NOT NULL,                 -- life that it tells of
        next_ns INTEGER NOT NULL,               -- nothing is asked before
        polled_ns INTEGER NOT NULL,
        reads INTEGER NOT NULL,                 -- whether it is read from time to time
        ticket TEXT NOT NULL,                   -- JSON
        PRIMARY KEY (alarm_key, channel, first)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tickets_to_read ON tickets (channel, polled_ns) WHERE reads = 1;
";

/// What finds tickets and their steps soon among many: rows with a number, for the key of one without is compared with all of its JSON read,
/// and steps by what their ticket is kept under.
pub const TABLES_OF_MANY: &str = concat!(
    "
    CREATE TABLE tickets_by_number (
        alarm_key TEXT NOT NULL,
        channel TEXT NOT NULL,
        first INTEGER NOT NULL,                 -- life of the alarm that it was made for
        alarm INTEGER NOT NULL,                 -- life that it tells of
        next_ns INTEGER NOT NULL,               -- nothing is asked before
        polled_ns INTEGER NOT NULL,
        reads INTEGER NOT NULL,                 -- whether it is read from time to time
        owed INTEGER NOT NULL,                  -- whether something is to be done, though the alarm is closed
        ticket TEXT NOT NULL,                   -- JSON
        PRIMARY KEY (alarm_key, channel, first)
    ) STRICT;
    INSERT INTO tickets_by_number SELECT alarm_key, channel, first, alarm, next_ns, polled_ns, reads,
        coalesce(ticket ->> '$.doubles.owed', 0), ticket FROM tickets;
    DROP TABLE tickets;
    ALTER TABLE tickets_by_number RENAME TO tickets;
    CREATE INDEX tickets_to_read ON tickets (channel, polled_ns) WHERE reads = 1;
    CREATE INDEX outbox_of_ticket ON outbox (channel, ",
    kept_under!(),
    ", id, not_before_ns) WHERE state = 0;"
);

/// What finds tickets that a person merged: by the system's id, and by their keys.
pub const TABLES_OF_MERGED: &str = "
    CREATE INDEX tickets_of_id ON tickets (channel, ticket ->> '$.id');
    CREATE INDEX tickets_of_key ON tickets (channel, ticket ->> '$.key');
";

/// What steps that are to be told now are kept under, but for tickets that rest.
const DUE: &str = concat!(
    "SELECT kept_under FROM (
         SELECT ",
    kept_under!(),
    " AS kept_under, min(id) AS id FROM outbox INDEXED BY outbox_of_ticket
         WHERE channel = ?1 AND state = 0 AND not_before_ns <= ?2 GROUP BY kept_under)
     WHERE NOT EXISTS (SELECT 1 FROM tickets WHERE tickets.channel = ?1 AND alarm_key = kept_under AND next_ns > ?2)
     ORDER BY id LIMIT ?3"
);
/// Steps of one ticket that are to be told now.
const FIRST: &str = concat!(
    "SELECT id, notice FROM outbox INDEXED BY outbox_of_ticket WHERE channel = ?1 AND state = 0 AND not_before_ns <= ?2 AND ",
    kept_under!(),
    " = ?3 ORDER BY id"
);
/// Whether a ticket tells of an alarm that is not closed.
const TELLS_OF_ONE: &str = "(alarm IN (SELECT number FROM alarms WHERE stage < 2) OR EXISTS (
    SELECT 1 FROM lanes JOIN alarms ON alarms.number = lanes.alarm
    WHERE lanes.lane = tickets.alarm_key AND lanes.channel = tickets.channel AND alarms.stage < 2))";

/// Whether an alarm goes on, or a channel is still to be told something of it.
const GOES_ON: &str = "SELECT 1 FROM alarms WHERE number = ?1 AND stage = 0
     UNION ALL SELECT 1 FROM outbox WHERE alarm = ?1 AND channel = ?2 AND state = 0";

/// A step that is to be told in a ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number in the outbox.
    pub id: i64,
    /// The step.
    pub notice: Notice,
}

/// A ticket, as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The channel.
    pub channel: String,
    /// The system's name.
    pub system: String,
    /// The system's id; none while there is none.
    pub id: Option<String>,
    /// Where it is looked at.
    pub link: Option<String>,
    /// How it stands, as far as is known.
    pub state: State,
    /// The system's word for that.
    pub word: Option<String>,
    /// Who takes care of it there.
    pub owner: Option<String>,
    /// What the system knows it by.
    pub key: String,
    /// What is being asked, if anything is.
    pub pending: Option<String>,
    /// How often that failed, one time after the other.
    pub attempts: u32,
    /// When it is asked again, nanoseconds since 1970.
    pub next_ns: Option<i64>,
    /// What went wrong last.
    pub error: Option<String>,
}

impl Shown {
    fn of(ticket: Ticket) -> Self {
        let next_ns = ticket.asking.is_some().then_some(ticket.next_ns);
        let Ticket { channel, system, id, link, state, word, owner, key, asking, attempts, error, .. } = ticket;
        Self { channel, system, id, link, state, word, owner, key, pending: asking, attempts, next_ns, error }
    }
}

/// Tickets as channels see them.
#[derive(Debug)]
pub struct Tickets {
    connection: Connection,
    turns: Turns,
    outbox: Outbox,
}

impl Tickets {
    /// Opens them in the alarms' database, to be written in turns.
    pub fn open(path: &Path, turns: Turns) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_MAX)?;
        Turns::leave_to_thread(&connection)?;
        // What was sent must be known after a power cut too.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { connection, outbox: Outbox::open(path, turns.clone())?, turns })
    }

    /// The steps that wait, as every channel has them.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Alarms, by their keys, of which a channel is to tell something now, the one that waits longest first.
    pub fn due(&self, channel: &str, now_ns: i64, most: usize) -> rusqlite::Result<Vec<String>> {
        let mut select = self.connection.prepare_cached(DUE)?;
        select.query_map(params![channel, now_ns, signed(most)], |row| row.get(0))?.collect()
    }

    /// Alarms, by their keys, whose tickets are to be read again: those that are not closed, or have tickets of which something is owed.
    pub fn unread(&self, channel: &str, before_ns: i64, now_ns: i64, most: usize) -> rusqlite::Result<Vec<String>> {
        let mut select = self.connection.prepare_cached(&format!(
            "SELECT alarm_key FROM tickets WHERE channel = ?1 AND reads = 1 AND polled_ns <= ?2 AND next_ns <= ?3
             AND ({TELLS_OF_ONE}
                  AND NOT EXISTS (SELECT 1 FROM tickets AS later WHERE later.alarm_key = tickets.alarm_key AND later.channel = ?1
                                  AND later.first > tickets.first)
                  OR owed)
             GROUP BY alarm_key ORDER BY min(polled_ns) LIMIT ?4"
        ))?;
        select.query_map(params![channel, before_ns, now_ns, signed(most)], |row| row.get(0))?.collect()
    }

    /// Reads no longer what belongs to alarms that are closed, until there is something to tell of them.
    pub fn rest(&self, channel: &str) -> rusqlite::Result<usize> {
        let mut update = self.connection.prepare_cached(&format!(
            "UPDATE tickets SET reads = 0 WHERE channel = ?1 AND reads = 1 AND NOT {TELLS_OF_ONE}
             AND NOT owed"
        ))?;
        let _turn = self.turns.after();
        update.execute([channel])
    }

    /// The latest ticket of an alarm, or of a situation: without the alarms of it that ended while nobody was told.
    pub fn latest(&self, channel: &str, alarm_key: &str) -> rusqlite::Result<Option<Ticket>> {
        let mut select = self
            .connection
            .prepare_cached("SELECT ticket FROM tickets WHERE alarm_key = ?1 AND channel = ?2 ORDER BY first DESC LIMIT 1")?;
        let text = select.query_row(params![alarm_key, channel], |row| row.get::<_, String>(0)).optional()?;
        let mut ticket: Option<Ticket> = text.map(|text| parsed(&text)).transpose()?;
        if let Some(ticket) = ticket.as_mut().filter(|_| is_lane(alarm_key)) {
            let mut goes_on = self.connection.prepare_cached(GOES_ON)?;
            for life in std::mem::take(&mut ticket.going) {
                if goes_on.exists(params![number(life), channel])? {
                    ticket.going.insert(life);
                }
            }
        }
        Ok(ticket)
    }

    /// Tickets of an alarm of which something is owed.
    pub fn owed(&self, channel: &str, alarm_key: &str) -> rusqlite::Result<Vec<Ticket>> {
        let mut select =
            self.connection.prepare_cached("SELECT ticket FROM tickets WHERE alarm_key = ?1 AND channel = ?2 AND owed ORDER BY first")?;
        let texts = select.query_map(params![alarm_key, channel], |row| row.get::<_, String>(0))?;
        texts.map(|text| parsed(&text?)).collect()
    }

    /// Tickets of ours that bear one of these keys.
    pub fn of_keys(&self, channel: &str, keys: &BTreeSet<String>) -> rusqlite::Result<Vec<Ticket>> {
        let mut select = self.connection.prepare_cached("SELECT ticket FROM tickets WHERE channel = ?1 AND ticket ->> '$.key' = ?2")?;
        let mut found = Vec::new();
        for key in keys {
            let texts = select.query_map(params![channel, key], |row| row.get::<_, String>(0))?;
            for text in texts {
                found.push(parsed(&text?)?);
            }
        }
        Ok(found)
    }

    /// Other tickets of ours that are, in the system, the same.
    pub fn merged_with(&self, ticket: &Ticket) -> rusqlite::Result<Vec<Ticket>> {
        let mut select = self
            .connection
            .prepare_cached("SELECT ticket FROM tickets WHERE channel = ?1 AND ticket ->> '$.id' = ?2 AND ticket ->> '$.key' <> ?3")?;
        let texts = select.query_map(params![ticket.channel, ticket.id, ticket.key], |row| row.get::<_, String>(0))?;
        texts.map(|text| parsed(&text?)).collect()
    }

    /// Whether what a ticket tells of goes on, or its end is still to be told.
    pub fn goes_on(&self, ticket: &Ticket) -> rusqlite::Result<bool> {
        let mut goes_on = self.connection.prepare_cached(GOES_ON)?;
        let alarms: BTreeSet<u64> = ticket.going.iter().copied().chain([ticket.alarm]).collect();
        for alarm in alarms.into_iter().filter(|_| !ticket.over && ticket.state != State::Gone) {
            if goes_on.exists(params![number(alarm), ticket.channel])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first step of an alarm that is to be told now; one that this program does not understand is passed over.
    pub fn first(&self, channel: &str, alarm_key: &str, now_ns: i64) -> rusqlite::Result<Option<Row>> {
        let mut select = self.connection.prepare_cached(FIRST)?;
        let rows = select.query_map(params![channel, now_ns, alarm_key], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (id, text) = row?;
            if let Ok(notice) = serde_json::from_str(&text) {
                return Ok(Some(Row { id, notice }));
            }
        }
        Ok(None)
    }

    /// Writes down how a ticket stands, durably, before something is asked for a step; false where the step is no longer to be told.
    pub fn begin(&mut self, row: &Row, ticket: &Ticket) -> rusqlite::Result<bool> {
        let mut turn = self.turns.after();
        turn.wrote(1);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let goes_on = outbox::begin_one(&transaction, row.id, row.notice.seq)?;
        if goes_on {
            save(&transaction, ticket)?;
        }
        transaction.commit()?;
        Ok(goes_on)
    }

    /// Writes down how a ticket stands, durably.
    pub fn save(&mut self, ticket: &Ticket) -> rusqlite::Result<()> {
        let mut turn = self.turns.after();
        turn.wrote(1);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        save(&transaction, ticket)?;
        transaction.commit()
    }

    /// Writes down what became of a step, and how its ticket stands, durably and as one.
    pub fn settle(&mut self, row: &Row, done: &Done, ticket: Option<&Ticket>, now_ns: i64) -> rusqlite::Result<()> {
        let mut turn = self.turns.after();
        turn.wrote(1);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        outbox::finish(&transaction, row.id, done, now_ns)?;
        if let Some(ticket) = ticket {
            save(&transaction, ticket)?;
        }
        transaction.commit()
    }

    /// Drops tickets of alarms that are dropped.
    pub fn prune(&self, channel: &str) -> rusqlite::Result<usize> {
        let mut leave = self.connection.prepare_cached(
            "DELETE FROM lanes WHERE channel = ?1 AND alarm NOT IN (SELECT number FROM alarms)
             AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.alarm = lanes.alarm AND outbox.channel = ?1 AND state = 0)",
        )?;
        let mut drop = self.connection.prepare_cached(
            "DELETE FROM tickets WHERE (alarm_key, channel, first) IN (
                 SELECT alarm_key, channel, first FROM tickets WHERE channel = ?1 AND alarm NOT IN (SELECT number FROM alarms)
                 AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.alarm = tickets.alarm AND outbox.channel = ?1 AND state = 0)
                 AND NOT EXISTS (SELECT 1 FROM lanes WHERE lanes.lane = tickets.alarm_key AND lanes.channel = ?1) LIMIT ?2)",
        )?;
        let _turn = self.turns.after();
        leave.execute([channel])?;
        drop.execute(params![channel, DROPPED_MAX])
    }
}

/// All tickets that told of a life of an alarm, in the order of their channels.
pub fn tickets_of(connection: &Connection, alarm_key: &str, alarm: u64) -> rusqlite::Result<Vec<Shown>> {
    let mut select = connection.prepare(
        "SELECT ticket FROM tickets WHERE alarm_key = ?1 OR alarm_key IN (SELECT lane FROM lanes WHERE alarm = ?2) ORDER BY channel, first",
    )?;
    let texts = select.query_map(params![alarm_key, number(alarm)], |row| row.get::<_, String>(0))?;
    let mut shown = Vec::new();
    for text in texts {
        let ticket: Ticket = parsed(&text?)?;
        if ticket.lives.contains(&alarm) || ticket.going.contains(&alarm) {
            shown.push(Shown::of(ticket));
        }
    }
    Ok(shown)
}

fn save(transaction: &Transaction<'_>, ticket: &Ticket) -> rusqlite::Result<()> {
    let text = serde_json::to_string(ticket).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO tickets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let reads = ticket.id.is_some() && ticket.state != State::Gone;
    let Ticket { alarm_key, channel, first, alarm, next_ns, polled_ns, .. } = ticket;
    insert.execute(params![alarm_key, channel, number(*first), number(*alarm), next_ns, polled_ns, reads, ticket.doubles.owed, text])?;
    Ok(())
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    let failed = |error: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into());
    serde_json::from_str(text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::store::{FILE, NoOutbox, Store};

    #[test]
    fn the_steps_of_a_ticket_are_found_without_reading_all_that_wait() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), Box::new(NoOutbox)).unwrap());
        let tickets = Tickets::open(&folder.path().join(FILE), Turns::default()).unwrap();
        let plan = |sql: &str| -> Vec<String> {
            let mut explain = tickets.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = vec![rusqlite::types::Value::Null; explain.parameter_count()];
            explain.query_map(rusqlite::params_from_iter(values), |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(plan(FIRST), ["SEARCH outbox USING INDEX outbox_of_ticket (channel=? AND <expr>=?)"]);
        let due = plan(DUE);
        for step in [
            "SEARCH outbox USING INDEX outbox_of_ticket (channel=?)",
            "SEARCH tickets USING INDEX sqlite_autoindex_tickets_1 (alarm_key=? AND channel=?)",
        ] {
            assert!(due.iter().any(|found| found == step), "{due:?}");
        }
    }

    #[test]
    fn tickets_of_an_older_file_are_taken_over_with_what_is_owed_of_them() {
        let older = Connection::open_in_memory().unwrap();
        older.execute_batch(&format!("{}{TABLES}", outbox::TABLES)).unwrap();
        let insert = "INSERT INTO tickets VALUES (?1, 'desk', 7, 8, 9, 10, 1, ?2)";
        for (key, ticket) in [("a", r#"{"doubles":{"owed":true}}"#), ("b", r#"{"doubles":{"owed":false}}"#), ("c", "{}")] {
            older.execute(insert, [key, ticket]).unwrap();
        }
        older.execute_batch(TABLES_OF_MANY).unwrap();
        let mut select = older.prepare("SELECT alarm_key, first, alarm, next_ns, polled_ns, reads, owed FROM tickets ORDER BY 1").unwrap();
        let found =
            select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?)));
        let found: Vec<(String, i64, i64, i64, i64, bool, bool)> = found.unwrap().map(Result::unwrap).collect();
        let of = |key: &str, owed| (key.to_owned(), 7, 8, 9, 10, true, owed);
        assert_eq!(found, [of("a", true), of("b", false), of("c", false)]);
    }
}
