//! What readers may see: the segments, how far each is durable, and who wants to know of more.

use crate::lock::lock;
use crate::source::Extent;
use crate::{Position, WriteError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether the journal can be appended to.
#[derive(Clone, Debug)]
pub enum State {
    /// It can.
    Running,
    /// Writing failed and is tried again by itself, with growing pauses.
    Stopped {
        /// The last failure.
        error: WriteError,
        /// Times a fresh segment was tried since.
        retries: u32,
    },
    /// It was closed, or its writer ended.
    Closed,
}

struct View {
    extents: Vec<Extent>,
    end: Position,
    state: State,
}

type Callback = Arc<dyn Fn(Position) + Send + Sync>;

/// State shared by writer, readers and subscribers.
pub(crate) struct Durable {
    dir: PathBuf,
    view: Mutex<View>,
    changed: Condvar,
    subscribers: Mutex<Vec<(u64, Callback)>>,
}

/// How far the journal is durable; cheap to clone and to hold beside a reader.
#[derive(Clone)]
pub struct Horizon(Arc<Durable>);

/// Being told of durable records; dropping it ends that.
#[must_use = "dropping it ends the subscription"]
pub struct Subscription {
    durable: Arc<Durable>,
    id: u64,
}

impl Horizon {
    pub(crate) fn new(dir: PathBuf, extents: Vec<Extent>, end: Position) -> Self {
        Self(Arc::new(Durable {
            dir,
            view: Mutex::new(View { extents, end, state: State::Running }),
            changed: Condvar::new(),
            subscribers: Mutex::default(),
        }))
    }

    /// The lowest position a reader can be given.
    pub fn first(&self) -> Position {
        let view = lock(&self.0.view);
        view.extents.first().map_or(view.end, |extent| extent.first)
    }

    /// The position after the last durable record.
    pub fn durable_end(&self) -> Position {
        lock(&self.0.view).end
    }

    /// Waits until a record at or above `position` is durable, and returns the durable end as it then is.
    ///
    /// Shape: the end returned is not above `position` if time ran out or the journal closed.
    pub fn wait_beyond(&self, position: Position, timeout: Duration) -> Position {
        self.wait_until(timeout, |view| view.end > position || matches!(view.state, State::Closed)).0
    }

    pub(crate) fn closes_within(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |view| matches!(view.state, State::Closed)).1
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.0.view).state.clone()
    }

    pub(crate) fn set_state(&self, state: State) {
        lock(&self.0.view).state = state;
        self.0.changed.notify_all();
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0.dir
    }

    pub(crate) fn extents(&self) -> Vec<Extent> {
        lock(&self.0.view).extents.clone()
    }

    /// A fresh segment takes over; an empty one of the same name has been replaced by it.
    pub(crate) fn begin(&self, extent: Extent) {
        let mut view = lock(&self.0.view);
        view.extents.retain(|old| old.first != extent.first);
        if let Some(previous) = view.extents.last_mut() {
            previous.end = Some(extent.previous_end);
        }
        view.extents.push(extent);
    }

    /// Shows a group to readers and subscribers. Returns how many of these panicked.
    pub(crate) fn publish(&self, end: Position, bytes: u64) -> u64 {
        {
            let mut view = lock(&self.0.view);
            view.end = end;
            if let Some(newest) = view.extents.last_mut() {
                newest.bytes = bytes;
                newest.end = Some(end);
            }
        }
        self.0.changed.notify_all();
        let subscribers: Vec<_> = lock(&self.0.subscribers).iter().map(|(_, call)| Arc::clone(call)).collect();
        let fenced = |call: &Callback| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| call(end)));
        subscribers.iter().filter(|call| fenced(call).is_err()).count() as u64
    }

    pub(crate) fn subscribe(&self, callback: Box<dyn Fn(Position) + Send + Sync>) -> Subscription {
        let mut subscribers = lock(&self.0.subscribers);
        let id = subscribers.last().map_or(0, |(id, _)| id + 1);
        subscribers.push((id, callback.into()));
        Subscription { durable: Arc::clone(&self.0), id }
    }

    /// The oldest segment, if all its records are below `position`; never the newest.
    pub(crate) fn oldest_below(&self, position: Position) -> Option<Extent> {
        let view = lock(&self.0.view);
        let oldest = view.extents.split_last()?.1.first()?;
        oldest.end.is_some_and(|end| end <= position).then_some(*oldest)
    }

    /// A segment is no longer there.
    pub(crate) fn forget(&self, first: Position) {
        lock(&self.0.view).extents.retain(|extent| extent.first != first);
    }

    fn wait_until(&self, timeout: Duration, reached: impl Fn(&View) -> bool) -> (Position, bool) {
        let deadline = Instant::now() + timeout;
        let mut view = lock(&self.0.view);
        loop {
            let (is_reached, left) = (reached(&view), deadline.saturating_duration_since(Instant::now()));
            if is_reached || left.is_zero() {
                return (view.end, is_reached);
            }
            view = self.0.changed.wait_timeout(view, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.durable.subscribers).retain(|(id, _)| *id != self.id);
    }
}
