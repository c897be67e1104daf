//! A view of the journal: a thread that reads it from its own place on, and keeps that place durably.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{error, warn};
use watchpost_journal::{ConsumerPosition, Journal, Position, ReadError};

use crate::{
    log::{seconds, trouble::Trouble},
    reading::Record,
};

/// How often a view writes down how far it is.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// How long a view sleeps when nothing comes.
const IDLE: Duration = Duration::from_millis(250);
/// Records taken between two looks at the clock.
const BATCH: usize = 1000;

/// Tells of what a view cannot do, not each time that it cannot.
pub(super) fn complain(trouble: &mut Trouble, what: &str) {
    if let Some(told) = trouble.met(what, Instant::now()) {
        error!(times = told.times, lasted_s = seconds(told.lasted), "{what}");
    }
}

/// What takes the records.
pub(super) trait View: Send + 'static {
    /// Takes one record; false if it cannot now, and the record is to come again.
    fn take(&mut self, position: Position, record: Record) -> bool;
    /// Takes one record as its bytes are; nothing if they are not understood.
    fn take_bytes(&mut self, position: Position, payload: &[u8]) -> Option<bool> {
        Some(self.take(position, postcard::from_bytes(payload).ok()?))
    }
    /// Called after each batch, and at least four times a second.
    fn settle(&mut self);
    /// Makes durable all that was taken; then the place may move. Gives the place that is safe to go on from.
    fn checkpoint(&mut self, taken: Position) -> Option<Position>;
    /// Where the journal is to be read again from, if what was taken since is lost. Asked after each batch.
    fn again_from(&mut self) -> Option<Position> {
        None
    }
    /// Called before the last checkpoint.
    fn ends(&mut self) {}
}

/// How far a view is, for others to see.
#[derive(Default)]
pub(super) struct Progress {
    /// The next position it takes.
    next: AtomicU64,
    /// The next position when the view last settled: what was before it is seen by whoever asks.
    settled: AtomicU64,
    /// The place that is durable.
    safe: AtomicU64,
    /// Whether its thread has ended, as it should or in a panic.
    ended: AtomicBool,
}

impl Progress {
    pub(super) fn next(&self) -> Position {
        Position::from(self.next.load(Ordering::Acquire))
    }

    /// Waits until whoever asks sees what was before a place, for as long as `timeout` at most.
    pub(super) fn wait_settled(&self, place: Position, timeout: Duration) {
        let begun = Instant::now();
        while self.settled.load(Ordering::Acquire) < u64::from(place) && !self.ended() && begun.elapsed() < timeout {
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub(super) fn safe(&self) -> Position {
        Position::from(self.safe.load(Ordering::Acquire))
    }

    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// Where a view begins to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Where it stopped.
    ItsPlace,
    /// Where it stopped, or so many records before the end if that is earlier: what it makes of them is not kept, or the same each time.
    AtLeast(u64),
    /// Where it stopped, or where what it made of the journal ends, if that is known and earlier.
    NoLaterThan(Option<Position>),
}

/// A running view.
pub(super) struct Running {
    pub(super) name: &'static str,
    pub(super) progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    /// Starts a view where it is to begin; one without a place begins at the first record there is.
    pub(super) fn start(name: &'static str, from: Begin, journal: Arc<Journal>, dir: &Path, view: impl View) -> std::io::Result<Self> {
        let place = ConsumerPosition::new(dir, name).map_err(std::io::Error::other)?;
        let from = match place.load() {
            Ok(Some(place)) => match from {
                Begin::ItsPlace => place,
                Begin::AtLeast(records) => place.min(u64::from(journal.durable_end()).saturating_sub(records).into()),
                Begin::NoLaterThan(end) => end.map_or(place, |end| place.min(end)),
            },
            Ok(None) => journal.first(),
            // Reading again from the start is safe: every view skips what it has.
            Err(error) => {
                warn!(view = name, "its place in the journal is lost, it reads all of it again: {}", crate::chain(&error));
                journal.first()
            }
        };
        let from = from.max(journal.first());
        let progress =
            Arc::new(Progress { next: u64::from(from).into(), settled: 0.into(), safe: u64::from(from).into(), ended: false.into() });
        let stop = Arc::new(AtomicBool::new(false));
        let (unread, foreign, unplaced) = (Trouble::new(), Trouble::new(), Trouble::new());
        let mut follower =
            Follower { name, journal, place, view, progress: progress.clone(), stop: stop.clone(), unread, foreign, unplaced };
        let thread = thread::Builder::new().name(name.into()).spawn(move || follower.follow(from))?;
        Ok(Self { name, progress, stop, thread: Some(thread) })
    }

    /// Lets the view take what is there, make it durable, and end.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!(view = self.name, "the view panicked");
        }
    }
}

