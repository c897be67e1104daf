//! One job's due times, handed out once each while time passes, leaps and comes again.

use std::time::Duration;

use super::rhythm::{Slot, Step};
use super::timetable::Timetable;
use super::unix_time::UnixTime;

/// A wall clock turned back further was wrong before, and its appointments are kept again.
// cron(8) of Vixie cron: changes of more than 3 hours are corrections, the new time is used immediately.
const TURNED_BACK_MAX: i64 = 3 * 3_600;

/// Hands out the due times of one job.
#[derive(Debug, Clone)]
pub struct Ticker {
    timetable: Timetable,
    step: Step,
    /// Every due time up to this second has been run or missed.
    done: i64,
    /// The first due time after `done`.
    next: Option<UnixTime>,
    /// The latest slot ever handed out.
    taken: Option<Slot>,
}

/// What a poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tick {
    /// The run to start now.
    pub run: Option<Run>,
    /// Due times that passed without a run: to be counted as skipped.
    pub missed: u64,
}

/// A run to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// When it was due.
    pub due: UnixTime,
    /// The slot it stands for; rises strictly. `None` where that slot or a later one is taken already, because the wall
    /// clock was turned back (or a zone's law changed and two due times share a slot): the reading goes to latest
    /// values and events, not into the series.
    pub slot: Option<Slot>,
    /// How late it is.
    pub late: Duration,
}

impl Ticker {
    /// Starts with the first due time at or after `label`, and slots after `taken`, the job's latest stored slot.
    pub fn start(timetable: Timetable, step: Step, label: Duration, taken: Option<Slot>) -> Self {
        Self::after(timetable, step, passed(label), taken)
    }

    /// Goes on as the ticker of a job that changed: nothing is due twice, and what is due and was not handed out yet still is.
    pub fn go_on_as(&self, timetable: Timetable, step: Step, label: Duration) -> Self {
        let passed = passed(label);
        let done = match self.next.map(UnixTime::as_secs) {
            Some(overdue) if overdue <= passed => overdue - 1,
            // Further ahead it is of a clock that was wrong.
            _ if self.done <= passed + 1 => self.done.max(passed),
            _ => passed,
        };
        Self::after(timetable, step, done, self.taken)
    }

    fn after(timetable: Timetable, step: Step, done: i64, taken: Option<Slot>) -> Self {
        let next = timetable.first_from(done + 1);
        Self { timetable, step, done, next, taken }
    }

    /// Gives the latest slot ever handed out.
    pub fn taken(&self) -> Option<Slot> {
        self.taken
    }

    /// Gives the next due time; `None` past the year 9999.
    pub fn next_due(&self) -> Option<UnixTime> {
        self.next
    }

    /// Asks what is due at a label of the [`DueClock`](super::DueClock).
    ///
    /// At most one run, however long ago the last poll was: the latest due time, if it is not later than half a step
    /// (nearer to it than to the next); what else lies between is missed.
    /// Clock turned back: runs that follow elapsed time go on, without slots until those are free; appointments are not
    /// kept a second time, unless the clock had been wrong by more than three hours.
    pub fn poll(&mut self, label: Duration) -> Tick {
        let now = UnixTime::from_duration(label).as_secs();
        if now < self.done {
            self.turn_back(now);
        }
        if self.next.is_none_or(|due| due.as_secs() > now) {
            return Tick::default();
        }
        let passed = self.timetable.runs_between(self.done + 1, now + 1);
        self.settle(now);
        let Some(due) = passed.last().map(UnixTime::from_secs) else {
            return Tick::default();
        };
        match self.run_of(due, label) {
            Some(run) => Tick { run: Some(run), missed: passed.count - 1 },
            None => Tick { run: None, missed: passed.count },
        }
    }

    fn turn_back(&mut self, now: i64) {
        let corrected = self.done - now > TURNED_BACK_MAX;
        if corrected || self.timetable.follows_elapsed_time() {
            self.settle(now);
        }
    }

    fn settle(&mut self, now: i64) {
        self.done = now;
        self.next = self.timetable.first_from(now + 1);
    }

    fn run_of(&mut self, due: UnixTime, label: Duration) -> Option<Run> {
        let since_epoch = Duration::from_secs(due.as_secs().max(0).unsigned_abs());
        let late = label.saturating_sub(since_epoch);
        if late > self.step.as_duration() / 2 {
            return None;
        }
        Some(Run { due, slot: self.take(self.step.slot(due)), late })
    }

    fn take(&mut self, slot: Slot) -> Option<Slot> {
        let free = self.taken.is_none_or(|taken| slot > taken);
        if free {
            self.taken = Some(slot);
        }
        free.then_some(slot)
    }
}

/// The last second before `label`.
fn passed(label: Duration) -> i64 {
    let second = UnixTime::from_duration(label).as_secs();
    if label.subsec_nanos() == 0 { second - 1 } else { second }
}
