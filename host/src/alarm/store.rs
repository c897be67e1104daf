//! The alarms' database: place in the journal, what rules remember, alarms, their steps and what is to be told of them, in one transaction.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{judge::Memory, life::Stage, maintenance::Maintenance, notice::Notice, record::Alarm, turns::Turns};
use crate::{
    database::{DatabaseError, Format},
    notify::outbox::{self, Message},
    ticket::store::{self as tickets, Shown},
};

/// Name of the file in the data folder.
pub const FILE: &str = "alarms.sqlite";
/// Nanoseconds that a closed alarm is kept for: 400 days.
pub const KEPT_NS: i64 = 400 * 86_400 * 1_000_000_000;
/// Closed alarms that are kept, at most.
pub const CLOSED_MAX: i64 = 1_000_000;
/// Alarms that are dropped in one transaction, at most.
const DROPPED_MAX: i64 = 1_000;
/// The tables, by the formats that brought them; those of the outbox are the notifiers', those of tickets the tickets'.
const FORMAT: Format = Format(&[
    "
    CREATE TABLE place (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        position INTEGER NOT NULL,      -- of the next record of the journal
        seq INTEGER NOT NULL,           -- of the last step
        number INTEGER NOT NULL         -- of the last life
    ) STRICT;
    CREATE TABLE memories (
        job TEXT NOT NULL,
        rule TEXT NOT NULL,
        series TEXT NOT NULL,
        memory TEXT NOT NULL,           -- JSON
        PRIMARY KEY (job, rule, series)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE alarms (
        number INTEGER PRIMARY KEY,     -- of the life
        key TEXT NOT NULL,
        stage INTEGER NOT NULL,         -- 0 active, 1 cleared, 2 closed
        closed_ns INTEGER,
        alarm TEXT NOT NULL             -- JSON
    ) STRICT;
    CREATE INDEX alarms_by_key ON alarms (key, number);
    CREATE INDEX alarms_by_stage ON alarms (stage, closed_ns);
    CREATE TABLE steps (
        seq INTEGER PRIMARY KEY,
        alarm INTEGER NOT NULL,
        time_ns INTEGER NOT NULL,
        notice TEXT NOT NULL            -- JSON
    ) STRICT;
    CREATE INDEX steps_by_alarm ON steps (alarm, seq);
",
    outbox::TABLES,
    "
    CREATE TABLE maintenance (
        number INTEGER PRIMARY KEY,
        until_ns INTEGER NOT NULL,      -- when it ends, or was ended
        maintenance TEXT NOT NULL       -- JSON
    ) STRICT;
",
    "
    CREATE TABLE announced (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        seq INTEGER NOT NULL            -- of the last step whose event is durable
    ) STRICT;
    INSERT INTO announced SELECT 1, seq FROM place;
",
    outbox::TABLES_OF_PEOPLE,
    tickets::TABLES,
    outbox::TABLES_OF_LANES,
    tickets::TABLES_OF_MANY,
    outbox::TABLES_OF_KEYS,
    tickets::TABLES_OF_MERGED,
]);

/// Writes down what is to be told, in the transaction that makes it so.
pub trait Outbox: Send {
    /// Writes down what is to be told of a step.
    fn put(&self, transaction: &Transaction<'_>, notice: &Notice) -> rusqlite::Result<()>;
}

/// Tells nobody.
#[derive(Debug)]
pub struct NoOutbox;

impl Outbox for NoOutbox {
    fn put(&self, _: &Transaction<'_>, _: &Notice) -> rusqlite::Result<()> {
        Ok(())
    }
}

/// What rules remember, by job, rule and series.
pub type Memories = HashMap<String, HashMap<(String, String), Memory>>;

/// What was written last.
#[derive(Debug, Default)]
pub struct Written {
    /// The next record of the journal; nothing in a file that is new.
    pub position: Option<u64>,
    /// Number of the last step.
    pub seq: u64,
    /// Number of the last life.
    pub number: u64,
    /// Number of the last step whose event is durable.
    pub announced: u64,
    /// What rules remember.
    pub memories: Memories,
    /// Maintenance that was announced, also what is over.
    pub maintenance: Vec<Maintenance>,
    /// Number of the last maintenance.
    pub maintenance_number: u64,
    /// Alarms that are not closed, and the last life of those that are shelved.
    pub alarms: Vec<Alarm>,
}

/// What is to be written in one transaction.
#[derive(Debug)]
pub struct Batch<'b> {
    /// The next record of the journal.
    pub position: u64,
    /// Number of the last step.
    pub seq: u64,
    /// Number of the last life.
    pub number: u64,
    /// Number of the last step whose event is durable.
    pub announced: u64,
    /// Memories that changed: job, rule, series; nothing where all is forgotten.
    pub memories: Vec<(&'b str, &'b str, &'b str, Option<&'b Memory>)>,
    /// Alarms that changed.
    pub alarms: Vec<&'b Alarm>,
    /// Steps that were made, in order.
    pub steps: &'b [Notice],
}

/// The database, opened for writing.
pub struct Store {
    path: PathBuf,
    connection: Connection,
    outbox: Box<dyn Outbox>,
    turns: Turns,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the alarms of a data folder, made where there are none.
    pub fn open(data: &Path, outbox: Box<dyn Outbox>) -> Result<Self, DatabaseError> {
        let path = data.join(FILE);
        let connection = FORMAT.open(&path)?;
        Ok(Self { path, connection, outbox, turns: Turns::default() })
    }

    /// Takes turns with whoever else writes, and leaves to a thread what goes to its place.
    pub fn take_turns(&mut self, turns: Turns) -> Result<(), DatabaseError> {
        self.turns = turns;
        Turns::leave_to_thread(&self.connection).map_err(|source| self.failed(source))
    }

    /// Reads what was written last.
    pub fn read(&self) -> Result<Written, DatabaseError> {
        read(&self.connection).map_err(|source| self.failed(source))
    }

    /// Writes a batch, durably and whole.
    pub fn write(&mut self, batch: &Batch<'_>) -> Result<(), DatabaseError> {
        let mut turn = self.turns.first();
        turn.wrote(batch.memories.len() + batch.alarms.len() + batch.steps.len());
        let written = self.connection.transaction().and_then(|transaction| {
            write(&transaction, batch)?;
            for notice in batch.steps {
                self.outbox.put(&transaction, notice)?;
            }
            transaction.commit()
        });
        drop(turn);
        written.map_err(|source| self.failed(source))
    }

    /// The first steps after one of that number, in order.
    pub fn steps_after(&self, seq: u64, limit: usize) -> Result<Vec<Notice>, DatabaseError> {
        let read = || -> rusqlite::Result<Vec<Notice>> {
            let mut found = self.connection.prepare("SELECT notice FROM steps WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = found.query_map([signed(seq), limit], |row| row.get::<_, String>(0))?;
            rows.map(|row| row.and_then(|text| parsed(&text))).collect()
        };
        read().map_err(|source| self.failed(source))
    }

    /// Writes down maintenance, durably.
    pub fn maintain(&mut self, maintenance: &Maintenance) -> Result<(), DatabaseError> {
        let until_ns = maintenance.ended.as_ref().map_or(maintenance.until_ns, |(_, ended)| *ended);
        let _turn = self.turns.first();
        let write = || -> rusqlite::Result<usize> {
            let values = params![signed(maintenance.number), until_ns, written(maintenance)?];
            self.connection.execute("INSERT OR REPLACE INTO maintenance VALUES (?1, ?2, ?3)", values)
        };
        write().map(drop).map_err(|source| self.failed(source))
    }

    /// Drops closed alarms that are too old or too many, some at a time; gives how many.
    pub fn prune(&mut self, now_ns: i64) -> Result<usize, DatabaseError> {
        let turns = self.turns.clone();
        let prune = |connection: &mut Connection| -> rusqlite::Result<usize> {
            let mut turn = turns.after();
            let transaction = connection.transaction()?;
            let closed: i64 = transaction.query_row("SELECT count(*) FROM alarms WHERE stage = 2", [], |row| row.get(0))?;
            let too_many = (closed - CLOSED_MAX).clamp(0, DROPPED_MAX);
            let old = "SELECT number FROM alarms WHERE stage = 2 AND closed_ns < ?1 ORDER BY closed_ns LIMIT ?2";
            let mut numbers: Vec<i64> = transaction
                .prepare(old)?
                .query_map(params![now_ns.saturating_sub(KEPT_NS), DROPPED_MAX], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if numbers.is_empty() {
                let first = "SELECT number FROM alarms WHERE stage = 2 ORDER BY closed_ns LIMIT ?1";
                numbers = transaction.prepare(first)?.query_map([too_many], |row| row.get(0))?.collect::<Result<_, _>>()?;
            }
            transaction.execute("DELETE FROM maintenance WHERE until_ns < ?1", [now_ns.saturating_sub(KEPT_NS)])?;
            for number in &numbers {
                transaction.execute("DELETE FROM steps WHERE alarm = ?1", [number])?;
                transaction.execute("DELETE FROM alarms WHERE number = ?1", [number])?;
            }
            turn.wrote(numbers.len());
            transaction.commit()?;
            Ok(numbers.len())
        };
        prune(&mut self.connection).map_err(|source| DatabaseError::Sqlite { path: self.path.clone(), source: source.into() })
    }

    fn failed(&self, source: rusqlite::Error) -> DatabaseError {
        DatabaseError::Sqlite { path: self.path.clone(), source: source.into() }
    }
}

/// Which alarms are looked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// This life alone.
    pub number: Option<u64>,
    /// Closed ones too, those that were closed at this time or later, nanoseconds since 1970.
    pub closed_since_ns: Option<i64>,
}

/// Finds alarms that are meant, `limit` at most, the latest life first, and says whether there are more; nothing is locked, and a file that
/// is not there is empty.
pub fn find(data: &Path, query: &Query, limit: usize, is_meant: impl Fn(&Alarm) -> bool) -> Result<(Vec<Alarm>, bool), DatabaseError> {
    look(data, |connection| {
        let mut found = connection.prepare(
            "SELECT alarm FROM alarms WHERE (?1 IS NULL OR number = ?1)
             AND (stage < 2 OR ?1 IS NOT NULL OR closed_ns >= ?2) ORDER BY number DESC",
        )?;
        let number = query.number.and_then(|number| i64::try_from(number).ok());
        let mut alarms = Vec::new();
        for row in found.query_map(params![number, query.closed_since_ns], |row| row.get::<_, String>(0))? {
            let alarm = parsed(&row?)?;
            if !is_meant(&alarm) {
                continue;
            }
            if alarms.len() == limit {
                return Ok((alarms, true));
            }
            alarms.push(alarm);
        }
        Ok((alarms, false))
    })
}

/// Reads the steps of a life in order.
pub fn steps(data: &Path, number: u64) -> Result<Vec<Notice>, DatabaseError> {
    look(data, |connection| {
        let mut found = connection.prepare("SELECT notice FROM steps WHERE alarm = ?1 ORDER BY seq")?;
        let rows = found.query_map([i64::try_from(number).unwrap_or(i64::MAX)], |row| row.get::<_, String>(0))?;
        rows.map(|row| row.and_then(|text| parsed(&text))).collect()
    })
}

/// Reads what channels were told of a life, or are to be.
pub fn messages(data: &Path, number: u64) -> Result<Vec<Message>, DatabaseError> {
    look(data, |connection| outbox::messages_of(connection, number))
}

/// Reads the tickets that told of a life of an alarm.
pub fn tickets_of(data: &Path, key: &str, number: u64) -> Result<Vec<Shown>, DatabaseError> {
    look(data, |connection| tickets::tickets_of(connection, key, number))
}

/// All maintenance that is remembered, also what is over.
pub fn maintenance(data: &Path) -> Result<Vec<Maintenance>, DatabaseError> {
    look(data, announced_of)
}

fn announced_of(connection: &Connection) -> rusqlite::Result<Vec<Maintenance>> {
    let mut announced = connection.prepare("SELECT maintenance FROM maintenance ORDER BY number")?;
    announced.query_map([], |row| row.get::<_, String>(0))?.map(|one| parsed(&one?)).collect()
}

fn look<T: Default>(data: &Path, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DatabaseError> {
    let path = data.join(FILE);
    if !path.exists() {
        return Ok(T::default());
    }
    match FORMAT.read(&path)? {
        Some(connection) => read(&connection).map_err(DatabaseError::of(&path)),
        None => Ok(T::default()),
    }
}

/// Refuses the alarms of a newer program, and changes nothing.
pub fn refuse_newer(data: &Path) -> Result<(), DatabaseError> {
    let path = data.join(FILE);
    if path.exists() { FORMAT.refuse_newer(&path) } else { Ok(()) }
}

fn read(connection: &Connection) -> rusqlite::Result<Written> {
    let place = connection
        .query_row("SELECT position, seq, number FROM place", [], |row| {
            Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?].map(i64::unsigned_abs))
        })
        .optional()?;
    let mut written = Written::default();
    if let Some([position, seq, number]) = place {
        written = Written { position: Some(position), seq, number, ..written };
    }
    let announced = connection.query_row("SELECT seq FROM announced", [], |row| row.get::<_, i64>(0)).optional()?;
    written.announced = announced.map_or(0, i64::unsigned_abs);
    let mut memories = connection.prepare("SELECT job, rule, series, memory FROM memories")?;
    for row in memories.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?)))? {
        let (job, rule, series, memory) = row?;
        written.memories.entry(job).or_default().insert((rule, series), parsed(&memory)?);
    }
    let mut alarms = connection.prepare("SELECT alarm FROM alarms WHERE stage < 2 ORDER BY number")?;
    for row in alarms.query_map([], |row| row.get::<_, String>(0))? {
        written.alarms.push(parsed(&row?)?);
    }
    written.maintenance = announced_of(connection)?;
    written.maintenance_number = written.maintenance.last().map_or(0, |last| last.number);
    Ok(written)
}

