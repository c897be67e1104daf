//! What the journal counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Figures since the journal was opened, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records acknowledged.
    pub records: u64,
    /// Bytes acknowledged, headers included.
    pub bytes: u64,
    /// Groups acknowledged.
    pub groups: u64,
    /// Syncs tried, the failed ones included.
    pub syncs: u64,
    /// Time spent in them.
    pub sync_time: Duration,
    /// Records that `append` refused: too large, queue full, writer stopped or closed.
    pub append_errors: u64,
    /// Records taken in and then not written.
    pub write_errors: u64,
    /// Times the writer stopped.
    pub stops: u64,
    /// Callbacks that panicked.
    pub callback_panics: u64,
    /// Records taken in and not yet answered; a gauge.
    pub queue_records: u64,
    /// Their payload bytes; a gauge.
    pub queue_bytes: u64,
}

/// The running counts behind [`Counters`].
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) records: Count,
    pub(crate) bytes: Count,
    pub(crate) groups: Count,
    pub(crate) syncs: Count,
    pub(crate) sync_nanos: Count,
    pub(crate) append_errors: Count,
    pub(crate) write_errors: Count,
    pub(crate) stops: Count,
    pub(crate) callback_panics: Count,
}

impl Tally {
    pub(crate) fn read(&self, queue_records: usize, queue_bytes: usize) -> Counters {
        Counters {
            records: self.records.get(),
            bytes: self.bytes.get(),
            groups: self.groups.get(),
            syncs: self.syncs.get(),
            sync_time: Duration::from_nanos(self.sync_nanos.get()),
            append_errors: self.append_errors.get(),
            write_errors: self.write_errors.get(),
            stops: self.stops.get(),
            callback_panics: self.callback_panics.get(),
            queue_records: queue_records as u64,
            queue_bytes: queue_bytes as u64,
        }
    }
}

/// One number that only rises; nothing is ordered by it.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
