//! Tells the journal why a job gives no readings for a while, before anybody asks.

use std::time::Duration;

use super::{Runner, scheduled::Scheduled};
use crate::{
    daemon::appender::Appender,
    reading::Reason,
    schedule::{Step, Timetable, UnixTime},
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
    pub(super) fn was_down(&self, appender: &Appender, since: Option<UnixTime>, under_way: Duration) {
        let (Some(since), timing) = (since, &self.job.config.timing) else { return };
        let grace = i64::try_from(under_way.as_secs()).unwrap_or(0);
        let stored = self.ticker.taken().map_or(i64::MIN, |slot| slot.time().as_secs() + timing.rhythm.step().as_secs() - 1);
        let missed = first_missed(&timing.timetable, (since.as_secs() - grace).max(stored), self.ticker.next_due());
        self.silent(appender, missed, Reason::HostDown);
    }
}

/// What was due first after an instant, unless it is the run that comes next: that one is not missing.
fn first_missed(timetable: &Timetable, after: i64, next: Option<UnixTime>) -> Option<UnixTime> {
    timetable.next_after(UnixTime::from_secs(after)).filter(|first| next.is_none_or(|next| *first < next))
}

/// The slot after that of an instant.
fn after(step: Step, now: UnixTime) -> UnixTime {
    UnixTime::from_secs(step.slot(now).time().as_secs() + step.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Ticker, Zone};

    #[test]
    fn what_was_due_in_the_second_in_which_a_daemon_began_is_missing_unless_it_is_run_yet() {
        let timetable = Timetable::cron("* * * * *", Zone::default()).unwrap();
        let step = timetable.rhythm(UnixTime::from_secs(0)).step();
        for (label_ms, missed) in [(119_600, None), (120_000, None), (120_040, Some(120)), (150_000, Some(120)), (180_000, Some(120))] {
            let ticker = Ticker::start(timetable.clone(), step, Duration::from_millis(label_ms), None);
            let found = first_missed(&timetable, 61, ticker.next_due());
            assert_eq!(found.map(UnixTime::as_secs), missed, "{label_ms}");
        }
    }
}
