//! Whose turn it is to write the alarms' database, and when what was written goes to its place.
//!
//! SQLite lets one connection write at a time, and whoever finds another at it sleeps and looks again, up to a tenth of a second later: whoever
//! looks seldom waits long. Inside this process writers ask for their turn instead, and alarms come first: a step is to be stored at once, while
//! what became of a message may wait a moment. What is written is in SQLite's log first; that it goes to its place in the file is the work of a
//! thread of its own, and no writer waits for it. Source: sqlite.org, "Write-Ahead Logging", "Checkpointing".

use std::{
    panic::Location,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;

/// How long a turn is waited for: then SQLite says whether another writes, and nobody new comes between.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Rows that are written before they go to their place: about a thousand pages, as SQLite itself has it.
const ROWS_MAX: u64 = 500;
/// Pages in the log from which writers bring them to their place themselves: the thread is then long behind, or there is none.
const PAGES_MAX: u32 = 8_000;
/// How long the thread sleeps after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose turn it is; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many write: one, and those who were late for whom it took too long.
    taken: usize,
    /// Those that wait and come first.
    first: usize,
    /// All that wait.
    waiting: usize,
    /// Rows that are in the log alone.
    rows: u64,
    /// Nobody writes any more.
    ended: bool,
    /// How long the longest turn was, and whose.
    longest: (Duration, Option<&'static Location<'static>>),
}

/// A turn that lasts as long as this lives.
#[derive(Debug)]
pub struct Turn<'t> {
    turns: &'t Turns,
    begun: Instant,
    whose: &'static Location<'static>,
    rows: u64,
}

impl Turns {
    /// Waits for the next turn, before all that can wait.
    #[track_caller]
    pub fn first(&self) -> Turn<'_> {
        let mut state = self.state();
        state.first += 1;
        let mut state = self.wait(state, |state| state.taken > 0);
        state.first -= 1;
        self.take(state)
    }

    /// Waits for a turn that nobody else wants.
    #[track_caller]
    pub fn after(&self) -> Turn<'_> {
        let state = self.state();
        self.take(self.wait(state, |state| state.taken > 0 || state.first > 0))
    }

    /// How long the longest turn was so far, and where it was taken.
    pub fn longest(&self) -> String {
        let (longest, whose) = self.state().longest;
        whose.map_or_else(String::new, |whose| format!("{} ms ({whose})", longest.as_millis()))
    }

    /// Has a connection leave to the thread what goes to its place, unless it is far behind.
    pub fn leave_to_thread(connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "wal_autocheckpoint", PAGES_MAX)
    }

    #[track_caller]
    fn take<'t>(&'t self, mut state: MutexGuard<'_, State>) -> Turn<'t> {
        state.taken += 1;
        Turn { turns: self, begun: Instant::now(), whose: Location::caller(), rows: 0 }
    }

    fn wait<'s>(&self, mut state: MutexGuard<'s, State>, is_held: impl Fn(&State) -> bool) -> MutexGuard<'s, State> {
        state.waiting += 1;
        let waited = self.0.changed.wait_timeout_while(state, WAIT_MAX, |state| is_held(state));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// So many rows were written in it.
    pub fn wrote(&mut self, rows: usize) {
        self.rows += rows as u64;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        state.taken -= 1;
        state.rows += self.rows;
        let lasted = self.begun.elapsed();
        if lasted > state.longest.0 {
            state.longest = (lasted, Some(self.whose));
        }
        drop(state);
        self.turns.0.changed.notify_all();
    }
}

/// The thread that brings what was written to its place; it ends with this.
#[derive(Debug)]
pub struct Placing {
    turns: Turns,
    thread: Option<thread::JoinHandle<()>>,
}

impl Placing {
    /// Starts it for a database whose writers take turns.
    pub fn start(database: &Path, turns: Turns) -> Self {
        let (path, asked) = (database.to_owned(), turns.clone());
        let thread = thread::Builder::new().name("alarms-file".into()).spawn(move || {
            while asked.wait_for_rows() {
                if let Err(error) = place(&path, &asked) {
                    tracing::debug!("what was written of alarms is not in its place yet: {}", crate::chain(&error));
                    asked.rest(PAUSE);
                }
            }
        });
        // Without it writers do it, once there is much.
        let thread = thread.inspect_err(|error| tracing::warn!("nobody brings to its place what is written of alarms: {error}")).ok();
        Self { turns, thread }
    }
}