fn write(transaction: &Transaction<'_>, batch: &Batch<'_>) -> rusqlite::Result<()> {
    let numbers = [batch.position, batch.seq, batch.number].map(signed);
    transaction.prepare_cached("INSERT OR REPLACE INTO place VALUES (1, ?1, ?2, ?3)")?.execute(numbers)?;
    transaction.prepare_cached("INSERT OR REPLACE INTO announced VALUES (1, ?1)")?.execute([signed(batch.announced)])?;
    let mut remember = transaction.prepare_cached("INSERT OR REPLACE INTO memories VALUES (?1, ?2, ?3, ?4)")?;
    let mut forget = transaction.prepare_cached("DELETE FROM memories WHERE job = ?1 AND rule = ?2 AND series = ?3")?;
    for (job, rule, series, memory) in &batch.memories {
        match memory {
            Some(memory) => remember.execute(params![job, rule, series, written(memory)?])?,
            None => forget.execute(params![job, rule, series])?,
        };
    }
    let mut alarms = transaction.prepare_cached("INSERT OR REPLACE INTO alarms VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for alarm in &batch.alarms {
        let stage = match alarm.life.stage {
            Stage::Active => 0,
            Stage::Cleared => 1,
            Stage::Closed => 2,
        };
        let (number, key) = (signed(alarm.life.number), &alarm.subject.key);
        alarms.execute(params![number, key, stage, alarm.life.closed_ns, written(alarm)?])?;
    }
    let mut steps = transaction.prepare_cached("INSERT INTO steps VALUES (?1, ?2, ?3, ?4)")?;
    for notice in batch.steps {
        steps.execute(params![signed(notice.seq), signed(notice.alarm), notice.time_ns, written(notice)?])?;
    }
    Ok(())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn written<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    let failed = |error: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into());
    serde_json::from_str(text).map_err(failed)
}
