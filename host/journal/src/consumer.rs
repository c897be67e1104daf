//! How far a consumer has come, durable across restarts.
//!
//! ```text
//! consumers/<name>:   watchpost-consumer 1 0000000000000007 01234567      version, position, CRC32C
//! ```

use crate::{Position, directory, format};
use std::path::{Path, PathBuf};
use std::{fs, io};

const VERSION: u32 = 1;

/// Longest name of a consumer, bytes.
const NAME_BYTES_MAX: usize = 80;

/// The durable position of one consumer: everything below it is done.
#[derive(Debug)]
pub struct ConsumerPosition {
    path: PathBuf,
}

/// Why a consumer's position is not known or not kept.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// The name cannot be that of a file.
    #[error("a consumer's name is 1 to {NAME_BYTES_MAX} of a-z, 0-9, '-' and '_', not {name:?}")]
    Name {
        /// The one given.
        name: String,
    },
    /// The file is there and its contents are not what was stored. Where to go on is for the caller to say.
    #[error("position in {path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("position in {path} has version {found}, known up to {VERSION}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The file cannot be read.
    #[error("cannot read position {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written; the old position stands.
    #[error("cannot store position {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ConsumerPosition {
    /// Names the position of consumer `name` of the journal in `dir`. One owner at a time.
    ///
    /// Errors: [`ConsumerError::Name`] if the name could leave the folder or meet another's.
    pub fn new(dir: &Path, name: &str) -> Result<Self, ConsumerError> {
        let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(ConsumerError::Name { name: name.into() });
        }
        Ok(Self { path: directory::consumers_path(dir).join(name) })
    }

    /// Reads the position.
    ///
    /// Unknown: [`None`] if none was ever stored; a damaged file is an error, never a zero.
    pub fn load(&self) -> Result<Option<Position>, ConsumerError> {
        let path = self.path.clone();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ConsumerError::Read { path, source }),
        };
        let mut words = format::unsealed(&bytes).unwrap_or_default().split(' ');
        let (Some("watchpost-consumer"), Some(Ok(version))) = (words.next(), words.next().map(str::parse::<u32>)) else {
            return Err(ConsumerError::Damaged { path });
        };
        if version > VERSION {
            return Err(ConsumerError::Newer { path, found: version });
        }
        match words.next().map(|word| u64::from_str_radix(word, 16)) {
            Some(Ok(number)) => Ok(Some(number.into())),
            _ => Err(ConsumerError::Damaged { path }),
        }
    }

    /// Stores the position; durable on return.
    pub fn store(&self, position: Position) -> Result<(), ConsumerError> {
        let text = format::sealed(&format!("watchpost-consumer {VERSION} {:016x}", u64::from(position)));
        self.path
            .parent()
            .map_or(Ok(()), directory::create)
            .and_then(|()| directory::replace(&self.path, text.as_bytes()))
            .map_err(|source| ConsumerError::Write { path: self.path.clone(), source })
    }

    /// Positions of all consumers of the journal in `dir`; one that cannot be read is told as such.
    pub(crate) fn all(dir: &Path) -> io::Result<Vec<Result<Option<Position>, ConsumerError>>> {
        let entries = match fs::read_dir(directory::consumers_path(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Ok(consumer) = Self::new(dir, &name) {
                all.push(consumer.load());
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_and_its_absence_is_no_zero() {
        let dir = tempfile::tempdir().expect("a folder");
        let consumer = ConsumerPosition::new(dir.path(), "series").expect("a name");
        assert_eq!(consumer.load().expect("readable"), None);
        consumer.store(Position::from(77)).expect("stored");
        consumer.store(Position::from(78)).expect("stored");
        assert_eq!(consumer.load().expect("readable"), Some(Position::from(78)));
    }

    #[test]
    fn any_flipped_byte_or_cut_of_a_position_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let consumer = ConsumerPosition::new(dir.path(), "series").expect("a name");
        consumer.store(Position::from(77)).expect("stored");
        let whole = fs::read(&consumer.path).expect("bytes");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for bytes in [&flipped[..], &whole[..at]] {
                fs::write(&consumer.path, bytes).expect("written");
                let loaded = consumer.load();
                assert!(matches!(loaded, Err(ConsumerError::Damaged { .. })), "{at}: {loaded:?}");
            }
        }
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for name in ["", "..", "a/b", "a.tmp", "Series"] {
            assert!(ConsumerPosition::new(Path::new("x"), name).is_err(), "{name:?}");
        }
    }
}
