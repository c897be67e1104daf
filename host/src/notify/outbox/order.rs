//! In which order a channel is told: what tells of one alarm one after the other, over all its lives.
//!
//! Receivers know an alarm by its key, and each life has a number of its own: the end of one life that is told after the next was raised would
//! clear what stands. What waits to be tried again holds back what comes after it; a reminder or an escalation holds back nothing; what was
//! left for the morning is told before whatever does not wait.

use rusqlite::{TransactionBehavior, params};

use super::{AGAIN, Due, Outbox, of_row};

/// What the outbox has for the order of an alarm's messages. Those that are done with have no key: nothing waits for them.
pub const TABLES_OF_KEYS: &str = "
    ALTER TABLE outbox ADD COLUMN alarm_key TEXT;   -- over all its lives
    UPDATE outbox SET alarm_key = notice ->> '$.key' WHERE state = 0;
    CREATE INDEX outbox_of_key ON outbox (alarm_key, channel, not_before_ns) WHERE state = 0;
";

/// Messages of a channel that are due, but for what comes after one of the same alarm that waits.
const DUE: &str = "SELECT it.id FROM outbox AS it
    WHERE it.channel = ?1 AND it.state = 0 AND it.not_before_ns <= ?2 AND NOT EXISTS (
        SELECT 1 FROM outbox AS earlier INDEXED BY outbox_of_key
        WHERE earlier.alarm_key = it.alarm_key AND earlier.channel = ?1 AND earlier.state = 0 AND earlier.not_before_ns > ?2
        AND earlier.id < it.id AND (earlier.condition < 2 OR earlier.begun = 1))
    ORDER BY it.id LIMIT ?3";

/// What waits to be told with a group, but for what comes after a message of the same alarm that is told otherwise; what has begun is the same
/// when it is told again.
const TOGETHER: &str = "channel = ?1 AND state = 0 AND grouped = ?2
    AND begun = (SELECT max(begun) FROM outbox WHERE channel = ?1 AND state = 0 AND grouped = ?2)
    AND (begun = 1 OR NOT EXISTS (
        SELECT 1 FROM outbox AS earlier INDEXED BY outbox_of_key
        WHERE earlier.alarm_key = outbox.alarm_key AND earlier.channel = ?1 AND earlier.state = 0
        AND earlier.id < outbox.id AND earlier.grouped IS NOT ?2 AND (earlier.condition < 2 OR earlier.begun = 1)))";

/// What waits for a person's hours, and something that is due would have to wait for: what comes after it in its alarm, and in no digest.
const HELD_BACK: &str = "SELECT DISTINCT earlier.id FROM outbox AS it JOIN outbox AS earlier INDEXED BY outbox_of_key
    ON earlier.alarm_key = it.alarm_key AND earlier.channel = ?1 AND earlier.state = 0 AND earlier.not_before_ns > ?2
    WHERE it.channel = ?1 AND it.state = 0 AND it.not_before_ns <= ?2 AND (it.grouped IS NULL OR it.grouped NOT GLOB 'digest:*')
    AND earlier.id < it.id AND earlier.begun = 0 AND earlier.attempts = 0 AND earlier.condition = 0";

impl Outbox {
    /// Messages of a channel that are due, in the order of the outbox; none of an alarm, in whichever life, whose earlier message is to be
    /// tried again later.
    pub fn due(&self, channel: &str, now_ns: i64, most: usize) -> rusqlite::Result<Vec<Due>> {
        let mut select = self.connection.prepare_cached(&format!(
            "SELECT id, notice, grouped, attempts, repeat_s, condition, via, {AGAIN} FROM outbox WHERE id IN ({DUE}) ORDER BY id"
        ))?;
        let found = select.query_map(params![channel, now_ns, i64::try_from(most).unwrap_or(i64::MAX)], of_row)?;
        found.collect::<rusqlite::Result<Vec<Option<Due>>>>().map(|found| found.into_iter().flatten().collect())
    }

    /// All messages that wait to be told with a group, due or not; those that somebody may have already are told again without further ones.
    pub fn group(&self, channel: &str, group: &str, most: usize) -> rusqlite::Result<Vec<Due>> {
        let mut select = self.connection.prepare_cached(&format!(
            "SELECT id, notice, grouped, attempts, repeat_s, condition, via, {AGAIN} FROM outbox
             WHERE {TOGETHER} ORDER BY id LIMIT ?3",
        ))?;
        let found = select.query_map(params![channel, group, i64::try_from(most).unwrap_or(i64::MAX)], of_row)?;
        found.collect::<rusqlite::Result<Vec<Option<Due>>>>().map(|found| found.into_iter().flatten().collect())
    }

    /// Has what waits for somebody told now, where something of the same alarm that does not wait comes after it, perhaps in a later life.
    pub fn bring_forward(&mut self, channel: &str, now_ns: i64) -> rusqlite::Result<()> {
        let held: Vec<i64> = {
            let mut select = self.connection.prepare_cached(HELD_BACK)?;
            select.query_map(params![channel, now_ns], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
        };
        if held.is_empty() {
            return Ok(());
        }
        let mut turn = self.turns.after();
        turn.wrote(held.len());
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut update = transaction.prepare_cached(
                "UPDATE outbox SET not_before_ns = ?2, grouped = NULL, why = NULL
                 WHERE id = ?1 AND state = 0 AND begun = 0 AND attempts = 0 AND condition = 0",
            )?;
            for id in held {
                update.execute(params![id, now_ns])?;
            }
        }
        transaction.commit()
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::notify::outbox::{TABLES, TABLES_OF_PEOPLE};

    #[test]
    fn what_is_earlier_is_found_by_the_alarms_key_and_what_waits_for_later_is_not_read() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("{TABLES}{TABLES_OF_PEOPLE}{TABLES_OF_KEYS}")).unwrap();
        let plan = |sql: &str| -> Vec<String> {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let values = vec![rusqlite::types::Value::Null; explain.parameter_count()];
            explain.query_map(rusqlite::params_from_iter(values), |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
        };
        let earlier = "SEARCH earlier USING INDEX outbox_of_key (alarm_key=? AND channel=? AND not_before_ns>?)";
        for sql in [DUE, HELD_BACK] {
            let plan = plan(sql);
            for step in ["SEARCH it USING INDEX outbox_waits (channel=? AND not_before_ns<?)", earlier] {
                assert!(plan.iter().any(|found| found == step), "{plan:?}");
            }
        }
        let together = plan(&format!("SELECT id FROM outbox WHERE {TOGETHER}"));
        let earlier = "SEARCH earlier USING INDEX outbox_of_key (alarm_key=? AND channel=?)";
        assert!(together.iter().any(|found| found == earlier), "{together:?}");
    }

    #[test]
    fn what_waits_in_an_older_file_gets_its_alarms_key() {
        let older = Connection::open_in_memory().unwrap();
        older.execute_batch(&format!("{TABLES}{TABLES_OF_PEOPLE}")).unwrap();
        let insert = "INSERT INTO outbox (channel, alarm, seq, active, notice, not_before_ns, condition, state)
                      VALUES ('ops', 1, 1, 1, '{\"key\":\"mx/up/down\"}', 0, 0, ?1)";
        for state in [0, 1] {
            older.execute(insert, [state]).unwrap();
        }
        older.execute_batch(TABLES_OF_KEYS).unwrap();
        let mut select = older.prepare("SELECT alarm_key FROM outbox ORDER BY id").unwrap();
        let keys: Vec<Option<String>> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(keys, [Some("mx/up/down".to_owned()), None]);
    }
}
