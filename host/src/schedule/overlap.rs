//! What happens when a job is due while its last run still goes on.

use super::error::ScheduleError;

/// What happens to a run that is due while the one before still goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// The new run is skipped, and counted.
    #[default]
    Skip,
    /// The new run waits for the one before; of several only the first, the others are skipped.
    Queue,
    /// The one before is cancelled, and its result is unknown.
    Cancel,
}

impl Overlap {
    /// Reads the word of a configuration.
    ///
    /// Errors: [`ScheduleError::UnknownOverlap`].
    pub fn parse(word: &str) -> Result<Self, ScheduleError> {
        match word {
            "skip" => Ok(Self::Skip),
            "queue" => Ok(Self::Queue),
            "cancel" => Ok(Self::Cancel),
            _ => Err(ScheduleError::UnknownOverlap { word: word.to_owned() }),
        }
    }
}
