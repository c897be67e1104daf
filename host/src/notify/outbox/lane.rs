//! Alarms that are told in one ticket: whose, where a route wants one for each situation.
//!
//! Each life of an alarm is put into a *lane* when a channel of tickets is to hear of it for the first time, in the transaction that writes
//! the message, and stays there for good. Which lane that is:
//!
//! | the life                                                                                   | is told in           |
//! |--------------------------------------------------------------------------------------------|----------------------|
//! | has a ticket of its own by now                                                             | that, and in no lane |
//! | belongs to a situation of which another alarm is told                                      | the other's lane     |
//! | is of an alarm whose life before was told in a lane that goes on, or ended a short while ago | that lane          |
//! | is none of these                                                                           | its situation's lane |
//!
//! A short while is one after which a ticket is reopened.

use rusqlite::{OptionalExtension, params};

use super::{number, put::Put};
use crate::notify::route::Address;

/// Tables of the alarms' database that say which alarms are told in one ticket.
pub const TABLES_OF_LANES: &str = "
    CREATE TABLE lanes (
        alarm INTEGER NOT NULL,                 -- the life
        channel TEXT NOT NULL,
        alarm_key TEXT NOT NULL,
        situation INTEGER NOT NULL,             -- that it began with
        lane TEXT NOT NULL,
        ended_ns INTEGER,
        PRIMARY KEY (alarm, channel)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX lanes_of_situation ON lanes (channel, situation, alarm);
    CREATE INDEX lanes_of_key ON lanes (channel, alarm_key, alarm);
    CREATE INDEX lanes_by_name ON lanes (channel, lane);
";

/// Begins the name of a lane; the number of its situation follows. No alarm's key begins so: a job's name has no colon.
const LANE: &str = "situation:";

/// Whether what a ticket is kept under is a lane, and no alarm's key.
pub fn is_lane(name: &str) -> bool {
    begun_by(name).is_some()
}

/// The alarm that began the situation of a lane.
pub fn begun_by(lane: &str) -> Option<u64> {
    lane.strip_prefix(LANE)?.parse().ok()
}

impl Put<'_> {
    /// The lane in which a channel is told of the alarm, if it is in one.
    pub(super) fn lane(&self, address: &Address) -> rusqlite::Result<Option<String>> {
        let channel = &address.channel;
        let Some(reopen_within) = self.routes.desks.get(channel) else { return Ok(None) };
        let mut known = self.transaction.prepare_cached("SELECT lane FROM lanes WHERE alarm = ?1 AND channel = ?2")?;
        let known = known.query_row(params![number(self.notice.alarm), channel], |row| row.get(0)).optional()?;
        if known.is_some() || !address.by_situation || self.known(channel)?.told {
            return Ok(known);
        }
        let situation = self.notice.situation.unwrap_or(self.notice.alarm);
        let mut others =
            self.transaction.prepare_cached("SELECT lane FROM lanes WHERE channel = ?1 AND situation = ?2 ORDER BY alarm DESC LIMIT 1")?;
        let with_others: Option<String> = others.query_row(params![channel, number(situation)], |row| row.get(0)).optional()?;
        let reopen_within_ns = i64::try_from(reopen_within.as_nanos()).unwrap_or(i64::MAX);
        let lane = match with_others {
            Some(lane) => lane,
            None => self.lane_before(channel, reopen_within_ns)?.unwrap_or_else(|| format!("{LANE}{situation}")),
        };
        let mut enter = self.transaction.prepare_cached("INSERT INTO lanes VALUES (?1, ?2, ?3, ?4, ?5, NULL)")?;
        enter.execute(params![number(self.notice.alarm), channel, self.notice.key, number(situation), lane])?;
        Ok(Some(lane))
    }

    /// The lane of the alarm's life before this one, if its ticket goes on or is reopened.
    fn lane_before(&self, channel: &str, reopen_within_ns: i64) -> rusqlite::Result<Option<String>> {
        let mut select = self.transaction.prepare_cached(
            "SELECT lane FROM lanes AS before WHERE channel = ?1 AND alarm_key = ?2
             AND EXISTS (SELECT 1 FROM lanes WHERE lanes.channel = ?1 AND lanes.lane = before.lane
                         AND (ended_ns IS NULL OR ended_ns >= ?3))
             ORDER BY alarm DESC LIMIT 1",
        )?;
        let since_ns = self.notice.raised_ns.saturating_sub(reopen_within_ns);
        select.query_row(params![channel, self.notice.key, since_ns], |row| row.get(0)).optional()
    }

    /// Notes that the alarm is over.
    pub(super) fn leave_lanes(&self) -> rusqlite::Result<()> {
        let mut leave = self.transaction.prepare_cached("UPDATE lanes SET ended_ns = ?2 WHERE alarm = ?1 AND ended_ns IS NULL")?;
        leave.execute(params![number(self.notice.alarm), self.notice.time_ns])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use rusqlite::Connection;
    use watchpost_plugin_api::Severity;

    use super::*;
    use crate::{
        alarm::notice::{Notice, Step},
        notify::{
            outbox::{TABLES, TABLES_OF_KEYS, TABLES_OF_PEOPLE, put},
            route::{Route, Routes},
            text::sample,
        },
        schedule::Zone,
    };

    /// An outbox with a channel of tickets, `desk`, and one that makes none, `mail`.
    struct Rig {
        connection: Connection,
        routes: Routes,
        seq: u64,
    }

    impl Rig {
        fn new() -> Self {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(&format!("{TABLES}{TABLES_OF_PEOPLE}{TABLES_OF_LANES}{TABLES_OF_KEYS}")).unwrap();
            let route = Route {
                matches: None,
                severity: Severity::Indeterminate,
                active: None,
                zone: Zone::default(),
                channels: vec!["desk".into(), "mail".into()],
                delay: Duration::ZERO,
                group_by: Vec::new(),
                group_wait: Duration::ZERO,
                repeat: None,
                escalate: Vec::new(),
                by_situation: true,
            };
            let wants = ["desk", "mail"].map(|name| (name.to_owned(), BTreeSet::from(Step::ALL)));
            let desks = [("desk".to_owned(), Duration::from_secs(600))];
            let routes = Routes { routes: vec![route], wants: wants.into(), desks: desks.into(), ..Routes::default() };
            Self { connection, routes, seq: 0 }
        }

        /// A step of an alarm; gives with which others the desk is told of it.
        fn step(&mut self, alarm: u64, key: &str, situation: Option<u64>, step: Step, second: i64) -> Option<String> {
            self.seq += 1;
            let (seq, time_ns) = (self.seq, second * 1_000_000_000);
            let notice = Notice { seq, alarm, key: key.into(), situation, time_ns, raised_ns: time_ns, ..sample(step) };
            let transaction = self.connection.transaction().unwrap();
            put(&transaction, &notice, &self.routes).unwrap();
            transaction.commit().unwrap();
            assert_eq!(self.grouped("mail"), None, "what makes no tickets is told of each");
            self.grouped("desk")
        }

        fn grouped(&self, channel: &str) -> Option<String> {
            let last = "SELECT grouped FROM outbox WHERE channel = ?1 AND seq = ?2";
            self.connection.query_row(last, params![channel, number(self.seq)], |row| row.get(0)).unwrap()
        }
    }

    fn lane(number: u64) -> Option<String> {
        Some(format!("situation:{number}"))
    }

    #[test]
    fn alarms_of_a_situation_are_told_in_one_lane_and_each_stays_where_it_is() {
        let mut rig = Rig::new();
        assert_eq!(rig.step(1, "a", None, Step::Raised, 0), lane(1));
        assert_eq!(rig.step(2, "b", Some(1), Step::Raised, 10), lane(1));
        assert_eq!(rig.step(3, "c", None, Step::Raised, 20), lane(3), "another situation");
        assert_eq!(rig.step(2, "b", Some(1), Step::Cleared, 30), lane(1));
        rig.routes.routes[0].by_situation = false;
        assert_eq!(rig.step(1, "a", None, Step::Changed, 40), lane(1), "what has begun goes on");
        assert_eq!(rig.step(4, "d", Some(1), Step::Raised, 50), None, "the route says otherwise by now");
        rig.connection.execute("UPDATE outbox SET state = 1", []).unwrap();
        rig.routes.routes[0].by_situation = true;
        rig.routes.delays.insert("desk".into(), Duration::from_secs(300));
        assert_eq!(rig.step(4, "d", Some(1), Step::Unacknowledged, 60), None, "it has a ticket of its own");
    }

    #[test]
    fn an_alarm_that_is_back_soon_is_told_where_it_was_and_so_are_those_that_begin_with_it() {
        let mut rig = Rig::new();
        rig.step(1, "a", None, Step::Raised, 0);
        rig.step(2, "b", Some(1), Step::Raised, 10);
        rig.step(2, "b", Some(1), Step::Cleared, 20);
        assert_eq!(rig.step(3, "b", None, Step::Raised, 2_000), lane(1), "the other one goes on");
        assert_eq!(rig.step(4, "c", Some(3), Step::Raised, 2_010), lane(1), "it began with what is told there");
        for (alarm, key, second) in [(1, "a", 3_000), (3, "b", 3_010), (4, "c", 3_020)] {
            assert_eq!(rig.step(alarm, key, None, Step::Cleared, second), lane(1));
        }
        assert_eq!(rig.step(5, "a", None, Step::Raised, 3_620), lane(1), "not too long after the last of them ended");
        rig.step(5, "a", None, Step::Cleared, 3_630);
        assert_eq!(rig.step(6, "b", None, Step::Raised, 4_231), lane(6), "too long after that");
    }
}
