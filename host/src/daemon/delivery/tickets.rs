//! A channel of tickets at work: each alarm's ticket is brought, question by question, to where the alarm's steps want it.
//!
//! What is asked and what follows from the answer is [`crate::ticket::life`]'s; here it is written down before it is sent, sent with a
//! deadline, and looked at again after a failure, each alarm by itself and several at the same time.

mod lane;
mod people;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod system;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    task::{JoinSet, spawn_blocking},
};
use tracing::error;
use watchpost_plugin_api::Severity;

use super::{ChannelState, LOOK_EVERY, PRUNE_EVERY, due, lock, reach::Reach, until_at};
use crate::{
    alarm::turns::Turns,
    daemon::appender::Appender,
    log::{seconds, trouble::Trouble},
    notify::channel::Channel,
    ticket::{desk::Desk, store::Tickets, wire::Wire},
};
pub(in crate::daemon) use people::{Hands, NoHands};

/// Alarms whose tickets are looked after at the same time.
const AT_ONCE: usize = 8;
/// Alarms that are looked up in one go.
const PLANNED_MAX: usize = 64;
/// How often it is looked which tickets are to be read: no alarm's is waited for.
const REST_EVERY: Duration = Duration::from_secs(60);
/// A ticket that fails so often, one time after the other, is told of.
const STUCK_AFTER: u32 = 5;

/// What the time is, nanoseconds since 1970.
pub(in crate::daemon) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What all that looks after the tickets of a channel share.
pub(super) struct Shared {
    pub(super) channel: Arc<Channel>,
    pub(super) desk: Desk,
    pub(super) wire: Arc<dyn Wire>,
    pub(super) hands: Arc<dyn Hands>,
    pub(super) clock: Clock,
    /// Tells this daemon's tickets from those of any other.
    pub(super) instance: Arc<str>,
    pub(super) session: Mutex<Option<String>>,
    pub(super) store: Mutex<Option<Tickets>>,
    pub(super) path: PathBuf,
    pub(super) turns: Turns,
}

impl Shared {
    /// Does something with what is known of tickets.
    pub(super) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&mut Tickets) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let shared = self.clone();
        let done = spawn_blocking(move || {
            let mut held = shared.store.lock().unwrap_or_else(PoisonError::into_inner);
            let mut store = match held.take() {
                Some(store) => store,
                None => Tickets::open(&shared.path, shared.turns.clone())?,
            };
            let done = look(&mut store);
            // One that failed is opened anew.
            *held = Some(store).filter(|_| done.is_ok());
            done
        });
        done.await.unwrap_or_else(|error| Err(rusqlite::Error::ToSqlConversionFailure(error.into())))
    }
}

/// What became of one look after an alarm's ticket.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Steps that the ticket has now.
    pub(super) delivered: u64,
    /// Steps that the system will never take.
    pub(super) refused: u64,
    /// Whether anything was asked.
    pub(super) asked: bool,
    /// What went wrong.
    pub(super) failed: Option<String>,
    /// A ticket that fails again and again.
    pub(super) stuck: Option<String>,
    /// Tickets that bear the key of another, too late to be taken for made with it.
    pub(super) doubled: Option<String>,
    /// Why the database did not do.
    pub(super) unkept: Option<rusqlite::Error>,
}

/// One channel of tickets at work.
pub(super) struct Lead {
    pub(super) shared: Arc<Shared>,
    pub(super) appender: Appender,
    pub(super) poke: Arc<Notify>,
    pub(super) state: Arc<Mutex<ChannelState>>,
    pub(super) stops: watch::Receiver<bool>,
    pub(super) reach: Reach,
    pub(super) unread: Trouble,
    /// Whether the database did not do just now: then it is left alone for a moment.
    pub(super) rests: bool,
    /// When it was looked last which tickets need not be read any more, and which are to be.
    pub(super) rested_ns: i64,
    pub(super) looked_ns: i64,
}

/// What is to be looked after: an alarm's key, and whether its ticket is only read.
type Planned = (String, bool);

