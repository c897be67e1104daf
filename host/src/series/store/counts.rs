//! What the store has done, for the host's own metrics.

/// What the store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows in files, those before gaps and resets with them.
    pub rows_written: u64,
    /// Rows of slots that the file already had: replayed after a restart, or late.
    pub rows_past: u64,
    /// Rows of manual runs whose slot was taken.
    pub rows_manual: u64,
    /// Rows of label sets beyond the bound of their job.
    pub rows_over_labels_max: u64,
    /// Samples that no declared metric or label key stands behind.
    pub samples_unplaced: u64,
    /// Readings of jobs whose shape nobody told.
    pub readings_unshaped: u64,
    /// Attempts to write a file that another process had locked.
    pub writes_locked: u64,
    /// Attempts to write a file that failed otherwise.
    pub writes_failed: u64,
    /// Files that were set aside, for another one goes on from them.
    pub files_set_aside: u64,
    /// Files that were set aside and are gone, for another one has all that they had.
    pub files_migrated: u64,
    /// Damaged files that are in the quarantine.
    pub files_quarantined: u64,
}
