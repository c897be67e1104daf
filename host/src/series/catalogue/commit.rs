//! Writes the catalogue down, together with what it is a picture of.

use rusqlite::{Transaction, params};
use serde::Serialize;

use super::{Catalogue, CatalogueError, Checkpointed, Job, JobMetric, SeriesFile};

impl Catalogue {
    /// Writes down all that is new, and forgets the noted changes; durable on return, wholly or not at all.
    pub fn commit(&mut self, checkpoint: Checkpointed) -> Result<(), CatalogueError> {
        let transaction = self.connection.transaction()?;
        // All of them first: files change from one job to another.
        for name in &self.changed {
            remove_files(&transaction, name)?;
        }
        for name in &self.changed {
            if let Some(job) = self.jobs.get(name) {
                put_job(&transaction, name, job)?;
            }
        }
        super::gaps::put(&transaction, &mut self.gaps)?;
        for name in self.changed.iter().filter(|name| !self.jobs.contains_key(*name)) {
            remove_job(&transaction, name)?;
        }
        for (id, slot) in &self.unsaved_slots {
            transaction.prepare_cached("UPDATE files SET last_slot = ?2 WHERE id = ?1")?.execute(params![id, slot])?;
        }
        transaction.execute("DELETE FROM changes", [])?;
        // What the last commit gave up was removed before the sync that this one follows.
        transaction.execute("DELETE FROM given_up", [])?;
        for path in &self.to_give_up {
            transaction.prepare_cached("INSERT INTO given_up (path) VALUES (?1)")?.execute(params![path])?;
        }
        transaction.execute("DELETE FROM checkpoint", [])?;
        let (mark, position) = (checkpoint.mark.cast_signed(), checkpoint.position.cast_signed());
        let values = params![mark, position, self.next_file];
        transaction.execute("INSERT INTO checkpoint (mark, position, next_file) VALUES (?1, ?2, ?3)", values)?;
        transaction.commit()?;
        self.gaps.is_saved();
        self.changed.clear();
        self.unsaved_slots.clear();
        self.given_up = std::mem::take(&mut self.to_give_up);
        self.checkpoint = Some(checkpoint);
        Ok(())
    }
}

fn put_job(transaction: &Transaction<'_>, name: &str, job: &Job) -> Result<(), CatalogueError> {
    let id: i64 = transaction.query_row(
        "INSERT INTO jobs (name, agent, target, labels, step_s, keeping, heartbeat_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name) DO UPDATE SET agent = ?2, target = ?3, labels = ?4, step_s = ?5, keeping = ?6, heartbeat_s = ?7 RETURNING id",
        params![name, job.agent, job.target, json(&job.labels), job.step, json(&job.wishes.keeping), job.wishes.heartbeat],
        |row| row.get(0),
    )?;
    put_metrics(transaction, id, &job.metrics)?;
    put_files(transaction, id, job)
}

fn put_metrics(transaction: &Transaction<'_>, job: i64, metrics: &[JobMetric]) -> Result<(), CatalogueError> {
    transaction.execute("DELETE FROM metrics WHERE job = ?1", params![job])?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO metrics (job, place, name, kind, unit, help, keys, declared) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (JobMetric { spec, declared }, place) in metrics.iter().zip(0_i64..) {
        insert.execute(params![job, place, spec.name, word(&spec.kind), word(&spec.unit), spec.help, json(&spec.keys), declared])?;
    }
    Ok(())
}

/// All anew: files change places with each other.
fn remove_files(transaction: &Transaction<'_>, job: &str) -> Result<(), CatalogueError> {
    let of_job = "(SELECT files.id FROM files JOIN jobs ON files.job = jobs.id WHERE jobs.name = ?1)";
    transaction.execute(&format!("DELETE FROM sources WHERE file IN {of_job}"), params![job])?;
    transaction.execute("DELETE FROM files WHERE job IN (SELECT id FROM jobs WHERE name = ?1)", params![job])?;
    Ok(())
}

fn remove_job(transaction: &Transaction<'_>, job: &str) -> Result<(), CatalogueError> {
    transaction.execute("DELETE FROM metrics WHERE job IN (SELECT id FROM jobs WHERE name = ?1)", params![job])?;
    transaction.execute("DELETE FROM jobs WHERE name = ?1", params![job])?;
    Ok(())
}

fn put_files(transaction: &Transaction<'_>, id: i64, job: &Job) -> Result<(), CatalogueError> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO files (id, job, labels, path, generation, step_s, first_slot, since, last_slot)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut insert_source =
        transaction.prepare_cached("INSERT INTO sources (file, place, name, metric, kind, unit) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for file in &job.files {
        let SeriesFile { labels, path, generation, step, first_slot, since, last_slot, .. } = file;
        insert.execute(params![file.id, id, json(labels), path, generation, step, first_slot, since, last_slot])?;
        for (column, place) in file.columns.iter().zip(0_i64..) {
            insert_source.execute(params![file.id, place, column.source, column.metric, word(&column.kind), word(&column.unit)])?;
        }
    }
    Ok(())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_value(value).unwrap_or_default().to_string()
}

/// A kind or unit as the word that its JSON is.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(Into::into)).unwrap_or_default()
}
