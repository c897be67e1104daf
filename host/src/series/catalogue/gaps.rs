//! The book of gaps in the file, beside the series it speaks of.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Catalogue, CatalogueError};
use crate::series::gap::book::{Book, Followed, Jobs, SPANS_MAX, Told};
use crate::series::gap::silences::Silences;
use crate::series::gap::{Cause, Gap};

/// Spans beyond [`SPANS_MAX`] that may be there before the oldest are removed, so that it is not done for each.
const SPANS_BEYOND: usize = 500;
/// How long spans are kept at least: as long as the longest archive of the default.
const KEPT_S: i64 = 400 * 86_400;

impl Catalogue {
    /// The book of gaps.
    pub fn gaps(&self) -> &Book {
        &self.gaps
    }

    /// The same, to write in.
    pub fn gaps_mut(&mut self) -> &mut Book {
        &mut self.gaps
    }

    /// What is known of a job over a range.
    pub fn told(&self, job: &str, from: i64, to: i64) -> Result<Told, CatalogueError> {
        let Some(known) = self.gaps.job(job).filter(|known| known.step > 0) else { return Ok(Told::default()) };
        let in_file = self.gaps.in_file(job);
        // Spans do not overlap: those of the range begin with the last one that begins before it.
        let mut statement = self.connection.prepare_cached(
            "SELECT from_s, to_s, cause, detail FROM gaps WHERE job = (SELECT id FROM jobs WHERE name = ?1) AND from_s < ?3 AND from_s >=
             coalesce((SELECT max(from_s) FROM gaps WHERE job = (SELECT id FROM jobs WHERE name = ?1) AND from_s <= ?2), ?2)
             ORDER BY from_s",
        )?;
        let rows = statement.query_map(params![in_file, from, to], gap_of)?;
        let mut gaps: Vec<Gap> = rows.collect::<Result<_, _>>()?;
        let at_hand = known.unsaved.front().map_or(i64::MAX, |gap| gap.from);
        gaps.retain(|gap| gap.from < at_hand);
        gaps.extend(known.unsaved.iter().cloned());
        gaps.extend(known.ahead(to));
        let until = gaps.last().map_or(known.until, |last| last.to.max(known.until));
        Ok(Told { since: known.since, until, gaps: gaps.iter().filter_map(|gap| gap.within(from, to)).collect() })
    }
}

