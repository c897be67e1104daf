//! The catalogue's tables, and how an older file becomes one of today.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::CatalogueError;

/// Steps from an empty file to today's format; appended to, never changed.
const MIGRATIONS: [&str; 2] = [
    "
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        agent TEXT NOT NULL,
        target TEXT NOT NULL,
        labels TEXT NOT NULL,           -- JSON: [[key, value], …] in the order of the configuration
        step_s INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE metrics (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (id),
        place INTEGER NOT NULL,         -- order within the job
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        unit TEXT NOT NULL,
        help TEXT NOT NULL,
        keys TEXT NOT NULL,             -- JSON: label keys in declared order
        declared INTEGER NOT NULL,      -- 1: known at run time only
        UNIQUE (job, name)
    ) STRICT;
    CREATE TABLE files (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (id),
        labels TEXT NOT NULL,           -- JSON: [[key, true value], …]
        path TEXT NOT NULL UNIQUE,      -- below the series folder
        generation INTEGER NOT NULL,    -- 0: written to; else the number it was set aside with
        step_s INTEGER NOT NULL,
        first_slot INTEGER NOT NULL,
        last_slot INTEGER NOT NULL      -- as of the last checkpoint
    ) STRICT;
    CREATE TABLE sources (
        file INTEGER NOT NULL REFERENCES files (id),
        place INTEGER NOT NULL,         -- column in the file
        name TEXT NOT NULL,             -- data source
        metric TEXT NOT NULL,
        kind TEXT NOT NULL,
        unit TEXT NOT NULL,
        PRIMARY KEY (file, place)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE checkpoint (           -- one row, or none before the first one
        mark INTEGER NOT NULL,          -- that of the file of headers that belongs to it
        position INTEGER NOT NULL       -- of the journal: all up to it is in these tables and in the series files
    ) STRICT;
    CREATE TABLE changes (              -- to series files, since that checkpoint
        place INTEGER PRIMARY KEY,
        path TEXT NOT NULL,             -- below the series folder
        moved_to TEXT,                  -- it was renamed
        image BLOB                      -- it was written to, and this was its head before; neither: it was made
    ) STRICT;
",
];

/// How long another process (a backup, somebody with sqlite3) may hold the catalogue.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// Opens the file and brings it to today's format; a newer one is refused.
pub(super) fn open(path: &Path) -> Result<Connection, CatalogueError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_MAX)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(CatalogueError::Newer { path: path.into(), found, known });
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A position is only stored after what it stands on: a commit is durable.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if 0 < found && found < known {
        copy_aside(&connection, path, found)?;
    }
    for (migration, number) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// Keeps a copy of an older format beside the file before it is migrated.
fn copy_aside(connection: &Connection, path: &Path, version: i64) -> Result<(), CatalogueError> {
    let copy = path.with_extension(format!("v{version}.sqlite"));
    if !copy.exists() {
        connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    }
    Ok(())
}
