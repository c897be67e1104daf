//! What happens when a job is due while its last run still goes on.

use super::error::ScheduleError;

/// What happens to a run that is due while the one before still goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// The new run is skipped, and counted.
    #[default]
    Skip,
}

impl Overlap {
    /// Reads the word of a configuration.
    ///
    /// Errors: [`ScheduleError::OverlapComesLater`] for `queue` and `cancel`, [`ScheduleError::UnknownOverlap`] for the rest.
    pub fn parse(word: &str) -> Result<Self, ScheduleError> {
        match word {
            "skip" => Ok(Self::Skip),
            "queue" | "cancel" => Err(ScheduleError::OverlapComesLater { word: word.to_owned() }),
            _ => Err(ScheduleError::UnknownOverlap { word: word.to_owned() }),
        }
    }
}
