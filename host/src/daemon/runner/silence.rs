//! Tells the journal why a job gives no readings for a while, before anybody asks.

use std::time::Duration;

use super::{Runner, scheduled::Scheduled};
use crate::{
    daemon::appender::Appender,
    reading::Reason,
    schedule::{Step, UnixTime},
};

impl Runner {
    /// No reading comes of what is due then, nor after it until one does.
    pub(super) fn silent_from(&self, name: &str, due: Option<UnixTime>, reason: Reason) {
        if let Some(scheduled) = self.jobs.get(name) {
            scheduled.silent(&self.appender, due, reason);
        }
    }

    /// Slots after that of an instant of which no run is to be expected: the expression is not due, or windows are shut.
    pub(super) fn silent_ahead(&self, name: &str, now: UnixTime) {
        let Some(scheduled) = self.jobs.get(name) else { return };
        let timing = &scheduled.job.config.timing;
        if timing.timetable.is_steady() {
            return;
        }
        let step = timing.rhythm.step();
        let Some(usual) = timing.timetable.next_regardless(now) else { return };
        let following = after(step, now);
        if step.slot(usual).time() > following {
            self.appender.silent(name, following.as_secs(), Reason::NotDue);
        }
        let next = scheduled.ticker.next_due();
        if next.is_none_or(|next| step.slot(next) > step.slot(usual)) {
            let reason = if timing.timetable.is_blacked_out(usual) { Reason::Blackout } else { Reason::NotActive };
            scheduled.silent(&self.appender, Some(usual), reason);
        }
    }

    /// How it is with a job that came, changed, was paused or goes on.
    pub(super) fn silent_from_now(&mut self, name: &str) {
        let now = UnixTime::from_duration(self.clock.label());
        match self.paused.holds(name) {
            true => self.silent_from(name, self.jobs.get(name).and_then(|scheduled| scheduled.ticker.next_due()), Reason::Paused),
            false => self.silent_ahead(name, now),
        }
    }
}

impl Scheduled {
    /// No reading comes of what is due then, nor after it until one does.
    pub(super) fn silent(&self, appender: &Appender, due: Option<UnixTime>, reason: Reason) {
        let slot = |due| self.job.config.timing.rhythm.step().slot(due).time().as_secs();
        if let Some(due) = due {
            appender.silent(self.job.name(), slot(due), reason);
        }
    }

    /// No daemon ran since then: what was due meanwhile is missing, and so is what was under way, as far as `under_way` before.
    pub(super) fn was_down(&self, appender: &Appender, since: Option<UnixTime>, under_way: Duration, label: Duration) {
        let (Some(since), timing) = (since, &self.job.config.timing) else { return };
        let grace = i64::try_from(under_way.as_secs()).unwrap_or(0);
        let stored = self.ticker.taken().map_or(i64::MIN, |slot| slot.time().as_secs() + timing.rhythm.step().as_secs() - 1);
        let first = timing.timetable.next_after(UnixTime::from_secs((since.as_secs() - grace).max(stored)));
        // What is due now is run yet.
        let now = UnixTime::from_duration(label);
        let next = self.ticker.next_due().map_or(now, |next| next.min(now));
        self.silent(appender, first.filter(|first| *first < next), Reason::HostDown);
    }
}

/// The slot after that of an instant.
fn after(step: Step, now: UnixTime) -> UnixTime {
    UnixTime::from_secs(step.slot(now).time().as_secs() + step.as_secs())
}
