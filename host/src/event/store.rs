//! The event store: one SQLite file for each day (UTC), dropped whole when its month is over.
//!
//! An event is known by its record's position in the journal, its place there and its time: what is taken twice is stored once.
//! Of the host's own two that are alike to the nanosecond are one, too: a daemon that was killed may not know that it has said something.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Days, NaiveDate};
use rusqlite::{Connection, params, params_from_iter, types::Value};
use watchpost_plugin_api::Severity;

use super::{Event, Reported};
use crate::{
    alarm::x733::SEVERITIES,
    database::{DatabaseError, Format},
    reading::Record,
};

/// Name of the folder in the data folder.
pub const FOLDER: &str = "events";
/// Days that events are kept, today not counted.
pub const DAYS_KEPT: u64 = 30;
/// Bytes of one day's file; beyond, events are counted and not kept: a flood is not to fill the disk.
const DAY_BYTES_MAX: i64 = 1 << 30;
/// Events held in memory before they are written, or before the journal is asked to wait.
const WAITING_MAX: usize = 10_000;
/// The tables of a day.
const FORMAT: Format = Format(&["
    CREATE TABLE events (
        position INTEGER NOT NULL,      -- of the record in the journal
        place INTEGER NOT NULL,         -- within the record
        time_ns INTEGER NOT NULL,
        job TEXT,                       -- NULL: the host's own
        severity INTEGER NOT NULL,      -- X.733, 0 indeterminate to 4 critical
        code TEXT NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (position, place, time_ns)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX events_by_time ON events (time_ns);
    CREATE INDEX events_by_job ON events (job, time_ns);
"]);

/// Writes an event that is not there yet.
const INSERT: &str = "
    INSERT OR IGNORE INTO events SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT ?8 OR NOT EXISTS (
        SELECT 1 FROM events WHERE time_ns = ?3 AND job IS ?4 AND code = ?6 AND text = ?7
    )
";

/// Why events cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A file cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The folder cannot be used.
    #[error("the folder {path} cannot be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Takes events and keeps them.
#[derive(Debug)]
pub struct EventStore {
    folder: PathBuf,
    /// The file that was written last; most events are of one day.
    open: Option<(NaiveDate, Connection)>,
    waiting: Vec<(u64, Reported)>,
    unkept: u64,
}

impl EventStore {
    /// Opens the store of a data folder, making it if need be.
    pub fn open(data: &Path) -> Result<Self, EventError> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|source| EventError::Folder { path: folder.clone(), source })?;
        Ok(Self { folder, open: None, waiting: Vec::new(), unkept: 0 })
    }

    /// Takes the events of a record; false if as many wait as may: then [`flush`](Self::flush) comes first.
    pub fn take(&mut self, position: u64, record: Record) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        self.waiting.extend(Reported::of(record).into_iter().map(|event| (position, event)));
        true
    }

    /// Whether enough wait to be written before the next pause.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// Writes what waits, durably. Gives how many a full day's file did not take.
    pub fn flush(&mut self) -> Result<u64, EventError> {
        while let Some(day) = self.waiting.first().map(|(_, event)| day_of(event.time_ns)) {
            let count = self.waiting.iter().take_while(|(_, event)| day_of(event.time_ns) == day).count();
            self.write(day, count)?;
            self.waiting.drain(..count);
        }
        Ok(std::mem::take(&mut self.unkept))
    }

    /// Drops the days that are over. Gives how many there were.
    pub fn prune(&mut self, now_ns: i64) -> Result<usize, EventError> {
        let oldest = day_of(now_ns).checked_sub_days(Days::new(DAYS_KEPT)).unwrap_or_default();
        let over: Vec<NaiveDate> = days(&self.folder)?.into_iter().filter(|day| *day < oldest).collect();
        for day in &over {
            self.open.take_if(|(open, _)| open == day);
            for name in ["", "-wal", "-shm"].map(|end| format!("{}{end}", file_name(*day))) {
                let path = self.folder.join(name);
                match fs::remove_file(&path) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(EventError::Folder { path, source }),
                    _ => {}
                }
            }
        }
        Ok(over.len())
    }

    /// Writes the first `count` that wait: all of one day.
    fn write(&mut self, day: NaiveDate, count: usize) -> Result<(), EventError> {
        let path = self.folder.join(file_name(day));
        let failed = DatabaseError::of(&path);
        let connection = match self.open.take_if(|(open, _)| *open == day) {
            Some((_, connection)) => connection,
            None => FORMAT.open(&path)?,
        };
        let (_, connection) = self.open.insert((day, connection));
        let bytes = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if bytes("page_count").map_err(&failed)?.saturating_mul(bytes("page_size").map_err(&failed)?) >= DAY_BYTES_MAX {
            self.unkept = self.unkept.saturating_add(count as u64);
            return Ok(());
        }
        let transaction = connection.transaction().map_err(&failed)?;
        {
            let mut insert = transaction.prepare_cached(INSERT).map_err(&failed)?;
            for (position, event) in &self.waiting[..count] {
                // SQLite has signed integers only; a journal never grows that far.
                let position = i64::try_from(*position).unwrap_or(i64::MAX);
                let severity = number_of(event.severity);
                insert
                    .execute(params![position, event.place, event.time_ns, event.job, severity, event.code, event.text, event.is_once])
                    .map_err(&failed)?;
            }
        }
        Ok(transaction.commit().map_err(&failed)?)
    }
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The first instant, nanoseconds since 1970.
    pub from_ns: i64,
    /// The last instant.
    pub to_ns: i64,
    /// Of this job only.
    pub job: Option<String>,
    /// At least this bad.
    pub severity: Option<Severity>,
    /// With this code only.
    pub code: Option<String>,
    /// So many at most: the latest.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The latest of what was asked for, oldest first.
    pub events: Vec<Event>,
    /// Whether there are earlier ones.
    pub more: bool,
}

