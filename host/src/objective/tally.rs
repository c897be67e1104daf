//! The sums: seconds of each series of an objective, by day; one SQLite file.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use rusqlite::{Connection, Transaction, params};

use super::{
    Seconds,
    count::{Before, Counted, Watched},
};
use crate::{
    config::Objective,
    database::{DatabaseError, Format},
    reading::{Cause, Reading, Silence},
    series::gap::silences::Silences,
};

/// Name of the file in the data folder.
pub const FILE: &str = "objectives.sqlite";
/// Sums that wait to be written, at most.
const WAITING_MAX: usize = 10_000;
/// The tables, by the formats that brought them.
const FORMAT: Format = Format(&[
    "
    CREATE TABLE sums (
        objective TEXT NOT NULL,        -- digest of what decides how it counts
        series TEXT NOT NULL,
        day TEXT NOT NULL,              -- in the objective's zone, 2026-11-30
        good INTEGER NOT NULL,          -- seconds, as the others
        bad INTEGER NOT NULL,
        unknown INTEGER NOT NULL,
        planned INTEGER NOT NULL,
        PRIMARY KEY (objective, series, day)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE counted (
        objective TEXT NOT NULL,
        job TEXT NOT NULL,
        due INTEGER NOT NULL,           -- of the last reading that was counted, seconds since 1970
        PRIMARY KEY (objective, job)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE series (
        objective TEXT NOT NULL,
        job TEXT NOT NULL,
        series TEXT NOT NULL,
        PRIMARY KEY (objective, job, series)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE silences (
        job TEXT PRIMARY KEY,
        reasons TEXT NOT NULL           -- JSON: [[slot, reason], …] since the last reading that was due
    ) STRICT, WITHOUT ROWID;
",
]);

/// Takes readings and keeps the sums.
#[derive(Debug)]
pub struct Tally {
    path: PathBuf,
    /// Made when there is something to keep.
    connection: Option<Connection>,
    /// By digest of the objective and job.
    before: HashMap<(String, String), Before>,
    waiting: BTreeMap<(String, String, NaiveDate), Seconds>,
    /// Which of `before` are not written yet.
    changed: BTreeSet<(String, String)>,
    /// Why jobs gave no readings since the last one that was due.
    silences: HashMap<String, Silences>,
    /// Which of these are not written yet.
    silences_changed: BTreeSet<String>,
}

impl Tally {
    /// Opens the sums of a data folder; the file is made with the first one.
    pub fn open(data: &Path) -> Result<Self, DatabaseError> {
        let path = data.join(FILE);
        let connection = path.exists().then(|| FORMAT.open(&path)).transpose()?;
        let (before, silences) = match &connection {
            Some(connection) => {
                let read = read_before(connection).and_then(|before| Ok((before, read_silences(connection)?)));
                read.map_err(DatabaseError::of(&path))?
            }
            None => (HashMap::new(), HashMap::new()),
        };
        let (waiting, changed, silences_changed) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Ok(Self { path, connection, before, waiting, changed, silences, silences_changed })
    }

    /// Counts a reading; false if as many sums wait as may: then [`flush`](Self::flush) comes first.
    pub fn take(&mut self, watched: &Watched, reading: &Reading) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        let silences = self.silences.get(&reading.job).cloned().unwrap_or_default();
        for objective in &watched.objectives {
            let key = (objective.digest.clone(), reading.job.clone());
            let mut before = self.before.remove(&key).unwrap_or_default();
            let known = before.due;
            for Counted { objective, series, day, time } in watched.count(objective, reading, &silences, &mut before) {
                let sum = self.waiting.entry((objective, series, day)).or_default();
                *sum = sum.plus(time);
            }
            if before.due != known {
                self.changed.insert(key.clone());
            }
            if before.due.is_some() {
                self.before.insert(key, before);
            }
        }
        if reading.cause == Cause::Schedule
            && let Some(known) = self.silences.get_mut(&reading.job)
            && known.passed(reading.slot)
        {
            self.silences_changed.insert(reading.job.clone());
        }
        true
    }

    /// Takes why a job gives no readings, if an objective may be of it.
    pub fn fall_silent(&mut self, watched: &Watched, silence: &Silence) {
        let is_watched = watched.jobs.contains_key(&silence.job);
        if is_watched && self.silences.entry(silence.job.clone()).or_default().note(silence.from, silence.reason) {
            self.silences_changed.insert(silence.job.clone());
        }
    }

    /// Writes what waits, durably.
    pub fn flush(&mut self) -> Result<(), DatabaseError> {
        // What a job is silent of matters to nobody before it counted once.
        if self.changed.is_empty() && (self.silences_changed.is_empty() || self.connection.is_none()) {
            return Ok(());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => FORMAT.open(&self.path)?,
        };
        let written = connection.transaction().and_then(|transaction| {
            self.write(&transaction)?;
            transaction.commit()
        });
        self.connection = Some(connection);
        written.map_err(DatabaseError::of(&self.path))?;
        self.waiting.clear();
        self.changed.clear();
        self.silences_changed.clear();
        self.silences.retain(|_, silences| !silences.is_empty());
        Ok(())
    }

    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut sum = transaction.prepare_cached(
            "INSERT INTO sums VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
             good = good + excluded.good, bad = bad + excluded.bad, unknown = unknown + excluded.unknown, planned = planned + excluded.planned",
        )?;
        for ((objective, series, day), time) in &self.waiting {
            let [good, bad, unknown, planned] =
                [time.good, time.bad, time.unknown, time.planned].map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
            sum.execute(params![objective, series, day.to_string(), good, bad, unknown, planned])?;
        }
        let mut counted = transaction.prepare_cached("INSERT OR REPLACE INTO counted VALUES (?1, ?2, ?3)")?;
        let mut known = transaction.prepare_cached("INSERT OR IGNORE INTO series VALUES (?1, ?2, ?3)")?;
        for (objective, job) in &self.changed {
            let Some(before) = self.before.get(&(objective.clone(), job.clone())) else { continue };
            counted.execute(params![objective, job, before.due])?;
            for series in &before.series {
                known.execute(params![objective, job, series])?;
            }
        }
        for job in &self.silences_changed {
            let reasons = self.silences.get(job).filter(|silences| !silences.is_empty());
            match reasons.and_then(|silences| serde_json::to_string(silences).ok()) {
                Some(reasons) => transaction.execute("INSERT OR REPLACE INTO silences VALUES (?1, ?2)", params![job, reasons])?,
                None => transaction.execute("DELETE FROM silences WHERE job = ?1", [job])?,
            };
        }
        Ok(())
    }
}

fn read_before(connection: &Connection) -> rusqlite::Result<HashMap<(String, String), Before>> {
    let mut before: HashMap<(String, String), Before> = HashMap::new();
    let mut counted = connection.prepare("SELECT objective, job, due FROM counted")?;
    for row in counted.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))? {
        let (key, due) = row?;
        before.entry(key).or_default().due = Some(due);
    }
    let mut series = connection.prepare("SELECT objective, job, series FROM series")?;
    for row in series.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))? {
        let (key, series) = row?;
        before.entry(key).or_default().series.insert(series);
    }
    Ok(before)
}

