//! Deliveries: a task for each channel takes from the outbox what is its own, and tells it until it is taken.

mod astray;
mod duty;
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
    sync::{Notify, mpsc, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{timeout, timeout_at},
};
use tracing::error;
use watchpost_plugin_api::Severity;

use super::{appender::Appender, host_alarms::Overheard, now_ns};
use crate::{
    alarm::{
        notice::{Notice, Step},
        turns::Turns,
    },
    config::Config,
    log::{seconds, trouble::Trouble},
    notify::{
        channel::{Channel, Kind, Parcel, Sender, Taken, Undelivered},
        outbox::{Backlog, Due, Fate, Outbox},
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
use reach::Reach;
use round::{Outcome, Round, deliver};
use routing::routes_of;

/// Longest pause between two looks: a message that is due is seen at once, for whoever writes it says so.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Shortest and longest time between two attempts.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(300));
/// How long an answer may wait to be written down with others: what is told then is told again after a kill.
const MARK_EVERY: Duration = Duration::from_millis(50);
/// How long a task may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a receiver is told again of what is over.
const ENDED_AGAIN_NS: i64 = 5 * 60 * 1_000_000_000;
/// How often what is done with and old is dropped.
const PRUNE_EVERY: Duration = Duration::from_secs(360);

/// How a channel stands, as people ask for it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChannelState {
    /// Its name.
    pub channel: String,
    /// Its type.
    pub kind: String,
    /// Messages that are due and not delivered.
    pub waiting: u64,
    /// Since when the first of them is due, nanoseconds since 1970.
    pub waiting_since_ns: Option<i64>,
    /// Messages that this daemon delivered.
    pub delivered: u64,
    /// Messages that the channel will never take.
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
        gone.iter().for_each(|running| self.overheard.channel(&running.channel.name, None));
        // Nothing is told twice at once: the new one begins when the old one has ended.
        end(gone).await;
        let mut running = lock(&self.running);
        for channel in channels {
            running.entry(channel.name.clone()).or_insert_with(|| self.start(channel));
        }
        let rosters = self.routes.borrow().people.rosters.keys().cloned().collect::<Vec<_>>();
        self.known.send_replace(Some(running.keys().cloned().chain(rosters).collect()));
    }

    fn start(&self, channel: &Channel) -> Running {
        let channel = Arc::new(channel.clone());
        let state = ChannelState { channel: channel.name.clone(), kind: channel.kind.name().into(), ..ChannelState::default() };
        let state = Arc::new(Mutex::new(state));
        let (stop, stops) = watch::channel(false);
        if let Kind::Ticket(desk) = &channel.kind {
            let wire = Http { receiver: desk.receiver.clone(), sender: self.sender.clone() };
            let task = tokio::spawn(self.tickets(&channel, desk, Arc::new(wire), &state, stops, Arc::new(now_ns)).lead());
            return Running { channel, state, stop, task };
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
            return Running { channel, state, stop, task: tokio::spawn(lead.lead()) };
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
            reach: self.reach(&channel, "what it is to be told waits"),
            unread: Trouble::new(),
            refusals: Trouble::new(),
        };
        Running { channel, state, stop, task: tokio::spawn(lead.lead()) }
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

    /// Sends a channel an alarm that is none.
    ///
    /// Of a system of tickets only what changes nothing is tried. Gives what was tried, where that is worth telling.
    ///
    /// Errors: no channel of that name, or what went wrong.
    pub(super) async fn test(&self, name: &str) -> Result<Option<String>, TestError> {
        let (channel, known) = {
            let running = lock(&self.running);
            (running.get(name).map(|running| running.channel.clone()), running.keys().cloned().collect())
        };
        let channel = channel.ok_or(TestError::Unknown { known })?;
        if let Kind::Ticket(desk) = &channel.kind {
            let (wire, session) = (Http { receiver: desk.receiver.clone(), sender: self.sender.clone() }, Mutex::default());
            let asked = timeout(channel.timeout, Talk::new(desk, &wire, &session).test()).await;
            let asked = asked.unwrap_or_else(|_| Err(late(channel.timeout).why().to_owned()));
            return asked.map(Some).map_err(|why| TestError::Undelivered { why });
        }
        if let Kind::Icinga2(icinga) = &channel.kind {
            let tried = "results are taken from this user; none was given".to_owned();
            return icinga
                .test(&self.sender, channel.timeout)
                .await
                .map(|()| Some(tried))
                .map_err(|undelivered| TestError::Undelivered { why: undelivered.why().to_owned() });
        }
        let mut notice = sample(Step::Raised);
        notice.time_ns = now_ns();
        notice.raised_ns = notice.time_ns;
        let sent = timeout(channel.timeout, channel.kind.deliver(&self.sender, Parcel::Test(&notice))).await;
        let sent = sent.unwrap_or_else(|_| Err(late(channel.timeout)));
        match sent {
            Ok(Taken::ByAll) => Ok(None),
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

/// One channel at work.
struct Lead {
    channel: Arc<Channel>,
    path: PathBuf,
    turns: Turns,
    sender: Sender,
    appender: Appender,
    poke: Arc<Notify>,
    state: Arc<Mutex<ChannelState>>,
    stops: watch::Receiver<bool>,
    reach: Reach,
    unread: Trouble,
    refusals: Trouble,
}

impl Lead {
    async fn lead(mut self) {
        let mut outbox: Option<Outbox> = None;
        let (mut heartbeat, mut resend, mut pruned) = (None::<Instant>, None::<Instant>, None::<Instant>);
        while !*self.stops.borrow() {
            let opened = match outbox.take() {
                Some(outbox) => Ok(outbox),
                None => Outbox::open(&self.path, self.turns.clone()),
            };
            let (name, kind, most) =
                (self.channel.name.clone(), self.channel.clone(), if self.reach.is_failing() { 1 } else { round::ROWS_MAX });
            let taken = spawn_blocking(move || {
                let mut outbox = opened?;
                let round = Round::take(&mut outbox, &kind, now_ns(), most)?;
                let backlog = outbox.backlog(&name, now_ns())?;
                Ok::<_, rusqlite::Error>((outbox, round, backlog))
            });
            let (kept, round, backlog) =
                match taken.await.unwrap_or_else(|error| Err(rusqlite::Error::ToSqlConversionFailure(error.into()))) {
                    Ok(taken) => taken,
                    Err(error) => {
                        self.cannot_read(&error);
                        self.pause(LOOK_EVERY, false).await;
                        continue;
                    }
                };
            self.unread.is_over(Instant::now());
            self.stands(&backlog);
            if round.is_empty() {
                outbox = Some(kept);
                if due(&mut heartbeat, self.channel.heartbeat) {
                    self.extra(Parcel::Heartbeat { at_ns: now_ns() }).await;
                }
                if due(&mut resend, self.channel.kind.resend()) {
                    outbox = self.tell_again(outbox.take()).await;
                }
                if due(&mut pruned, Some(PRUNE_EVERY)) {
                    outbox = self.prune(outbox.take()).await;
                }
                self.pause(until(backlog.next_ns), true).await;
                continue;
            }
            let (kept, outcomes) = self.tell(kept, round).await;
            outbox = kept;
            if let Some(pause) = self.judge(&outcomes) {
                self.pause(pause, false).await;
            }
        }
    }

    /// Tells a round, and writes down what became of each message soon after it was answered.
    async fn tell(&mut self, outbox: Outbox, round: Round) -> (Option<Outbox>, Vec<Outcome>) {
        // Unbounded: a round is bounded.
        let (answered, mut answers) = mpsc::unbounded_channel();
        // What is under way ends with this task.
        let mut telling = JoinSet::new();
        telling.spawn(deliver(round, self.channel.clone(), self.sender.clone(), answered));
        let (mut outbox, mut outcomes) = (Some(outbox), Vec::new());
        while let Some(first) = answers.recv().await {
            let (mut some, until) = (vec![first], tokio::time::Instant::now() + MARK_EVERY);
            while let Ok(Some(more)) = timeout_at(until, answers.recv()).await {
                some.push(more);
            }
            (outbox, some) = self.mark(outbox, some).await;
            outcomes.extend(some);
        }
        (outbox, outcomes)
    }

    /// Waits, for something new too if that helps.
    async fn pause(&mut self, pause: Duration, poked: bool) {
        let news = async { if poked { self.poke.notified().await } else { std::future::pending().await } };
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep(pause) => {}
            _ = self.stops.changed() => {}
        }
    }

    fn cannot_read(&mut self, error: &rusqlite::Error) {
        let why = crate::chain(error);
        if let Some(told) = self.unread.met(&why, Instant::now()) {
            error!(channel = self.channel.name, lasted_s = seconds(told.lasted), "the outbox cannot be read: {why}");
        }
    }

    fn stands(&self, backlog: &Backlog) {
        let mut state = lock(&self.state);
        (state.waiting, state.waiting_since_ns) = (backlog.due, backlog.since_ns);
    }

    /// Sees how a round went; gives how long the channel is to be left alone.
    fn judge(&mut self, outcomes: &[Outcome]) -> Option<Duration> {
        let taken = outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Err(Undelivered::Later { .. }))).count();
        let why = outcomes.iter().find_map(|(_, outcome)| match outcome {
            Err(Undelivered::Later { why, .. }) => Some(why.clone()),
            _ => None,
        });
        {
            let mut state = lock(&self.state);
            let is_delivered = |outcome: &Result<_, _>| matches!(outcome, Ok(Taken::ByAll | Taken::BySome { .. }));
            let delivered = outcomes.iter().filter(|(_, outcome)| is_delivered(outcome)).count();
            let begun = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Ok(Taken::Begun { .. }))).count();
            state.delivered += delivered as u64;
            state.refused += (taken - delivered - begun) as u64;
            if delivered > 0 {
                state.last_ns = Some(now_ns());
            }
            state.failing.clone_from(&why);
        }
        for (due, outcome) in outcomes {
            let (refused, why) = match outcome {
                Err(Undelivered::Never { why }) => ("refused", why),
                Ok(Taken::BySome { but }) => ("refused for some", but),
                _ => continue,
            };
            if self.refusals.met(why, Instant::now()).is_some() {
                let (name, Notice { step, alarm, .. }) = (&self.channel.name, &due.notice);
                let text = format!("channel {name} {refused} step {} of alarm {alarm}: {why}", step.name());
                self.appender.report(None, Severity::Minor, "notice_refused", text);
            }
        }
        // One message that is never taken is not a channel that is down.
        match why {
            Some(why) if taken == 0 => Some(self.reach.failed(&why)),
            _ => {
                self.reach.reached();
                None
            }
        }
    }

    /// Tells what is in no outbox.
    async fn extra(&mut self, parcel: Parcel<'_>) {
        let sent = timeout(self.channel.timeout, self.channel.kind.deliver(&self.sender, parcel)).await;
        match sent.unwrap_or_else(|_| Err(late(self.channel.timeout))) {
            Ok(_) => self.reach.reached(),
            Err(undelivered) => lock(&self.state).failing = Some(undelivered.why().to_owned()),
        }
    }

    /// Tells how alarms stand, to a receiver that forgets them otherwise.
    async fn tell_again(&mut self, outbox: Option<Outbox>) -> Option<Outbox> {
        let outbox = outbox?;
        let name = self.channel.name.clone();
        let read = spawn_blocking(move || {
            let standing = outbox.standing(&name, now_ns() - ENDED_AGAIN_NS)?;
            Ok::<_, rusqlite::Error>((outbox, standing))
        });
        let (outbox, standing) = read.await.ok()?.inspect_err(|error| self.cannot_read(error)).ok()?;
        for some in standing.chunks(self.channel.kind.together()) {
            self.extra(Parcel::Standing(some)).await;
        }
        Some(outbox)
    }

    async fn prune(&mut self, outbox: Option<Outbox>) -> Option<Outbox> {
        let mut outbox = outbox?;
        let name = self.channel.name.clone();
        let pruned = spawn_blocking(move || outbox.prune(&name, now_ns()).map(|expired| (outbox, expired))).await.ok()?;
        let (outbox, expired) = pruned.inspect_err(|error| self.cannot_read(error)).ok()?;
        if expired > 0 {
            let text = format!("channel {} took {expired} messages too late to be told: they are a week old", self.channel.name);
            self.appender.report(None, Severity::Major, "notices_expired", text);
        }
        Some(outbox)
    }

    /// Writes down what became of messages; what cannot be written is told once more.
    async fn mark(&mut self, outbox: Option<Outbox>, outcomes: Vec<Outcome>) -> (Option<Outbox>, Vec<Outcome>) {
        let (path, turns, person, now) = (self.path.clone(), self.turns.clone(), self.channel.person.clone(), now_ns());
        let marked = spawn_blocking(move || {
            let fates: Vec<(&Due, Fate)> = outcomes.iter().map(|(due, outcome)| (due, fate(due, outcome, now))).collect();
            let opened = outbox.map_or_else(|| Outbox::open(&path, turns), Ok);
            let marked = opened.and_then(|mut outbox| outbox.mark(&fates, person.as_deref(), now).map(|()| outbox));
            drop(fates);
            (marked, outcomes)
        });
        let Ok((marked, outcomes)) = marked.await else { return (None, Vec::new()) };
        (marked.inspect_err(|error| self.cannot_read(error)).ok(), outcomes)
    }
}

fn fate(due: &Due, outcome: &Result<Taken, Undelivered>, now_ns: i64) -> Fate {
    match outcome {
        Ok(Taken::ByAll) => Fate::Delivered,
        Ok(Taken::BySome { but }) => Fate::DeliveredBut { why: but.clone() },
        Err(Undelivered::Never { why }) => Fate::Refused { why: why.clone() },
        Ok(Taken::Begun { why }) => later(due, why, None, now_ns),
        Err(Undelivered::Later { why, after }) => later(due, why, *after, now_ns),
    }
}

/// Once more, and when.
fn later(due: &Due, why: &str, after: Option<Duration>, now_ns: i64) -> Fate {
    let pause = again(due.attempts + 1, due.id.unsigned_abs()).max(after.unwrap_or_default());
    let pause = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX);
    Fate::Again { at_ns: now_ns.saturating_add(pause), why: why.to_owned() }
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
