//! The view that keeps the series files.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tracing::{error, info, warn};
use watchpost_journal::{ConsumerPosition, Journal, Position, Reader};

use super::{DataFolder, migrations::Migrations, records, view::View};
use crate::{
    log::{seconds, trouble::Trouble},
    reading::Record,
    series::{
        error::SeriesError,
        store::{Applied, FLUSH_EVERY, Recovered, SeriesStore},
    },
};

/// Names this view's place in the journal.
pub(super) const NAME: &str = "series";

/// The store of series, shared with whoever fetches.
pub(super) type SharedStore = Arc<Mutex<SeriesStore>>;

/// Lends the store; one whose holder panicked is as good as before, for every row is checked when it is written.
pub(super) fn lend(store: &SharedStore) -> MutexGuard<'_, SeriesStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes back what a daemon that was killed did to series files since its last checkpoint; the journal has it all, and gives it again.
pub(super) fn recover(store: &mut SeriesStore, reader: Reader) -> Result<Recovered, SeriesError> {
    let whole = is_whole(reader);
    let recovered = store.recover(whole)?;
    if recovered.files_removed > 0 || recovered.names_given_back > 0 || recovered.heads_unfit > 0 || recovered.checkpoint_lost {
        info!(
            heads = recovered.heads,
            unfit = recovered.heads_unfit,
            removed = recovered.files_removed,
            given_back = recovered.names_given_back,
            journal_is_whole = whole,
            "series files are as of the last checkpoint; the journal gives what came after"
        );
    }
    Ok(recovered)
}

/// Where the store goes on in the journal; nothing before its first checkpoint.
pub(super) fn next_of(store: &SeriesStore) -> Option<Position> {
    store.position().map(|position| Position::from(position).next())
}

