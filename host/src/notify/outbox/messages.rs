//! What became of the messages of an alarm, for who asks.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{State, condition_number, number};
use crate::notify::route::While;

/// A message of an alarm, for who asks why somebody was told or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The channel's name.
    pub channel: String,
    /// The step that it tells of.
    pub seq: u64,
    /// What became of it.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// It failed, was refused, not needed or withheld.
    pub why: Option<String>,
    /// It waits until then, nanoseconds since 1970.
    pub not_before_ns: i64,
    /// When it was done with.
    pub done_ns: Option<i64>,
    /// The roster by which somebody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Whether it is told only while nobody has taken the alarm: an escalation, a reminder.
    #[serde(default)]
    pub while_untaken: bool,
}

/// All messages of an alarm, in the order of the outbox.
pub fn messages_of(connection: &Connection, alarm: u64) -> rusqlite::Result<Vec<Message>> {
    let mut select = connection.prepare(
        "SELECT channel, seq, state, attempts, why, not_before_ns, done_ns, via, condition FROM outbox WHERE alarm = ?1 ORDER BY id",
    )?;
    let found = select.query_map([number(alarm)], |row| {
        Ok(Message {
            channel: row.get(0)?,
            seq: row.get::<_, i64>(1)?.unsigned_abs(),
            state: State::of(row.get(2)?),
            attempts: u32::try_from(row.get::<_, i64>(3)?).unwrap_or(u32::MAX),
            why: row.get(4)?,
            not_before_ns: row.get(5)?,
            done_ns: row.get(6)?,
            via: row.get(7)?,
            while_untaken: row.get::<_, i64>(8)? == condition_number(While::Untaken),
        })
    })?;
    found.collect()
}
