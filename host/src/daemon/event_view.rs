//! The view that keeps the events.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tracing::{info, warn};
use watchpost_journal::{ConsumerPosition, Position, Reader};

use super::{
    DataFolder, now_ns, records,
    view::{View, complain},
};
use crate::{
    event::store::{EventError, EventStore},
    log::trouble::Trouble,
    reading::Record,
};

/// Names this view's place in the journal.
pub(super) const NAME: &str = "events";
/// How often days that are over are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Takes what a daemon that was killed had in its journal and not in its store yet, as the next one will again.
pub fn take_events_left(folder: &DataFolder) -> Result<(), EventError> {
    let journal = folder.path().join("journal");
    let place = ConsumerPosition::new(&journal, NAME).and_then(|place| place.load()).ok().flatten();
    // Without a journal nothing is left.
    let Ok(reader) = Reader::offline(&journal, place.unwrap_or(Position::START)) else { return Ok(()) };
    let mut store = EventStore::open(folder.path())?;
    for (position, record) in records(reader) {
        if store.is_full() {
            store.flush()?;
        }
        store.take(position, record);
    }
    store.flush().map(drop)
}

/// Feeds the store from the journal.
pub(super) struct EventView {
    store: EventStore,
    pruned: Option<Instant>,
    unkept: Trouble,
    undropped: Trouble,
}

impl EventView {
    pub(super) fn new(data: &Path) -> Result<Self, EventError> {
        Ok(Self { store: EventStore::open(data)?, pruned: None, unkept: Trouble::new(), undropped: Trouble::new() })
    }

    /// Writes what waits; false if it cannot be written now.
    fn flush(&mut self) -> bool {
        match self.store.flush() {
            Ok(0) => {
                self.unkept.is_over(Instant::now());
                true
            }
            Ok(unkept) => {
                complain(&mut self.unkept, &format!("today's events fill their file; {unkept} were not kept"));
                true
            }
            Err(error) => {
                complain(&mut self.unkept, &format!("events cannot be stored; the journal holds them: {}", crate::chain(&error)));
                false
            }
        }
    }
}

impl View for EventView {
    fn take(&mut self, position: Position, record: Record) -> bool {
        if self.store.is_full() && !self.flush() {
            return false;
        }
        self.store.take(position.into(), record)
    }

    fn settle(&mut self) {
        // A failure is told, and tried again a moment later.
        self.flush();
        if self.pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
            self.pruned = Some(Instant::now());
            match self.store.prune(now_ns()) {
                Ok(days) => {
                    self.undropped.is_over(Instant::now());
                    if days > 0 {
                        info!(days, "events of days that are over were dropped");
                    }
                }
                Err(error) => {
                    let why = crate::chain(&error);
                    if self.undropped.met(&why, Instant::now()).is_some() {
                        warn!("old events cannot be dropped: {why}");
                    }
                }
            }
        }
    }

    fn checkpoint(&mut self, taken: Position) -> Option<Position> {
        self.flush().then_some(taken)
    }
}