impl Drop for Placing {
    fn drop(&mut self) {
        self.turns.state().ended = true;
        self.turns.0.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Turns {
    /// Waits until there is enough to do; false: nobody writes any more.
    fn wait_for_rows(&self) -> bool {
        let mut state = self.state();
        while !state.ended && state.rows < ROWS_MAX {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.rows = 0;
        !state.ended
    }

    /// Waits for so long, or until nobody writes any more.
    fn rest(&self, pause: Duration) {
        let begun = Instant::now();
        let state = self.state();
        let _rested = self.0.changed.wait_timeout_while(state, pause, |state| !state.ended && begun.elapsed() < pause);
    }
}

/// Brings what is in the log to its place, beside those who write; what they wrote meanwhile in a turn of its own, so that the log begins anew.
fn place(path: &Path, turns: &Turns) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    let rest = |connection: &Connection| {
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
    };
    if rest(&connection)? > 0 {
        let _turn = turns.after();
        rest(&connection)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_comes_first_writes_before_all_that_can_wait() {
        for _ in 0..50 {
            let turns = &Turns::default();
            let (said, heard) = mpsc::channel();
            let held = turns.first();
            thread::scope(|scope| {
                let writer = |name, wait: fn(&Turns) -> Turn<'_>| {
                    let said = said.clone();
                    scope.spawn(move || {
                        let turn = wait(turns);
                        said.send(name).unwrap();
                        drop(turn);
                    });
                };
                writer("after", Turns::after);
                while turns.state().waiting == 0 {
                    thread::yield_now();
                }
                writer("first", Turns::first);
                while turns.state().waiting < 2 {
                    thread::yield_now();
                }
                assert!(heard.try_recv().is_err(), "two write at once");
                drop(held);
            });
            drop(said);
            let both: Vec<_> = heard.iter().collect();
            assert_eq!(both, ["first", "after"]);
        }
    }

    #[test]
    fn who_has_waited_too_long_goes_on_and_nobody_new_comes_between() {
        let turns = &Turns::default();
        let (said, heard) = mpsc::channel();
        let slow = turns.after();
        thread::scope(|scope| {
            let (go, wait) = mpsc::channel::<()>();
            let late = said.clone();
            scope.spawn(move || {
                // Its patience is over before the slow one is done: from here on SQLite has the say.
                let turn = turns.first();
                late.send("late").unwrap();
                wait.recv().unwrap();
                late.send("late is done").unwrap();
                drop(turn);
            });
            assert_eq!(heard.recv_timeout(WAIT_MAX * 5), Ok("late"));
            drop(slow);
            let new = said.clone();
            scope.spawn(move || {
                let turn = turns.after();
                new.send("new").unwrap();
                drop(turn);
            });
            assert!(heard.recv_timeout(WAIT_MAX / 4).is_err(), "somebody new writes beside the one that is late");
            go.send(()).unwrap();
            assert_eq!(heard.recv_timeout(WAIT_MAX * 5), Ok("late is done"));
            assert_eq!(heard.recv_timeout(WAIT_MAX * 5), Ok("new"));
        });
    }

    #[test]
    fn what_is_written_goes_to_its_place_without_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        Turns::leave_to_thread(&connection).unwrap();
        connection.execute_batch("CREATE TABLE a (x TEXT) STRICT").unwrap();
        let turns = Turns::default();
        let placing = Placing::start(&path, turns.clone());
        let empty = std::fs::metadata(&path).unwrap().len();
        for _ in 0..ROWS_MAX {
            let mut turn = turns.first();
            connection.execute("INSERT INTO a VALUES (?1)", ["x".repeat(2_000)]).unwrap();
            turn.wrote(1);
        }
        let begun = Instant::now();
        while std::fs::metadata(&path).unwrap().len() < empty + 500_000 {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is all in the log");
            thread::sleep(Duration::from_millis(5));
        }
        drop(placing);
    }
}
