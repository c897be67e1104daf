//! The journal as one handle: open, append, read, drop what all have read, close.

use crate::counters::{Counters, Tally};
use crate::durable::{Horizon, State, Subscription};
use crate::medium::{Disk, Medium};
use crate::queue::{AppendError, Done, Limits, Queue, Ticket};
use crate::reader::Reader;
use crate::record::Salt;
use crate::recovery::{self, Recovery};
use crate::source::Source;
use crate::writer::{Manner, Shared, Writer};
use crate::{Position, directory};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// How long dropping the handle waits for what is queued. The daemon has 5 s to end.
const DROP_WAIT: Duration = Duration::from_secs(4);

/// How the journal works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A segment is followed by a fresh one before it grows beyond this, bytes. Default 16 MiB.
    pub segment_bytes_max: u64,
    /// How long the oldest record of a group may wait for others. Default 10 ms.
    pub group_delay: Duration,
    /// Largest record, bytes; below 4 GiB. Default 8 MiB.
    pub record_bytes_max: u32,
    /// Records that may be taken in and not yet answered. Default 65,536.
    pub queue_max: usize,
    /// Payload bytes of them. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// The highest position of consumers that keep theirs elsewhere, e.g. in a database: no position below it
    /// is given again, and records missing below it are told as lost. Default 0.
    pub seen_end: Position,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes_max: 16 << 20,
            group_delay: Duration::from_millis(10),
            record_bytes_max: 8 << 20,
            queue_max: 65_536,
            queue_bytes_max: 64 << 20,
            seen_end: Position::START,
        }
    }
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version wrote it; nothing was touched.
    #[error("journal has format version {found}, known up to {known}")]
    Newer {
        /// That of the journal.
        found: u32,
        /// The newest this program reads.
        known: u32,
    },
    /// Somebody else has it open for writing.
    #[error("journal {dir} is in use by another process")]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// There is no journal to read.
    #[error("no journal in {dir}")]
    NoJournal {
        /// The folder.
        dir: PathBuf,
    },
    /// Something in the folder cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the folder cannot be written, or not made durable.
    #[error("cannot write {path}")]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No thread for the writer.
    #[error("cannot start the journal's writer")]
    Thread(#[source] io::Error),
}

/// Why segments were not dropped.
#[derive(Debug, thiserror::Error)]
#[error("cannot drop segment {path}")]
pub struct DropError {
    /// The segment, or the folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The writer did not end in time; it goes on.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("journal did not close within {0:?}")]
pub struct CloseError(pub Duration);

/// The journal of one folder, open for writing. Dropping it closes it.
pub struct Journal {
    shared: Arc<Shared>,
    salt: Salt,
}

impl Journal {
    /// Opens the journal in `dir`, making it if there is none, and starts its writer.
    ///
    /// Shape: the parent of `dir` exists. Reads every segment once, and begins a fresh one; where that fails,
    /// as on a full disk, the journal can be read and its writer is stopped until it can.
    /// Errors: [`OpenError`]; damage is none, it is told in [`Recovery`].
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), OpenError> {
        Self::open_on(dir, options, Box::new(Disk))
    }

    pub(crate) fn open_on(dir: &Path, options: Options, medium: Box<dyn Medium>) -> Result<(Self, Recovery), OpenError> {
        directory::create(dir).map_err(|source| OpenError::Write { path: dir.to_owned(), source })?;
        let held = hold(dir)?;
        let scan = recovery::scan(dir, options.seen_end)?;
        let limits = Limits {
            records_max: options.queue_max,
            bytes_max: options.queue_bytes_max,
            record_bytes_max: options.record_bytes_max as usize,
        };
        let shared = Arc::new(Shared {
            queue: Queue::new(limits),
            horizon: Horizon::new(dir.to_owned(), scan.extents, scan.end),
            tally: Tally::default(),
            group_delay_micros: AtomicU64::new(micros(options.group_delay)),
        });
        let manner = Manner { segment_bytes_max: options.segment_bytes_max, salt: scan.salt, medium };
        let mut writer = Writer::new(Arc::clone(&shared), manner, scan.next);
        writer.begin_or_stop();
        let ending = Ending { shared: Arc::clone(&shared), held: Some(held) };
        let run = move || {
            let _ending = ending;
            writer.run();
        };
        std::thread::Builder::new().name("journal".into()).spawn(run).map_err(OpenError::Thread)?;
        Ok((Self { shared, salt: scan.salt }, scan.recovery))
    }

