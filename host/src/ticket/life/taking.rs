//! A step that is to be told: whether it is this ticket's, and what it wants of it.

use super::{State, Ticket, key};
use crate::{
    alarm::notice::{Notice, Step},
    notify::outbox::is_lane,
};

/// Lives that are remembered of one ticket, at most: the latest, beside those of a situation that go on.
const LIVES_MAX: usize = 100;

impl Ticket {
    /// One that is to be made for a step of an alarm of a situation: the first of its lane bears the situation's number, any after it that of
    /// the life that it is made for.
    pub fn of_situation(self, instance: &str, lane: &str, first: u64) -> Self {
        Self { key: key(instance, lane, first), alarm_key: lane.into(), first, ..self }
    }

    /// Whether it tells of a situation, and not of one alarm alone.
    pub fn is_of_situation(&self) -> bool {
        is_lane(&self.alarm_key)
    }

    /// Whether it tells of a life that begins so soon after the last one, or of one that it knows.
    pub fn tells_of(&self, notice: &Notice, reopen_within_ns: i64) -> bool {
        if self.lives.contains(&notice.alarm) || self.going.contains(&notice.alarm) {
            return true;
        }
        let soon = self.ended_ns.is_none_or(|ended| notice.raised_ns.saturating_sub(ended) <= reopen_within_ns);
        soon && self.state != State::Gone && (self.id.is_some() || self.unsure.is_some())
    }

    /// Takes a step that is to be told.
    pub fn take(&mut self, notice: &Notice) {
        if self.telling == notice.seq {
            return;
        }
        self.telling = notice.seq;
        self.notice = notice.clone();
        (self.fresh, self.swept, self.looked_ns, self.refused) = (false, false, None, None);
        let is_known = self.lives.contains(&notice.alarm) || self.going.contains(&notice.alarm);
        if !is_known {
            self.lives.push(notice.alarm);
            self.lives.drain(..self.lives.len().saturating_sub(LIVES_MAX));
        }
        // What is written beside an alarm of a situation once that is over begins nothing.
        if !is_known && (notice.active || !self.is_of_situation()) {
            (self.alarm, self.over, self.ended_ns, self.resolves) = (notice.alarm, false, None, false);
            self.reopens = self.id.is_some();
        }
        if self.is_of_situation() {
            self.goes_on_with(notice);
        }
        if notice.step.ends() && self.going.is_empty() {
            (self.over, self.ended_ns, self.reopens, self.resolves) = (true, Some(notice.time_ns), false, true);
        }
        self.takes = notice.step == Step::Owned && !self.is_from_here();
    }

    /// Notes which alarms of the situation go on after a step of one of them.
    fn goes_on_with(&mut self, notice: &Notice) {
        if notice.step.ends() {
            self.going.remove(&notice.alarm);
        } else if notice.active {
            self.going.insert(notice.alarm);
        }
        self.alarm = self.going.last().copied().unwrap_or(notice.alarm);
    }

    /// Whether the step came from the ticket itself.
    pub(super) fn is_from_here(&self) -> bool {
        let by = self.notice.by.as_deref().and_then(|by| by.strip_suffix(&self.channel));
        by.is_some_and(|name| name.ends_with('@'))
    }
}
