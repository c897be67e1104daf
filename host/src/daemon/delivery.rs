//! Deliveries: a task for each channel takes from the outbox what is its own, and tells it until it is taken.

mod astray;
mod duty;
mod lead;
mod passive;
mod reach;
mod round;
mod routing;
#[cfg(test)]
mod tests;
mod tickets;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tracing::error;

use super::{appender::Appender, host_alarms::Overheard, now_ns};
use crate::{
    alarm::{notice::Step, turns::Turns},
    config::Config,
    log::{seconds, trouble::Trouble},
    notify::{
        channel::{Channel, Kind, Parcel, Sender, Taken, Undelivered},
        outbox::{Outbox, Waiting},
        route::Routes,
        text::sample,
    },
    ticket::{
        desk::{Desk, Talk},
        wire::{Http, Wire},
    },
};
pub(super) use passive::{Now, Present};
pub(super) use routing::Routing;
pub(super) use tickets::Hands;

use astray::Gone;
use lead::{Back, Lead};
use reach::Reach;
use routing::routes_of;

/// Longest pause between two looks: a message that is due is seen at once, for whoever writes it says so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Shortest and longest time between two attempts.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(300));
/// How long a task may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// What stands for the type of a roster among channels.
pub(crate) const ROSTER: &str = "roster";
/// How often what is done with and old is dropped.
const PRUNE_EVERY: Duration = Duration::from_secs(360);

/// How a channel stands, as people ask for it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChannelState {
    /// Its name.
    pub channel: String,
    /// Its type.
    pub kind: String,
    /// Messages that wait, to be told or to be told again.
    pub waiting: u64,
    /// Those of them that are not to be told yet: after a delay, quiet hours or the time of an escalation, or in a digest.
    #[serde(default)]
    pub later: u64,
    /// When what the first of them tells of happened, nanoseconds since 1970.
    pub waiting_since_ns: Option<i64>,
    /// When it was started, with the daemon or when it was changed, nanoseconds since 1970: what it delivered is counted since then.
    #[serde(default)]
    pub since_ns: i64,
    /// Messages that were delivered since then.
    pub delivered: u64,
    /// Messages since then that the channel will never take.
    pub refused: u64,
    /// When it took something last, nanoseconds since 1970.
    pub last_ns: Option<i64>,
    /// What goes wrong, if it does.
    pub failing: Option<String>,
}

/// All channels at work.
pub(super) struct Delivery {
    path: PathBuf,
    turns: Turns,
    sender: Sender,
    appender: Appender,
    overheard: Overheard,
    poke: Arc<Notify>,
    running: Mutex<BTreeMap<String, Running>>,
    /// Channels of the configuration, for who looks after the messages of others.
    known: watch::Sender<Option<Vec<String>>>,
    gone: Gone,
    /// Routes of the configuration, for who hands on what is told to rosters.
    routes: watch::Sender<Arc<Routes>>,
    /// Who does to alarms what people do in tickets.
    hands: Arc<dyn Hands>,
    /// How jobs are now, for who is told of that instead of steps.
    present: Arc<dyn Present>,
}

