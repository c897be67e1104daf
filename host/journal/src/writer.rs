//! The one thread that writes: takes what has gathered, appends it, syncs once, answers.

use crate::counters::Tally;
use crate::durable::{Horizon, State};
use crate::medium::Medium;
use crate::queue::{Batch, Done, Queue};
use crate::record::{self, Salt};
use crate::segment::{HEADER_BYTES, SegmentHeader};
use crate::source::Extent;
use crate::{Position, directory};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// First pause before a stopped writer tries a fresh segment; doubles with each failure.
const RETRY_FIRST: Duration = Duration::from_millis(100);

/// Longest such pause.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Why a record was not acknowledged.
///
/// Its position is never given again. A process that dies before the next segment is begun may find the
/// record in the journal after all: not acknowledged means not promised, not never written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// No fresh segment could be made.
    #[error("cannot begin segment {path}")]
    Begin {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The group could not be appended.
    #[error("cannot append to segment {path}")]
    Append {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The group could not be synced. The kernel may have thrown its pages away and report success from now on.
    #[error("cannot sync segment {path}")]
    Sync {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
}

/// What the writer and its callers share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) horizon: Horizon,
    pub(crate) tally: Tally,
    pub(crate) group_delay_micros: AtomicU64,
}

/// How the writer writes.
pub(crate) struct Manner {
    pub(crate) segment_bytes_max: u64,
    pub(crate) salt: Salt,
    pub(crate) medium: Box<dyn Medium>,
}

struct Live {
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// The writer. A segment is given up at its first failure: after a failed sync nobody knows what is in it.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    manner: Manner,
    live: Option<Live>,
    /// Given to the next record.
    next: Position,
    /// After the last acknowledged record.
    acknowledged: Position,
    retry_delay: Duration,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, manner: Manner, next: Position) -> Self {
        let acknowledged = shared.horizon.durable_end();
        Self { shared, manner, live: None, next, acknowledged, retry_delay: RETRY_FIRST }
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            if self.live.is_none() && !self.resumes() {
                return;
            }
            let Some(batch) = self.shared.queue.take(Duration::from_micros(self.shared.group_delay_micros.load(Ordering::Relaxed))) else {
                return;
            };
            self.write(batch);
        }
    }

    /// Begins the first segment; if it cannot be, [`Self::run`] tries again.
    pub(crate) fn begin_or_stop(&mut self) {
        if let Err(error) = self.begin() {
            self.stop(&error, Batch::default(), 0);
        }
    }

    /// Makes a fresh segment the live one.
    fn begin(&mut self) -> Result<(), WriteError> {
        self.live = None;
        self.live = Some(self.fresh()?);
        Ok(())
    }

    fn fresh(&self) -> Result<Live, WriteError> {
        let (first, previous_end) = (self.next, self.acknowledged);
        let path = directory::segment_path(self.shared.horizon.dir(), first);
        let header = SegmentHeader::new(first, previous_end, self.manner.salt).encode();
        let file = self.manner.medium.create(&path, &header);
        let file = file.map_err(|source| WriteError::Begin { path: path.clone(), source: source.into() })?;
        let bytes = HEADER_BYTES as u64;
        self.shared.horizon.begin(Extent { first, previous_end, bytes, end: Some(previous_end) });
        Ok(Live { path, file, bytes })
    }

    /// Tries fresh segments until one can be made; `false` if closed before.
    fn resumes(&mut self) -> bool {
        for retries in 1.. {
            if self.shared.queue.closes_within(self.retry_delay) {
                break;
            }
            self.retry_delay = (self.retry_delay * 2).min(RETRY_MAX);
            match self.begin() {
                Ok(()) => {
                    self.shared.queue.resume();
                    self.shared.horizon.set_state(State::Running);
                    return true;
                }
                Err(error) => self.shared.horizon.set_state(State::Stopped { error, retries }),
            }
        }
        false
    }

    /// Writes a batch, one group for each segment it reaches into.
    fn write(&mut self, mut batch: Batch) {
        let mut from = 0;
        while from < batch.len() {
            let count = match self.fitting(&batch, from) {
                Ok(count) => count,
                Err(error) => return self.stop(&error, batch, from),
            };
            let (group, first) = (from..from + count, self.next);
            if let Err(error) = self.write_group(&mut batch, group.clone()) {
                return self.stop(&error, batch, from);
            }
            self.shared.queue.answered(count, batch.payload_bytes(group.clone()));
            while let Some((number, done)) = batch.told.pop_front_if(|(number, _)| *number < group.end) {
                self.answer(done, Ok(first.plus((number - from) as u64)));
            }
            from = group.end;
        }
        self.shared.queue.reuse(batch);
    }

    /// How many records go into the live segment; a full one is followed by a fresh one first.
    ///
    /// A record larger than a segment gets one to itself.
    fn fitting(&mut self, batch: &Batch, from: usize) -> Result<usize, WriteError> {
        let empty = HEADER_BYTES as u64;
        let used = self.live.as_ref().map_or(empty, |live| live.bytes);
        match self.fitting_behind(used, batch, from) {
            0 if used > empty => {
                self.begin()?;
                Ok(self.fitting_behind(empty, batch, from).max(1))
            }
            count => Ok(count.max(1)),
        }
    }

    fn fitting_behind(&self, used: u64, batch: &Batch, from: usize) -> usize {
        let (begin, room) = (batch.begin(from) as u64, self.manner.segment_bytes_max.saturating_sub(used));
        batch.ends.get(from..).unwrap_or_default().partition_point(|end| *end as u64 - begin <= room)
    }

    /// Appends a group, syncs, and shows it to readers.
    fn write_group(&mut self, batch: &mut Batch, group: Range<usize>) -> Result<(), WriteError> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.fresh()?,
        };
        let begin = batch.begin(group.start);
        let (mut at, ends) = (begin, batch.ends.get(group.clone()).unwrap_or_default());
        for &end in ends {
            record::seal(self.next, batch.bytes.get_mut(at..end).unwrap_or_default(), self.manner.salt);
            self.next = self.next.next(); // a failure below leaves these positions unused for ever
            at = end;
        }
        let bytes = batch.bytes.get(begin..at).unwrap_or_default();
        let (tally, medium) = (&self.shared.tally, &self.manner.medium);
        let path = || live.path.clone();
        medium.write(&live.file, bytes).map_err(|source| WriteError::Append { path: path(), source: source.into() })?;
        let started = Instant::now();
        let synced = medium.sync(&live.file);
        tally.syncs.add(1);
        tally.sync_nanos.add(started.elapsed().as_nanos() as u64);
        synced.map_err(|source| WriteError::Sync { path: path(), source: source.into() })?;
        live.bytes += bytes.len() as u64;
        self.acknowledged = self.next;
        self.retry_delay = RETRY_FIRST;
        tally.groups.add(1);
        tally.records.add(group.len() as u64);
        tally.bytes.add(bytes.len() as u64);
        tally.callback_panics.add(self.shared.horizon.publish(self.acknowledged, live.bytes));
        self.live = Some(live); // after a failure above it is given up
        Ok(())
    }

    /// Fails what is left of a batch, and all that waits.
    fn stop(&mut self, error: &WriteError, failed: Batch, from: usize) {
        self.shared.tally.stops.add(1);
        self.shared.horizon.set_state(State::Stopped { error: error.clone(), retries: 0 });
        let waiting = self.shared.queue.stop();
        for (batch, from) in [(failed, from), (waiting, 0)] {
            let count = batch.len() - from;
            self.shared.queue.answered(count, batch.payload_bytes(from..batch.len()));
            self.shared.tally.write_errors.add(count as u64);
            for (_, done) in batch.told {
                self.answer(done, Err(error.clone()));
            }
        }
    }

    fn answer(&self, done: Done, result: Result<Position, WriteError>) {
        // The callback is the caller's; its panic must not end the writer of everybody.
        if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
            self.shared.tally.callback_panics.add(1);
        }
    }
}