/// Tells when the thread ends, also in a panic.
struct Ending(Arc<Progress>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

struct Follower<V> {
    name: &'static str,
    journal: Arc<Journal>,
    place: ConsumerPosition,
    view: V,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    /// The journal cannot be read.
    unread: Trouble,
    /// Records are not understood.
    foreign: Trouble,
    /// The place cannot be written down.
    unplaced: Trouble,
}

impl<V: View> Follower<V> {
    fn follow(&mut self, from: Position) {
        let _told_at_the_end = Ending(self.progress.clone());
        let mut reader = self.journal.reader(from);
        // The first one comes as soon as what an earlier daemon left is read: nobody is to read it a third time.
        let mut last_checkpoint: Option<Instant> = None;
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            let caught_up = self.batch(&mut reader);
            self.view.settle();
            self.progress.settled.store(u64::from(self.progress.next()), Ordering::Release);
            if let Some(from) = self.view.again_from() {
                reader = self.journal.reader(from);
                self.progress.next.store(u64::from(from), Ordering::Release);
                continue;
            }
            let due = last_checkpoint.map_or(caught_up, |at| at.elapsed() >= CHECKPOINT_EVERY);
            if stopping {
                self.view.ends();
            }
            if stopping || due {
                self.checkpoint();
                last_checkpoint = Some(Instant::now());
            }
            if stopping {
                return;
            }
            if caught_up {
                self.journal.wait_beyond(self.progress.next(), IDLE);
            }
        }
    }

    /// Takes some records; gives whether there is nothing more to do at once.
    fn batch(&mut self, reader: &mut watchpost_journal::Reader) -> bool {
        for _ in 0..BATCH {
            let (position, payload) = match reader.next_in_place() {
                Ok(Some(found)) => {
                    self.unread.is_over(Instant::now());
                    found
                }
                Ok(None) => return true,
                Err(error) => return self.stumbled(&error),
            };
            let taken = match self.view.take_bytes(position, payload) {
                Some(taken) => taken,
                None => self.pass_over(position),
            };
            if !taken {
                *reader = self.journal.reader(position);
                thread::sleep(IDLE);
                return true;
            }
            self.progress.next.store(u64::from(position.next()), Ordering::Release);
        }
        false
    }

    /// Passes over a record that is not understood: it is of another version, and will be no better later.
    fn pass_over(&mut self, position: Position) -> bool {
        if let Some(told) = self.foreign.met("", Instant::now()) {
            let position = u64::from(position);
            error!(view = self.name, position, records = told.times, "a record of the journal is not understood; passed over");
        }
        true
    }

    fn stumbled(&mut self, error: &ReadError) -> bool {
        let why = crate::chain(error);
        if let Some(told) = self.unread.met(&why, Instant::now()) {
            error!(view = self.name, lasted_s = seconds(told.lasted), "cannot read the journal: {why}");
        }
        thread::sleep(IDLE);
        true
    }

    fn checkpoint(&mut self) {
        let Some(safe) = self.view.checkpoint(self.progress.next()) else { return };
        match self.place.store(safe) {
            Ok(()) => {
                self.unplaced.is_over(Instant::now());
                self.progress.safe.store(u64::from(safe), Ordering::Release);
            }
            Err(error) => {
                let why = crate::chain(&error);
                if let Some(told) = self.unplaced.met(&why, Instant::now()) {
                    error!(view = self.name, lasted_s = seconds(told.lasted), "cannot keep its place in the journal: {why}");
                }
            }
        }
    }
}