struct Running {
    channel: Arc<Channel>,
    state: Arc<Mutex<ChannelState>>,
    stop: watch::Sender<bool>,
    /// A test has arrived.
    tried: Arc<Notify>,
    task: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Delivery {
    /// Takes the outbox of an alarms' database.
    pub(super) fn open(
        (database, turns): (&Path, Turns),
        appender: Appender,
        overheard: Overheard,
        poke: Arc<Notify>,
    ) -> rusqlite::Result<Self> {
        let instance = Outbox::open(database, turns.clone())?.instance()?;
        let (running, gone) = (Mutex::default(), Gone::default());
        let (known, knows) = watch::channel(None);
        tokio::spawn(astray::lead((database.to_owned(), turns.clone()), knows, appender.clone(), gone.clone()));
        let (routes, in_force) = watch::channel(Arc::default());
        tokio::spawn(duty::lead((database.to_owned(), turns.clone()), in_force, poke.clone()));
        Ok(Self {
            path: database.to_owned(),
            turns,
            sender: Sender::new(&instance, database.parent().unwrap_or(Path::new("."))),
            appender,
            overheard,
            poke,
            running,
            known,
            gone,
            routes,
            hands: Arc::new(tickets::NoHands),
            present: Arc::new(passive::Nothing),
        })
    }

    /// Has somebody do to alarms what people do in tickets.
    pub(super) fn with_hands(self, hands: Arc<dyn Hands>) -> Self {
        Self { hands, ..self }
    }

    /// Has results told of what is to be seen here.
    pub(super) fn with_present(self, present: Arc<dyn Present>) -> Self {
        Self { present, ..self }
    }

    /// Has channels look at once: something new is in the outbox.
    pub(super) fn poke(&self) {
        self.poke.notify_waiters();
    }

    /// Has the channels of a configuration at work, and has who is on duty by its rosters told.
    pub(super) async fn obey(&self, config: &Config) {
        self.routes.send_replace(Arc::new(routes_of(config)));
        self.set(&config.channels).await;
    }

    /// Has these channels at work, and no others; one that is as it was goes on.
    pub(super) async fn set(&self, channels: &[Channel]) {
        let gone: Vec<Running> = {
            let mut running = lock(&self.running);
            let stays = |running: &Running| channels.iter().any(|channel| *channel == *running.channel);
            let gone: Vec<String> = running.iter().filter(|(_, running)| !stays(running)).map(|(name, _)| name.clone()).collect();
            gone.into_iter().filter_map(|name| running.remove(&name)).collect()
        };
        let ended: Vec<String> = gone.iter().map(|running| running.channel.name.clone()).collect();
        // Nothing is told twice at once: the new one begins when the old one has ended.
        end(gone).await;
        ended.iter().for_each(|name| self.overheard.forget_channel(name));
        self.make_engine(channels).await;
        let mut running = lock(&self.running);
        for channel in channels {
            running.entry(channel.name.clone()).or_insert_with(|| self.start(channel));
        }
        let rosters = self.routes.borrow().people.rosters.keys().cloned().collect::<Vec<_>>();
        self.known.send_replace(Some(running.keys().cloned().chain(rosters).collect()));
    }

    /// Makes the engine of traps of SNMPv3 where some are to be sent: receivers have to be told its id before the first.
    async fn make_engine(&self, channels: &[Channel]) {
        let sends = |channel: &&Channel| matches!(&channel.kind, Kind::Snmp(snmp) if snmp.has_engine());
        let Some(Channel { name, .. }) = channels.iter().find(sends) else { return };
        let engine = self.sender.engine.clone();
        let made = spawn_blocking(move || engine.get().map(drop)).await;
        if let Ok(Err(error)) = made {
            // Whatever is sent says so too, and is kept.
            error!(channel = name, "{}", crate::chain(&error));
        }
    }

    fn start(&self, channel: &Channel) -> Running {
        let channel = Arc::new(channel.clone());
        let (name, kind) = (channel.name.clone(), channel.kind.name().into());
        let state = ChannelState { channel: name, kind, since_ns: now_ns(), ..ChannelState::default() };
        let state = Arc::new(Mutex::new(state));
        let ((stop, stops), tried) = (watch::channel(false), Arc::<Notify>::default());
        if let Kind::Ticket(desk) = &channel.kind {
            let wire = Http { receiver: desk.receiver.clone(), sender: self.sender.clone() };
            let task = tokio::spawn(self.tickets(&channel, desk, Arc::new(wire), &state, stops, Arc::new(now_ns)).lead());
            return Running { channel, state, stop, tried, task };
        }
        if let Kind::Icinga2(icinga) = &channel.kind {
            let lead = passive::Lead::new(
                channel.clone(),
                icinga.clone(),
                self.sender.clone(),
                self.present.clone(),
                (state.clone(), stops),
                self.reach(&channel, "the next runs say how things are"),
            );
            return Running { channel, state, stop, tried, task: tokio::spawn(lead.lead()) };
        }
        let lead = Lead {
            channel: channel.clone(),
            path: self.path.clone(),
            turns: self.turns.clone(),
            sender: self.sender.clone(),
            appender: self.appender.clone(),
            poke: self.poke.clone(),
            state: state.clone(),
            stops,
            tried: tried.clone(),
            reach: self.reach(&channel, "what it is to be told waits"),
            back: Back::default(),
            unread: Trouble::new(),
            refusals: Trouble::new(),
        };
        Running { channel, state, stop, tried, task: tokio::spawn(lead.lead()) }
    }

    fn reach(&self, channel: &Channel, meanwhile: &'static str) -> Reach {
        Reach::new(&channel.name, meanwhile, self.appender.clone(), self.overheard.clone())
    }

    /// What looks after the tickets of a channel.
    fn tickets(
        &self,
        channel: &Arc<Channel>,
        desk: &Desk,
        wire: Arc<dyn Wire>,
        state: &Arc<Mutex<ChannelState>>,
        stops: watch::Receiver<bool>,
        clock: tickets::Clock,
    ) -> tickets::Lead {
        let shared = tickets::Shared {
            channel: channel.clone(),
            desk: desk.clone(),
            wire,
            hands: self.hands.clone(),
            clock,
            instance: self.sender.instance.clone(),
            session: Mutex::default(),
            store: Mutex::default(),
            path: self.path.clone(),
            turns: self.turns.clone(),
        };
        tickets::Lead {
            shared: Arc::new(shared),
            appender: self.appender.clone(),
            poke: self.poke.clone(),
            state: state.clone(),
            stops,
            reach: self.reach(channel, "tickets wait"),
            unread: Trouble::new(),
            rests: false,
            rested_ns: 0,
            looked_ns: 0,
        }
    }

    /// How each channel stands, and those that are gone while messages wait for them.
    pub(super) fn states(&self) -> Vec<ChannelState> {
        let mut states: Vec<ChannelState> = lock(&self.running).values().map(|running| lock(&running.state).clone()).collect();
        states.extend(lock(&self.gone).iter().cloned());
        states
    }

    /// The same with what waits for each, and for rosters; it reads the database.
    pub(super) fn listed(&self) -> rusqlite::Result<Vec<ChannelState>> {
        let waiting = Outbox::open(&self.path, self.turns.clone())?.waiting(now_ns())?;
        let mut states = self.states();
        for Waiting { channel, messages, later, since_ns } in waiting {
            let is_roster = || self.routes.borrow().people.rosters.contains_key(&channel);
            if !states.iter().any(|state| state.channel == channel) && is_roster() {
                states.push(ChannelState { channel: channel.clone(), kind: ROSTER.into(), ..ChannelState::default() });
            }
            if let Some(state) = states.iter_mut().find(|state| state.channel == channel) {
                (state.waiting, state.later, state.waiting_since_ns) = (messages, later, since_ns);
            }
        }
        Ok(states)
    }

    /// Sends a channel an alarm that is none.
    ///
    /// Of a system of tickets only what changes nothing is tried. Gives what was tried, where that is worth telling.
    ///
    /// Errors: no channel of that name, or what went wrong.
    pub(super) async fn test(&self, name: &str) -> Result<Tested, TestError> {
        let (found, known) = {
            let running = lock(&self.running);
            (running.get(name).map(|running| (running.channel.clone(), running.tried.clone())), running.keys().cloned().collect())
        };
        let (channel, tried) = found.ok_or(TestError::Unknown { known })?;
        if let Kind::Ticket(desk) = &channel.kind {
            let (wire, session) = (Http { receiver: desk.receiver.clone(), sender: self.sender.clone() }, Mutex::default());
            let asked = timeout(channel.timeout, Talk::new(desk, &wire, &session).test()).await;
            let asked = asked.unwrap_or_else(|_| Err(late(channel.timeout).why().to_owned()));
            return asked.map(Tested::Tried).map_err(|why| TestError::Undelivered { why });
        }
        if let Kind::Icinga2(icinga) = &channel.kind {
            let said = "results are taken from this user; none was given".to_owned();
            return icinga
                .test(&self.sender, channel.timeout)
                .await
                .map(|()| Tested::Tried(said))
                .map_err(|undelivered| TestError::Undelivered { why: undelivered.why().to_owned() });
        }
        let mut notice = sample(Step::Raised);
        notice.time_ns = now_ns();
        notice.raised_ns = notice.time_ns;
        let sent = timeout(channel.timeout, channel.kind.deliver(&self.sender, Parcel::Test(&notice))).await;
        let sent = sent.unwrap_or_else(|_| Err(late(channel.timeout)));
        if sent.is_ok() {
            tried.notify_one();
        }
        match sent {
            Ok(Taken::ByAll) => Ok(channel.kind.unconfirmed().map_or(Tested::Delivered, Tested::Sent)),
            Ok(Taken::BySome { but: why } | Taken::Begun { why }) => {
                Err(TestError::Undelivered { why: format!("some have it, but not {why}") })
            }
            Err(undelivered) => Err(TestError::Undelivered { why: undelivered.why().to_owned() }),
        }
    }

    /// Lets what is being told be told, and ends.
    pub(super) async fn stop(&self) {
        let all = std::mem::take(&mut *lock(&self.running));
        end(all.into_values().collect()).await;
    }
}

/// What became of a test.
#[derive(Debug)]
pub(super) enum Tested {
    /// It arrived.
    Delivered,
    /// It was sent by something that nobody confirms.
    Sent(&'static str),
    /// Nothing was delivered: what can be tried without changing anything was.
    Tried(String),
}

/// Why a test did not arrive.
#[derive(Debug)]
pub(super) enum TestError {
    /// There is no such channel.
    Unknown {
        /// Those that there are.
        known: Vec<String>,
    },
    /// It did not arrive.
    Undelivered {
        /// Why not.
        why: String,
    },
}

async fn end(all: Vec<Running>) {
    for running in &all {
        running.stop.send_replace(true);
    }
    for mut running in all {
        if timeout(END_TIMEOUT, &mut running.task).await.is_err() {
            running.task.abort();
        }
    }
}

fn late(after: Duration) -> Undelivered {
    Undelivered::Later { why: format!("no answer within {} s", seconds(after)), after: None }
}

/// How long to wait before the next attempt: twice as long each time, a fifth more or less, so that many do not come at once.
fn again(attempts: u32, salt: u64) -> Duration {
    let pause = AGAIN.0.saturating_mul(1 << attempts.saturating_sub(1).min(12)).min(AGAIN.1);
    // What spreads need not be unpredictable.
    let spread = (salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 400;
    pause.mul_f64(0.8 + f64::from(u32::try_from(spread).unwrap_or_default()) / 1_000.0)
}

fn until(next_ns: Option<i64>) -> Duration {
    until_at(next_ns, now_ns())
}

/// How long to wait at an instant for what is due next.
fn until_at(next_ns: Option<i64>, now_ns: i64) -> Duration {
    let wait = next_ns.map(|at| u64::try_from(at.saturating_sub(now_ns)).unwrap_or_default());
    wait.map_or(LOOK_EVERY, |wait| Duration::from_nanos(wait).clamp(Duration::from_millis(1), LOOK_EVERY))
}

/// Whether something is due that comes every so often, the first time at once.
fn due(last: &mut Option<Instant>, every: Option<Duration>) -> bool {
    let Some(every) = every else { return false };
    match last {
        Some(at) if at.elapsed() < every => false,
        _ => {
            *last = Some(Instant::now());
            true
        }
    }
}
