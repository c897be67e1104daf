//! Where lines come from: a file, or the journal.

use std::path::Path;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::{AgentError, Cx, Needs, PathBuf};

use crate::{From, Journal, JournalConfig, JournalPlace, Line, Log, Place, Told};

/// What a job says of where its lines come from: one of the two.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// A file.
    pub log: Option<&'a PathBuf>,
    /// The journal.
    pub journal: Option<&'a JournalConfig>,
}

/// What is followed, run by run.
pub enum Source {
    /// A file, and its rotated ones.
    File(Log),
    /// The journal.
    Journal(Journal),
}

/// How far it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Position {
    /// In files.
    File(Place),
    /// In the journal.
    Journal(JournalPlace),
}

impl Choice<'_> {
    /// Checks that it is one of the two, and what the types cannot hold.
    ///
    /// Errors: kind `config`, at `log` or `journal`.
    pub fn check(&self) -> Result<(), AgentError> {
        match (self.log, self.journal) {
            (None, None) => Err(AgentError::config("", "has neither `log` nor `journal`: where do the lines come from?")),
            (Some(_), Some(_)) => Err(AgentError::config("journal", "is for jobs without `log`")),
            (Some(log), None) if log.file_name().is_none() => Err(AgentError::config("log", "names no file")),
            (Some(_), None) => Ok(()),
            (None, Some(journal)) => journal.check(),
        }
    }

    /// Names it, as a job's target does.
    pub fn target(&self) -> String {
        match (self.log, self.journal) {
            (Some(log), _) => log.display().to_string(),
            (None, journal) => journal.map(JournalConfig::target).unwrap_or_default(),
        }
    }

    /// What reading it touches.
    pub fn needs(&self) -> Needs {
        match (self.log, self.journal) {
            (Some(log), _) => Needs::none().read(Log::folder(log)),
            (None, journal) => journal.map(JournalConfig::needs).unwrap_or_default(),
        }
    }

    /// Makes what is followed; its lines are cut after so many bytes.
    pub fn source(&self, from: From, line_bytes_max: usize) -> Source {
        match self.journal {
            Some(journal) => Source::Journal(Journal::new(journal, from, line_bytes_max)),
            None => Source::File(Log::new(self.log.map_or(Path::new(""), |log| log), from, line_bytes_max)),
        }
    }
}

impl Source {
    /// Gives the lines that came since a position, and says how far they go; see [`Log::read`].
    ///
    /// Errors: kind `local` when there is no such log, a part of it cannot be read, or `journalctl` fails; `timeout` and `limit` of files.
    pub async fn read(&mut self, cx: &Cx, position: Option<&Position>, each: impl FnMut(Line<'_>)) -> Result<(Position, Told), AgentError> {
        match self {
            Self::File(log) => {
                let place = position.and_then(|position| if let Position::File(place) = position { Some(place) } else { None });
                log.read(cx, place, each).await.map(|(place, told)| (Position::File(place), told))
            }
            Self::Journal(journal) => {
                let place = position.and_then(|position| if let Position::Journal(place) = position { Some(place) } else { None });
                journal.read(cx, place, each).await.map(|(place, told)| (Position::Journal(place), told))
            }
        }
    }
}
