//! The one thread that writes: takes what has gathered, appends it, syncs once, answers.

use crate::counters::Tally;
use crate::durable::{Horizon, State};
use crate::medium::Medium;
use crate::queue::{Pending, Queue};
use crate::record::{self, Salt};
use crate::segment::{HEADER_BYTES, SegmentHeader};
use crate::source::Extent;
use crate::{Position, directory};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
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
            self.stop(&error, VecDeque::new());
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
    fn write(&mut self, mut batch: VecDeque<Pending>) {
        while !batch.is_empty() {
            let count = match self.fitting(&batch) {
                Ok(count) => count,
                Err(error) => return self.stop(&error, batch),
            };
            let rest = batch.split_off(count);
            let group = std::mem::replace(&mut batch, rest);
            let first = self.next;
            if let Err(error) = self.write_group(&group) {
                return self.stop(&error, group.into_iter().chain(batch).collect());
            }
            self.give_back_room(&group);
            for (pending, ahead) in group.into_iter().zip(0..) {
                self.answer(pending, Ok(first.plus(ahead)));
            }
        }
    }

    /// How many records go into the live segment; a full one is followed by a fresh one first.
    ///
    /// A record larger than a segment gets one to itself.
    fn fitting(&mut self, batch: &VecDeque<Pending>) -> Result<usize, WriteError> {
        let empty = HEADER_BYTES as u64;
        let used = self.live.as_ref().map_or(empty, |live| live.bytes);
        match self.fitting_behind(used, batch) {
            0 if used > empty => {
                self.begin()?;
                Ok(self.fitting_behind(empty, batch).max(1))
            }
            count => Ok(count.max(1)),
        }
    }

    fn fitting_behind(&self, used: u64, batch: &VecDeque<Pending>) -> usize {
        let ends = batch.iter().scan(used, |end, pending| {
            *end += (record::HEADER_BYTES + pending.payload.len()) as u64;
            Some(*end)
        });
        ends.take_while(|end| *end <= self.manner.segment_bytes_max).count()
    }

    /// Appends a group, syncs, and shows it to readers.
    fn write_group(&mut self, group: &VecDeque<Pending>) -> Result<(), WriteError> {
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.fresh()?,
        };
        let bytes = group.iter().map(|pending| record::HEADER_BYTES + pending.payload.len()).sum();
        let mut buffer = Vec::with_capacity(bytes);
        for pending in group {
            record::encode(self.next, &pending.payload, self.manner.salt, &mut buffer);
            self.next = self.next.next(); // a failure below leaves these positions unused for ever
        }
        let (tally, medium) = (&self.shared.tally, &self.manner.medium);
        let path = || live.path.clone();
        medium.write(&live.file, &buffer).map_err(|source| WriteError::Append { path: path(), source: source.into() })?;
        let started = Instant::now();
        let synced = medium.sync(&live.file);
        tally.syncs.add(1);
        tally.sync_nanos.add(started.elapsed().as_nanos() as u64);
        synced.map_err(|source| WriteError::Sync { path: path(), source: source.into() })?;
        live.bytes += buffer.len() as u64;
        self.acknowledged = self.next;
        self.retry_delay = RETRY_FIRST;
        tally.groups.add(1);
        tally.records.add(group.len() as u64);
        tally.bytes.add(buffer.len() as u64);
        tally.callback_panics.add(self.shared.horizon.publish(self.acknowledged, live.bytes));
        self.live = Some(live); // after a failure above it is given up
        Ok(())
    }

    fn stop(&mut self, error: &WriteError, failed: VecDeque<Pending>) {
        self.shared.tally.stops.add(1);
        self.shared.horizon.set_state(State::Stopped { error: error.clone(), retries: 0 });
        let mut all = failed;
        all.extend(self.shared.queue.stop());
        self.give_back_room(&all);
        for pending in all {
            self.shared.tally.write_errors.add(1);
            self.answer(pending, Err(error.clone()));
        }
    }

    /// Makes room for others in the place of records that are about to be answered.
    fn give_back_room(&self, group: &VecDeque<Pending>) {
        self.shared.queue.answered(group.len(), group.iter().map(|pending| pending.payload.len()).sum());
    }

    fn answer(&self, pending: Pending, result: Result<Position, WriteError>) {
        // The callback is the caller's; its panic must not end the writer of everybody.
        if catch_unwind(AssertUnwindSafe(|| (pending.done)(result))).is_err() {
            self.shared.tally.callback_panics.add(1);
        }
    }
}
