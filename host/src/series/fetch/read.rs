//! How one series is read.

use crate::series::catalogue::SeriesFile;
use crate::series::header::Header;

/// The files, the step and the range of an answer.
pub(super) struct Read {
    /// The series' files with their heads, the one written to first, then the last set aside.
    pub(super) files: Vec<(SeriesFile, Header)>,
    /// Seconds between rows of the archive that answers; between slots, where there is no file yet.
    pub(super) kept: u32,
    /// Seconds between rows of the answer.
    pub(super) step: u32,
    /// Before that instant no file has anything.
    pub(super) since: i64,
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Read {
    /// The times of the answer's rows.
    pub(super) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let step = i64::from(self.step);
        let first = (self.from.div_euclid(step) + 1) * step;
        (first..=self.to).step_by(usize::try_from(step).unwrap_or(1))
    }

    /// The begin of the first row's span.
    pub(super) fn begin(&self) -> i64 {
        self.from - self.from.rem_euclid(i64::from(self.step))
    }

    pub(super) fn rows(&self) -> u64 {
        u64::try_from((self.to - self.begin()).div_euclid(i64::from(self.step))).unwrap_or(0)
    }
}
