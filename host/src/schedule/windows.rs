//! When a job may run at all: within its active windows, outside its blackouts.
//!
//! Windows are written in local time and become stretches of instants: one that begins or ends in a spring gap does so right
//! after it; one that begins at a time that comes twice begins at the first, one that ends then ends at the second.

use std::sync::Arc;

use super::error::ScheduleError;
use super::holidays::Holidays;
use super::unix_time::{DAY, UnixTime};
use super::window::Window;
use super::zone::Zone;

/// How far ahead is looked for a time at which a job may run.
pub(super) const AHEAD: i64 = 10 * 366 * DAY;

/// The windows of a job, in its zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    active: Vec<Window>,
    blackout: Vec<Window>,
    holidays: Arc<Holidays>,
}

/// Why a job never runs although it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shut {
    /// Every active window is over.
    Over,
    /// A blackout lies over all that is left.
    BlackedOut,
    /// It is due only while it may not run.
    NeverDueThen,
}

impl Windows {
    /// Reads active windows and blackouts; `None` where there are none of either.
    ///
    /// Errors: of every window that cannot be read.
    pub fn parse<'t>(
        active: impl IntoIterator<Item = &'t str>,
        blackout: impl IntoIterator<Item = &'t str>,
        holidays: Arc<Holidays>,
    ) -> Result<Option<Self>, ScheduleError> {
        let active = active.into_iter().map(Window::parse).collect::<Result<Vec<_>, _>>()?;
        let blackout = blackout.into_iter().map(Window::parse).collect::<Result<Vec<_>, _>>()?;
        Ok((!active.is_empty() || !blackout.is_empty()).then_some(Self { active, blackout, holidays }))
    }

    /// Checks one window as it is written; says whether it can only be read beside a list of holidays.
    ///
    /// Errors: [`ScheduleError::Window`].
    pub fn check(text: &str) -> Result<bool, ScheduleError> {
        Window::parse(text).map(|window| window.needs_holidays())
    }

    /// Checks that a window, which can be read, comes at all in a zone.
    ///
    /// Errors: [`ScheduleError::WindowSkipped`].
    pub fn comes_in(text: &str, zone: Zone) -> Result<(), ScheduleError> {
        let window = Window::parse(text)?;
        let Some((from, until)) = window.gap(zone) else { return Ok(()) };
        let [from, until] = [from, until].map(|local| UnixTime::from_secs(local).to_utc().naive_utc());
        let on_another_day = if from.date() == until.date() { "" } else { "%Y-%m-%d " };
        Err(ScheduleError::WindowSkipped {
            text: window.text().to_owned(),
            zone: zone.name(),
            from: from.format("%Y-%m-%d %H:%M").to_string(),
            until: until.format(&format!("{on_another_day}%H:%M")).to_string(),
        })
    }

    /// Says whether an instant lies within them.
    pub fn hold(&self, instant: i64, zone: Zone) -> bool {
        self.opens_from(instant, zone) == Some(instant)
    }

    /// Says whether a blackout lies over an instant.
    pub(super) fn is_blacked_out(&self, instant: i64, zone: Zone) -> bool {
        self.covers(&self.blackout, instant, zone).is_some()
    }

    /// Finds the first instant from `instant` on at which the job may run; `None` if that is ten years of blackout away.
    pub(crate) fn opens_from(&self, instant: i64, zone: Zone) -> Option<i64> {
        let (mut at, mut until) = (instant, None);
        loop {
            let open = if self.active.is_empty() { at } else { self.begins_from(&self.active, at, zone)? };
            if open > *until.get_or_insert(open.saturating_add(AHEAD)) {
                return None;
            }
            match self.covers(&self.blackout, open, zone) {
                None => return Some(open),
                Some(end) => at = end,
            }
        }
    }

    /// Finds when what is open at `open` is certainly open until; it may go on after.
    pub(super) fn open_until(&self, open: i64, zone: Zone) -> i64 {
        let active = if self.active.is_empty() { None } else { self.covers(&self.active, open, zone) };
        let blackout = self.begins_from(&self.blackout, open, zone);
        [active, blackout].into_iter().flatten().min().unwrap_or(i64::MAX)
    }

    /// Says why nothing is due from `instant` on.
    pub(super) fn shut(&self, instant: i64, zone: Zone) -> Shut {
        let active_to_come = self.active.is_empty() || self.begins_from(&self.active, instant, zone).is_some();
        match active_to_come {
            false => Shut::Over,
            true if self.opens_from(instant, zone).is_none() => Shut::BlackedOut,
            true => Shut::NeverDueThen,
        }
    }

    /// For people: "active MON-FRI 08:00-18:00, blackout holidays".
    pub fn said(&self) -> String {
        let list = |what: &str, windows: &[Window]| {
            let texts: Vec<_> = windows.iter().map(Window::text).collect();
            (!texts.is_empty()).then(|| format!("{what} {}", texts.join(" + ")))
        };
        [list("active", &self.active), list("blackout", &self.blackout)].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Finds the end of the longest stretch that holds an instant.
    fn covers(&self, windows: &[Window], instant: i64, zone: Zone) -> Option<i64> {
        let today = zone.day_at(instant);
        let days = today - 1..=today + 1;
        let stretches = days.flat_map(|day| self.stretches(windows, day, zone));
        stretches.filter(|(from, until)| (*from..*until).contains(&instant)).map(|(_, until)| until).max()
    }

    /// Finds the first instant from `instant` on that a window holds.
    fn begins_from(&self, windows: &[Window], instant: i64, zone: Zone) -> Option<i64> {
        if self.covers(windows, instant, zone).is_some() {
            return Some(instant);
        }
        let today = zone.day_at(instant);
        windows.iter().filter_map(|window| self.begins_after(window, today, instant, zone)).min()
    }

    fn begins_after(&self, window: &Window, today: i64, instant: i64, zone: Zone) -> Option<i64> {
        let last = window.last_day().unwrap_or(today + AHEAD / DAY);
        let first = window.first_day().unwrap_or(today - 1).max(today - 1);
        (first..=last).find_map(|day| {
            let begins = self.stretches(std::slice::from_ref(window), day, zone).map(|(from, _)| from);
            begins.filter(|from| *from >= instant).min()
        })
    }

    /// The stretches that begin on a day, as instants.
    fn stretches(&self, windows: &[Window], day: i64, zone: Zone) -> impl Iterator<Item = (i64, i64)> {
        let local = windows.iter().flat_map(move |window| window.on_day(day, &self.holidays));
        local.map(move |(from, until)| (zone.first_at(from), zone.last_at(until))).filter(|(from, until)| from < until)
    }
}