impl Lead {
    pub(super) async fn lead(mut self) {
        let (mut pruned, mut planned, mut busy) = (None::<Instant>, VecDeque::<Planned>::new(), BTreeMap::<tokio::task::Id, String>::new());
        // What is under way ends with this task.
        let mut running: JoinSet<Outcome> = JoinSet::new();
        while !*self.stops.borrow() {
            if std::mem::take(&mut self.rests) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let mut next_ns = None;
            if planned.is_empty() {
                match self.plan().await {
                    Ok((found, next)) => {
                        self.unread.is_over(Instant::now());
                        planned.extend(found.into_iter().filter(|(key, _)| !busy.values().any(|busy| busy == key)));
                        next_ns = next;
                    }
                    Err(error) => self.cannot_read(&error),
                }
            }
            while running.len() < AT_ONCE {
                let Some((key, reads)) = planned.pop_front() else { break };
                if busy.values().any(|busy| *busy == key) {
                    continue;
                }
                let task = running.spawn(lane::along(self.shared.clone(), key.clone(), reads));
                busy.insert(task.id(), key);
            }
            if running.is_empty() && due(&mut pruned, Some(PRUNE_EVERY)) {
                self.prune().await;
            }
            // Whatever is written while this is not yet waited for is seen a moment later.
            let pause = until_at(next_ns, (self.shared.clock)());
            tokio::select! {
                Some(ended) = running.join_next_with_id() => {
                    let (id, outcome) = match ended {
                        Ok((id, outcome)) => (id, outcome),
                        Err(error) => (error.id(), Outcome { failed: Some("it went wrong here; the log says where".into()), ..Outcome::default() }),
                    };
                    busy.remove(&id);
                    self.judge(outcome);
                }
                () = self.poke.notified(), if planned.is_empty() => {}
                () = tokio::time::sleep(pause), if planned.is_empty() || running.is_empty() => {}
                _ = self.stops.changed() => {}
            }
        }
    }

    /// What is due now, what is to be read again, and when the next step is.
    async fn plan(&mut self) -> rusqlite::Result<(Vec<Planned>, Option<i64>)> {
        let (shared, now_ns) = (self.shared.clone(), (self.shared.clock)());
        let rests = is_due(&mut self.rested_ns, REST_EVERY, now_ns);
        let looks = is_due(&mut self.looked_ns, LOOK_EVERY, now_ns);
        let poll_ns = i64::try_from(shared.desk.poll.as_nanos()).unwrap_or(i64::MAX);
        let name = shared.channel.name.clone();
        let can = shared.desk.can();
        let can_read = can.read || can.comments || can.doubles;
        let (due, unread, backlog) = self
            .shared
            .with(move |store| {
                if rests {
                    store.rest(&name)?;
                }
                let due = store.due(&name, now_ns, PLANNED_MAX)?;
                let unread =
                    if can_read && looks { store.unread(&name, now_ns.saturating_sub(poll_ns), now_ns, PLANNED_MAX)? } else { Vec::new() };
                Ok((due, unread, store.outbox().backlog(&name, now_ns)?))
            })
            .await?;
        let due: Vec<Planned> = due.into_iter().map(|key| (key, false)).collect();
        let unread = unread.into_iter().filter(|key| !due.iter().any(|(due, _)| due == key)).map(|key| (key, true));
        let planned = due.iter().cloned().chain(unread).collect();
        Ok((planned, backlog.next_ns))
    }

    fn judge(&mut self, outcome: Outcome) {
        if let Some(error) = outcome.unkept {
            self.cannot_read(&error);
            return;
        }
        {
            let mut state = lock(&self.state);
            state.delivered += outcome.delivered;
            state.refused += outcome.refused;
            if outcome.delivered > 0 {
                state.last_ns = Some((self.shared.clock)());
            }
            if outcome.asked {
                state.failing.clone_from(&outcome.failed);
            }
        }
        if let Some(text) = outcome.stuck {
            self.appender.report(None, Severity::Minor, "ticket_stuck", text);
        }
        if let Some(text) = outcome.doubled {
            self.appender.report(None, Severity::Minor, "ticket_doubled", text);
        }
        match outcome.failed {
            // Each ticket has a pause of its own.
            Some(why) => drop(self.reach.failed(&why)),
            None if outcome.asked => drop(self.reach.reached()),
            None => {}
        }
    }

    fn cannot_read(&mut self, error: &rusqlite::Error) {
        self.rests = true;
        let why = crate::chain(error);
        if let Some(told) = self.unread.met(&why, Instant::now()) {
            error!(channel = self.shared.channel.name, lasted_s = seconds(told.lasted), "tickets cannot be stored: {why}");
        }
    }

    async fn prune(&mut self) {
        let (name, now_ns) = (self.shared.channel.name.clone(), (self.shared.clock)());
        let pruned = self.shared.with(move |store| Ok((store.prune(&name)?, store.outbox().prune(&name, now_ns)?))).await;
        match pruned {
            Ok((_, 0)) => {}
            Ok((_, expired)) => {
                let text =
                    format!("{expired} steps came too late into tickets of channel {}: they are a week old", self.shared.channel.name);
                self.appender.report(None, Severity::Major, "notices_expired", text);
            }
            Err(error) => self.cannot_read(&error),
        }
    }
}

/// Whether something is due that comes every so often.
fn is_due(last_ns: &mut i64, every: Duration, now_ns: i64) -> bool {
    // A clock that is set back makes nothing wait for what it showed before.
    let is_due = now_ns < *last_ns || now_ns.saturating_sub(*last_ns) >= i64::try_from(every.as_nanos()).unwrap_or(i64::MAX);
    if is_due {
        *last_ns = now_ns;
    }
    is_due
}
