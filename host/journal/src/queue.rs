//! Records on their way to the writer: bounded in number and bytes, in the order of arrival.
//!
//! What gathers is one piece of bytes, as the segment is to have it, and not a thing for each record: of tens of thousands a second, making
//! and giving back each would cost more than writing it.

use crate::lock::lock;
use crate::record::HEADER_BYTES;
use crate::{Position, WriteError};
use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes and records that a batch which was written keeps its room for, at most: the next one gathers there.
const SPARE_BYTES_MAX: usize = 1 << 20;
const SPARE_RECORDS_MAX: usize = 16_384;

/// Told once what became of a record.
pub type Done = Box<dyn FnOnce(Result<Position, WriteError>) + Send>;

/// Records taken in and not yet answered.
#[derive(Default)]
pub(crate) struct Batch {
    /// All of them: of each the room for its header, and its payload.
    pub(crate) bytes: Vec<u8>,
    /// Where each ends.
    pub(crate) ends: Vec<usize>,
    /// Whoever is to be told of one of them, by its number here.
    pub(crate) told: VecDeque<(usize, Done)>,
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where a record begins.
    pub(crate) fn begin(&self, number: usize) -> usize {
        number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0)
    }

    /// Bytes of payload of some of its records.
    pub(crate) fn payload_bytes(&self, records: Range<usize>) -> usize {
        self.begin(records.end) - self.begin(records.start) - records.len() * HEADER_BYTES
    }

    fn push(&mut self, payload: &[u8], done: Option<Done>) {
        self.told.extend(done.map(|done| (self.ends.len(), done)));
        self.bytes.extend_from_slice(&[0; HEADER_BYTES]);
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.told.clear();
    }

    fn is_small(&self) -> bool {
        self.bytes.capacity() <= SPARE_BYTES_MAX && self.ends.capacity() <= SPARE_RECORDS_MAX && self.told.capacity() <= SPARE_RECORDS_MAX
    }
}

/// Bounds of the queue. What the writer holds counts as queued until it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) records_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) record_bytes_max: usize,
}

/// Why a record was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The record is larger than `record_bytes_max`, or than the whole queue.
    #[error("record of {bytes} bytes is larger than {bytes_max}")]
    TooLarge {
        /// Of the record.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// As many records, or bytes, as may wait are waiting.
    #[error("journal queue is full ({records} records, {bytes} bytes)")]
    Full {
        /// Waiting.
        records: usize,
        /// Waiting.
        bytes: usize,
    },
    /// The writer has stopped; `state` says why. It tries again by itself.
    #[error("journal writer has stopped")]
    Stopped,
    /// The journal is closed.
    #[error("journal is closed")]
    Closed,
}

/// Why waiting for an acknowledgement gave none.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WaitError {
    /// Not known yet; the ticket can be waited for again.
    #[error("no acknowledgement in time")]
    TimedOut,
    /// The record was not written.
    #[error("record was not written")]
    Write(#[source] WriteError),
    /// The writer ended without an answer, or it was fetched before.
    #[error("no acknowledgement will come")]
    Abandoned,
}

/// The right to learn, once, what became of a record.
#[derive(Debug)]
pub struct Ticket(pub(crate) Receiver<Result<Position, WriteError>>);

