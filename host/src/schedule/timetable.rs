//! When a job is due: at an interval, or by a cron expression in a zone.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::cron::Cron;
use super::describe;
use super::error::ScheduleError;
use super::every::Every;
use super::rhythm::Rhythm;
use super::runs::Runs;
use super::span::{parse_span, spoken};
use super::unix_time::UnixTime;
use super::windows::{AHEAD, Shut, Windows};
use super::zone::Zone;
use super::zoned::ZonedCron;

/// The instants at which a job is due; holds only what can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    kind: Kind,
    zone: Zone,
    /// When it may run at all; `None` if always.
    windows: Option<Windows>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Every(Every),
    Cron(ZonedCron),
}

impl Timetable {
    /// Makes the timetable of `every = "30s"` for a job.
    ///
    /// Due times are `k × every + phase` in Unix time, phase being the hash of the job's name within the interval.
    /// The zone is only what times are shown in.
    /// Errors: [`ScheduleError::Span`].
    pub fn every(every: &str, job: &str, zone: Zone) -> Result<Self, ScheduleError> {
        let kind = Kind::Every(Every::new(parse_span(every)?, job));
        Ok(Self { kind, zone, windows: None })
    }

    /// Makes the timetable of `cron = "*/5 8-18 * * MON-FRI"` in a zone.
    ///
    /// Errors: [`ScheduleError::Cron`].
    pub fn cron(expression: &str, zone: Zone) -> Result<Self, ScheduleError> {
        let cron = Cron::parse(expression)?;
        Ok(Self { kind: Kind::Cron(ZonedCron::new(cron, zone)), zone, windows: None })
    }

    /// Narrows it to windows of its zone's time; what is due outside is no run, and not missed either.
    ///
    /// Errors: [`ScheduleError::NeverOpen`] where no run would ever be left, seen from `now`. That dated windows are over is no
    /// error: a job that has done its work stays as it is.
    pub fn within(self, windows: Option<Windows>, now: UnixTime) -> Result<Self, ScheduleError> {
        let narrowed = Self { windows, ..self };
        let Some(windows) = &narrowed.windows else { return Ok(narrowed) };
        if narrowed.next_after(now).is_some() {
            return Ok(narrowed);
        }
        let due = narrowed.usual();
        let reason = match windows.shut(now.as_secs(), narrowed.zone) {
            Shut::Over => return Ok(narrowed),
            Shut::BlackedOut => "a blackout lies over all the time there is".to_owned(),
            Shut::NeverDueThen => format!("it is due {due}, and never within ten years while it may run ({})", windows.said()),
        };
        Err(ScheduleError::NeverOpen { reason })
    }

    /// Says whether nothing is to come: all its windows are over.
    pub fn is_over(&self, now: UnixTime) -> bool {
        self.windows.is_some() && self.next_after(now).is_none()
    }

    /// The same without windows: when it would be due.
    fn usual(&self) -> Self {
        Self { windows: None, ..self.clone() }
    }

    /// Finds the first time after an instant at which it would be due if it had no windows.
    pub fn next_regardless(&self, time: UnixTime) -> Option<UnixTime> {
        self.due_from(time.as_secs() + 1).map(UnixTime::from_secs)
    }

    /// Finds everything that is wrong with a cron expression; nothing if it can run.
    pub fn cron_faults(expression: &str) -> Vec<ScheduleError> {
        Cron::faults(expression)
    }

    /// Says whether a blackout lies over an instant.
    pub fn is_blacked_out(&self, instant: UnixTime) -> bool {
        self.windows.as_ref().is_some_and(|windows| windows.is_blacked_out(instant.as_secs(), self.zone))
    }

    /// Says whether it is due in every slot there is: an `every` without windows.
    pub fn is_steady(&self) -> bool {
        self.is_spread() && self.windows.is_none()
    }

    /// Says whether it is an `every`, whose runs are spread, or a `cron`, whose runs are appointments.
    pub fn is_spread(&self) -> bool {
        matches!(self.kind, Kind::Every(_))
    }

    /// Gives how much later than the whole second a job's runs start, so that jobs of one second do not start as one: a part of a second
    /// from the job's name, the same over restarts; nothing for appointments.
    pub fn spread(&self, job: &str) -> Duration {
        if !self.is_spread() {
            return Duration::ZERO;
        }
        let digest = Sha256::digest([b"spread within the second: ".as_slice(), job.as_bytes()].concat());
        Duration::from_millis(u64::from(u16::from_le_bytes([digest[0], digest[1]])) % 1000)
    }