/// Writes down what is new.
pub(super) fn put(transaction: &Transaction<'_>, book: &mut Book) -> Result<(), CatalogueError> {
    if let Some(heard) = book.heard() {
        transaction.execute("DELETE FROM heard", [])?;
        transaction.execute("INSERT INTO heard (time_s) VALUES (?1)", [heard])?;
    }
    rename(transaction, book)?;
    let mut id = transaction.prepare_cached("SELECT id FROM jobs WHERE name = ?1")?;
    let mut state = transaction.prepare_cached("INSERT OR REPLACE INTO followed VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut span = transaction.prepare_cached("INSERT OR REPLACE INTO gaps VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (name, known) in book.unsaved() {
        // Of a job without a shape nothing is kept.
        let Some(job) = id.query_row([name], |row| row.get::<_, i64>(0)).optional()? else { continue };
        for gap in &known.unsaved {
            span.execute(params![job, gap.from, gap.to, gap.cause.name(), gap.detail])?;
        }
        let spans = known.spans + known.unsaved.len();
        if spans > SPANS_MAX + SPANS_BEYOND {
            prune(transaction, job, known)?;
        }
        let silences = serde_json::to_value(&known.silences).unwrap_or_default().to_string();
        state.execute(params![job, known.since, known.until, known.step, silences])?;
    }
    Ok(())
}

/// Gives what the file has to the jobs that have it now. All of it at once, by a detour: one may be called what another one was.
fn rename(transaction: &Transaction<'_>, book: &Book) -> Result<(), CatalogueError> {
    const ID: &str = "(SELECT id FROM jobs WHERE name = ?1)";
    transaction.pragma_update(None, "defer_foreign_keys", true)?;
    for table in ["gaps", "followed"] {
        for job in book.forgotten() {
            transaction.execute(&format!("DELETE FROM {table} WHERE job = {ID}"), [job])?;
        }
        for (from, to) in book.renamed() {
            let heir = "(SELECT id FROM jobs WHERE name = ?2)";
            transaction.execute(&format!("UPDATE {table} SET job = -{heir} WHERE job = {ID}"), [from, to])?;
        }
        for (_, to) in book.renamed() {
            transaction.execute(&format!("DELETE FROM {table} WHERE job = {ID}"), [to])?;
        }
        transaction.execute(&format!("UPDATE {table} SET job = -job WHERE job < 0"), [])?;
    }
    Ok(())
}

/// Removes what is too old, and of the rest all but the newest.
fn prune(transaction: &Transaction<'_>, job: i64, known: &mut Followed) -> Result<(), CatalogueError> {
    transaction.execute("DELETE FROM gaps WHERE job = ?1 AND to_s < ?2", params![job, known.until - KEPT_S])?;
    let oldest = transaction.query_row(
        "SELECT from_s FROM gaps WHERE job = ?1 ORDER BY from_s DESC LIMIT 1 OFFSET ?2",
        params![job, i64::try_from(SPANS_MAX - 1).unwrap_or(i64::MAX)],
        |row| row.get::<_, i64>(0),
    );
    if let Some(oldest) = oldest.optional()? {
        transaction.execute("DELETE FROM gaps WHERE job = ?1 AND from_s < ?2", params![job, oldest])?;
        known.since = known.since.max(oldest);
    }
    let left: i64 = transaction.query_row("SELECT count(*) FROM gaps WHERE job = ?1", [job], |row| row.get(0))?;
    // Those at hand are among them, and are counted again.
    known.spans = usize::try_from(left).unwrap_or(0).saturating_sub(known.unsaved.len() - usize::from(known.first_is_saved));
    Ok(())
}

/// Reads what is known of every job, without its spans but for the one that may become longer.
pub(super) fn load(connection: &Connection) -> Result<Book, CatalogueError> {
    let mut statement = connection.prepare(
        "SELECT name, since_s, until_s, followed.step_s, silences, (SELECT count(*) FROM gaps WHERE job = id) FROM followed JOIN jobs ON job = id",
    )?;
    let rows = statement.query_map([], |row| {
        let silences: String = row.get(4)?;
        let known = Followed {
            since: row.get(1)?,
            until: row.get(2)?,
            step: row.get(3)?,
            // Of another version: then the next reading says what is.
            silences: serde_json::from_str::<Silences>(&silences).unwrap_or_default(),
            spans: row.get::<_, i64>(5)?.try_into().unwrap_or(0),
            saved: true,
            ..Followed::default()
        };
        Ok((row.get::<_, String>(0)?, known))
    })?;
    let mut jobs: Jobs = rows.collect::<Result<_, _>>()?;
    let mut last = connection.prepare(
        "SELECT from_s, to_s, cause, detail, name FROM followed JOIN gaps ON gaps.job = followed.job AND to_s = until_s JOIN jobs ON id = gaps.job",
    )?;
    let rows = last.query_map([], |row| Ok((row.get::<_, String>(4)?, gap_of(row)?)))?;
    for row in rows {
        let (name, gap) = row?;
        if let Some(known) = jobs.get_mut(&name) {
            (known.unsaved, known.first_is_saved) = (VecDeque::from([gap]), true);
        }
    }
    let heard = connection.query_row("SELECT time_s FROM heard", [], |row| row.get(0)).optional()?;
    Ok(Book::of(jobs, heard))
}

fn gap_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Gap> {
    let cause: String = row.get(2)?;
    let cause = serde_json::from_value::<Cause>(cause.into());
    let cause = cause.map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error)))?;
    Ok(Gap { from: row.get(0)?, to: row.get(1)?, cause, detail: row.get(3)? })
}
