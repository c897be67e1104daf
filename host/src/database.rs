//! SQLite files of the data folder: one way to open them, to tell a newer program's, and to bring older ones up to date.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

/// How long another process (a report, a backup, somebody with sqlite3) may hold a file.
const BUSY_MAX: Duration = Duration::from_secs(2);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// A newer program wrote it.
    #[error("{path} has format {found}, this program knows up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: usize,
        /// The newest known.
        known: usize,
    },
    /// SQLite failed.
    #[error("{path} cannot be used")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Reason,
    },
}

/// What SQLite says, without the numbers and the path that it repeats.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.0))]
pub struct Reason(rusqlite::Error);

fn said(error: &rusqlite::Error) -> String {
    let text = error.sqlite_error().map_or_else(|| error.to_string(), ToString::to_string);
    text.strip_prefix("Error code ").and_then(|rest| rest.split_once(": ")).map_or(text.clone(), |(_, said)| said.to_owned())
}

impl From<rusqlite::Error> for Reason {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

impl DatabaseError {
    /// Tells which file failed.
    pub fn of(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { path: path.into(), source: source.into() }
    }
}

/// A kind of file: the steps from an empty one to today's format, appended to and never changed. A format is how many were taken.
#[derive(Clone, Copy, Debug)]
pub struct Format(pub &'static [&'static str]);

impl Format {
    /// Opens a file to write, making it or bringing it to today's format; of an older one a copy is kept beside it.
    ///
    /// Every commit is durable: places in the journal are stored after what they stand on.
    pub fn open(self, path: &Path) -> Result<Connection, DatabaseError> {
        let failed = DatabaseError::of(path);
        let mut connection = Connection::open(path).map_err(&failed)?;
        connection.busy_timeout(BUSY_MAX).map_err(&failed)?;
        let found = self.found(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(&failed)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(&failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(&failed)?;
        if (1..self.0.len()).contains(&found) {
            keep_copy(&connection, path, found).map_err(&failed)?;
        }
        for (step, number) in self.0.iter().zip(1_i64..).skip(found) {
            let mut take = || {
                let transaction = connection.transaction()?;
                transaction.execute_batch(step)?;
                transaction.pragma_update(None, "user_version", number)?;
                transaction.commit()
            };
            take().map_err(&failed)?;
        }
        Ok(connection)
    }

    /// Opens a file to read, whatever others do with it; nothing where it is only just being made.
    pub fn read(self, path: &Path) -> Result<Option<Connection>, DatabaseError> {
        let failed = DatabaseError::of(path);
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(&failed)?;
        connection.busy_timeout(BUSY_MAX).map_err(&failed)?;
        Ok((self.found(&connection, path)? > 0).then_some(connection))
    }

    /// Refuses a file of a newer program, and changes nothing; whatever else there is to say of it, opening says.
    pub fn refuse_newer(self, path: &Path) -> Result<(), DatabaseError> {
        match self.read(path) {
            Err(newer @ DatabaseError::Newer { .. }) => Err(newer),
            _ => Ok(()),
        }
    }

    /// The format of a file, 0 if it is empty.
    fn found(self, connection: &Connection, path: &Path) -> Result<usize, DatabaseError> {
        let found = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).map_err(DatabaseError::of(path))?;
        match usize::try_from(found).unwrap_or(0) {
            found if found > self.0.len() => Err(DatabaseError::Newer { path: path.into(), found, known: self.0.len() }),
            found => Ok(found),
        }
    }
}

/// Keeps a copy of an older format beside the file.
fn keep_copy(connection: &Connection, path: &Path, version: usize) -> rusqlite::Result<()> {
    let copy = path.with_extension(format!("v{version}.sqlite"));
    if !copy.exists() {
        connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Format = Format(&["CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (7);"]);
    const NEW: Format = Format(&[OLD.0[0], "ALTER TABLE a ADD COLUMN y INTEGER"]);

    #[test]
    fn an_older_file_is_brought_up_to_date_beside_its_copy_and_a_newer_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.sqlite");
        drop(OLD.open(&path).unwrap());
        assert!(OLD.refuse_newer(&path).is_ok() && NEW.read(&path).unwrap().is_some());
        let connection = NEW.open(&path).unwrap();
        assert_eq!(connection.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?))), Ok((7, None::<i64>)));
        assert!(folder.path().join("some.v1.sqlite").exists());
        for refused in [OLD.open(&path).map(drop), OLD.read(&path).map(drop), OLD.refuse_newer(&path)] {
            assert!(matches!(refused, Err(DatabaseError::Newer { found: 2, known: 1, .. })), "{refused:?}");
        }
    }
}