impl Ticket {
    /// Waits for the record to be durable.
    pub fn wait(&self, timeout: Duration) -> Result<Position, WaitError> {
        match self.0.recv_timeout(timeout) {
            Ok(answer) => answer.map_err(WaitError::Write),
            Err(RecvTimeoutError::Timeout) => Err(WaitError::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(WaitError::Abandoned),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Stopped,
    Closed,
}

struct Inner {
    gate: Gate,
    waiting: Batch,
    /// One that was written, for its room.
    spare: Batch,
    /// When the oldest of `waiting` came.
    since: Option<Instant>,
    records: usize,
    bytes: usize,
}

/// The queue.
pub(crate) struct Queue {
    limits: Limits,
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            inner: Mutex::new(Inner {
                gate: Gate::Open,
                waiting: Batch::default(),
                spare: Batch::default(),
                since: None,
                records: 0,
                bytes: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Takes a record in, or refuses it at once; somebody may be told what became of it.
    pub(crate) fn push(&self, payload: &[u8], done: Option<Done>) -> Result<(), AppendError> {
        let bytes = payload.len();
        let bytes_max = self.limits.record_bytes_max.min(self.limits.bytes_max);
        if bytes > bytes_max {
            return Err(AppendError::TooLarge { bytes, bytes_max });
        }
        let mut inner = lock(&self.inner);
        match inner.gate {
            Gate::Open => {}
            Gate::Stopped => return Err(AppendError::Stopped),
            Gate::Closed => return Err(AppendError::Closed),
        }
        if inner.records >= self.limits.records_max || bytes > self.limits.bytes_max - inner.bytes {
            return Err(AppendError::Full { records: inner.records, bytes: inner.bytes });
        }
        inner.records += 1;
        inner.bytes += bytes;
        // In between the writer waits for time to pass: waking it for each record would cost more than writing it.
        let matters = inner.since.is_none() || inner.records >= self.limits.records_max;
        inner.since.get_or_insert_with(Instant::now);
        inner.waiting.push(payload, done);
        drop(inner);
        if matters {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Waits for records and lets them gather until the oldest is `delay` old or as many are held as may be.
    ///
    /// Returns [`None`] once closed and empty.
    pub(crate) fn take(&self, delay: Duration) -> Option<Batch> {
        let mut inner = lock(&self.inner);
        loop {
            let ready_in = match inner.since {
                None if inner.gate == Gate::Closed => return None,
                None => {
                    inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Some(_) if inner.gate == Gate::Closed => Duration::ZERO,
                Some(_) if inner.records >= self.limits.records_max => Duration::ZERO,
                Some(since) => delay.saturating_sub(since.elapsed()),
            };
            if ready_in.is_zero() {
                inner.since = None;
                let next = mem::take(&mut inner.spare);
                return Some(mem::replace(&mut inner.waiting, next));
            }
            inner = self.wait(inner, ready_in);
        }
    }

    /// Takes back a batch all of whose records are answered, for its room.
    pub(crate) fn reuse(&self, mut batch: Batch) {
        batch.clear();
        if batch.is_small() {
            lock(&self.inner).spare = batch;
        }
    }

    /// Gives back the room of answered records.
    pub(crate) fn answered(&self, records: usize, bytes: usize) {
        let mut inner = lock(&self.inner);
        inner.records -= records;
        inner.bytes -= bytes;
    }

    /// Refuses records from now on, and returns those that wait.
    pub(crate) fn stop(&self) -> Batch {
        let mut inner = lock(&self.inner);
        if inner.gate == Gate::Open {
            inner.gate = Gate::Stopped;
        }
        inner.since = None;
        mem::take(&mut inner.waiting)
    }

    /// Takes records in again, unless closed meanwhile.
    pub(crate) fn resume(&self) {
        let mut inner = lock(&self.inner);
        if inner.gate == Gate::Stopped {
            inner.gate = Gate::Open;
        }
    }

    /// Refuses records for good; what waits is still written.
    pub(crate) fn close(&self) {
        lock(&self.inner).gate = Gate::Closed;
        self.changed.notify_all();
    }

    /// Waits for `timeout`, or until closed; says whether closed.
    pub(crate) fn closes_within(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut inner = lock(&self.inner);
        while inner.gate != Gate::Closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inner = self.wait(inner, left);
        }
        true
    }

    /// Records and bytes taken in and not yet answered.
    pub(crate) fn held(&self) -> (usize, usize) {
        let inner = lock(&self.inner);
        (inner.records, inner.bytes)
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, timeout: Duration) -> MutexGuard<'a, Inner> {
        let waited = self.changed.wait_timeout(inner, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
