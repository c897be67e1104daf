//! One alarm's ticket: its steps one after the other, each by as many questions as it needs.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{Outcome, STUCK_AFTER, Shared, people};
use crate::{
    daemon::delivery::{again, late},
    notify::outbox::Done,
    ticket::{
        desk::Talk,
        life::{Ask, Heard, Next, Ticket},
        store::Row,
    },
};

/// Steps that are told without giving others their turn.
const STEPS_MAX: usize = 50;
/// Questions for one step, at most: more are asked another time.
const QUESTIONS_MAX: usize = 30;

/// Looks after an alarm's ticket: tells its steps, or reads it.
pub(super) async fn along(shared: Arc<Shared>, alarm_key: String, reads: bool) -> Outcome {
    let mut lane = Lane { shared, alarm_key, outcome: Outcome::default() };
    let done = if reads { lane.read().await } else { lane.tell().await };
    if let Err(error) = done {
        lane.outcome.unkept = Some(error);
    }
    lane.outcome
}

struct Lane {
    shared: Arc<Shared>,
    alarm_key: String,
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
            let mut ticket = match known.filter(|ticket| ticket.tells_of(&row.notice, reopen_within_ns)) {
                Some(ticket) if ticket.next_ns > now_ns => return Ok(()),
                Some(ticket) => ticket,
                None if row.notice.active => self.new_ticket(&row),
                None => {
                    self.finish(row, Done::NotNeeded("no ticket was made of it".into()), None).await?;
                    continue;
                }
            };
            ticket.take(&row.notice);
            if !self.bring(&mut ticket, Some(&row)).await? {
                return Ok(());
            }
            ticket.settle();
            let done = match &ticket.refused {
                Some(why) => Done::Refused(why.clone()),
                None if ticket.id.is_none() => Done::NotNeeded("it ended before a ticket was made".into()),
                None => Done::Delivered,
            };
            self.finish(row, done, Some(ticket)).await?;
        }
        Ok(())
    }

    fn new_ticket(&self, row: &Row) -> Ticket {
        Ticket::new(&self.shared.channel.name, &self.shared.desk.template.name, &self.shared.instance, &row.notice)
    }

    async fn finish(&mut self, row: Row, done: Done, ticket: Option<Ticket>) -> rusqlite::Result<()> {
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
        for _ in 0..QUESTIONS_MAX {
            let now_ns = self.now_ns();
            match (ticket.next(can, now_ns, window_ns), row) {
                (Next::Settled, _) | (Next::Anew, None) => return Ok(true),
                (Next::Anew, Some(row)) => {
                    ticket.lives.retain(|life| *life != row.notice.alarm);
                    ticket.settle();
                    self.save(ticket.clone()).await?;
                    *ticket = self.new_ticket(row);
                    ticket.take(&row.notice);
                }
                (Next::Wait(until_ns), _) => {
                    ticket.next_ns = until_ns;
                    self.save(ticket.clone()).await?;
                    return Ok(false);
                }
                (Next::Ask(ask), row) => {
                    if !self.send(ticket, &ask, row).await? || !self.ask(ticket, &ask).await? {
                        return Ok(false);
                    }
                }
            }
        }
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
        let within = shared.channel.timeout;
        let (heard, after) =
            timeout(within, talk.ask(ticket, ask)).await.unwrap_or_else(|_| (Heard::Unknown(late(within).why().to_owned()), None));
        let seen = ticket.hear(ask, heard, self.now_ns());
        if ticket.link.is_none() {
            ticket.link = talk.link(ticket);
        }
        if !seen.is_empty() && !people::take(&shared, ticket, seen).await {
            // What could not be written down is seen again.
            return Ok(false);
        }
        let Some(why) = ticket.error.clone() else {
            ticket.next_ns = 0;
            return Ok(true);
        };
        // Something is strange, and nothing failed.
        if ticket.attempts == 0 {
            return Ok(true);
        }
        ticket.next_ns = self.pause(ticket, after);
        self.outcome.failed = Some(why.clone());
        if ticket.attempts == STUCK_AFTER {
            let id = ticket.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
            self.outcome.stuck = Some(format!(
                "channel {}: the ticket{id} of alarm {} does not go on ({}): {why}",
                shared.channel.name,
                ticket.alarm,
                ask.name()
            ));
        }
        self.save(ticket.clone()).await?;
        Ok(false)
    }

    /// When it is asked again after a failure.
    fn pause(&self, ticket: &Ticket, after: Option<Duration>) -> i64 {
        let salt = ticket.first.wrapping_mul(31).wrapping_add(u64::from(ticket.attempts));
        let pause = again(ticket.attempts, salt).max(after.unwrap_or_default());
        self.now_ns().saturating_add(i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX))
    }

    async fn save(&self, ticket: Ticket) -> rusqlite::Result<()> {
        self.shared.with(move |store| store.save(&ticket)).await
    }

    /// Reads a ticket: what people did, and whether there are others that bear its key.
    async fn read(&mut self) -> rusqlite::Result<()> {
        let (name, key) = (self.shared.channel.name.clone(), self.alarm_key.clone());
        let latest = self.shared.with(move |store| store.latest(&name, &key)).await?;
        let Some(mut ticket) = latest.filter(|ticket| ticket.id.is_some()) else { return Ok(()) };
        let can = self.shared.desk.can();
        let begun_ns = self.now_ns();
        let asks = [(can.read, Ask::Read), (can.comments, Ask::Look), (can.search && ticket.creates > 1, Ask::Search)];
        for (_, ask) in asks.into_iter().filter(|(can, _)| *can) {
            if !self.ask(&mut ticket, &ask).await? {
                return Ok(());
            }
        }
        ticket.polled_ns = begun_ns;
        // Its last step is told: what is left is what nobody asked for.
        if self.bring(&mut ticket, None).await? {
            ticket.settle();
            self.save(ticket).await?;
        }
        Ok(())
    }
}
