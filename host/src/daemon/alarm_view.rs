//! The view that judges readings, and keeps alarms; what people do to alarms comes between.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use tracing::{info, warn};
use watchpost_journal::Position;

use super::{
    alarm_events::AlarmEvents,
    appender::Appender,
    delivery::{Hands, Routing},
    host_alarms::Overheard,
    now_ns,
    view::{View, complain},
};
use crate::{
    alarm::{
        depend::{Dependent, Depends},
        ledger::{ActError, Ledger},
        life::Act,
        record::Alarm,
        situation::Situation,
        store::FILE,
        turns::{Placing, Turns},
        watch::Watch,
    },
    config::Config,
    database::DatabaseError,
    expose::host_metrics::HostMetrics,
    job::Job,
    log::trouble::Trouble,
    reading::Record,
};

/// Names this view's place in the journal.
pub(super) const NAME: &str = "alarms";
/// How often closed alarms that are too old are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How often it is told how many alarms there are.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// The ledger, which the view and whoever acts on alarms share.
#[derive(Clone, Debug)]
pub(super) struct SharedLedger {
    ledger: Arc<Mutex<Ledger>>,
    turns: Turns,
    /// As long as somebody writes.
    _placing: Arc<Placing>,
}

impl SharedLedger {
    pub(super) fn open(data: &Path, journal_end: Position, routing: Routing, appender: Appender) -> Result<Self, DatabaseError> {
        let (mut ledger, turns) = (Ledger::open(data, Box::new(routing), journal_end.into())?, Turns::default());
        ledger.announce_to(Box::new(AlarmEvents::new(appender)))?;
        ledger.take_turns(turns.clone())?;
        let placing = Placing::start(&data.join(FILE), turns.clone());
        Ok(Self { ledger: Arc::new(Mutex::new(ledger)), turns, _placing: Arc::new(placing) })
    }

    /// Whose turn it is to write to its database.
    pub(super) fn turns(&self) -> Turns {
        self.turns.clone()
    }

    /// Lends it; a holder that panicked has left it as it is in the database, or a step before.
    pub(super) fn lend(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends it if nobody else has it.
    pub(super) fn try_lend(&self) -> Option<MutexGuard<'_, Ledger>> {
        match self.ledger.try_lock() {
            Ok(ledger) => Some(ledger),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes what is in force from now on.
    pub(super) fn set(&self, config: &Config, jobs: &[Job]) {
        let watch = Watch::new(&config.rules, jobs.iter().map(|job| job.shape.clone()));
        let on = |job: &Job| job.config.depends_on.iter().map(|on| on.value.clone()).collect();
        let dependents: Vec<Dependent> = jobs.iter().map(|job| Dependent { shape: job.shape.clone(), on: on(job) }).collect();
        let depends = Depends::new(&dependents, &config.rules);
        let mut ledger = self.lend();
        ledger.maintain(config.maintenance.clone());
        ledger.depend(depends);
        ledger.situate(jobs.iter().map(|job| (&job.shape, !job.targets_a_program())));
        ledger.set(watch, now_ns());
    }

    /// The place in the journal that it goes on from.
    pub(super) fn position(&self) -> Position {
        self.lend().position().into()
    }
}

/// What people do to alarms in other people's systems.
pub(super) struct OfPeople {
    ledger: SharedLedger,
    poke: Arc<Notify>,
}

impl OfPeople {
    pub(super) fn new(ledger: SharedLedger, poke: Arc<Notify>) -> Self {
        Self { ledger, poke }
    }
}

impl Hands for OfPeople {
    fn alarm(&self, number: u64) -> Option<Alarm> {
        self.ledger.lend().alarm(number).cloned()
    }

    fn situation(&self, number: u64) -> Option<Situation> {
        self.ledger.lend().situation(number)
    }

    fn act(&self, number: u64, who: &str, act: Act) -> Result<(), ActError> {
        self.ledger.lend().act(number, who, act, now_ns())?;
        self.poke.notify_waiters();
        Ok(())
    }
}

/// Feeds the ledger from the journal.
pub(super) struct AlarmView {
    ledger: SharedLedger,
    overheard: Overheard,
    metrics: Arc<HostMetrics>,
    pruned: Option<Instant>,
    counted: Option<Instant>,
    /// Called when somebody is to be told.
    poke: Arc<Notify>,
    unkept: Trouble,
}

impl AlarmView {
    pub(super) fn new(ledger: SharedLedger, overheard: Overheard, metrics: Arc<HostMetrics>, poke: Arc<Notify>) -> Self {
        Self { ledger, overheard, metrics, pruned: None, counted: None, poke, unkept: Trouble::new() }
    }

    /// Makes durable what waits; false if that cannot be done now.
    fn commit(&mut self) -> bool {
        let committed = self.ledger.lend().commit();
        match committed {
            Ok(steps) => {
                self.unkept.is_over(Instant::now());
                if !steps.is_empty() {
                    self.poke.notify_waiters();
                }
                true
            }
            Err(error) => {
                let what = format!("alarms cannot be stored; the journal holds what makes them: {}", crate::chain(&error));
                complain(&mut self.unkept, &what);
                false
            }
        }
    }

    fn prune(&mut self) {
        if self.pruned.is_some_and(|at| at.elapsed() < PRUNE_EVERY) {
            return;
        }
        self.pruned = Some(Instant::now());
        match self.ledger.lend().prune(now_ns()) {
            Ok(0) => {}
            Ok(dropped) => info!(dropped, "closed alarms that are too old were dropped"),
            Err(error) => warn!("old alarms cannot be dropped: {}", crate::chain(&error)),
        }
    }
}

impl View for AlarmView {
    fn take(&mut self, position: Position, record: Record) -> bool {
        if self.ledger.lend().is_full() && !self.commit() {
            return false;
        }
        match &record {
            Record::Reading(reading) => self.overheard.reading(reading),
            Record::Event(event) => self.overheard.event(event, Instant::now()),
            Record::Shape(_) | Record::Silence(_) | Record::Upkeep(_) => {}
        }
        let mut ledger = self.ledger.lend();
        match record {
            Record::Reading(reading) => ledger.take(position.into(), &reading),
            Record::Silence(silence) => ledger.fall_silent(position.into(), &silence),
            Record::Event(event) => ledger.take_event(position.into(), &event),
            Record::Shape(_) | Record::Upkeep(_) => ledger.pass(position.into()),
        }
        true
    }

    fn settle(&mut self) {
        let has_steps = {
            let mut ledger = self.ledger.lend();
            ledger.look(now_ns());
            ledger.has_steps()
        };
        // Steps do not wait for the checkpoint: somebody is to be told of them.
        if has_steps {
            self.commit();
        }
        if self.counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            self.counted = Some(Instant::now());
            self.metrics.alarms_stand(&self.ledger.lend().active());
        }
        self.prune();
    }

    fn checkpoint(&mut self, taken: Position) -> Option<Position> {
        self.commit().then_some(taken)
    }
}
