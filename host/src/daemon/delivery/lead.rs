//! One channel at work: what is due is told in rounds, and written down; what failed is tried again, later each time, or at once when the
//! channel is back.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::{timeout, timeout_at},
};
use tracing::error;
use watchpost_plugin_api::Severity;

use super::{
    ChannelState, LOOK_EVERY, PRUNE_EVERY, again, due, late, lock,
    reach::Reach,
    round::{self, Outcome, Round, deliver},
    until,
};
use crate::{
    alarm::{notice::Notice, turns::Turns},
    daemon::{appender::Appender, now_ns},
    log::{seconds, trouble::Trouble},
    notify::{
        channel::{Channel, Parcel, Sender, Taken, Undelivered},
        outbox::{Due, Fate, Outbox},
    },
};

/// How long an answer may wait to be written down with others: what is told then is told again after a kill.
const MARK_EVERY: Duration = Duration::from_millis(50);
/// How long a receiver is told again of what is over.
const ENDED_AGAIN_NS: i64 = 5 * 60 * 1_000_000_000;
/// Between two times that what failed is tried again because the channel is back: one message that fails for ever is not woken by each that
/// does not.
const WAKE_EVERY: Duration = Duration::from_secs(10);

/// One channel at work.
pub(super) struct Lead {
    pub(super) channel: Arc<Channel>,
    pub(super) path: PathBuf,
    pub(super) turns: Turns,
    pub(super) sender: Sender,
    pub(super) appender: Appender,
    pub(super) poke: Arc<Notify>,
    pub(super) state: Arc<Mutex<ChannelState>>,
    pub(super) stops: watch::Receiver<bool>,
    pub(super) tried: Arc<Notify>,
    pub(super) reach: Reach,
    pub(super) back: Back,
    pub(super) unread: Trouble,
    pub(super) refusals: Trouble,
}

/// What is remembered of a channel that may be back.
#[derive(Default)]
pub(super) struct Back {
    /// It is, and what failed is to be tried again.
    pub(super) is_news: bool,
    /// When that was done last.
    pub(super) woken: Option<Instant>,
    /// Until when the other side asked to be left alone, nanoseconds since 1970.
    pub(super) asked_ns: i64,
}

impl Back {
    /// From when on what failed is due, where it is to be tried again now.
    pub(super) fn wakes(&mut self, now_ns: i64) -> Option<i64> {
        if !self.is_news || self.woken.is_some_and(|woken| woken.elapsed() < WAKE_EVERY) {
            return None;
        }
        (self.is_news, self.woken) = (false, Some(Instant::now()));
        Some(now_ns.max(self.asked_ns))
    }
}

impl Lead {
    pub(super) async fn lead(mut self) {
        let mut outbox = self.recall().await;
        let (mut heartbeat, mut resend, mut pruned) = (None::<Instant>, None::<Instant>, None::<Instant>);
        while !*self.stops.borrow() {
            let opened = match outbox.take() {
                Some(outbox) => Ok(outbox),
                None => Outbox::open(&self.path, self.turns.clone()),
            };
            let (name, kind, most) =
                (self.channel.name.clone(), self.channel.clone(), if self.reach.is_failing() { 1 } else { round::ROWS_MAX });
            let wakes = self.back.wakes(now_ns());
            let taken = spawn_blocking(move || {
                let mut outbox = opened?;
                if let Some(at_ns) = wakes {
                    outbox.wake(&name, at_ns)?;
                }
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

    /// What the daemon before this one knew of the channel: whether it failed.
    async fn recall(&mut self) -> Option<Outbox> {
        let (path, turns, name) = (self.path.clone(), self.turns.clone(), self.channel.name.clone());
        let read = spawn_blocking(move || {
            let outbox = Outbox::open(&path, turns)?;
            let failed = outbox.failed(&name)?;
            Ok::<_, rusqlite::Error>((outbox, failed))
        });
        let (outbox, failed) = read.await.ok()?.inspect_err(|error| self.cannot_read(error)).ok()?;
        if failed.is_some() {
            self.reach.was_failing();
            lock(&self.state).failing = failed;
        }
        Some(outbox)
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
            () = self.tried.notified() => self.reached(),
            () = tokio::time::sleep(pause) => {}
            _ = self.stops.changed() => {}
        }
    }

    /// The channel has taken something: if it did not before, all that failed is tried again.
    fn reached(&mut self) {
        self.back.is_news |= self.reach.reached();
        lock(&self.state).failing = None;
    }

    fn cannot_read(&mut self, error: &rusqlite::Error) {
        let why = crate::chain(error);
        if let Some(told) = self.unread.met(&why, Instant::now()) {
            error!(channel = self.channel.name, lasted_s = seconds(told.lasted), "the outbox cannot be read: {why}");
        }
    }

    /// Sees how a round went; gives how long the channel is to be left alone.
    fn judge(&mut self, outcomes: &[Outcome]) -> Option<Duration> {
        let taken = outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Err(Undelivered::Later { .. }))).count();
        let why = outcomes.iter().find_map(|(_, outcome)| match outcome {
            Err(Undelivered::Later { why, .. }) => Some(why.clone()),
            _ => None,
        });
        let asked = outcomes.iter().filter_map(|(_, outcome)| match outcome {
            Err(Undelivered::Later { after, .. }) => *after,
            _ => None,
        });
        if let Some(longest) = asked.max() {
            self.back.asked_ns = now_ns().saturating_add(i64::try_from(longest.as_nanos()).unwrap_or(i64::MAX));
        }
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
            Some(why) if taken == 0 => {
                self.back.is_news = false;
                Some(self.reach.failed(&why))
            }
            _ => {
                self.back.is_news |= self.reach.reached();
                None
            }
        }
    }

    /// Tells what is in no outbox.
    async fn extra(&mut self, parcel: Parcel<'_>) {
        let sent = timeout(self.channel.timeout, self.channel.kind.deliver(&self.sender, parcel)).await;
        match sent.unwrap_or_else(|_| Err(late(self.channel.timeout))) {
            Ok(_) => self.reached(),
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