/// Says whether a journal gives every record that it should.
fn is_whole(mut reader: Reader) -> bool {
    loop {
        match reader.next_in_place() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Takes what a daemon that was killed had in its journal and not in its series yet, as the next one will again.
///
/// Series whose first reading came just before are known to the journal alone.
/// Only the owner of the folder does it: the next daemon could not write another user's files. Gives what was taken back.
pub fn take_what_is_left(folder: &DataFolder, store: &mut SeriesStore) -> Result<Recovered, SeriesError> {
    if !folder.is_ours() {
        return Ok(Recovered::default());
    }
    let journal = folder.path().join("journal");
    let place = || ConsumerPosition::new(&journal, NAME).and_then(|place| place.load()).ok().flatten();
    let next = next_of(store).or_else(place).unwrap_or(Position::START);
    // Without a journal nothing is left.
    let (Ok(all), Ok(reader)) = (Reader::offline(&journal, next), Reader::offline(&journal, next)) else { return Ok(Recovered::default()) };
    let recovered = recover(store, all)?;
    for (position, record) in records(reader) {
        if store.apply(position, &record)? == Applied::Behind {
            store.flush();
            if store.apply(position, &record)? == Applied::Behind {
                break; // somebody holds the files for long
            }
        }
    }
    Ok(recovered)
}

/// What stands in the way of writing series just now, for `status` to tell.
#[derive(Clone, Default)]
pub(super) struct Hindrance(Arc<Mutex<Option<String>>>);

impl Hindrance {
    pub(super) fn told(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is(&self, now: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// Feeds the store from the journal.
pub(super) struct SeriesView {
    store: SharedStore,
    journal: Arc<Journal>,
    hindrance: Hindrance,
    /// Where the journal is to be read again from.
    again_from: Option<Position>,
    migrations: Migrations,
    ending: bool,
    /// Whether something failed since the last flush.
    failed: bool,
    /// Why the last checkpoint could not be made; until one is, nothing of later is safe but in the journal.
    undurable: Option<String>,
    flushed: Instant,
    stuck: Trouble,
    in_use: Trouble,
}

impl SeriesView {
    pub(super) fn new(store: SharedStore, journal: Arc<Journal>, hindrance: Hindrance, migrations: Migrations) -> Self {
        let (flushed, stuck, in_use) = (Instant::now(), Trouble::new(), Trouble::new());
        Self {
            store,
            journal,
            hindrance,
            migrations,
            again_from: None,
            ending: false,
            failed: false,
            undurable: None,
            flushed,
            stuck,
            in_use,
        }
    }

    /// Goes back to the last checkpoint where the disk may lack what was written since; all of it comes again from the journal.
    fn go_back_if_unsure(&mut self) {
        let mut store = lend(&self.store);
        if !store.is_unsure() {
            return;
        }
        let from = next_of(&store).unwrap_or_default().max(self.journal.first());
        let gone_back = store.go_back(is_whole(self.journal.reader(from)));
        // The catalogue may have come to know of the newer checkpoint.
        let from = next_of(&store).unwrap_or_default().max(self.journal.first());
        drop(store);
        match gone_back {
            Ok(recovered) => {
                warn!(
                    heads = recovered.heads,
                    removed = recovered.files_removed,
                    "series files are as of the last checkpoint; the journal gives what came after"
                );
                self.again_from = Some(from);
            }
            Err(error) => self.complain(&format!("series files cannot go back to the last checkpoint: {}", crate::chain(&error))),
        }
    }

    fn complain(&mut self, what: &str) {
        self.failed = true;
        self.hindrance.is(Some(what.to_owned()));
        if let Some(told) = self.stuck.met(what, Instant::now()) {
            error!(times = told.times, lasted_s = seconds(told.lasted), "{what}; it is tried again");
        }
    }

    fn go_on(&mut self) {
        if let Some(told) = self.stuck.is_over(Instant::now()) {
            info!(lasted_s = seconds(told.lasted), "readings enter their series again");
        }
    }

    /// Says whether a record was taken, and what stood in the way.
    fn is_taken(&mut self, applied: Result<Applied, SeriesError>) -> bool {
        match applied {
            Ok(Applied::Taken) => {
                if self.undurable.is_none() {
                    self.go_on();
                }
                true
            }
            Ok(Applied::Behind) => {
                lend(&self.store).flush();
                self.complain("series files cannot be written as fast as readings come; the journal holds them");
                false
            }
            Err(error) => {
                self.complain(&format!("a reading cannot enter its series: {}", crate::chain(&error)));
                false
            }
        }
    }
}

impl View for SeriesView {
    fn take(&mut self, position: Position, record: Record) -> bool {
        let applied = lend(&self.store).apply(position.into(), &record);
        self.is_taken(applied)
    }

    fn take_bytes(&mut self, position: Position, payload: &[u8]) -> Option<bool> {
        let applied = lend(&self.store).apply_bytes(position.into(), payload);
        applied.transpose().map(|applied| self.is_taken(applied))
    }

    fn settle(&mut self) {
        if self.flushed.elapsed() < FLUSH_EVERY {
            return;
        }
        self.go_back_if_unsure();
        let (flushed, waiting) = {
            let mut store = lend(&self.store);
            (store.flush_due(Instant::now()), store.rows_held())
        };
        self.flushed = Instant::now();
        self.migrations.go_on(&self.store, self.flushed);
        if flushed.files_behind == 0 && !std::mem::take(&mut self.failed) {
            self.hindrance.is(self.undurable.clone());
        }
        if flushed.files_behind > 0 {
            let files = flushed.files_behind;
            self.hindrance.is(Some(format!("{files} files cannot be written now, {waiting} rows wait; the log says why")));
        }
        match flushed.files_locked {
            0 => {
                if let Some(told) = self.in_use.is_over(self.flushed) {
                    info!(lasted_s = seconds(told.lasted), "no series file is in use by another program any more");
                }
            }
            files => {
                if let Some(told) = self.in_use.met("", self.flushed) {
                    warn!(files, lasted_s = seconds(told.lasted), "series files are in use by another program; their rows wait");
                }
            }
        }
    }

    fn again_from(&mut self) -> Option<Position> {
        self.again_from.take()
    }

    fn ends(&mut self) {
        self.ending = true;
        lend(&self.store).flush();
    }

    fn checkpoint(&mut self, _: Position) -> Option<Position> {
        if !self.ending && !lend(&self.store).checkpoint_due(Instant::now()) {
            return None;
        }
        let mut safe = None;
        let done = lend(&self.store).checkpoint(Instant::now(), |position| {
            safe = Some(Position::from(position).next());
            Ok(())
        });
        self.undurable = done.err().map(|error| format!("series files cannot be made durable: {}", crate::chain(&error)));
        if let Some(why) = self.undurable.clone() {
            self.complain(&why);
            return None;
        }
        safe
    }
}
