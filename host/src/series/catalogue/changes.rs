//! What is done to series files between two checkpoints, noted before it is done.

use std::collections::BTreeMap;

use rusqlite::{params, types::Type};

use super::{Catalogue, CatalogueError};
use crate::reading::wire;
use crate::series::header::Image;

/// One thing done to the folder of series; paths lie below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file was made where none was.
    Born {
        /// Where.
        path: String,
    },
    /// A file that the checkpoint has no head of is written to.
    Written {
        /// Where it lies.
        path: String,
        /// Its head before that.
        image: Image,
    },
    /// A file was renamed; nothing was there before.
    Moved {
        /// From here.
        from: String,
        /// To here.
        to: String,
    },
}

impl Catalogue {
    /// Notes what is about to be done; durable on return, until the next commit.
    pub fn note(&mut self, changes: &[Change]) -> Result<(), CatalogueError> {
        let transaction = self.connection.transaction()?;
        for change in changes {
            let (path, moved_to, image) = match change {
                Change::Born { path } => (path, None, None),
                Change::Written { path, image } => (path, None, wire::put(image, Vec::new()).ok()),
                Change::Moved { from, to } => (from, Some(to), None),
            };
            let mut insert = transaction.prepare_cached("INSERT INTO changes (path, moved_to, image) VALUES (?1, ?2, ?3)")?;
            insert.execute(params![path, moved_to, image])?;
        }
        Ok(transaction.commit()?)
    }

    /// What was noted since the last commit, in order.
    pub fn changes(&self) -> Result<Vec<Change>, CatalogueError> {
        let mut statement = self.connection.prepare("SELECT path, moved_to, image FROM changes ORDER BY place")?;
        let rows = statement.query_map([], |row| {
            let (path, moved_to, image): (String, Option<String>, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(match (moved_to, image) {
                (Some(to), _) => Change::Moved { from: path, to },
                (None, None) => Change::Born { path },
                (None, Some(image)) => {
                    let read = postcard::from_bytes(&image);
                    let unread = |error: postcard::Error| rusqlite::Error::FromSqlConversionFailure(2, Type::Blob, Box::new(error));
                    Change::Written { path, image: read.map_err(unread)? }
                }
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets what was noted of names, for it is taken back. The heads stay, under the names that their files have again: nobody has
    /// them else.
    pub fn names_taken_back(&mut self, heads: &BTreeMap<String, Image>) -> Result<(), CatalogueError> {
        let transaction = self.connection.transaction()?;
        transaction.execute("DELETE FROM changes", [])?;
        for (path, image) in heads {
            let mut insert = transaction.prepare_cached("INSERT INTO changes (path, image) VALUES (?1, ?2)")?;
            insert.execute(params![path, wire::put(image, Vec::new()).ok()])?;
        }
        Ok(transaction.commit()?)
    }
}