    /// Gives the zone in which the job's times are shown (and a cron expression is read).
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Finds the first run after an instant; `None` past the year 9999.
    pub fn next_after(&self, time: UnixTime) -> Option<UnixTime> {
        self.first_from(time.as_secs() + 1)
    }

    /// Walks the runs after an instant: the next `count`, fewer at the end of time.
    pub fn upcoming(&self, after: UnixTime, count: usize) -> impl Iterator<Item = UnixTime> {
        std::iter::successors(self.next_after(after), |due| self.next_after(*due)).take(count)
    }

    /// Tells how close runs come, and so what step the job's series have, over the two calendar years (UTC) from the
    /// start of the one `now` lies in.
    ///
    /// The same at every start within a year, so that a restart does not reshape files.
    pub fn rhythm(&self, now: UnixTime) -> Rhythm {
        match &self.kind {
            Kind::Every(every) => Rhythm::of_every(every.step()),
            Kind::Cron(_) => {
                let (from, until) = (now.start_of_year(), now.start_of_year_after(2));
                let span = until.as_secs() - from.as_secs();
                // Windows only leave runs out: the step stays the same when they change.
                let runs = self.dues_between(from.as_secs(), until.as_secs());
                Rhythm::of_cron(runs.gap_min.unwrap_or(span))
            }
        }
    }

    /// Tells whether runs follow elapsed time where the wall clock is turned; otherwise each is an appointment.
    pub(super) fn follows_elapsed_time(&self) -> bool {
        match &self.kind {
            Kind::Every(_) => true,
            Kind::Cron(zoned) => zoned.cron.follows_elapsed_time(),
        }
    }

    /// Finds the first run at or after an instant; with windows, within ten years of their first opening.
    pub(super) fn first_from(&self, instant: i64) -> Option<UnixTime> {
        let mut due = self.due_from(instant)?;
        if let Some(windows) = &self.windows {
            let mut open = windows.opens_from(due, self.zone)?;
            let until = open.saturating_add(AHEAD);
            // Due times and openings are looked for in turn until they meet.
            while open != due {
                due = self.due_from(open).filter(|due| *due <= until)?;
                open = windows.opens_from(due, self.zone)?;
            }
        }
        Some(UnixTime::from_secs(due))
    }

    /// Folds the runs from one instant up to, not including, another.
    pub(super) fn runs_between(&self, from: i64, until: i64) -> Runs {
        let Some(windows) = &self.windows else { return self.dues_between(from, until) };
        let (mut runs, mut at) = (Runs::NONE, from);
        while let Some(open) = windows.opens_from(at, self.zone).filter(|open| *open < until) {
            at = windows.open_until(open, self.zone).min(until);
            runs = runs.then(self.dues_between(open, at));
        }
        runs
    }

    fn due_from(&self, instant: i64) -> Option<i64> {
        let due = match &self.kind {
            Kind::Every(every) => Some(every.first_from(instant)),
            Kind::Cron(zoned) => zoned.first_from(instant),
        };
        due.filter(|due| *due <= UnixTime::LAST.as_secs())
    }

    fn dues_between(&self, from: i64, until: i64) -> Runs {
        match &self.kind {
            Kind::Every(every) => every.runs_between(from, until),
            Kind::Cron(zoned) => zoned.runs_between(from, until),
        }
    }
}

/// For people: "every 30 s, phase 12 s", "at 08:00 Mon-Fri Europe/Paris".
impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Every(every) => {
                let [step, phase] = [every.step(), every.phase()].map(|seconds| spoken(seconds.unsigned_abs()));
                write!(f, "every {step}, phase {phase}")?;
            }
            Kind::Cron(zoned) => {
                write!(f, "{} {}", describe::cron(&zoned.cron), zoned.zone.name())?;
            }
        }
        match (&self.windows, &self.kind) {
            (None, _) => Ok(()),
            (Some(windows), Kind::Cron(_)) => write!(f, ", {}", windows.said()),
            // Only the windows of an `every` follow a clock on the wall.
            (Some(windows), Kind::Every(_)) => write!(f, ", {} {}", windows.said(), self.zone.name()),
        }
    }
}
