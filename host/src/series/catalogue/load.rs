//! Reads the whole catalogue into memory.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use watchpost_plugin_api::MetricSpec;

use super::{CatalogueError, Checkpointed, Column, Job, JobMetric, SeriesFile};
use crate::series::{keeping::Keeping, shape::Wishes};

/// Reads every job with its metrics and files.
pub(super) fn jobs(connection: &Connection) -> Result<BTreeMap<String, Job>, CatalogueError> {
    let mut statement = connection.prepare("SELECT id, name, agent, target, labels, step_s, keeping, heartbeat_s FROM jobs")?;
    let rows = statement.query_map([], |row| {
        let job = Job {
            agent: row.get(2)?,
            target: row.get(3)?,
            labels: json(row, 4)?,
            step: row.get(5)?,
            wishes: Wishes {
                keeping: row.get::<_, Option<String>>(6)?.map_or(Ok(Keeping::default()), |_| json(row, 6))?,
                heartbeat: row.get(7)?,
            },
            metrics: Vec::new(),
            files: Vec::new(),
        };
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, job))
    })?;
    let mut jobs = BTreeMap::new();
    for row in rows {
        let (id, name, mut job) = row?;
        job.metrics = metrics(connection, id)?;
        job.files = files(connection, id)?;
        jobs.insert(name, job);
    }
    Ok(jobs)
}

/// Reads what the tables are a picture of.
pub(super) fn checkpoint(connection: &Connection) -> Result<Option<Checkpointed>, CatalogueError> {
    let row = connection.query_row("SELECT mark, position FROM checkpoint", [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let row = row.optional()?;
    Ok(row.map(|(mark, position)| Checkpointed { mark: mark.cast_unsigned(), position: position.cast_unsigned() }))
}

/// Reads the number that the next file gets; 0 before the first checkpoint.
pub(super) fn next_file(connection: &Connection) -> Result<i64, CatalogueError> {
    Ok(connection.query_row("SELECT next_file FROM checkpoint", [], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Reads which series files are given up.
pub(super) fn given_up(connection: &Connection) -> Result<BTreeSet<String>, CatalogueError> {
    let mut statement = connection.prepare("SELECT path FROM given_up")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn metrics(connection: &Connection, job: i64) -> Result<Vec<JobMetric>, CatalogueError> {
    let mut statement =
        connection.prepare_cached("SELECT name, kind, unit, help, keys, declared FROM metrics WHERE job = ?1 ORDER BY place")?;
    let rows = statement.query_map(params![job], |row| {
        let spec = MetricSpec { name: row.get(0)?, kind: word(row, 1)?, unit: word(row, 2)?, help: row.get(3)?, keys: json(row, 4)? };
        Ok(JobMetric { spec, declared: row.get(5)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn files(connection: &Connection, job: i64) -> Result<Vec<SeriesFile>, CatalogueError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, labels, path, generation, step_s, first_slot, since, last_slot FROM files WHERE job = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map(params![job], |row| {
        Ok(SeriesFile {
            id: row.get(0)?,
            labels: json(row, 1)?,
            path: row.get(2)?,
            generation: row.get(3)?,
            step: row.get(4)?,
            first_slot: row.get(5)?,
            since: row.get(6)?,
            last_slot: row.get(7)?,
            columns: Vec::new(),
        })
    })?;
    let mut files: Vec<SeriesFile> = rows.collect::<Result<_, _>>()?;
    for file in &mut files {
        file.columns = columns(connection, file.id)?;
    }
    Ok(files)
}

fn columns(connection: &Connection, file: i64) -> Result<Vec<Column>, CatalogueError> {
    let mut statement = connection.prepare_cached("SELECT name, metric, kind, unit FROM sources WHERE file = ?1 ORDER BY place")?;
    let rows = statement.query_map(params![file], |row| {
        Ok(Column { source: row.get(0)?, metric: row.get(1)?, kind: word(row, 2)?, unit: word(row, 3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

/// A kind or unit, kept as the word that its JSON is.
fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_value(serde_json::Value::String(row.get(column)?)).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
