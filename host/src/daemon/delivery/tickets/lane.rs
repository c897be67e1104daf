//! One alarm's ticket: its steps one after the other, each by as many questions as it needs.

use std::{sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};

use super::{Outcome, STUCK_AFTER, Shared, people};
use crate::{
    alarm::notice::Notice,
    daemon::delivery::{again, late},
    notify::outbox::{Done, begun_by},
    ticket::{
        desk::Talk,
        life::{Ask, Heard, Kin, Next, Seen, State, Ticket, Turned},
        opening::Opening,
        store::Row,
    },
};

/// Steps that are told without giving others their turn.
const STEPS_MAX: usize = 50;
/// Questions for one step, at most: more are asked another time.
const QUESTIONS_MAX: usize = 30;
/// What becomes of a step whose ticket is no more.
const GONE: &str = "its ticket is gone, or we may not write into it";

/// Looks after an alarm's ticket: tells its steps, or reads it.
pub(super) async fn along(shared: Arc<Shared>, alarm_key: String, reads: bool) -> Outcome {
    let mut lane = Lane { shared, alarm_key, reads: false, outcome: Outcome::default() };
    let done = if reads { lane.read().await } else { lane.tell().await };
    if let Err(error) = done {
        lane.outcome.unkept = Some(error);
    }
    lane.outcome
}

struct Lane {
    shared: Arc<Shared>,
    alarm_key: String,
    /// Whether a ticket is only read.
    reads: bool,
    outcome: Outcome,
}

impl Lane {
    fn now_ns(&self) -> i64 {
        (self.shared.clock)()
    }

    /// Tells the steps that are due.
    async fn tell(&mut self) -> rusqlite::Result<()> {
        for _ in 0..STEPS_MAX {
            let (name, key, now_ns) = (self.shared.channel.name.clone(), self.alarm_key.clone(), self.now_ns());
            let found = self.shared.with(move |store| Ok((store.first(&name, &key, now_ns)?, store.latest(&name, &key)?))).await?;
            let (Some(row), known) = found else { return Ok(()) };
            let reopen_within_ns = i64::try_from(self.shared.desk.reopen_within.as_nanos()).unwrap_or(i64::MAX);
            let before = known.clone();
            let mut ticket = match known.filter(|ticket| ticket.tells_of(&row.notice, reopen_within_ns)) {
                Some(ticket) if ticket.next_ns > now_ns => return Ok(()),
                Some(ticket) => ticket,
                None if row.notice.active => self.new_ticket(&row, before.as_ref()),
                None => {
                    self.finish(row, Done::NotNeeded("no ticket was made of it".into()), None).await?;
                    continue;
                }
            };
            ticket.take(&row.notice);
            if !self.bring(&mut ticket, Some(&row)).await? {
                return Ok(());
            }
            let lacks = ticket.state == State::Gone && ticket.told < ticket.telling;
            ticket.settle();
            let done = match &ticket.refused {
                Some(why) => Done::Refused(why.clone()),
                None if lacks => Done::Refused(ticket.error.clone().unwrap_or_else(|| GONE.into())),
                None if ticket.id.is_none() => Done::NotNeeded("it ended before a ticket was made".into()),
                None => Done::Delivered,
            };
            let begins = ticket.id.is_some() && !ticket.met && self.shared.desk.can().read;
            self.finish(row, done, Some(ticket)).await?;
            if begins {
                // Whom the system gave it to is known before anybody can take it.
                self.read().await?;
            }
        }
        Ok(())
    }

    /// A ticket that is to be made for a step, after another, if there was one.
    fn new_ticket(&self, row: &Row, before: Option<&Ticket>) -> Ticket {
        let instance = &self.shared.instance;
        let ticket = Ticket::new(&self.shared.channel.name, &self.shared.desk.template.name, instance, &row.notice);
        let Some(begun_by) = begun_by(&self.alarm_key) else { return ticket };
        let was_made = before.is_some_and(|before| before.id.is_some());
        let ticket = ticket.of_situation(instance, &self.alarm_key, if was_made { row.notice.alarm } else { begun_by });
        // What goes on is told on in the new one.
        Ticket { going: before.map(|before| before.going.clone()).unwrap_or_default(), ..ticket }
    }

    async fn finish(&mut self, row: Row, done: Done, mut ticket: Option<Ticket>) -> rusqlite::Result<()> {
        if let Some(ticket) = &mut ticket {
            // Somebody may have written until it was resolved, and of the alarm's next life another ticket may tell.
            ticket.looks |= row.notice.step.ends() && ticket.id.is_some();
            ticket.note_debts(self.shared.desk.can());
        }
        match done {
            Done::Delivered => self.outcome.delivered += 1,
            Done::Refused(_) => self.outcome.refused += 1,
            Done::NotNeeded(_) => {}
        }
        let now_ns = self.now_ns();
        self.shared.with(move |store| store.settle(&row, &done, ticket.as_ref(), now_ns)).await
    }