/// Finds events in the store of a data folder; nothing is locked, and a store that is not there is empty.
pub fn find(data: &Path, query: &Query) -> Result<Found, EventError> {
    let folder = data.join(FOLDER);
    let (first, last) = (day_of(query.from_ns), day_of(query.to_ns));
    let mut asked: Vec<NaiveDate> = days(&folder)?.into_iter().filter(|day| (first..=last).contains(day)).collect();
    asked.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Found::default();
    for day in asked {
        let room = query.limit - found.events.len();
        let mut of_day = find_in(&folder.join(file_name(day)), query, room + 1)?;
        found.more = of_day.len() > room;
        of_day.truncate(room);
        found.events.append(&mut of_day);
        if found.more {
            break;
        }
    }
    found.events.reverse();
    Ok(found)
}

/// Refuses a store in which a newer program wrote; whatever else is wrong with it shows when it is used.
pub fn refuse_newer(data: &Path) -> Result<(), EventError> {
    let folder = data.join(FOLDER);
    for day in days(&folder).unwrap_or_default() {
        FORMAT.refuse_newer(&folder.join(file_name(day)))?;
    }
    Ok(())
}

/// The latest `limit` of one file, latest first.
fn find_in(path: &Path, query: &Query, limit: usize) -> Result<Vec<Event>, EventError> {
    let failed = DatabaseError::of(path);
    let Some(connection) = FORMAT.read(path)? else { return Ok(Vec::new()) };
    let mut asked = "SELECT time_ns, job, severity, code, text FROM events WHERE time_ns BETWEEN ? AND ?".to_owned();
    let mut values = vec![Value::from(query.from_ns), query.to_ns.into()];
    let conditions = [
        (" AND job = ?", query.job.clone().map(Value::from)),
        (" AND severity >= ?", query.severity.map(|severity| number_of(severity).into())),
        (" AND code = ?", query.code.clone().map(Value::from)),
        (" ORDER BY time_ns DESC, position DESC, place DESC LIMIT ?", Some(i64::try_from(limit).unwrap_or(i64::MAX).into())),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            asked += condition;
            values.push(value);
        }
    }
    let mut statement = connection.prepare(&asked).map_err(&failed)?;
    let events = statement.query_map(params_from_iter(values), |row| {
        let severity: u8 = row.get(2)?;
        Ok(Event {
            time: row.get::<_, i64>(0)? as f64 / 1e9,
            job: row.get(1)?,
            severity: SEVERITIES.get(usize::from(severity)).map_or(Severity::Indeterminate, |(_, severity)| *severity),
            code: row.get(3)?,
            text: row.get(4)?,
        })
    });
    Ok(events.map_err(&failed)?.collect::<Result<_, _>>().map_err(&failed)?)
}

/// Its number in a file.
fn number_of(severity: Severity) -> i64 {
    SEVERITIES.iter().position(|(_, known)| *known == severity).and_then(|place| i64::try_from(place).ok()).unwrap_or(0)
}

fn day_of(time_ns: i64) -> NaiveDate {
    DateTime::from_timestamp_nanos(time_ns).date_naive()
}

fn file_name(day: NaiveDate) -> String {
    format!("{day}.sqlite")
}

/// The days that have a file, in no order.
fn days(folder: &Path) -> Result<Vec<NaiveDate>, EventError> {
    let failed = |source| EventError::Folder { path: folder.into(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut days = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        days.extend(name.to_str().and_then(|name| name.strip_suffix(".sqlite")).and_then(|day| day.parse::<NaiveDate>().ok()));
    }
    Ok(days)
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