fn read_silences(connection: &Connection) -> rusqlite::Result<HashMap<String, Silences>> {
    let mut statement = connection.prepare("SELECT job, reasons FROM silences")?;
    let read = |reasons: String| serde_json::from_str(&reasons).unwrap_or_default();
    statement.query_map([], |row| Ok((row.get(0)?, read(row.get(1)?))))?.collect()
}

/// The sums of an objective over some days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// By series.
    pub series: BTreeMap<String, Seconds>,
    /// The first day that anything was counted on, ever.
    pub since: Option<NaiveDate>,
    /// When the last reading that counted was due, seconds since 1970.
    pub to: Option<i64>,
}

impl Sums {
    /// All series together.
    pub fn all(&self) -> Seconds {
        self.series.values().fold(Seconds::default(), |sum, time| sum.plus(*time))
    }
}

/// Reads the sums of an objective from `first` on and before `after`; nothing is locked, and a file that is not there is empty.
pub fn sums(data: &Path, objective: &Objective, (first, after): (NaiveDate, NaiveDate)) -> Result<Sums, DatabaseError> {
    let path = data.join(FILE);
    if !path.exists() {
        return Ok(Sums::default());
    }
    let Some(connection) = FORMAT.read(&path)? else { return Ok(Sums::default()) };
    let read = || -> rusqlite::Result<Sums> {
        let digest = &objective.digest;
        let mut series = BTreeMap::new();
        let mut rows = connection.prepare(
            "SELECT series, sum(good), sum(bad), sum(unknown), sum(planned) FROM sums
             WHERE objective = ?1 AND day >= ?2 AND day < ?3 GROUP BY series",
        )?;
        let mut found = rows.query(params![digest, first.to_string(), after.to_string()])?;
        while let Some(row) = found.next()? {
            let seconds = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
            series.insert(row.get(0)?, Seconds { good: seconds(1)?, bad: seconds(2)?, unknown: seconds(3)?, planned: seconds(4)? });
        }
        let since: Option<String> = connection.query_row("SELECT min(day) FROM sums WHERE objective = ?1", [digest], |row| row.get(0))?;
        let to = connection.query_row("SELECT max(due) FROM counted WHERE objective = ?1", [digest], |row| row.get(0))?;
        Ok(Sums { series, since: since.and_then(|day| day.parse().ok()), to })
    };
    read().map_err(DatabaseError::of(&path))
}

/// Refuses the sums of a newer program, and changes nothing.
pub fn refuse_newer(data: &Path) -> Result<(), DatabaseError> {
    let path = data.join(FILE);
    if path.exists() { FORMAT.refuse_newer(&path) } else { Ok(()) }
}

#[cfg(test)]
#[path = "tally/tests.rs"]
mod tests;