    /// Brings a ticket to where a step wants it; false where that takes longer, or the step is no longer to be told.
    async fn bring(&mut self, ticket: &mut Ticket, row: Option<&Row>) -> rusqlite::Result<bool> {
        let (can, window_ns) = (self.shared.desk.can(), self.shared.desk.window_ns(self.shared.channel.timeout));
        let mut is_last = false;
        for _ in 0..QUESTIONS_MAX {
            let now_ns = self.now_ns();
            match (ticket.next(can, now_ns, window_ns), row) {
                (Next::Settled, _) | (Next::Anew, None) => return Ok(true),
                (Next::Anew, Some(row)) => {
                    ticket.lives.retain(|life| *life != row.notice.alarm);
                    ticket.settle();
                    self.save(ticket.clone()).await?;
                    *ticket = self.new_ticket(row, Some(ticket));
                    ticket.take(&row.notice);
                }
                (Next::Wait(until_ns), _) => {
                    ticket.next_ns = until_ns;
                    self.save(ticket.clone()).await?;
                    return Ok(false);
                }
                (Next::Ask(Ask::Resolve), _) if can.follows && !is_last => match self.is_last(ticket).await? {
                    None => return Ok(false),
                    Some(last) => (is_last, ticket.resolves) = (last, last),
                },
                (Next::Ask(ask), row) => {
                    // Between two looks somebody may merge others into it.
                    is_last = false;
                    if !self.send(ticket, &ask, row).await? || !self.ask(ticket, &ask).await? {
                        return Ok(false);
                    }
                }
            }
        }
        // More another time, and not at once: there may be no end to it.
        ticket.next_ns = self.pause(ticket.first, 1, None);
        self.save(ticket.clone()).await?;
        Ok(false)
    }

    /// Writes a change down before it is sent; false where the step is no longer to be told.
    async fn send(&mut self, ticket: &mut Ticket, ask: &Ask, row: Option<&Row>) -> rusqlite::Result<bool> {
        ticket.send(ask, self.now_ns(), self.shared.desk.window_ns(self.shared.channel.timeout));
        if !ask.changes() {
            return Ok(true);
        }
        let written = ticket.clone();
        match row.cloned() {
            Some(row) => self.shared.with(move |store| store.begin(&row, &written)).await,
            None => self.save(written).await.map(|()| true),
        }
    }

    /// Asks, and takes what is heard; false where it failed.
    async fn ask(&mut self, ticket: &mut Ticket, ask: &Ask) -> rusqlite::Result<bool> {
        let shared = self.shared.clone();
        let talk = Talk::new(&shared.desk, &*shared.wire, &shared.session);
        self.outcome.asked = true;
        let (within, can) = (shared.channel.timeout, shared.desk.can());
        if *ask == Ask::Create && ticket.is_of_situation() {
            ticket.opening = self.opening(&ticket.notice).await;
        }
        let (heard, after) =
            timeout(within, talk.ask(ticket, ask)).await.unwrap_or_else(|_| (Heard::Unknown(late(within).why().to_owned()), None));
        self.know_kin(ticket, &heard).await?;
        let before = ticket.clone();
        let mut seen = ticket.hear(ask, heard, self.now_ns());
        if before.id.is_some() && ticket.id != before.id {
            let merged = ticket.clone();
            ticket.is_anothers = self.shared.with(move |store| store.merged_with(&merged)).await?.is_empty();
        }
        if seen.iter().any(is_turn) && can.follows {
            self.turned(ticket, &mut seen).await?;
        }
        if ticket.link.is_none() {
            ticket.link = talk.link(ticket);
        }
        let others = &ticket.doubles.others;
        if others.len() > before.doubles.others.len() {
            let (channel, id, others) = (&shared.channel.name, ticket.id.as_deref().unwrap_or_default(), others.join(", "));
            self.outcome.doubled = Some(format!("channel {channel}: {others} bear the key of ticket {id}, and are left alone"));
        }
        if !seen.is_empty() && !self.take(ticket, before, seen).await? {
            return Ok(false);
        }
        if matches!(ask, Ask::Disown(_) | Ask::Retire(_) | Ask::Hear(_)) {
            self.rest_from_duplicates(ticket, ask, after);
            return Ok(true);
        }
        let Some(why) = ticket.error.clone() else {
            ticket.next_ns = 0;
            return Ok(true);
        };
        // Something is strange, and nothing failed.
        if ticket.attempts == 0 {
            return Ok(true);
        }
        ticket.next_ns = self.pause(ticket.first, ticket.attempts, after);
        self.outcome.failed = Some(why.clone());
        if ticket.attempts == STUCK_AFTER && !self.reads {
            self.tell_stuck(ticket, ask.name(), &why);
        }
        self.save(ticket.clone()).await?;
        Ok(false)
    }