    /// Takes a record in; the ticket tells when it is durable.
    ///
    /// Errors: [`AppendError`], at once; also counted.
    pub fn append(&self, payload: &[u8]) -> Result<Ticket, AppendError> {
        let (sender, receiver) = sync_channel(1);
        let done = move |answer| _ = sender.send(answer); // nobody waits: nobody is told
        self.append_with(payload, Box::new(done))?;
        Ok(Ticket(receiver))
    }

    /// Takes a record in; `done` is called once, on the writer's thread, when it is durable or failed.
    ///
    /// Shape: `done` must not block, every record behind waits for it. It is dropped uncalled if this
    /// returns an error, or if the writer ends without an answer.
    pub fn append_with(&self, payload: &[u8], done: Done) -> Result<(), AppendError> {
        self.push(payload, Some(done))
    }

    /// Takes a record in of which nobody is told that it is durable: [`Self::counters`] and readers know, and so does whoever waits for
    /// one that was taken in later, where no write failed between.
    ///
    /// Errors: [`AppendError`], at once; also counted.
    pub fn put(&self, payload: &[u8]) -> Result<(), AppendError> {
        self.push(payload, None)
    }

    fn push(&self, payload: &[u8], done: Option<Done>) -> Result<(), AppendError> {
        let pushed = self.shared.queue.push(payload, done);
        pushed.inspect_err(|_| self.shared.tally.append_errors.add(1))
    }

    /// Sets how long the oldest record of a group may wait for others, from the next group on.
    pub fn set_group_delay(&self, delay: Duration) {
        self.shared.group_delay_micros.store(micros(delay), Ordering::Relaxed);
    }

    /// Reads durable records from `from` on, in order.
    pub fn reader(&self, from: Position) -> Reader {
        Reader::new(Source::Live(self.horizon()), self.salt, from)
    }

    /// The lowest position a reader can be given.
    pub fn first(&self) -> Position {
        self.shared.horizon.first()
    }

    /// The position after the last durable record.
    pub fn durable_end(&self) -> Position {
        self.shared.horizon.durable_end()
    }

    /// Waits until a record at or above `position` is durable; see [`Horizon::wait_beyond`].
    pub fn wait_beyond(&self, position: Position, timeout: Duration) -> Position {
        self.shared.horizon.wait_beyond(position, timeout)
    }

    /// How far the journal is durable, to be held beside a reader.
    pub fn horizon(&self) -> Horizon {
        self.shared.horizon.clone()
    }

    /// Calls `callback` with the durable end after each group, on the writer's thread; it must not block.
    pub fn subscribe(&self, callback: Box<dyn Fn(Position) + Send + Sync>) -> Subscription {
        self.shared.horizon.subscribe(callback)
    }

    /// Whether the journal can be appended to.
    pub fn state(&self) -> State {
        self.shared.horizon.state()
    }

    /// Figures since it was opened.
    pub fn counters(&self) -> Counters {
        let (records, bytes) = self.shared.queue.held();
        self.shared.tally.read(records, bytes)
    }

    /// Deletes the segments all of whose records are below `position`, and returns how many. The newest stays.
    ///
    /// Shape: oldest first, so that a failure or a crash leaves no gap.
    pub fn drop_before(&self, position: Position) -> Result<usize, DropError> {
        let horizon = &self.shared.horizon;
        let mut dropped = 0;
        while let Some(extent) = horizon.oldest_below(position) {
            let path = directory::segment_path(horizon.dir(), extent.first);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|source| DropError { path, source })?,
            }
            horizon.forget(extent.first);
            dropped += 1;
        }
        if dropped > 0 {
            directory::sync(horizon.dir()).map_err(|source| DropError { path: horizon.dir().to_owned(), source })?;
        }
        Ok(dropped)
    }

    /// Refuses further records, writes those that wait, and ends the writer.
    pub fn close(&self, timeout: Duration) -> Result<(), CloseError> {
        self.shared.queue.close();
        if self.shared.horizon.closes_within(timeout) { Ok(()) } else { Err(CloseError(timeout)) }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        _ = self.close(DROP_WAIT); // a hung disk: what waits was never acknowledged
    }
}

/// Says that the writer has ended, however it ended: nobody waits for a thread that is gone.
struct Ending {
    shared: Arc<Shared>,
    held: Option<File>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared.queue.close();
        drop(self.shared.queue.stop()); // unanswered callbacks are dropped, their tickets say so
        drop(self.held.take());
        self.shared.horizon.set_state(State::Closed);
    }
}

fn micros(delay: Duration) -> u64 {
    u64::try_from(delay.as_micros()).unwrap_or(u64::MAX)
}

/// Takes the folder for this process, for as long as the file is open.
fn hold(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| OpenError::Write { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Write { path, source }),
    }
}