    /// Finds out whose marks stand in comments, where they are of other tickets.
    async fn know_kin(&self, ticket: &mut Ticket, heard: &Heard) -> rusqlite::Result<()> {
        let (Heard::Comments(comments) | Heard::SomeComments(comments)) = heard else { return Ok(()) };
        let (keys, name) = (ticket.keys_beside(comments), self.shared.channel.name.clone());
        if keys.is_empty() {
            return Ok(());
        }
        let found = self.shared.with(move |store| store.of_keys(&name, &keys)).await?;
        ticket.kin = found.into_iter().map(|other| Kin { key: other.key, begins: other.begins }).collect();
        Ok(())
    }

    /// Takes for nobody's what another of ours did, that is the same ticket; else somebody did it.
    async fn turned(&self, ticket: &mut Ticket, seen: &mut Vec<Seen>) -> rusqlite::Result<()> {
        let (now_ns, this) = (self.now_ns(), ticket.clone());
        let others = self.shared.with(move |store| store.merged_with(&this)).await?;
        if ticket.was_turned_by(&others) {
            seen.retain(|seen| !is_turn(seen));
            ticket.reopens |= !ticket.over && ticket.state == State::Resolved;
        } else {
            ticket.turned = Some(Turned { to: ticket.state, at_ns: now_ns, by_us: false });
        }
        Ok(())
    }

    /// Whether nothing else of ours that goes on is told in a ticket that is to be resolved; nothing where that cannot be found out now.
    ///
    /// Of two that end at the same time one sees that the other is over: that is written down before the other is asked for.
    async fn is_last(&mut self, ticket: &mut Ticket) -> rusqlite::Result<Option<bool>> {
        if ticket.is_anothers {
            return Ok(Some(false));
        }
        self.save(ticket.clone()).await?;
        // What was merged into it is known by its comments.
        if self.shared.desk.can().comments && !self.ask(ticket, &Ask::Look).await? {
            return Ok(None);
        }
        let (this, name) = (ticket.clone(), self.shared.channel.name.clone());
        let keys = ticket.kin.iter().map(|kin| kin.key.clone()).collect();
        let others = self.shared.with(move |store| {
            let all = store.merged_with(&this)?.into_iter().chain(store.of_keys(&name, &keys)?);
            let mut going = Vec::new();
            for other in all {
                if store.goes_on(&other)? {
                    going.push(other);
                }
            }
            Ok(going)
        });
        for other in others.await? {
            if other.id == ticket.id {
                return Ok(Some(false));
            }
            let shared = self.shared.clone();
            let talk = Talk::new(&shared.desk, &*shared.wire, &shared.session);
            match timeout(shared.channel.timeout, talk.ask(&other, &Ask::Read)).await {
                Ok((Heard::Stands { id, .. }, _)) if id == ticket.id => return Ok(Some(false)),
                Ok((Heard::Stands { .. } | Heard::Gone(_) | Heard::Denied(_), _)) => {}
                _ => {
                    ticket.next_ns = self.pause(ticket.first, 1, None);
                    self.save(ticket.clone()).await?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(true))
    }

    /// What a ticket is opened with for a situation.
    async fn opening(&self, told: &Notice) -> Option<Opening> {
        let (hands, told) = (self.shared.hands.clone(), told.clone());
        let look = move || Opening::of(&hands.situation(told.situation.unwrap_or(told.alarm))?, &told);
        spawn_blocking(look).await.ok().flatten()
    }

    /// Does to the alarm what people did; false where that could not be written down: then the ticket is as it was, and is asked once more.
    async fn take(&mut self, ticket: &mut Ticket, before: Ticket, seen: Vec<Seen>) -> rusqlite::Result<bool> {
        let wrote = |seen: &Seen| if let Seen::Wrote(comment) = seen { Some(comment.id.clone()) } else { None };
        let noting: Vec<String> = seen.iter().filter_map(wrote).collect();
        if noting.iter().any(|id| !before.noting.contains(id)) {
            self.save(Ticket { noting: noting.clone(), ..before.clone() }).await?;
        }
        if people::take(&self.shared, ticket, seen).await {
            ticket.noting.clear();
            return Ok(true);
        }
        let attempts = before.attempts.saturating_add(1);
        let next_ns = self.pause(before.first, attempts, None);
        let error = Some("what people did in it cannot be written down".into());
        *ticket = Ticket { noting, attempts, next_ns, error, ..before };
        self.save(ticket.clone()).await?;
        Ok(false)
    }

    /// Leaves duplicates alone for a while, if one of them just failed.
    fn rest_from_duplicates(&mut self, ticket: &mut Ticket, ask: &Ask, after: Option<Duration>) {
        let Some(why) = ticket.error.clone() else { return };
        let failures = ticket.doubles.failures;
        ticket.doubles.next_ns = self.pause(ticket.first, failures, after);
        if failures == STUCK_AFTER {
            self.tell_stuck(ticket, ask.name(), &why);
        }
    }

    fn tell_stuck(&mut self, ticket: &Ticket, what: &str, why: &str) {
        let id = ticket.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        let (channel, alarm) = (&self.shared.channel.name, ticket.alarm);
        self.outcome.stuck = Some(format!("channel {channel}: the ticket{id} of alarm {alarm} does not go on ({what}): {why}"));
    }

    /// When it is asked again after so many failures.
    fn pause(&self, first: u64, failures: u32, after: Option<Duration>) -> i64 {
        let salt = first.wrapping_mul(31).wrapping_add(u64::from(failures));
        let pause = again(failures, salt).max(after.unwrap_or_default());
        self.now_ns().saturating_add(nanoseconds(pause))
    }

    async fn save(&self, mut ticket: Ticket) -> rusqlite::Result<()> {
        ticket.note_debts(self.shared.desk.can());
        self.shared.with(move |store| store.save(&ticket)).await
    }

    /// Reads a ticket: what people did, and whether there are others that bear its key. What is owed of the alarm's earlier tickets is done.
    async fn read(&mut self) -> rusqlite::Result<()> {
        let (name, key) = (self.shared.channel.name.clone(), self.alarm_key.clone());
        let (latest, owed) = self.shared.with(move |store| Ok((store.latest(&name, &key)?, store.owed(&name, &key)?))).await?;
        let Some(ticket) = latest.filter(|ticket| ticket.id.is_some()) else { return Ok(()) };
        for earlier in owed.into_iter().filter(|earlier| earlier.first != ticket.first) {
            self.read_one(Ticket { heir: Some(ticket.alarm), ..earlier }, false).await?;
        }
        self.read_one(ticket, true).await
    }

    /// Reads one of them; of one that another came after only duplicates matter, and what was written into it last.
    async fn read_one(&mut self, mut ticket: Ticket, is_latest: bool) -> rusqlite::Result<()> {
        let (can, begun_ns, poll_ns) = (self.shared.desk.can(), self.now_ns(), nanoseconds(self.shared.desk.poll));
        let sweeps = ticket.is_to_be_swept(can) && ticket.doubles.until_ns <= begun_ns;
        let doubts = can.search && ticket.is_doubtful();
        let asks =
            [(sweeps || doubts, Ask::Search), (can.read && is_latest, Ask::Read), (can.comments && (is_latest || ticket.looks), Ask::Look)];
        // What fails here holds up no step.
        let (attempts, failing, next_ns) = (ticket.attempts, ticket.failing.clone(), ticket.next_ns);
        self.reads = true;
        for (_, ask) in asks.into_iter().filter(|(is_asked, _)| *is_asked) {
            if self.ask(&mut ticket, &ask).await? {
                continue;
            }
            let why = ticket.error.clone().unwrap_or_default();
            (ticket.attempts, ticket.failing, ticket.next_ns) = (attempts, failing, next_ns);
            ticket.unread = ticket.unread.saturating_add(1);
            ticket.polled_ns = self.pause(ticket.first, ticket.unread, None).saturating_sub(poll_ns);
            if ticket.unread == STUCK_AFTER {
                self.tell_stuck(&ticket, ask.name(), &why);
            }
            self.reads = false;
            return self.save(ticket).await;
        }
        self.reads = false;
        (ticket.unread, ticket.polled_ns) = (0, begun_ns);
        // Its last step is told: what is left is what nobody asked for.
        if self.bring(&mut ticket, None).await? {
            ticket.settle();
            ticket.polled_ns = ticket.pays_at(can).map_or(begun_ns, |at_ns| at_ns.saturating_sub(poll_ns).min(begun_ns));
            self.save(ticket).await?;
        }
        Ok(())
    }
}

fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether somebody ended a ticket, or opened it again.
fn is_turn(seen: &Seen) -> bool {
    matches!(seen, Seen::Ended { .. } | Seen::Reopened)
}
